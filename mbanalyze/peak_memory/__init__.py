"""The largest amount of memory that the activations of a network take at once.

timeline.py  tensors in memory, each from one step to another
liveness.py  the account `ideal`: tensors live from their writer to their last reader
fusion.py    operators merged as an inference engine merges them
deployed.py  the account `deployed`: merged operators, depthwise convolutions in place
"""

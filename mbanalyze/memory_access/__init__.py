"""Memory access in ShuffleNet V2's sense.

analysis.py     the guidelines G1 to G4, applied to a report
experiments.py  the experiments that they rest on
timing.py       those experiments, timed on this machine
view.py         both as text
"""

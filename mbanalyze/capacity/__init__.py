"""The memory that a network needs.

peak.py       `memory`: the peak of each account, and the tensors alive there
peak_view.py  a peak as tables
view.py       the views of all results
"""

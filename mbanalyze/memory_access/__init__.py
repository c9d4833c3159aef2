"""Memory access by the guidelines of ShuffleNet V2.

analysis.py           guidelines G1 to G4 applied to a report
branches.py           blocks of a network and their parallel branches, for G3
experiments.py        the experiments of the paper
timed_experiments.py  the same experiments timed on this machine, with torch
view.py               how both are displayed
"""

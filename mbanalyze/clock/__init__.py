"""Times measured on this machine, with torch.

machine.py       the devices that torch can use, and their names
stopwatch.py     the time of one run
freed_memory.py  the memory that a forward frees, kept for steady times
rounds.py        alternating rounds, so that a slow moment affects everything that is timed
timed_module.py  a module that is timed as a whole and operator by operator
"""

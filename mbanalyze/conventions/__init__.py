"""The ways in which other counters and publications count, as data.

convention.py    a convention: tables of rules, its total, and its differences from our macs
op_rules.py      rules of operators that several conventions share
call_rules.py    rules of module calls that several conventions share
flop_counter.py  PyTorch's FlopCounterMode
thop.py          thop
known.py         every convention by its name
"""

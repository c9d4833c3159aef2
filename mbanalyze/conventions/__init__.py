"""The ways in which other counters and publications count, as data.

convention.py    a convention: tables of rules, its total, and its differences from our macs
op_rules.py      rules of operators that several conventions share
fast_paths.py    modules of attention that PyTorch runs as one operator
left_out.py     operators that a counter leaves out
unused.py       operators whose results nothing uses
flop_counter.py  PyTorch's FlopCounterMode
fvcore.py        fvcore
printed_einsum.py  Einstein sums as fvcore reads them from NumPy
thop.py          thop
known.py         every convention by its name
"""

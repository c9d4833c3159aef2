"""The ways in which other counters and publications count, as data.

convention.py    a convention: tables of rules, its total, and its differences from our macs
op_rules.py      rules of operators that several conventions share
left_out.py     operators that a counter leaves out
unused.py       operators whose results nothing uses
flop_counter.py  PyTorch's FlopCounterMode
fvcore.py        fvcore
printed_einsum.py  Einstein sums as fvcore reads them from NumPy
thop.py          thop
publications.py  the multiply-accumulates that torchvision, timm and papers publish
printed.py       ways of counting behind printed figures, of params too
known.py         every convention by its name
"""

"""The ways in which other counters and publications count, as data.

convention.py       a convention: tables of rules, its total, and its differences from our macs
op_rules.py         rules of operators that several conventions share
call_rules.py       rules of module calls that several conventions share
fast_paths.py       modules of attention that PyTorch runs as one operator
left_out.py         operators that a counter leaves out
unused.py           operators whose results nothing uses
flop_counter.py     PyTorch's FlopCounterMode
fvcore.py           fvcore
printed_einsum.py   Einstein sums as fvcore reads them from NumPy
torchinfo.py        torchinfo: parameters of modules without children
ptflops.py          ptflops, PyTorch back end
ptflops_aten.py     ptflops, ATen back end
calflops.py         calflops
torchprofile.py     torchprofile
thop.py             thop: modules of some exact classes
printed.py          ways of counting behind printed figures, of params too
function_rules.py   rules of calls of Python functions that several conventions share
recurrent_rules.py  rules of calls of recurrent modules that several conventions share
ptflops_modules.py  rules of its modules with formulas of their own
publications.py     the multiply-accumulates that torchvision, timm and papers publish
known.py            every convention by its name
"""

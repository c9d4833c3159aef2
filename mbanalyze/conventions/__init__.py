"""The ways in which other counters and publications count, as data.

convention.py       a convention: tables of rules, its total, and its differences from our macs
op_rules.py         rules of operators that several conventions share
call_rules.py       rules of module calls that several conventions share
function_rules.py   rules of calls of Python functions that several conventions share
recurrent_rules.py  rules of calls of recurrent modules that several conventions share
left_out.py         operators that a counter leaves out
unused.py           operators whose results nothing uses
fast_paths.py       attention and encoder layers that PyTorch runs as one operator
fvcore.py           fvcore
numpy_einsum.py     Einstein sums by the flops that NumPy prints, for fvcore
flop_counter.py     PyTorch's FlopCounterMode
torchinfo.py        torchinfo: parameters of modules without children
ptflops.py          ptflops, PyTorch back end
ptflops_modules.py  rules of ptflops for modules with formulas of their own
ptflops_aten.py     ptflops, ATen back end
torchprofile.py     torchprofile
calflops.py         calflops
thop.py             thop: modules of some exact classes
publications.py     the multiply-accumulates that torchvision, timm and papers publish
printed_figures.py  ways of counting behind the figures of papers, for `published`
known.py            every convention by its name
convention_names.py their names, and the convention of a name; rules are loaded when one is asked for
"""

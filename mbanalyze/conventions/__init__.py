"""The ways in which other counters and publications count, as data.

convention.py       a convention: tables of rules, its total, and its differences from our macs
op_rules.py         rules of operators that several conventions share
call_rules.py       rules of module calls that several conventions share
function_rules.py   rules of calls of Python functions that several conventions share
recurrent_rules.py  rules of calls of recurrent modules that several conventions share
flop_counter.py     PyTorch's FlopCounterMode
ptflops.py          ptflops, PyTorch back end
ptflops_modules.py  rules of its modules with formulas of their own
ptflops_aten.py     ptflops, ATen back end
calflops.py         calflops
thop.py             thop: modules of some exact classes
torchinfo.py        torchinfo: parameters of modules without children
known.py            every convention by its name
"""

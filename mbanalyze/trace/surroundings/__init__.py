"""The contexts in which the forward of a module runs during a trace.

autocast.py         the casts of `torch.autocast`, for tensors without data
compiler_import.py  an import of PyTorch's compiler, whose operators are not recorded
devices.py          devices that the machine does not have
eager.py            a forward without compilation
first_finder.py     modules that are loaded in another way
replacing.py        functions of PyTorch, replaced in the threads of a trace
"""

"""A PyTorch module, operator by operator.

tracer.py        `trace`, the entry point
forward_args.py  arguments of a forward, made from shapes
recorder.py      the dispatch mode that records every operator
module_stack.py  the paths of the modules that are running
leaf_modules.py  modules that run one operator, recorded without running it
schema.py        the signature of one operator overload
storage.py       the number and role of each tensor
restore/         snapshots of the module, its inputs and global state
matching/        an operator's arguments -> kind, operands, attributes
shapes/          outputs of operators on meta tensors
"""

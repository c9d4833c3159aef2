"""A PyTorch module, operator by operator.

tracer.py          `trace`, the entry point
forward_args.py    arguments of a forward, made from shapes
forward_errors.py  errors of a forward, with the module and the operator
module_tree.py     the modules and parameters of a model
module_stack.py    the paths of the modules that are running
leaf_modules.py    modules that run one operator, recorded without running it
threads.py         the threads of a forward, each with a recorder
recorder.py        the dispatch mode that records every operator
call_recorder.py   calls of modules and functions, recorded on request
followed_sizes.py  sizes of tensors that note their multiplications
higher_order.py    conditions, loops and other operators that run functions
operator_timer.py  the time of each operator that runs on values
unknown_operator.py  operators that PyTorch does not know, recorded by name
execution.py       an operator run on values, on meta tensors, or by assumption
lookups.py         indices with values that a table without values does not have
deferred.py        generators and coroutines that a forward returns
unseen.py          the final check: work that was not recorded
schema.py          the signature of one operator overload
storage.py         the number and role of each tensor
region.py          memory that is counted as one tensor
lifetimes.py       births and deaths of storages
unreturned.py      tensors that an operator computes and does not return
param_memory.py    parameters that share one storage
torch_internals.py the private names of PyTorch that the package uses
surroundings/      contexts in which a forward runs
restore/           snapshots of the model, its inputs and global state
matching/          an operator's arguments -> kind, operands, attributes
training_step/     a training step without data, and the most memory held at once
shapes/            outputs of operators on meta tensors
"""

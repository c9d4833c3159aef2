"""A PyTorch module, operator by operator.

tracer.py        `trace`, the way in
recorder.py      the dispatch mode that records every call
schema.py        how one overload is called
kinds.py         ATen names and the kinds that they are
match.py         arguments of a call -> operands of an `Op`
shapes.py        output shapes where PyTorch is slow or has no answer
leaf_modules.py  plain modules as the one operator that each runs
storage.py       which tensor is which value
restore.py       the module and the process as they were before
"""

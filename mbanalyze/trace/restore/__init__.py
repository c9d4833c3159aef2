"""Snapshots of the model, its inputs and global state, restored after a trace.

preserve.py           `preserve_state`, the context of a trace
module_attributes.py  the attributes of modules
objects.py            containers, attributes, random generators, and all that they hold
object_kinds.py       the parts of an object, by its class
containers.py         copying and refilling containers
keyed_state.py        values that are read and written by key: slots, classes, closures, globals
functions.py          what functions and classes reach: closures, defaults, globals, caches
installed_modules.py  variables in which installed modules may cache something
tensors.py            storage, layout, flags, gradient and elements of tensors
storage_bytes.py      the elements of storages
process_settings.py   settings of torch, Python and NumPy
"""

from mbanalyze.trace.restore.preserve import RestoreError, preserve_state

__all__ = ["RestoreError", "preserve_state"]

"""Lookups whose indices have values, and whose table has none."""

from __future__ import annotations

from torch import Tensor

from mbanalyze.trace.schema import Arguments

_LOOKUPS = {
    "embedding": ("weight", "indices"),
    "embedding_bag": ("weight", "indices"),
    "index_select": ("self", "index"),
    "gather": ("self", "index"),
}
"""Operator name -> its arguments for the table, and for the indices into the first dimension or `dim`."""


def indices_of(operator: str, args: Arguments) -> Tensor | None:
    """Return the indices of a lookup; None for another operator."""
    names = _LOOKUPS.get(operator)
    return args[names[1]] if names and args[names[0]].dim() else None


def require_in_range(operator: str, args: Arguments) -> None:
    """Raise `IndexError` if an index of a lookup is not in its table, as the kernels for values do."""
    table, indices = (args[name] for name in _LOOKUPS[operator])
    rows = table.shape[args.get("dim", 0)]
    if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < rows:
        outside = int(indices.min()) if int(indices.min()) < 0 else int(indices.max())
        raise IndexError(f"index {outside} of {operator} is out of range for {rows} rows")

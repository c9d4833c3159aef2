"""Outputs whose sizes depend on values, under the assumption that every candidate is kept."""

from __future__ import annotations

import torch
from torch import Tensor

from mbanalyze.trace.schema import Arguments
from mbanalyze.trace.shapes.layout import ShapeRule, contiguous


def _nonzero(args: Arguments) -> Tensor:
    data = args["self"]
    return contiguous(data, (data.numel(), data.dim()), torch.int64)


def _where(args: Arguments) -> list[Tensor] | None:
    """The positions of the true elements; None if `where` chooses between two operands."""
    condition = args["condition"]
    if "self" in args or "other" in args:
        return None
    return [contiguous(condition, (condition.numel(),), torch.int64) for _ in range(condition.dim())]


def _nms(args: Arguments) -> Tensor:
    return contiguous(args["dets"], args["dets"].shape[:1], torch.int64)


def _masked_select(args: Arguments) -> Tensor:
    return contiguous(args["self"], (args["self"].numel(),))


def _masked_index(args: Arguments) -> Tensor | None:
    """The elements that a single mask selects; None for other indices."""
    data, indices = args["self"], args["indices"]
    given = [i for i, index in enumerate(indices) if index is not None]
    if len(given) != 1 or indices[given[0]].dtype != torch.bool:
        return None
    (at,) = given
    mask = indices[at]
    return contiguous(data, (*data.shape[:at], mask.numel(), *data.shape[at + mask.dim() :]))


def _unique(args: Arguments) -> tuple[Tensor, ...]:
    """Every element as if no two were equal, with the place of each and how often each occurs.

    If only the values are wanted, they are assumed to be class labels, the same for all candidates.
    """
    data = args["self"]
    places, times = args.get("return_inverse"), args.get("return_counts")
    elements = data.numel() if places or times else min(data.numel(), 1)
    return (
        contiguous(data, (elements,)),
        contiguous(data, data.shape if places else (0,), torch.int64),
        contiguous(data, (elements,) if times else (0,), torch.int64),
    )


def _unique_along(args: Arguments) -> tuple[Tensor, ...] | None:
    """The same along one dimension; None without one."""
    data, dim = args["self"], args.get("dim")
    if dim is None:
        return _unique(args)
    places = contiguous(data, (data.shape[dim],), torch.int64)
    return contiguous(data, data.shape), places, contiguous(data, places.shape, torch.int64)


KEEP_ALL: dict[str, ShapeRule] = {
    "nonzero": _nonzero,
    "where": _where,
    "masked_select": _masked_select,
    "index": _masked_index,
    "torchvision::nms": _nms,
    "_unique2": _unique,
    **dict.fromkeys(("unique_dim", "unique_consecutive", "unique_dim_consecutive"), _unique_along),
}
"""Operator name -> its outputs if every candidate is kept; None if they do not depend on values."""

"""Tensors that an operator computes beside its results and does not return, such as the indices of a max pooling.

PyTorch composes these operators of others, which return the tensors. They are in memory while the operator runs.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from torch import Tensor

from mbanalyze.inputs.typed import Sizes
from mbanalyze.trace.schema import Arguments

Unreturned = list[tuple[Sizes, int]]
"""The shape and the bytes of each tensor."""

_INDEX = 8
"""The bytes of an index of a max pooling."""


def statistics(shape: Sizes, itemsize: int) -> Unreturned:
    """Return the mean and the standard deviation of each group of a normalisation."""
    return [(shape, prod(shape) * itemsize)] * 2


def _indices(_: Arguments, output: Tensor) -> Unreturned:
    return [(tuple(output.shape), output.numel() * _INDEX)]


def _layer_norm(args: Arguments, output: Tensor) -> Unreturned:
    return statistics(tuple(output.shape[: -len(args["normalized_shape"])]), output.itemsize)


def _group_norm(args: Arguments, output: Tensor) -> Unreturned:
    return statistics((output.shape[0], args["num_groups"]), output.itemsize)


def _batch_norm(args: Arguments, output: Tensor) -> Unreturned:
    return statistics((output.shape[1],), output.itemsize) if args["training"] else []


def _dropout(args: Arguments, output: Tensor) -> Unreturned:
    """The factor of each element, if some are dropped."""
    return [(tuple(output.shape), output.numel() * output.itemsize)] if args["train"] and args["p"] else []


Rule = Callable[[Any, Tensor], Unreturned]

UNRETURNED: dict[str, Rule] = {
    **{f"max_pool{d}d": _indices for d in (1, 2, 3)},
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "batch_norm": _batch_norm,
    "dropout": _dropout,
}
"""Base name of an operator -> its tensors that it does not return, from its arguments and its output."""

"""Arguments of a forward, made from shapes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only

from mbanalyze.inputs.typed import Typed, is_shape
from mbanalyze.trace.tracer import TraceError


def tensor_leaves(tree: Any) -> tuple[Tensor, ...]:
    """Return the tensors in nested containers, in order."""
    return tuple(leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def floating_dtype(model: nn.Module, inputs: Sequence[Any] = ()) -> torch.dtype:
    """Return the dtype of the first floating-point parameter, else input, else torch's default."""
    tensors = itertools.chain(model.parameters(), tensor_leaves(list(inputs)))
    return next((t.dtype for t in tensors if t.is_floating_point()), torch.get_default_dtype())


def as_inputs(
    model: nn.Module, inputs: Sequence[Any], keywords: Mapping[str, Any], *, real: bool = False
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and keyword arguments of a forward, with a meta tensor for each shape.

    A `Typed` shape has a dtype of its own; other shapes take the dtype of the model.

    Args:
        model: the module whose forward takes the arguments.
        inputs: positional arguments: shapes, tensors, or containers of these.
        keywords: keyword arguments, likewise.
        real: make tensors with data instead: integers are zeros, floats are uniform in [0, 1) from a fixed seed.

    Raises:
        TraceError: a shape is too large for a tensor.
    """
    model_dtype = floating_dtype(model)
    generator = torch.Generator().manual_seed(0)

    def tensor_of(leaf: Any) -> Any:
        """Return a tensor for a shape, and any other leaf unchanged."""
        if not _is_input(leaf):
            return leaf
        shape, dtype = (
            (leaf.shape, getattr(torch, leaf.dtype)) if isinstance(leaf, Typed) else (leaf, model_dtype)
        )
        if not real:
            return torch.empty(shape, dtype=dtype, device="meta")
        if not dtype.is_floating_point:
            return torch.zeros(shape, dtype=dtype)
        return torch.rand(shape, generator=generator).to(dtype)

    def converted(argument: Any) -> Any:
        return tree_map(tensor_of, argument, is_leaf=_is_input)

    try:
        return tuple(map(converted, inputs)), {name: converted(given) for name, given in keywords.items()}
    except (RuntimeError, OverflowError, TypeError) as error:
        raise TraceError(f"no such input: {str(error).splitlines()[0]}") from error


def ones(model: nn.Module, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Return the positional arguments of a forward as CPU tensors of ones; arguments and errors as `as_inputs`."""
    args, _ = as_inputs(model, inputs, {})
    made: tuple[Any, ...] = tree_map_only(Tensor, lambda each: torch.ones(each.shape, dtype=each.dtype), args)
    return made


def _is_input(leaf: object) -> bool:
    return isinstance(leaf, Typed) or (is_shape(leaf) and len(leaf) > 0)

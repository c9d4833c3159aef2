"""Arguments of a forward, made from shapes, and a note on those that are no tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from mbanalyze.inputs.input_text import spell_input
from mbanalyze.inputs.shape import Shape, Values, positional
from mbanalyze.inputs.typed import InputError
from mbanalyze.trace.forward_errors import TraceError
from mbanalyze.trace.torch_internals import DisableTorchDispatch, tree_leaves, tree_map, tree_map_only


def tensor_leaves(tree: Any) -> tuple[Tensor, ...]:
    """Return the tensors in nested containers, in order."""
    if type(tree) is tuple and {Tensor}.issuperset(map(type, tree)):
        return tree
    return tuple(leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def floating_dtype(model: nn.Module, inputs: Sequence[Any] = ()) -> torch.dtype:
    """Return the dtype of the first floating-point parameter, else input, else torch's default."""
    found = _floating(model.parameters()) or _floating(tensor_leaves(tuple(inputs)))
    return found or torch.get_default_dtype()


def _floating(tensors: Iterable[Tensor]) -> torch.dtype | None:
    """The dtype of the first floating-point tensor."""
    return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), None)


def as_inputs(
    model: nn.Module, inputs: Sequence[Any], keywords: Mapping[str, Any], *, real: bool = False
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and keyword arguments of a forward, with a tensor for each shape.

    A shape that asks for values, and given values, become CPU tensors. Other shapes become meta tensors.

    Args:
        model: the module whose forward takes the arguments; a shape without a dtype takes that of its parameters.
        inputs: positional arguments, in which a plain tuple of whole numbers is a shape.
        keywords: keyword arguments.
        real: give every tensor data: integers are zeros, floats are uniform in [0, 1) from a fixed seed.

    Raises:
        TraceError: there is no tensor of a shape, or of given values.
    """
    make = _Maker(floating_dtype(model), real)
    try:
        with DisableTorchDispatch():  # a forward that counts another module does not make these tensors
            args = tuple(make.converted(positional(given)) for given in inputs)
            return args, {name: make.converted(given) for name, given in keywords.items()}
    except (RuntimeError, OverflowError, TypeError, ValueError) as error:
        raise TraceError(f"no such input: {str(error).splitlines()[0]}") from error


@dataclass(frozen=True)
class _Maker:
    """Makes the tensors of one forward.

    Attributes:
        dtype: the element type of a shape without one.
        real: give every tensor data.
    """

    dtype: torch.dtype
    real: bool

    @cached_property
    def generator(self) -> torch.Generator:
        """The generator of random values."""
        return torch.Generator().manual_seed(0)

    def converted(self, argument: Any) -> Any:
        """An argument with a tensor for each shape; the argument itself if it has none."""
        if isinstance(argument, Shape):
            return self._filled(argument)
        if not any(isinstance(leaf, Shape | Values) for leaf in tree_leaves(argument)):
            return argument
        return tree_map(self._tensor_of, argument)

    def _tensor_of(self, leaf: Any) -> Any:
        if isinstance(leaf, Shape):
            return self._filled(leaf)
        return self._valued(leaf) if isinstance(leaf, Values) else leaf

    def _valued(self, given: Values) -> Tensor:
        dtype = getattr(torch, given.dtype) if given.dtype else None
        tensor = torch.tensor(given.values, dtype=dtype, device="cpu")
        return tensor.to(self.dtype) if dtype is None and tensor.is_floating_point() else tensor

    def _filled(self, shape: Shape) -> Tensor:
        dtype = getattr(torch, shape.dtype) if shape.dtype else self.dtype
        random = dtype.is_floating_point or dtype.is_complex
        fill = shape.fill or (("rand" if random else "zeros") if self.real else None)
        if fill is None:
            return torch.empty(shape.sizes, dtype=dtype, device="meta")
        if fill == "arange":
            return torch.arange(prod(shape.sizes), device="cpu").reshape(shape.sizes).to(dtype)
        if fill == "rand":
            return torch.rand(shape.sizes, generator=self.generator, device="cpu").to(dtype)
        return torch.full(shape.sizes, int(fill == "ones"), dtype=dtype, device="cpu")


def has_fill(inputs: Sequence[Any], keywords: Mapping[str, Any]) -> bool:
    """Return True if a shape among the arguments is filled with made-up values."""
    return any(isinstance(leaf, Shape) and leaf.fill for leaf in tree_leaves((list(inputs), dict(keywords))))


def ones(
    model: nn.Module, inputs: Sequence[Any], keywords: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a forward as CPU tensors; arguments and errors as `as_inputs`.

    Tensors with values keep a copy of these. The others hold ones.
    """

    def valued(tensor: Tensor) -> Tensor:
        if tensor.device.type == "cpu":
            return tensor.detach().clone()
        return torch.ones(tensor.shape, dtype=tensor.dtype, device="cpu")

    made: tuple[tuple[Any, ...], dict[str, Any]]
    made = tree_map_only(Tensor, valued, as_inputs(model, inputs, keywords))
    return made


LONGEST_TEXT = 40
"""The most characters of a literal that a note shows; of a longer one, it names the type."""


def other_inputs(inputs: Sequence[Any], keywords: Mapping[str, Any]) -> list[str]:
    """Return a note on the arguments of a forward that hold no tensors in containers, unless there are none."""
    given: list[tuple[str | None, Any]] = [*((None, each) for each in inputs), *keywords.items()]
    shown = [_spelled(name, value) for name, value in given if not tensor_leaves(value)]
    return [f"other inputs: {', '.join(shown)}"] if shown else []


def _spelled(name: str | None, value: Any) -> str:
    """An argument as text: its value if it is short, else its type."""
    with suppress(InputError):
        text = spell_input(name, value)
        if len(text) <= LONGEST_TEXT:
            return text
    kind = type(value).__name__
    return kind if name is None else f"{name} ({kind})"

"""The inputs of a forward with another batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mbanalyze.capacity.peak import CapacityError
from mbanalyze.inputs.shape import Shape, positional


@dataclass(frozen=True, slots=True)
class BatchedInputs:
    """The inputs of a forward, some of whose shapes begin with the batch.

    Attributes:
        inputs: the positional arguments.
        keywords: the keyword arguments.
    """

    inputs: tuple[Any, ...]
    keywords: Mapping[str, Any]

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Return the shapes that begin with the batch, without it.

        Raises:
            CapacityError: there is none.
        """
        sizes = [shape.sizes for shape in _shapes(self._arguments()) if shape.sizes]
        if not sizes:
            raise CapacityError("no input has a batch: give a shape, whose first size is the batch")
        return tuple(each[1:] for each in sizes if each[0] == sizes[0][0])

    def resized(self, batch: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with this batch."""
        first = next(shape.sizes[0] for shape in _shapes(self._arguments()) if shape.sizes)

        def with_batch(shape: Shape) -> Shape:
            return shape.resized(batch, *shape.sizes[1:]) if shape.sizes[:1] == (first,) else shape

        inputs, keywords = _mapped(with_batch, self._arguments())
        return inputs, keywords

    def _arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return tuple(map(positional, self.inputs)), dict(self.keywords)


def _shapes(tree: Any) -> list[Shape]:
    """The shapes in nested containers, in order."""
    found: list[Shape] = []

    def add(shape: Shape) -> Shape:
        found.append(shape)
        return shape

    _mapped(add, tree)
    return found


def _mapped(function: Callable[[Shape], Shape], tree: Any) -> Any:
    """Nested tuples, lists and dicts with each shape replaced."""
    if isinstance(tree, Shape):
        return function(tree)
    if type(tree) in (tuple, list):
        return type(tree)(_mapped(function, each) for each in tree)
    if type(tree) is dict:
        return {name: _mapped(function, each) for name, each in tree.items()}
    return tree

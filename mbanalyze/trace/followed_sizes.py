"""Sizes of tensors that note their multiplications: a graph of `torch.jit` has an operator for each."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import torch
from torch import Tensor

from mbanalyze.ops.record import Op
from mbanalyze.trace.torch_internals import TensorBase, dispatch_mode_count, tree_leaves

Products = frozenset[int]
"""The numbers of the multiplications behind a value."""


class SizeProducts:
    """The multiplications of sizes, in the thread that runs the model.

    A graph holds only those whose result an operator takes, not those of a comparison.
    An operator does not tell where its integers come from. A product therefore counts if an operator takes
    its value while the product is in memory.
    """

    def __init__(self, ops: Sequence[Op]) -> None:
        """Note products beside the operators that the trace has recorded so far."""
        self._ops = ops
        self._thread = get_ident()
        self._places: list[int] = []
        self._used: set[int] = set()
        self._alive: dict[int, tuple[float, Products]] = {}

    def places(self) -> tuple[int, ...]:
        """Return, for each product that an operator took, the number of operators before it."""
        return tuple(self._places[i] for i in sorted(self._used))

    def multiply(self) -> Products:
        """Note a multiplication."""
        self._places.append(len(self._ops))
        return frozenset({len(self._places) - 1})

    def number(self, value: Any, products: Products = frozenset()) -> Any:
        """Return a number that notes its products, equal to `value`; `value` if it is neither int nor float."""
        kind = {int: _Int, float: _Float}.get(type(value))
        if kind is None:
            return value
        number = kind(value)
        number.owner, number.products = self, products
        if products:
            self._alive[id(number)] = value, products
        return number

    def drop(self, number: _Followed) -> None:
        """Note that a number is in memory no longer."""
        self._alive.pop(id(number), None)

    def take(self, arguments: Any) -> None:
        """Note the products among the arguments of an operator."""
        if self._alive and get_ident() == self._thread:
            taken = {leaf for leaf in tree_leaves(arguments) if type(leaf) in (int, float)}
            for value, products in self._alive.values():
                if value in taken:
                    self._used |= products

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Replace the sizes of tensors, as the model reads them, by ones that note their products."""
        for name in ("size", "numel", "nelement"):
            setattr(Tensor, name, self._method(getattr(TensorBase, name)))
        read = TensorBase.shape.__get__  # type: ignore[attr-defined]
        Tensor.shape = property(lambda tensor: self._sizes(read(tensor)))  # type: ignore[assignment]
        try:
            yield
        finally:
            for name in ("shape", "size", "numel", "nelement"):
                delattr(Tensor, name)

    def _method(self, usual: Callable[..., Any]) -> Callable[..., Any]:
        """A method of tensors that returns sizes."""

        def method(*args: Any, **kwargs: Any) -> Any:
            """Return sizes that note their products."""
            return self._sizes(usual(*args, **kwargs))

        method.__wrapped__ = usual  # type: ignore[attr-defined]
        return method

    def _sizes(self, sizes: Any) -> Any:
        """Sizes that note their products; the given ones inside an operator, or in another thread."""
        if not dispatch_mode_count() or get_ident() != self._thread:
            return sizes
        return torch.Size(map(self.number, sizes)) if isinstance(sizes, tuple) else self.number(sizes)


class _Followed:
    """A number that is computed from sizes."""

    owner: SizeProducts
    products: Products

    def __del__(self) -> None:
        if self.products:
            self.owner.drop(self)


class _Int(_Followed, int):
    """An integer that is computed from sizes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, (int(self),)


class _Float(_Followed, float):
    """A float that is computed from sizes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return float, (float(self),)


def _binary(function: Callable[[Any, Any], Any], *, swapped: bool, multiplies: bool) -> Callable[..., Any]:
    """An operator of two numbers, whose result has the products of both."""

    def operate(number: Any, other: Any) -> Any:
        """Return the result."""
        if not isinstance(other, int | float):
            return NotImplemented
        operands = (_plain(other), _plain(number)) if swapped else (_plain(number), _plain(other))
        behind = [each.products for each in (number, other) if isinstance(each, _Followed)]
        if multiplies:
            behind.append(number.owner.multiply())
        return number.owner.number(function(*operands), frozenset().union(*behind))

    return operate


def _unary(function: Callable[[Any], Any]) -> Callable[..., Any]:
    """An operator of one number, whose result has its products."""
    return lambda number: number.owner.number(function(_plain(number)), number.products)


def _plain(number: float) -> float:
    return int(number) if isinstance(number, int) else float(number)


for _kind in (_Int, _Float):
    for _name in ("add", "sub", "mul", "floordiv", "truediv", "mod", "pow"):
        for _swapped in (False, True):
            # A graph has a number divided by a size as that number times a reciprocal.
            _multiplies = _name == "mul" or (_name == "truediv" and _swapped)
            _method = _binary(getattr(operator, _name), swapped=_swapped, multiplies=_multiplies)
            setattr(_kind, f"__{'r' * _swapped}{_name}__", _method)
    for _name in ("neg", "pos", "abs"):
        setattr(_kind, f"__{_name}__", _unary(getattr(operator, _name)))

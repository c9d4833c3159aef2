"""Numbers that stand for all variants of a network, so that one pass over its layers counts every variant.

A grid has two axes: networks (every option except the resolution) and resolutions.
An `AxisArray` holds a number that varies along one axis.
The product of numbers on different axes stays symbolic in an `OuterSum`, which is evaluated once, at the end.
A count is a sum of few such products.

A condition that holds for only some variants raises `SplitError` with a mask.
The caller then counts each part of the grid separately.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Axis = Literal[0, 1]
NETWORKS: Axis = 0
RESOLUTIONS: Axis = 1

Array = NDArray[Any]


class SplitError(Exception):
    """A condition holds for only a part of an axis.

    Attributes:
        axis: the axis along which the condition varies.
        mask: booleans along that axis, true for the variants that meet the condition.
    """

    def __init__(self, axis: Axis, mask: Array) -> None:
        super().__init__(axis, mask)
        self.axis, self.mask = axis, mask


class TooLargeError(Exception):
    """A number may not be exact in 64 bits."""


def _truth(axis: Axis, mask: Array) -> bool:
    """The truth value that all variants along `axis` share; `SplitError` if they differ."""
    if mask.all():
        return True
    if mask.any():
        raise SplitError(axis, mask)
    return False


def _relation(relation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The method of `_Operators` that passes `relation` to `compare`."""
    return lambda self, other: self.compare(other, relation)


class _Operators:
    """The operators that follow from addition, negation, multiplication and `compare` of a subclass."""

    __hash__ = None  # type: ignore[assignment]  # equality depends on every variant

    __add__: Callable[..., Any]
    __neg__: Callable[..., Any]
    __mul__: Callable[..., Any]

    def __radd__(self, other: Any) -> Any:
        return self + other

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __rmul__(self, other: Any) -> Any:
        return self * other

    __eq__ = _relation(operator.eq)
    __ne__ = _relation(operator.ne)
    __lt__ = _relation(operator.lt)
    __le__ = _relation(operator.le)
    __gt__ = _relation(operator.gt)
    __ge__ = _relation(operator.ge)


class AxisArray(_Operators):
    """One number for each variant along an axis.

    Attributes:
        array: [variants], int64 or float64.
        dtype: the element type of the array.
        axis: the axis along which the number varies.
        bound: an upper bound of the absolute values.
    """

    EXACT_LIMIT = 2**53
    """Floats represent every integer below this limit exactly."""
    ndim = 1
    """The number of dimensions."""

    def __init__(self, array: Array, axis: Axis, bound: float | None = None) -> None:
        self.array, self.dtype, self.axis = array, array.dtype, axis
        self.bound = float(np.abs(array).max()) if bound is None else bound
        if not self.bound < self.EXACT_LIMIT:
            raise TooLargeError

    @cached_property
    def key(self) -> bytes:
        """The values as bytes, to find equal arrays."""
        return self.array.tobytes()

    def _apply(self, other: Any, function: Callable[[Any, Any], Any], bound: float | None) -> Any:
        """The array of `function`, if `other` is a number or varies along the same axis."""
        if isinstance(other, AxisArray) and other.axis == self.axis:
            return AxisArray(function(self.array, other.array), self.axis, bound)
        if isinstance(other, int | float):
            return AxisArray(function(self.array, other), self.axis, bound)
        return NotImplemented

    def _crosses(self, other: Any) -> bool:
        """True if `other` varies along another axis or along both."""
        return isinstance(other, OuterSum) or (isinstance(other, AxisArray) and other.axis != self.axis)

    def __add__(self, other: Any) -> Any:
        if self._crosses(other):
            return OuterSum.of(self) + other
        return self._apply(other, np.add, self.bound + _bound(other))

    def __neg__(self) -> AxisArray:
        return AxisArray(-self.array, self.axis, self.bound)

    def __mul__(self, other: Any) -> Any:
        if self._crosses(other):
            return OuterSum.of(self) * other
        return self._apply(other, np.multiply, self.bound * _bound(other))

    def __floordiv__(self, other: Any) -> Any:
        return self._apply(other, np.floor_divide, None)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._apply(other, lambda a, b: np.floor_divide(b, a), None)

    def __truediv__(self, other: float) -> Any:
        return self._apply(other, np.true_divide, self.bound / other)

    def __mod__(self, other: Any) -> Any:
        return self._apply(other, np.mod, _bound(other))

    def __floor__(self) -> AxisArray:
        return AxisArray(np.floor(self.array).astype(np.int64), self.axis, self.bound)

    def at_least(self, least: Any) -> Any:
        """Return the larger of each number and `least`."""
        return self._apply(least, np.maximum, max(self.bound, _bound(least)))

    def compare(self, other: Any, relation: Callable[[Any, Any], Any]) -> Any:
        """Return `relation` for each variant, as 0 or 1; across axes, its one answer for all variants."""
        if self._crosses(other):
            return OuterSum.of(self).compare(other, relation)
        return self._apply(other, lambda a, b: relation(a, b).astype(np.int64), 1)

    def __bool__(self) -> bool:
        return _truth(self.axis, self.array != 0)

    def __format__(self, _: str) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return f"{self.array[0]}..{self.array[-1]}"


def _bound(number: Any) -> float:
    """An upper bound of the absolute value."""
    return number.bound if isinstance(number, AxisArray) else abs(number)


Term = tuple[AxisArray | int, AxisArray | int]
"""A factor along the networks, and a factor along the resolutions."""


class OuterSum(_Operators):
    """A sum of outer products: a factor along the networks times a factor along the resolutions.

    Attributes:
        terms: the products, at most one for each distinct factor along the resolutions, by its `key`.
    """

    def __init__(self, terms: Iterable[Term]) -> None:
        self.terms: dict[bytes, Term] = {}
        for networks, resolutions in terms:
            key, term = b"", (networks, resolutions)
            if isinstance(resolutions, AxisArray):
                key = resolutions.key
            elif resolutions != 1:
                term = networks * resolutions, 1
            known = self.terms.get(key)
            self.terms[key] = (known[0] + term[0], term[1]) if known else term

    @staticmethod
    def of(number: Any) -> OuterSum:
        """Return a number along one axis, or a plain number, as an outer sum."""
        if isinstance(number, OuterSum):
            return number
        along_resolutions = isinstance(number, AxisArray) and number.axis == RESOLUTIONS
        return OuterSum([(1, number) if along_resolutions else (number, 1)])

    def __add__(self, other: Any) -> OuterSum:
        return OuterSum([*self.terms.values(), *OuterSum.of(other).terms.values()])

    def __neg__(self) -> OuterSum:
        return OuterSum((-networks, resolutions) for networks, resolutions in self.terms.values())

    def __mul__(self, other: Any) -> OuterSum:
        others = OuterSum.of(other).terms.values()
        return OuterSum((a * c, b * d) for a, b in self.terms.values() for c, d in others)

    def compare(self, other: Any, relation: Callable[[Any, Any], Any]) -> bool:
        """Return the answer to `relation` that all variants share.

        Raises:
            SplitError: the answers differ.
        """
        (a, b), *mine = self.terms.values()
        (c, d), *theirs = OuterSum.of(other).terms.values()
        if not mine and not theirs and _same_factor(a, c) and (factor(a) > 0).all():
            return bool(relation(b, d))
        terms = [term for term in (self - other).terms.values() if factor(term[0]).any()]
        if not terms:
            return bool(relation(0, 0))
        mask = relation(to_grid(OuterSum(terms)), 0)
        if mask.all() or not mask.any():
            return bool(mask.all())
        for column in mask.T:
            _truth(NETWORKS, column)
        raise SplitError(RESOLUTIONS, mask[0])

    def __bool__(self) -> bool:
        return bool(self != 0)


def to_grid(number: Any) -> Array:
    """Return `number` for every variant: [networks, resolutions], with length 1 along a constant axis.

    The values are exact, in an integer or float array.

    Raises:
        TooLargeError: the values may exceed 64 bits.
    """
    if isinstance(number, AxisArray):
        return number.array[:, None] if number.axis == NETWORKS else number.array[None, :]
    if not isinstance(number, OuterSum):
        if abs(number) >= 2**63:
            raise TooLargeError
        return np.array([[number]])
    left, right = factors_of(number)
    return left @ right


def factors_of(number: OuterSum) -> tuple[Array, Array]:
    """Return two matrices whose product is the number of every variant: [networks, terms] and [terms, resolutions].

    Raises:
        TooLargeError: the values may exceed 64 bits.
    """
    terms = list(number.terms.values())
    bound = sum(_bound(networks) * _bound(resolutions) for networks, resolutions in terms)
    if bound >= 2**62:
        raise TooLargeError
    rows, columns = ([factor(each) for each in side] for side in zip(*terms, strict=True))
    exact = np.float64 if bound < AxisArray.EXACT_LIMIT else np.int64  # floats multiply faster
    left = np.stack(np.broadcast_arrays(*rows), axis=1).astype(exact)
    right = np.stack(np.broadcast_arrays(*columns)).astype(exact)
    return left, right


def _same_factor(a: AxisArray | int, b: AxisArray | int) -> bool:
    return np.array_equal(factor(a), factor(b))


def factor(number: AxisArray | int) -> Array:
    """Return a factor of a term as an array, of length 1 if it is constant."""
    return number.array if isinstance(number, AxisArray) else np.array([number])

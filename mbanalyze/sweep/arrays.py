"""Numbers that stand for many variants of a network at once, so that one walk over its layers costs them all.

A grid has two axes: networks (every option but the resolution) and resolutions. A number that varies along
one axis is `Sizes`, and all arithmetic runs on its array. A product of numbers of different axes is kept
as such (`Products`): a count is a sum of few of them, and is multiplied out once, at the end.

A condition that holds for some variants only cannot be answered: `SplitError` says where it does, so that
whoever walks can walk either part on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Axis = Literal[0, 1]
NETWORKS: Axis = 0
RESOLUTIONS: Axis = 1

Array = NDArray[Any]


class SplitError(Exception):
    """A condition holds along part of an axis: `where` is a mask along it."""

    def __init__(self, axis: Axis, where: Array) -> None:
        super().__init__(axis, where)
        self.axis, self.where = axis, where


class TooLargeError(Exception):
    """A number may not be exact in 64 bits, or is of a form that only single variants have."""


def _ask(axis: Axis, mask: Array) -> bool:
    """The answer that all variants along `axis` agree on."""
    if mask.all():
        return True
    if mask.any():
        raise SplitError(axis, mask)
    return False


def _grid(array: Array, axis: Axis) -> Array:
    return array[:, None] if axis == NETWORKS else array[None, :]


class Sizes:
    """One number for each variant along an axis.

    Attributes:
        array: [variants], int64 or float64.
        largest: at least as far from zero as any of them.
    """

    __slots__ = ("_key", "array", "axis", "largest")
    __hash__ = None  # type: ignore[assignment]  # equality asks about every variant

    EXACT = 2**53
    """Beyond this, floats are not exact, and so neither are comparisons with them."""

    def __init__(self, array: Array, axis: Axis, largest: float | None = None) -> None:
        self.array, self.axis = array, axis
        self.largest = float(np.abs(array).max()) if largest is None else largest
        self._key: bytes | None = None
        if not self.largest < self.EXACT:
            raise TooLargeError

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the array."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """One, as of an array."""
        return 1

    @property
    def key(self) -> bytes:
        """What tells its values from those of another."""
        if self._key is None:
            self._key = self.array.tobytes()
        return self._key

    def _with(self, other: Any, make: Callable[[Any, Any], Any], largest: float | None) -> Any:
        """`make` of the arrays, where `other` has the same axis or is one number; else not for us."""
        if isinstance(other, Sizes) and other.axis == self.axis:
            return Sizes(make(self.array, other.array), self.axis, largest)
        if isinstance(other, int | float):
            return Sizes(make(self.array, other), self.axis, largest)
        return NotImplemented

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Products) or (isinstance(other, Sizes) and other.axis != self.axis):
            return Products.of(self) + Products.of(other)
        return self._with(other, np.add, self.largest + _largest(other))

    __radd__ = __add__

    def __neg__(self) -> Sizes:
        return Sizes(-self.array, self.axis, self.largest)

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Products) or (isinstance(other, Sizes) and other.axis != self.axis):
            return Products.of(self) * Products.of(other)
        return self._with(other, np.multiply, self.largest * _largest(other))

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return self._with(other, np.floor_divide, None)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: np.floor_divide(b, a), None)

    def __truediv__(self, other: float) -> Any:
        return self._with(other, np.true_divide, self.largest / other)

    def __mod__(self, other: Any) -> Any:
        return self._with(other, np.mod, _largest(other))

    def __floor__(self) -> Sizes:
        return Sizes(np.floor(self.array).astype(np.int64), self.axis, self.largest)

    def at_least(self, least: Any) -> Any:
        """`least` where it is less."""
        return self._with(least, np.maximum, max(self.largest, _largest(least)))

    def _compared(self, other: Any, compare: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, Products) or (isinstance(other, Sizes) and other.axis != self.axis):
            return Products.of(self).compared(other, compare)
        return self._with(other, lambda a, b: compare(a, b).astype(np.int64), 1)

    def __eq__(self, other: object) -> Any:
        return self._compared(other, np.equal)

    def __ne__(self, other: object) -> Any:
        return self._compared(other, np.not_equal)

    def __lt__(self, other: Any) -> Any:
        return self._compared(other, np.less)

    def __le__(self, other: Any) -> Any:
        return self._compared(other, np.less_equal)

    def __gt__(self, other: Any) -> Any:
        return self._compared(other, np.greater)

    def __ge__(self, other: Any) -> Any:
        return self._compared(other, np.greater_equal)

    def __bool__(self) -> bool:
        return _ask(self.axis, self.array != 0)

    def __format__(self, _: str) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return f"{self.array[0]}..{self.array[-1]}"


def _largest(number: Any) -> float:
    return number.largest if isinstance(number, Sizes) else abs(number)


Term = tuple["Sizes | int", "Sizes | int"]
"""A factor along the networks, and one along the resolutions."""


class Products:
    """A sum of products of a factor along the networks with one along the resolutions.

    Products with the same factor along the resolutions are one.
    """

    __slots__ = ("terms",)
    __hash__ = None  # type: ignore[assignment]  # as of Sizes

    def __init__(self, terms: dict[bytes, Term]) -> None:
        self.terms = terms

    @staticmethod
    def of(number: Any) -> Products:
        """A number along one axis, or one number."""
        if isinstance(number, Products):
            return number
        if isinstance(number, Sizes) and number.axis == RESOLUTIONS:
            return Products({number.key: (1, number)})
        return Products({b"": (number, 1)})

    def __add__(self, other: Any) -> Products:
        terms = dict(self.terms)
        for key, (networks, resolutions) in Products.of(other).terms.items():
            terms[key] = (terms[key][0] + networks, resolutions) if key in terms else (networks, resolutions)
        return Products(terms)

    __radd__ = __add__

    def __neg__(self) -> Products:
        return Products(
            {key: (-networks, resolutions) for key, (networks, resolutions) in self.terms.items()}
        )

    def __sub__(self, other: Any) -> Products:
        return self + Products.of(-other)

    def __rsub__(self, other: Any) -> Products:
        return -self + Products.of(other)

    def __mul__(self, other: Any) -> Products:
        terms: dict[bytes, Term] = {}
        for a, b in self.terms.values():
            for c, d in Products.of(other).terms.values():
                resolutions = b * d
                key = resolutions.key if isinstance(resolutions, Sizes) else b""
                networks = a * c if key else a * c * resolutions
                terms[key] = (
                    (terms[key][0] + networks, terms[key][1])
                    if key in terms
                    else (networks, resolutions if key else 1)
                )
        return Products(terms)

    __rmul__ = __mul__

    def compared(self, other: Any, compare: Callable[[Any, Any], Any]) -> Any:
        """How it compares with another number, if that is the same for all variants."""
        apart = self - other
        terms = [term for term in apart.terms.values() if not _is_zero(term[0])]
        if not terms:
            return bool(compare(0, 0))
        mask = compare(multiplied_out(Products(dict(enumerate(terms)))), 0)  # type: ignore[arg-type]
        if mask.all() or not mask.any():
            return bool(mask.all())
        for column in mask.T:
            _ask(NETWORKS, column)
        raise SplitError(RESOLUTIONS, mask[0])

    def __eq__(self, other: object) -> Any:
        return self.compared(other, np.equal)

    def __ne__(self, other: object) -> Any:
        return self.compared(other, np.not_equal)

    def __lt__(self, other: Any) -> Any:
        return self.compared(other, np.less)

    def __le__(self, other: Any) -> Any:
        return self.compared(other, np.less_equal)

    def __gt__(self, other: Any) -> Any:
        return self.compared(other, np.greater)

    def __ge__(self, other: Any) -> Any:
        return self.compared(other, np.greater_equal)

    def __bool__(self) -> bool:
        return bool(self != 0)


def _is_zero(number: Sizes | int) -> bool:
    return not number.array.any() if isinstance(number, Sizes) else number == 0


def multiplied_out(number: Any) -> Array:
    """`number` for every variant: [networks, resolutions], or 1 along an axis on which it does not vary.

    The counts are exact, of an integer type or not.

    Raises:
        TooLargeError: 64 bits may not hold it.
    """
    if isinstance(number, Sizes):
        return _grid(number.array, number.axis)
    if not isinstance(number, Products):
        if abs(number) >= 2**63:
            raise TooLargeError
        return np.array([[number]])
    terms = list(number.terms.values())
    largest = sum(_largest(networks) * _largest(resolutions) for networks, resolutions in terms)
    if largest >= 2**62:
        raise TooLargeError
    rows, columns = ([_factor(factor) for factor in side] for side in zip(*terms, strict=True))
    exact = np.float64 if largest < Sizes.EXACT else np.int64  # floats multiply faster
    left = np.stack(np.broadcast_arrays(*rows), axis=1).astype(exact)
    right = np.stack(np.broadcast_arrays(*columns)).astype(exact)
    return left @ right


def _factor(factor: Sizes | int) -> Array:
    return factor.array if isinstance(factor, Sizes) else np.array([factor])

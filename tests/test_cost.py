"""Values, costs and SI prefixes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbanalyze.display.units import si
from mbanalyze.ops.cost import Cost, total
from mbanalyze.ops.record import Op, Value
from mbanalyze.ops.registry import cost

COUNTS = st.integers(0, 10**12)
UNKNOWN = COUNTS | st.none()
COSTS = st.builds(Cost, COUNTS, UNKNOWN, UNKNOWN, UNKNOWN, *[COUNTS] * 6)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (101, "101"),
        (999, "999"),
        (1000, "1.000 k"),
        (9_999_999, "10.00 M"),
        (999_949, "999.9 k"),
        (999_999, "1.000 M"),
        (300_774_272, "300.8 M"),
        (-1500, "-1.500 k"),
        (10**21, "1000 E"),
    ],
)
def test_si_rounds_before_it_chooses_the_prefix(count: int, text: str) -> None:
    """A count that rounds to 1000 of one prefix is 1.000 of the next prefix."""
    assert text == si(count)


@given(st.integers(0, 10**20))
def test_si_is_within_half_a_unit_of_its_last_digit(count: int) -> None:
    """Four significant digits are exact to one part in two thousand."""
    digits, _, prefix = si(count).partition(" ")
    assert abs(float(digits) * 1000 ** " kMGTPE".index(prefix or " ") - count) <= count / 1999


def test_broadcast_dimensions_hold_one_element() -> None:
    """A dimension of stride 0 adds no distinct elements."""
    # 4 x 1 distinct elements under a 4 x 5 shape
    assert Value("weight", 0, (4, 5), strides=(1, 0)).size == 4
    assert Value("weight", 0, (4, 5)).size == 20


@given(COSTS, COSTS, COSTS)
def test_cost_is_additive(a: Cost, b: Cost, c: Cost) -> None:
    """The sum of costs is associative and commutative, with unknown counts too."""
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert total([a, b, c]) == a + b + c
    for name in Cost._fields:
        known = [n for n in (getattr(a, name), getattr(b, name)) if n is not None]
        assert (sum(known) if known else None) == getattr(a + b, name)


@given(COSTS, COSTS, st.integers(1, 16))
def test_bytes_are_additive(a: Cost, b: Cost, itemsize: int) -> None:
    """A sum moves the bytes of both parts, and has the bytes of the parameters of both, at every item size."""
    both = a + b

    assert a.memory_access_bytes(itemsize) + b.memory_access_bytes(itemsize) == both.memory_access_bytes(
        itemsize
    )
    assert a.params_bytes(itemsize) + b.params_bytes(itemsize) == both.params_bytes(itemsize)


def test_parameters_of_a_fixed_size_keep_it() -> None:
    """32 weights of one byte and 4 biases of the report's dtype take 32 + 4 times the item size."""
    weight, bias = Value("weight", 0, (4, 8), itemsize=1), Value("weight", 1, (4,))
    x, y = Value("activation", 0, (2, 8)), Value("activation", 1, (2, 4))
    first = cost(Op("", "linear", (x, weight, bias), (y,), 36))

    assert (first.params_bytes(4), first.params_bytes(2)) == (32 + 16, 32 + 8)
    # the second operator that reads them owns none
    assert cost(Op("", "linear", (x, weight, bias), (y,), 0)).params_bytes(4) == 0
    # all 100 parameters of a table of 8 bytes, of which only a view is read
    view = Value("weight", 0, (4, 8), itemsize=8)
    assert cost(Op("", "linear", (x, view), (y,), 100)).params_bytes(4) == 800


def test_unknown_is_never_zero() -> None:
    """A sum of unknown counts is unknown; a sum skips unknown counts if any count is known."""
    unknown = Cost(macs=None, flops=None, activations=None)

    assert (unknown + unknown).macs is None
    assert (unknown + Cost(macs=7)).macs == 7
    assert total([unknown]).flops is None
    assert unknown.arithmetic_intensity() is None


def test_arithmetic_intensity_needs_bytes() -> None:
    """Arithmetic intensity is None if no byte moves."""
    assert Cost(flops=3).arithmetic_intensity() is None
    assert Cost(flops=12, reads=2, writes=1).arithmetic_intensity(2) == 2.0


def test_each_distinct_value_is_read_once() -> None:
    """The sum of a tensor with itself reads it once; two different views are two reads."""
    x, y = Value("activation", 0, (2, 3)), Value("activation", 1, (2, 3))
    half = Value("activation", 0, (2, 3), offset=6)

    assert cost(Op("", "add", (x, x), (y,))).reads == 6
    assert cost(Op("", "add", (x, half), (y,))).reads == 12


def test_an_index_keeps_its_item_size() -> None:
    """A value with a fixed item size takes the same bytes in every precision."""
    index, out = Value("activation", 0, (10,), itemsize=8), Value("activation", 1, (10,))
    moved = cost(Op("", "copy", (index,), (out,)))

    assert moved.memory_access == 20
    assert moved.memory_access_bytes(2) == 10 * 8 + 10 * 2
    assert moved.memory_access_bytes(4) == 10 * 8 + 10 * 4

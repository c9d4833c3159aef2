"""Grids: every variant counted together costs the same as alone."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from math import floor, prod
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbanalyze import archs, count
from mbanalyze.archs import ARCHS
from mbanalyze.archs.builder import ShapeError
from mbanalyze.archs.options import Architecture, OptionError, describe
from mbanalyze.display.records import frame, rows_of
from mbanalyze.inputs.resolution import Resolution
from mbanalyze.ops.cost import Cost, total
from mbanalyze.ops.numbers import at_least
from mbanalyze.ops.record import Op
from mbanalyze.ops.registry import cost
from mbanalyze.peak_memory.deployed import deployed
from mbanalyze.peak_memory.liveness import ideal
from mbanalyze.sweep import closed_form
from mbanalyze.sweep.ablation import ablate
from mbanalyze.sweep.arrays import (
    NETWORKS,
    RESOLUTIONS,
    AxisArray,
    OuterSum,
    SplitError,
    TooLargeError,
    to_grid,
)
from mbanalyze.sweep.closed_form import COST_FIELDS, COUNTS, count_grid
from mbanalyze.sweep.grid import Grid, combinations

EXAMPLES = 32
"""Grids for each of 16 architectures, 512 in total."""


SIDES = st.integers(1, 320)


def alone(
    arch: type[Architecture], options: dict[str, Any], resolution: Resolution, batch: int, itemsize: int
) -> tuple[int, ...] | None:
    """The counts of one variant, without arrays; None if it makes no network."""
    try:
        ops = arch(**{**options, "resolution": resolution}).ops(batch)
    except (OptionError, ShapeError):
        return None
    counted = total([cost(op) for op in ops])
    fields = [cast(int, getattr(counted, name)) for name in COST_FIELDS]
    return (*fields, ideal(ops, itemsize).peak_bytes, deployed(ops, itemsize).peak_bytes)


def values(option: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    """Valid values of an option; the paper's table alone is a text for every network."""
    if option["type"] == "str" and not option["choices"]:
        return st.just([option["default"]])
    if option["choices"] or option["type"] == "bool":
        each: st.SearchStrategy[Any] = st.sampled_from(option["choices"] or (True, False))
    elif option["type"] == "float":
        # narrow networks, whose widths round to one another, as often as wide ones
        each = st.floats(0.01, 0.5) | st.floats(0.01, 2) | st.sampled_from([0.25, 0.5, 0.75, 1.0])
    else:
        each = st.integers(1, 2048)
    return st.lists(each, min_size=1, max_size=3, unique=True)


def assert_equal_alone(
    arch: type[Architecture],
    networks: Grid,
    resolutions: Sequence[Resolution],
    batch: int = 1,
    itemsize: int = 4,
) -> None:
    """Assert that every count of every variant equals the count of the variant alone."""
    found = count_grid(arch, networks, resolutions, batch=batch, itemsize=itemsize)
    for i, options in enumerate(combinations(networks)):
        for j, resolution in enumerate(resolutions):
            expected = alone(arch, options, resolution, batch, itemsize)
            assert (expected is not None) == found.valid[i, j], (options, resolution)
            if expected is not None:
                counted = tuple(int(found.counts[name][i, j]) for name in COUNTS)
                assert expected == counted, (options, resolution, batch, itemsize)


@pytest.mark.parametrize("name", ARCHS)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_a_grid_equals_its_variants(name: str, data: st.DataObject) -> None:
    """Counts and peaks of a grid equal those of each variant, for random options of every architecture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closed_form, "MAX_SCALAR_VARIANTS", 0)  # count even small grids with arrays
        arch = ARCHS[name]
        grid = {o["name"]: data.draw(values(o)) for o in describe(arch) if o["name"] != "resolution"}
        while prod(map(len, grid.values())) > 6:  # to save time
            longest = max(grid, key=lambda option: len(grid[option]))
            grid[longest] = grid[longest][:-1]
        resolutions = data.draw(st.lists(SIDES | st.tuples(SIDES, SIDES), min_size=1, max_size=3))
        batch, itemsize = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([1, 2, 4, 8]))
        assert_equal_alone(arch, grid, resolutions, batch, itemsize)


def test_a_grid_of_mixed_resolutions_is_counted_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Squares, wide and high images of many widths and channels are counted with arrays, each exactly."""
    monkeypatch.setattr(closed_form, "MAX_SCALAR_VARIANTS", 0)
    counter = closed_form._GridCounter
    passes: list[Any] = []
    ops = counter._ops

    def recorded(*given: Any) -> list[Op]:
        """Remember a pass over the layers, and make it."""
        passes.append(given)
        return ops(*given)

    monkeypatch.setattr(counter, "_ops", recorded)
    networks: Grid = {"alpha": [0.25, 0.5, 1.0], "in_channels": [1, 3, 4]}

    assert_equal_alone(ARCHS["mobilenet_v1"], networks, [96, (96, 128), (128, 96), (240, 320)])
    assert len(passes) == 1


def test_rounding_adds_and_removes_residuals(monkeypatch: pytest.MonkeyPatch) -> None:
    """A residual exists only at alphas that make neighbouring widths equal; all of them are exact."""
    monkeypatch.setattr(closed_form, "MAX_SCALAR_VARIANTS", 0)
    alphas = [i / 100 for i in range(2, 140)]
    additions = {
        alpha: sum(op.kind == "add" for op in archs.MobileNetV2(alpha=alpha).ops()) for alpha in alphas
    }
    assert {10, 11, 13} <= set(additions.values())
    assert_equal_alone(ARCHS["mobilenet_v2"], {"alpha": alphas}, [32, 224])


def test_counts_beyond_64_bits() -> None:
    """Counts beyond 64 bits are Python integers, in the same grid as small ones."""
    grid: Grid = {"num_classes": [10, 10**9], "alpha": [1.0, 10.0**6]}
    found = count_grid(ARCHS["mobilenet_v2"], grid, [224, 10**6])
    assert found.counts["flops"].dtype == object
    assert_equal_alone(ARCHS["mobilenet_v2"], grid, [224, 10**6])


@pytest.mark.parametrize("alpha", [10.0**5, 10.0**6, 1.5 * 10**6, 2.0 * 10**6])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_derived_totals_beyond_64_bits(alpha: float, dtype: str) -> None:
    """Sums, bytes and ratios are exact, even if they exceed 64 bits and their counts do not."""
    for bits in (None, 64):
        alphas = [1.0, alpha]
        rows = ablate("mobilenet_v2", alpha=alphas, dtype=dtype, bits=bits).frame().to_dict("records")
        reports = [count("mobilenet_v2", alpha=each, dtype=dtype) for each in alphas]
        for row, report in zip(rows, reports, strict=True):
            expected = report.totals.as_dict(report.itemsize)
            if bits:
                expected["params_bytes"] = 8 * report.totals.params
            assert expected == {name: row[name] for name in expected}


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("mobilenet_v1", {"alpha": [0.1, 3.3, 2.42447, 0.75, 0.7499999999], "batch": [1024]}),
        ("mobilenet_v2", {"alpha": [0.35, 1.0, 1.4, 10.0, 33.3]}),
        ("shufflenet_v2", {"alpha": [0.5, 1.0, 1.5, 2.0], "batch": [512]}),
    ],
)
def test_every_count_of_a_grid_is_an_integer(name: str, grid: dict[str, Any]) -> None:
    """Every cell is a Python integer equal to the count of its variant, beside cells beyond 64 bits too."""
    sizes = [223, 1048576, 33, 4096, 64, 132, 224, 160]
    ablation = ablate(name, resolution=sizes, **grid)
    rows = ablation.records()
    batch = grid.get("batch", [1])[0]

    assert max(row["flops"] for row in rows) >= 2**63 > min(row["flops"] for row in rows)
    for row in rows:
        report = count(name, alpha=row["alpha"], resolution=row["resolution"], batch=batch)
        for field, expected in report.totals.as_dict(report.itemsize).items():
            assert row[field] == expected
            assert type(row[field]) is type(expected)


@pytest.mark.parametrize("name", COST_FIELDS)
def test_the_boundary_of_64_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest 64-bit integer is stored as one, and the next count as a Python integer."""
    for most, dtype in ((2**63 - 1, np.dtype(np.int64)), (2**63, np.dtype(object))):
        costs = iter([Cost(), Cost(**{name: most})])
        monkeypatch.setattr(closed_form, "total", lambda _, costs=costs: next(costs))
        found = count_grid(ARCHS["vgg16"], {"num_classes": [10]}, [224, 256])
        assert found.counts[name].dtype == dtype
        assert found.counts[name].tolist() == [[0, most]]


def test_numbers_of_64_bits_become_grids() -> None:
    """A number from 2**63 on has no grid, nor has a sum of products whose bound is from 2**62 on."""
    assert to_grid(2**63 - 1).tolist() == [[2**63 - 1]]
    for number in (2**63, -(2**63)):
        with pytest.raises(TooLargeError):
            to_grid(number)
    below, at = (
        AxisArray(np.array([size]), NETWORKS) * AxisArray(np.array([2**31]), RESOLUTIONS)
        for size in (2**31 - 1, 2**31)
    )
    assert to_grid(below).tolist() == [[2**62 - 2**31]]
    with pytest.raises(TooLargeError):
        to_grid(at)


def test_a_frame_at_the_boundary_of_64_bits() -> None:
    """Counts that may be unknown are nullable integers up to 2**63 - 1, and Python integers beyond."""
    for most, dtype in ((2**63 - 1, "Int64"), (2**63, "object")):
        made = frame([{"macs": most, "name": "a"}, {"macs": None, "name": "b"}])
        assert made["macs"].dtype == dtype
        assert [row["macs"] for row in rows_of(made)] == [most, None]
        assert type(rows_of(made)[0]["macs"]) is int


@pytest.mark.parametrize(
    "compare", [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
)
def test_equal_products_compare_as_equal(compare: Callable[[Any, Any], bool]) -> None:
    """Two equal products across axes compare as equal numbers do."""
    networks, resolutions = (AxisArray(np.array([2, 3]), axis) for axis in AXES)

    assert compare(networks * resolutions, resolutions * networks) == compare(1, 1)
    assert compare(networks * resolutions + 1, resolutions * networks) == compare(1, 0)
    assert compare(networks * resolutions, resolutions * networks + 1) == compare(0, 1)


def test_many_variants_beyond_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grid is split until the variants beyond 64 bits are alone."""
    monkeypatch.setattr(closed_form, "MAX_SCALAR_VARIANTS", 4)
    grid = {"alpha": [1.0, *(10.0**i for i in range(1, 8))]}
    assert_equal_alone(ARCHS["mobilenet_v1"], grid, [224, 10**5, 10**8])


def test_large_steps_of_rounding() -> None:
    """Widths that are multiples of 2048 are exact."""
    grid: Grid = {"round_nearest": [2048], "alpha": [i / 100 for i in range(50, 100)]}
    assert_equal_alone(ARCHS["mobilenet_v2"], grid, [32, 224])


def test_batches_are_counted() -> None:
    """A batch of eight costs the same in a grid as alone."""
    found = count_grid(ARCHS["mobilenet_v2"], {"alpha": [0.5, 1.0]}, [96, 224], batch=8)
    ops = archs.MobileNetV2(alpha=0.5, resolution=224).ops(8)
    assert total([cost(op) for op in ops]).writes == found.counts["writes"][0, 1]


def test_the_first_failure_is_named() -> None:
    """Invalid variants have the options and the error of the first one."""
    found = count_grid(ARCHS["shufflenet_v1"], {"alpha": [1.0, 0.31], "groups": [3]}, list(range(200, 260)))
    (invalid,) = found.invalid
    assert invalid.options["alpha"] == 0.31
    assert invalid.reason.startswith("groups=3 do not divide the bottlenecks at alpha=0.31")
    assert (found.valid[0].sum(), found.valid[1].sum()) == (60, 0)


SMALL = st.integers(-50, 50)
AXES = (NETWORKS, RESOLUTIONS)


@given(st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=4), st.integers(1, 9), SMALL, st.data())
def test_arithmetic_is_elementwise(
    pairs: list[tuple[int, int]], divisor: int, number: int, data: st.DataObject
) -> None:
    """Arithmetic on one axis or both equals NumPy's arithmetic on the whole grid."""
    left, right = (np.array(side) for side in zip(*pairs, strict=True))
    a, b = (AxisArray(side, data.draw(st.sampled_from(AXES))) for side in (left, right))
    grid_a, grid_b = to_grid(a), to_grid(b)
    for apply in (operator.add, operator.sub, operator.mul):
        assert (apply(grid_a, grid_b) == to_grid(apply(a, b))).all()
        assert (apply(apply(grid_a, grid_b), number) == to_grid(apply(apply(a, b), number))).all()
        assert (apply(number, apply(grid_a, grid_b)) == to_grid(apply(number, apply(a, b)))).all()
    product = (a + number) * (b - number) * a
    assert ((grid_a + number) * (grid_b - number) * grid_a == to_grid(product)).all()
    assert (grid_a // divisor == to_grid(a // divisor)).all()
    assert (-(-grid_a // divisor) == to_grid(-(-a // divisor))).all()
    assert (grid_a % divisor == to_grid(a % divisor)).all()
    assert (np.floor(grid_a / divisor) == to_grid(floor(a / divisor))).all()
    assert (np.maximum(grid_a, number) == to_grid(at_least(number, cast("Any", a)))).all()


@given(st.lists(SMALL, min_size=1, max_size=5), st.lists(SMALL, min_size=1, max_size=5), st.data())
def test_conditions_hold_for_all_or_split(left: list[int], right: list[int], data: st.DataObject) -> None:
    """A condition has one answer for all variants, or splits the grid until each part has one."""
    compare = data.draw(
        st.sampled_from([operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge])
    )

    def ask(rows: np.ndarray[Any, Any], columns: np.ndarray[Any, Any]) -> None:
        expected = compare(rows[:, None], columns[None, :])
        try:
            answer = bool(compare(AxisArray(rows, NETWORKS), AxisArray(columns, RESOLUTIONS)))
        except SplitError as split:
            for part in (split.mask, ~split.mask):
                assert part.any()
                ask(*((rows[part], columns) if split.axis == NETWORKS else (rows, columns[part])))
        else:
            assert (expected == answer).all()

    ask(np.array(left), np.array(right))


def test_equal_factors_share_a_term() -> None:
    """Products with the same factor along the resolutions are one term."""
    networks, resolutions = (AxisArray(np.array([2, 3]), axis) for axis in AXES)
    total = networks * resolutions + 5 * (resolutions * networks)

    assert isinstance(total, OuterSum)
    assert len(total.terms) == 1
    # 6 x 2 x 2, 6 x 2 x 3, 6 x 3 x 3
    assert to_grid(total).tolist() == [[24, 36], [36, 54]]


def test_inexact_numbers_raise() -> None:
    """A number from 2**53 on, or a product that may exceed 64 bits, raises TooLargeError."""
    large = AxisArray(np.array([2**52]), NETWORKS)
    with pytest.raises(TooLargeError):
        large + large
    with pytest.raises(TooLargeError):
        to_grid(large * AxisArray(np.array([2**30]), RESOLUTIONS))

"""Every variant of a grid, counted in few walks, costs what it costs alone."""

from __future__ import annotations

import operator
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
from mbanalyze.ops.cost import Cost, total
from mbanalyze.ops.numbers import at_least
from mbanalyze.ops.registry import cost
from mbanalyze.sweep import closed_form as grids
from mbanalyze.sweep.ablation import ablate
from mbanalyze.sweep.arrays import NETWORKS, RESOLUTIONS, Sizes, SplitError, TooLargeError, multiplied_out

COUNTS = tuple(Cost.__dataclass_fields__)
CASES = 32
"""Grids for each of 16 architectures: 512 of them."""


def alone(arch: type[Architecture], options: dict[str, Any], resolution: int) -> Cost | None:
    """What one variant costs, without arrays; None where it makes no network."""
    try:
        spec = arch(**{**options, "resolution": resolution})
        return total([cost(op) for op in spec.ops()])
    except (OptionError, ShapeError):
        return None


def values(option: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    """Some values of an option, of those that it takes."""
    if option["choices"] or option["type"] == "bool":
        each: st.SearchStrategy[Any] = st.sampled_from(option["choices"] or (True, False))
    elif option["type"] == "float":
        # narrow networks, whose widths round to one another, as often as wide ones
        each = st.floats(0.01, 0.5) | st.floats(0.01, 2) | st.sampled_from([0.25, 0.5, 0.75, 1.0])
    else:
        each = st.integers(1, 2048)
    return st.lists(each, min_size=1, max_size=3, unique=True)


def assert_each_as_alone(arch: type[Architecture], axes: grids.Axes, resolutions: list[int]) -> None:
    """Every count of every variant equals what it is alone."""
    found = grids.totals(arch, axes, resolutions)
    for i, options in enumerate(grids.variants(axes)):
        for j, resolution in enumerate(resolutions):
            expected = alone(arch, options, resolution)
            assert (expected is not None) == found.valid[i, j], (options, resolution)
            if expected is not None:
                counted = tuple(int(found.counts[name][i, j]) for name in COUNTS)
                assert tuple(getattr(expected, name) for name in COUNTS) == counted, (options, resolution)


@pytest.mark.parametrize("name", ARCHS)
@settings(max_examples=CASES)
@given(data=st.data())
def test_a_grid_is_what_its_variants_are(name: str, data: st.DataObject) -> None:
    """One walk for all equals a walk for each, in every column, on random options of every architecture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grids, "FEW", 0)  # however few they are, they are walked together
        arch = ARCHS[name]
        axes = {o["name"]: data.draw(values(o)) for o in describe(arch) if o["name"] != "resolution"}
        while prod(map(len, axes.values())) > 6:  # some of them is all that time allows
            longest = max(axes, key=lambda option: len(axes[option]))
            axes[longest] = axes[longest][:-1]
        resolutions = data.draw(st.lists(st.integers(1, 320), min_size=1, max_size=3, unique=True))
        assert_each_as_alone(arch, axes, resolutions)


def test_rounding_makes_and_unmakes_residuals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where alpha makes neighbouring widths equal a residual appears; on either side a grid is exact."""
    monkeypatch.setattr(grids, "FEW", 0)
    alphas = [i / 100 for i in range(2, 140)]
    additions = {
        alpha: sum(op.kind == "add" for op in archs.MobileNetV2(alpha=alpha).ops()) for alpha in alphas
    }
    assert {10, 11, 13} <= set(additions.values())
    assert_each_as_alone(ARCHS["mobilenet_v2"], {"alpha": alphas}, [32, 224])


def test_counts_beyond_64_bits() -> None:
    """What 64 bits do not hold is counted in Python's integers, and the rest of the grid beside it."""
    axes: grids.Axes = {"num_classes": [10, 10**9], "alpha": [1.0, 10.0**6]}
    found = grids.totals(ARCHS["mobilenet_v2"], axes, [224, 10**6])
    assert found.counts["flops"].dtype == object
    assert_each_as_alone(ARCHS["mobilenet_v2"], axes, [224, 10**6])


@pytest.mark.parametrize("alpha", [10.0**5, 10.0**6, 1.5 * 10**6, 2.0 * 10**6])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_derived_totals_beyond_64_bits(alpha: float, dtype: str) -> None:
    """Sums, bytes and ratios are those of Python's integers where a count fits into 64 bits and they do not."""
    for bits in (None, 64):
        alphas = [1.0, alpha]
        rows = ablate("mobilenet_v2", alpha=alphas, dtype=dtype, bits=bits).to_dict("records")
        reports = [count("mobilenet_v2", alpha=each, dtype=dtype) for each in alphas]
        for row, report in zip(rows, reports, strict=True):
            expected = report.totals.as_dict(report.itemsize)
            if bits:
                expected["params_bytes"] = 8 * report.totals.params
            assert expected == {name: row[name] for name in expected}


def test_many_variants_beyond_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grid of which a part is too large is split until that part is alone."""
    monkeypatch.setattr(grids, "FEW", 4)
    axes = {"alpha": [1.0, *(10.0**i for i in range(1, 8))]}
    assert_each_as_alone(ARCHS["mobilenet_v1"], axes, [224, 10**5, 10**8])


def test_large_steps_of_rounding() -> None:
    """Widths that are multiples of a large number stay well within 64 bits, and few walks do."""
    axes: grids.Axes = {"round_nearest": [2048], "alpha": [i / 100 for i in range(50, 100)]}
    assert_each_as_alone(ARCHS["mobilenet_v2"], axes, [32, 224])


def test_batches_are_counted() -> None:
    """A batch of eight costs what the operators of a batch of eight do."""
    found = grids.totals(ARCHS["mobilenet_v2"], {"alpha": [0.5, 1.0]}, [96, 224], batch=8)
    ops = archs.MobileNetV2(alpha=0.5, resolution=224).ops(8)
    assert total([cost(op) for op in ops]).writes == found.counts["writes"][0, 1]


def test_the_first_failure_is_named() -> None:
    """Of variants that make no network, the reason is that of one of them alone."""
    found = grids.totals(ARCHS["shufflenet_v1"], {"alpha": [1.0, 0.31], "groups": [3]}, list(range(200, 260)))
    (failure,) = found.failed
    assert failure.options["alpha"] == 0.31
    assert failure.reason.startswith("groups=3 do not divide the bottlenecks at alpha=0.31")
    assert (found.valid[0].sum(), found.valid[1].sum()) == (60, 0)


sizes = st.integers(-50, 50)
AXES = (NETWORKS, RESOLUTIONS)


@given(st.lists(st.tuples(sizes, sizes), min_size=1, max_size=4), st.integers(1, 9), sizes, st.data())
def test_arithmetic_is_that_of_each(
    pairs: list[tuple[int, int]], divisor: int, number: int, data: st.DataObject
) -> None:
    """On one axis or both, arithmetic on sizes is arithmetic on each of them."""
    left, right = (np.array(side) for side in zip(*pairs, strict=True))
    a, b = Sizes(left, data.draw(st.sampled_from(AXES))), Sizes(right, data.draw(st.sampled_from(AXES)))
    grid_a, grid_b = multiplied_out(a), multiplied_out(b)
    for apply in (operator.add, operator.sub, operator.mul):
        assert (apply(grid_a, grid_b) == multiplied_out(apply(a, b))).all()
        assert (apply(apply(grid_a, grid_b), number) == multiplied_out(apply(apply(a, b), number))).all()
        assert (apply(number, apply(grid_a, grid_b)) == multiplied_out(apply(number, apply(a, b)))).all()
    product = (a + number) * (b - number) * a
    assert ((grid_a + number) * (grid_b - number) * grid_a == multiplied_out(product)).all()
    assert (grid_a // divisor == multiplied_out(a // divisor)).all()
    assert (-(-grid_a // divisor) == multiplied_out(-(-a // divisor))).all()
    assert (grid_a % divisor == multiplied_out(a % divisor)).all()
    assert (np.floor(grid_a / divisor) == multiplied_out(floor(a / divisor))).all()
    assert (np.maximum(grid_a, number) == multiplied_out(at_least(number, cast("Any", a)))).all()


@given(st.lists(sizes, min_size=1, max_size=5), st.lists(sizes, min_size=1, max_size=5), st.data())
def test_conditions_hold_for_all_or_split(left: list[int], right: list[int], data: st.DataObject) -> None:
    """A condition is answered where all agree; else the parts of the split agree, or split again."""
    compare = data.draw(
        st.sampled_from([operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge])
    )

    def ask(rows: np.ndarray[Any, Any], columns: np.ndarray[Any, Any]) -> None:
        expected = compare(rows[:, None], columns[None, :])
        try:
            answer = bool(compare(Sizes(rows, NETWORKS), Sizes(columns, RESOLUTIONS)))
        except SplitError as split:
            for part in (split.where, ~split.where):
                assert part.any()
                ask(*((rows[part], columns) if split.axis == NETWORKS else (rows, columns[part])))
        else:
            assert (expected == answer).all()

    ask(np.array(left), np.array(right))


def test_what_floats_cannot_hold_is_refused() -> None:
    """A size beyond 2**53, or a sum of products beyond 64 bits, is none of ours."""
    large = Sizes(np.array([2**52]), NETWORKS)
    with pytest.raises(TooLargeError):
        large + large
    with pytest.raises(TooLargeError):
        multiplied_out(large * Sizes(np.array([2**30]), RESOLUTIONS))

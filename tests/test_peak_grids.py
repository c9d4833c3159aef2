"""Peak memory of grids: the largest of sums of products, equal to the report of each variant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbanalyze import ablate, count
from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import describe
from mbanalyze.sweep import closed_form
from mbanalyze.sweep.arrays import NETWORKS, RESOLUTIONS, AxisArray, OuterSum, SplitError, TooLargeError
from mbanalyze.sweep.peak_grids import TIMELINES, largest

DTYPES = ("float32", "int8", "float16", "float64")


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count even small grids with arrays."""
    monkeypatch.setattr(closed_form, "MAX_SCALAR_VARIANTS", 0)


def alphas(name: str) -> dict[str, Any]:
    """Two widths of an architecture; no option without widths."""
    option = {each["name"]: each for each in describe(ARCHS[name])}.get("alpha")
    return {"alpha": list(option["choices"] or (0.5, 1.0))[:2]} if option else {}


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize(
    ("name", "dtype", "batch"), [(name, DTYPES[i % 4], 1 + i % 3) for i, name in enumerate(ARCHS)]
)
def test_a_grid_has_the_peaks_of_its_reports(name: str, dtype: str, batch: int) -> None:
    """Both peaks of each variant equal those of its report, in bytes of the dtype, for the whole batch."""
    sizes = alphas(name)
    rows = ablate(name, resolution=[224, "320x256"], dtype=dtype, batch=batch, **sizes).records()

    assert len(rows) == (4 if sizes else 2)
    for row in rows:
        options = {option: row[option] for option in (*sizes, "resolution", "batch")}
        report = count(name, dtype=dtype, **options)
        assert report.peak_bytes("ideal") == row["peak_bytes"]
        assert report.peak_bytes("deployed") == row["peak_bytes_deployed"]


def test_published_peaks() -> None:
    """The deployed peaks of MobileNetV2 in int8 and of ResNet-50 are those that papers print."""
    # MCUNetV2 (arXiv:2110.15352) prints 1372 kB: (16 + 96) * 112 * 112 bytes, by 1024
    assert ablate("mobilenet_v2", dtype="int8").frame()["peak_bytes_deployed"].tolist() == [1_404_928]
    # MCUNet (arXiv:2007.10319) prints 7.2 MB: (64 + 256 + 256) * 56 * 56 * 4 bytes
    assert ablate("resnet50").frame()["peak_bytes_deployed"].tolist() == [7_225_344]


@pytest.mark.usefixtures("together")
def test_operators_that_run_in_place_for_some_variants() -> None:
    """At 32 pixels, a squeeze-and-excitation has as many elements as its image of one pixel, and shares memory."""
    grid: dict[str, Any] = {"alpha": [0.1, 0.35, 1.0], "resolution": [(32, 32), (33, 32), (64, 32)]}
    rows = ablate("mobilenet_v3_small", **grid).records()

    assert len(rows) == 9
    for row in rows:
        report = count("mobilenet_v3_small", alpha=row["alpha"], resolution=row["resolution"])
        peaks = [report.peak_bytes("ideal"), report.peak_bytes("deployed")]
        assert peaks == [row[name] for name in TIMELINES]


def test_peaks_beyond_64_bits() -> None:
    """A peak beyond 64 bits is a Python integer, beside small ones."""
    rows = ablate("vgg16", resolution=[32, 10**9]).records()

    # two activations of 64 channels
    assert [row["peak_bytes"] for row in rows] == [4 * 2 * 64 * 32**2, 4 * 2 * 64 * 10**18]
    assert {int} == {type(row["peak_bytes"]) for row in rows}


FACTORS = st.lists(st.integers(0, 9) | st.integers(0, 2**28), min_size=3, max_size=3)
RESOLUTION = st.sampled_from([[1, 4, 9], [1, 2, 4], [1, 1, 2], [7, 5, 3]])
"""Few factors, so that several sums have the same."""


@settings(max_examples=200)
@given(
    sums=st.lists(st.lists(st.tuples(FACTORS, RESOLUTION), min_size=1, max_size=3), min_size=1, max_size=6)
)
def test_the_largest_of_sums(sums: list[list[tuple[list[int], list[int]]]]) -> None:
    """The largest sum of each variant is the largest that plain integers give."""
    made = [
        OuterSum((AxisArray(np.array(a), NETWORKS), AxisArray(np.array(b), RESOLUTIONS)) for a, b in products)
        for products in sums
    ]
    expected = [
        [max(sum(a[i] * b[j] for a, b in products) for products in sums) for j in range(3)] for i in range(3)
    ]

    assert expected == largest(made).tolist()


def test_large_grids_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums that are constant along an axis, or along both, are compared with all others in every block."""
    monkeypatch.setattr("mbanalyze.sweep.peak_grids.BLOCK", 8)
    networks, resolutions = AxisArray(np.arange(7), NETWORKS), AxisArray(np.arange(5), RESOLUTIONS)
    made = [OuterSum.of(each) for each in (networks * resolutions, 3 * networks, 2 * resolutions, 6)]

    expected = [[max(i * j, 3 * i, 2 * j, 6) for j in range(5)] for i in range(7)]
    assert expected == largest(made).tolist()
    assert largest([OuterSum.of(6), OuterSum.of(4)]).tolist() == [[6]]


def test_large_and_small_sums_are_exact_together() -> None:
    """A sum beyond the integers of floats beside one within is exact, and one beyond 64 bits is refused."""
    small = AxisArray(np.array([1, 3]), NETWORKS) * AxisArray(np.array([1, 2**50 + 1]), RESOLUTIONS)
    large = AxisArray(np.array([1, 2**28 + 1]), NETWORKS) * AxisArray(np.array([2, 2**28 + 1]), RESOLUTIONS)

    expected = [[2, 2**50 + 1], [2**29 + 2, (2**28 + 1) ** 2]]
    assert expected == largest([OuterSum.of(small), OuterSum.of(large)]).tolist()
    with pytest.raises(TooLargeError):
        largest([OuterSum.of(small), OuterSum.of(large) * large])


def test_products_with_an_equal_factor_split_along_the_other_axis() -> None:
    """If two products differ in the factor along the resolutions alone, these decide the answer."""
    networks = AxisArray(np.array([2, 5]), NETWORKS)
    left, right = (networks * AxisArray(np.array(side), RESOLUTIONS) for side in ([1, 4, 9], [1, 4, 8]))

    assert left >= right
    with pytest.raises(SplitError) as raised:
        bool(left == right)
    assert (raised.value.axis, raised.value.mask.tolist()) == (RESOLUTIONS, [True, True, False])

"""The distinct elements of views with any strides, counted by going through all of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from arithmetic import Run
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mbanalyze import count
from mbanalyze.ops.record import Value, canonical_strides
from mbanalyze.ops.strides import distinct_elements
from mbanalyze.sweep.arrays import NETWORKS, AxisArray

DIMS = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 40)), max_size=4)


@given(DIMS)
def test_distinct_elements_equal_a_set_of_offsets(dims: list[tuple[int, int]]) -> None:
    """The number of distinct elements is that of the offsets that a view reaches."""
    offsets = {
        sum(i * stride for i, (_, stride) in zip(at, dims, strict=True))
        for at in itertools.product(*(range(n) for n, _ in dims))
    }

    assert distinct_elements(dims) == len(offsets)


@pytest.mark.parametrize(
    ("view", "shape"),
    [
        (lambda x: x.unfold(2, 3, 2).unfold(3, 3, 2), (1, 1, 8, 8)),
        (lambda x: x.unfold(2, 3, 1).unfold(3, 3, 1), (2, 3, 8, 8)),
        (lambda x: x.unfold(2, 3, 1), (1, 2, 8, 40)),
        (lambda x: x[:, :, :, :4].unfold(2, 3, 1), (1, 2, 8, 40)),
        (lambda x: x.unfold(2, 2, 3).unfold(3, 3, 2), (1, 1, 9, 9)),
        (lambda x: x.as_strided((5, 4), (2, 3)), (1, 1, 6, 6)),
        (lambda x: x.transpose(1, 2)[:, ::2].expand(3, -1, -1, -1), (1, 2, 6, 6)),
    ],
)
def test_windows_read_each_element_once(view: object, shape: tuple[int, ...]) -> None:
    """An operator on overlapping windows with gaps reads each element of the image once."""
    assert callable(view)
    values = torch.arange(float(np.prod(shape))).view(shape)
    distinct = len(set(view(values).flatten().tolist()))

    assert distinct == count(Run(lambda x: view(x) + 1), shape).totals.reads


@pytest.mark.parametrize("training", [False, True])
def test_a_random_slope_gives_a_contiguous_tensor(training: bool) -> None:
    """`rrelu` of permuted dimensions is contiguous, as its kernels on CPUs and GPUs make it."""
    run = Run(lambda x: torch.rrelu(x.transpose(1, 2), training=training))
    reports = [
        count(run, (2, 3, 4)),
        count(run, (2, 3, 4), shortcuts=False),
        count(run, (2, 3, 4), real=True),
    ]

    assert [report.rows[-1].op.output[0].strides for report in reports] == [None, None, None]


def test_large_views_are_counted_quickly() -> None:
    """Overlapping windows of a large image are counted, of a batch as for each image."""
    batch, image = 64, 224 * 224
    # 3 x 3 windows at every other place: all but the last row and column
    windows = ((batch, 3 * image), (3, image), (111, 448), (111, 2), (3, 224), (3, 1))

    assert distinct_elements(windows) == batch * 3 * 223 * 223


def test_sizes_may_be_arrays() -> None:
    """Views of arrays of sizes, such as every other channel, have no overlap."""
    sizes = AxisArray(np.array([4, 6, 8]), NETWORKS)
    value = Value("activation", 0, (1, sizes, 2, 2), strides=(sizes * 8, 8, 2, 1))  # type: ignore[arg-type]

    assert value.size.array.tolist() == [16, 24, 32]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("stride", "elements"),
    [
        # windows of 3: with a stride of 1 they reach 2 elements more than there are windows, with 4 all differ
        (1, [6, 8, 10]),
        (4, [12, 18, 24]),
    ],
)
def test_windows_in_arrays_of_sizes(stride: int, elements: list[int]) -> None:
    """Windows in arrays of sizes reach at most the elements between the first and the last one."""
    distinct = distinct_elements([(np.array([4, 6, 8]), stride), (3, 1)])  # type: ignore[list-item]

    assert elements == distinct.tolist()  # type: ignore[attr-defined]


def test_strides_of_single_elements_do_not_count() -> None:
    """Two views are equal if they differ only in the stride of a dimension of one element."""
    assert canonical_strides((2, 1, 3), (6, 17, 2)) == canonical_strides((2, 1, 3), (6, 5, 2)) == (6, 0, 2)
    assert canonical_strides((2, 1, 3), (3, 17, 1)) is None


def test_a_row_of_an_image_and_itself_are_one_read() -> None:
    """The same column, taken twice by views whose single dimensions differ in stride, is read once."""

    def column(x: Tensor) -> Tensor:
        return x[:, :1, 1].as_strided((4, 1), (3, 1)) + x.as_strided((4, 1), (3, 7), 1)

    # 4 elements at offset 1, twice; as_strided of a view starts at its own offset
    assert count(Run(column), (4, 1, 3)).totals.reads == 4

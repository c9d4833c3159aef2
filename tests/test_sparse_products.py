"""Products with a sparse matrix multiply its stored elements only."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from mbanalyze.ops.record import Op, Value
from mbanalyze.ops.registry import cost
from mbanalyze.trace.matching.kinds import MATCHERS
from mbanalyze.trace.matching.match import Match

DENSE = torch.ones(8, 6)
with warnings.catch_warnings(action="ignore"):  # PyTorch calls these layouts a beta
    COO, CSR, CSC = torch.eye(8).to_sparse(), torch.eye(8).to_sparse_csr(), torch.eye(8).to_sparse_csc()


def matched(name: str, **arguments: Any) -> Match | None:
    """Return the match of a call."""
    return MATCHERS[name](arguments)


def flops(match: Match, out: tuple[int, ...]) -> tuple[int | None, int | None]:
    """Return the macs and flops of a match with an output of a shape."""
    values = tuple(Value("activation", i, tuple(each.shape)) for i, each in enumerate(match.operands))
    settings = tuple(sorted(match.attributes.items()))
    counted = cost(Op("", match.kind, values, (Value("activation", 99, out),), 0, settings))
    return counted.macs, counted.flops


@pytest.mark.parametrize("sparse", [COO, CSR, CSC])
def test_stored_elements_meet_each_column(sparse: Tensor) -> None:
    """A product of 8 stored elements and 6 columns takes 48 multiply-accumulates; a vector is one column."""
    match = matched("mm", self=sparse, mat2=DENSE)
    vector = matched("mv", self=sparse, vec=DENSE[:, 0])

    assert match is not None
    assert vector is not None
    assert flops(match, (8, 6)) == (48, 96)
    assert flops(vector, (8,)) == (8, 16)
    # values and the tensors of their indices, then the dense matrix
    assert match.operands[0].numel() == 8
    assert all(each.layout is torch.strided for each in match.operands)


def test_a_dense_matrix_on_the_left_meets_the_stored_elements_with_each_row() -> None:
    """A product of 5 rows and 8 stored elements takes 40 multiply-accumulates."""
    match = matched("mm", self=torch.ones(5, 8), mat2=CSR)

    assert match is not None
    assert flops(match, (5, 8)) == (40, 80)


@pytest.mark.parametrize(
    ("name", "arguments", "more"),
    [
        ("addmm", {"beta": 1, "alpha": 1}, 48),
        ("addmm", {"beta": 2, "alpha": 3}, 3 * 48),
        ("addmm", {"beta": 0, "alpha": 1}, 0),
        ("_sparse_addmm", {"beta": 0, "alpha": 1}, 0),
        ("_sparse_addmm", {"beta": 1, "alpha": 2}, 2 * 48),
    ],
)
def test_an_added_matrix_takes_a_flop_for_each_element(
    name: str, arguments: Mapping[str, Any], more: int
) -> None:
    """Additions and scales of 8 x 6 elements are added to 48 multiply-accumulates."""
    match = matched(name, self=DENSE, mat1=COO, mat2=DENSE, **arguments)

    assert match is not None
    assert flops(match, (8, 6)) == (48, 96 + more)


@pytest.mark.parametrize(
    "call",
    [
        lambda: matched("mm", self=COO, mat2=COO),
        lambda: matched("_sparse_mm", sparse=COO, dense=COO),
        lambda: matched("_sparse_mm", sparse=COO, dense=DENSE, reduce="amax"),
    ],
)
def test_the_work_of_two_sparse_matrices_is_unknown(call: Callable[[], Match | None]) -> None:
    """A product of two sparse matrices, or with another reduction, has no formula."""
    assert call() is None


def test_other_names_of_the_product() -> None:
    """`_sparse_mm` and `hspmm` take the stored elements by each column."""
    for match in (matched("_sparse_mm", sparse=COO, dense=DENSE), matched("hspmm", mat1=COO, mat2=DENSE)):
        assert match is not None
        assert flops(match, (8, 6)) == (48, 96)


def test_a_sampled_product_computes_the_stored_elements() -> None:
    """8 stored elements are inner products of length 6, added to a matrix."""
    arguments = {"mat1": DENSE, "mat2": DENSE.t(), "beta": 1, "alpha": 1}
    match = matched("sparse_sampled_addmm", self=CSR, **arguments)

    assert match is not None
    assert flops(match, (8,)) == (48, 96 + 8)

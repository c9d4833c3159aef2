"""Einstein sums against PyTorch's own counter, which sees the products that they run."""

from __future__ import annotations

import pytest
import torch
from arithmetic import Run
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from mbanalyze import count


@st.composite
def equations(draw: st.DrawFn) -> tuple[str, list[tuple[int, ...]]]:
    """Return an equation and the shapes of its operands; an index has one size, or 1 in some operands."""
    sizes = {index: draw(st.integers(1, 4)) for index in "abcde"}
    terms = draw(st.lists(st.text("abcde", min_size=1, max_size=4), min_size=1, max_size=3))
    used = sorted(set("".join(terms)))
    out = draw(st.lists(st.sampled_from(used), unique=True))
    shapes = []
    for term in terms:
        narrow = draw(st.sets(st.sampled_from(sorted(set(term))), max_size=1))
        shapes.append(tuple(1 if index in narrow else sizes[index] for index in term))
    return f"{','.join(terms)}->{''.join(out)}", shapes


@settings(max_examples=300)
@given(equations())
def test_macs_equal_the_products_that_run(drawn: tuple[str, list[tuple[int, ...]]]) -> None:
    """PyTorch sums what only one operand has, then multiplies; an index that no other operand has is no product."""
    equation, shapes = drawn
    with FlopCounterMode(display=False) as counter:
        torch.einsum(equation, *(torch.empty(shape, device="meta") for shape in shapes))
    report = count(Run(lambda *operands: torch.einsum(equation, *operands)), *shapes)

    assert counter.get_total_flops() // 2 == report.totals.macs
    assert report.complete
    assert (report.totals.flops or 0) >= 2 * (report.totals.macs or 0)


@pytest.mark.parametrize("equation", ["ij,ij->ij", "ij,ij", "ij,jk", "i...,i...->..."])
def test_an_output_that_is_left_out_is_found(equation: str) -> None:
    """An equation keeps its output, and without one sums the indices that occur twice."""
    left = torch.empty(3, 3, device="meta")
    with FlopCounterMode(display=False) as counter:
        torch.einsum(equation, left, left)
    report = count(Run(lambda a, b: torch.einsum(equation, a, b)), (3, 3), (3, 3))

    assert counter.get_total_flops() // 2 == report.totals.macs
    # without a sum, each of 9 outputs is one product
    assert equation != "ij,ij->ij" or report.totals.flops == 9


def test_three_operands_are_contracted_from_the_left() -> None:
    """A path of `opt_einsum` changes nothing: (2 x 3 x 4) + (2 x 4 x 5) multiply-accumulates are counted."""
    report = count(
        Run(lambda a, b, c: torch.ops.aten.einsum("ij,jk,kl->il", [a, b, c], path=[1, 2, 0, 1])),
        (2, 3), (3, 4), (4, 5),
    )  # fmt: skip

    assert report.totals.macs == 24 + 40

"""Operators without a tensor among their arguments are free, counted, or unknown; results are all that is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from arithmetic import NEED_VALUES, OTHERS, Run
from torch import Tensor, nn
from torch.nn import functional

from mbanalyze import Shape, count


@pytest.fixture(scope="module")
def maker() -> Callable[[int], Tensor]:
    """A custom operator that computes a tensor from a number."""

    @torch.library.custom_op("mbanalyze_test::steps", mutates_args=())
    def steps(n: int) -> Tensor:
        return torch.arange(n).float().sqrt()

    return steps


def test_a_maker_without_a_formula_is_unknown(maker: Callable[[int], Tensor]) -> None:
    """A custom operator that takes no tensor computes an unknown number of flops, not none."""
    report = count(Run(lambda x: x + maker(3)), torch.ones(3), real=True)

    assert [each.operator for each in report.uncounted] == ["mbanalyze_test::steps"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.empty(3),
        lambda: torch.zeros(3),
        lambda: torch.ones(3),
        lambda: torch.full((3,), 2.0),
        lambda: torch.arange(3),
        lambda: torch.eye(3),
        lambda: torch.scalar_tensor(2.0),
        lambda: torch.tril_indices(3, 3)[0, :3],
        lambda: torch.empty_strided((3,), (1,)),
    ],
)
@pytest.mark.parametrize("real", [False, True])
def test_allocations_are_free(make: Callable[[], Tensor], real: bool) -> None:
    """Constants and consecutive numbers are allocated, so that only the addition is counted."""
    report = count(Run(lambda x: x + make()), torch.ones(3), real=real)

    assert [row.op.kind for row in report.rows] == ["add"]
    assert sum(report.free.values()) >= 1


# function, inputs -> elements that are written: those of its result
RESULTS: list[tuple[Callable[..., Any], tuple[Any, ...], int]] = [
    (lambda x: torch.native_layer_norm(x, (4,), None, None, 1e-5)[0], (2, 3, 4), 24),
    (lambda x: torch.native_group_norm(x, None, None, 2, 4, 9, 2, 1e-5)[0], (2, 4, 3, 3), 72),
    (lambda x: torch.native_batch_norm(x, None, None, None, None, True, 0.1, 1e-5)[0], (2, 4, 3, 3), 72),
    (lambda x: torch.native_dropout(x, 0.5, True)[0], (2, 3), 6),
    (lambda x: torch.ops.aten.log_sigmoid_forward(x)[0], (2, 3), 6),
    (lambda x: torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(x, x, x)[0], (1, 2, 4, 8), 64),
    (lambda x: torch.linalg.cholesky_ex(x @ x.mT + torch.eye(3, device=x.device)).L, (3, 3), 9 + 9 + 9),
    (lambda x: torch.linalg.inv_ex(x).inverse, (3, 3), 9),
]


@pytest.mark.parametrize(("function", "shape", "writes"), RESULTS)
def test_only_results_are_written(function: Callable[..., Any], shape: tuple[int, ...], writes: int) -> None:
    """Values for a backward pass and flags of success are not written, on shapes as on values."""
    assert writes == count(Run(function), shape).totals.writes
    assert writes == count(Run(function), torch.ones(shape), real=True).totals.writes


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_an_embedding_bag_writes_its_bags(mode: str) -> None:
    """3 bags of 4 elements are 12 writes, and the counts of the device do not matter."""

    class Bags(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bag = nn.EmbeddingBag(10, 4, mode=mode)

        def forward(self, indices: Tensor, offsets: Tensor) -> Tensor:
            bags: Tensor = self.bag(indices, offsets)
            return bags

    given = torch.tensor([1, 2]), torch.tensor([0, 0, 1])
    shapes, values = count(Bags(), *given).totals, count(Bags(), *given, real=True).totals

    assert shapes.writes == values.writes == 12
    assert shapes == values


def values_of(given: Any) -> Any:
    """Return the tensor that an input stands for; a square matrix is the identity."""
    if isinstance(given, Shape):
        return torch.zeros(given.sizes, dtype=getattr(torch, str(given.dtype)))
    if not isinstance(given, tuple):
        return given
    square = len(given) > 1 and given[-1] == given[-2]
    return torch.eye(given[-1]).expand(given).clone() if square else torch.ones(given)


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("name", sorted(OTHERS.keys() - NEED_VALUES))
def test_shapes_and_values_agree(name: str) -> None:
    """A count on shapes equals one on values, in every column."""
    make, inputs, _, _ = OTHERS[name]

    assert count(make(), *inputs).totals == count(make(), *map(values_of, inputs), real=True).totals


@pytest.mark.parametrize(
    ("mode", "scale", "taps"),
    # half as large: a window of 2 (bilinear) or 4 (bicubic) elements grows to twice that on each side
    [("bilinear", 0.5, 4 * 4), ("bicubic", 0.5, 8 * 8), ("bilinear", 2.0, 2 * 2), ("bicubic", 1.5, 4 * 4)],
)
@pytest.mark.parametrize("real", [False, True])
def test_antialiased_interpolation_by_a_factor(mode: str, scale: float, taps: int, real: bool) -> None:
    """An antialiased interpolation by a factor costs the same as one to the size that follows."""
    size = int(8 * scale)
    by_factor = Run(lambda x: functional.interpolate(x, scale_factor=scale, mode=mode, antialias=True))
    by_size = Run(lambda x: functional.interpolate(x, size=(size, size), mode=mode, antialias=True))
    image = torch.ones(1, 3, 8, 8)

    assert count(by_factor, image, real=real).totals == count(by_size, image, real=real).totals
    # a product for each neighbour, and a sum
    assert count(by_factor, image, real=real).totals.flops == 3 * size * size * (2 * taps - 1)


def test_an_in_place_dropout_reads_what_it_drops() -> None:
    """In training, dropout in place masks and scales the same elements as out of place."""
    inplace, other = (
        count(Run(lambda x, inplace=inplace: functional.dropout(x + 1, 0.5, True, inplace)), (2, 3)).totals
        for inplace in (True, False)
    )

    assert inplace == other

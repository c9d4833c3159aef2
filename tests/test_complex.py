"""Operators on complex numbers count operations on real numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from arithmetic import Run
from torch import Tensor, nn
from torch.nn import functional

from mbanalyze import count
from mbanalyze.ops.complex_numbers import COMPLEX_ELEMENTWISE
from mbanalyze.ops.elementwise import ELEMENTWISE


def z(*shape: int) -> Tensor:
    """Return a tensor of complex zeros."""
    return torch.zeros(shape, dtype=torch.complex64)


# name: function, inputs, macs, flops
HAND: dict[str, tuple[Callable[..., Any], tuple[Any, ...], int, int]] = {
    # 64 complex multiply-accumulates of 4 real ones and 8 flops; 8 biases of 2
    "linear": (functional.linear, (z(2, 8), z(4, 8), z(4)), 256, 512 + 16),
    # 2 x 4 x 4 outputs of 9 products of 3 channels
    "conv": (functional.conv2d, (z(1, 3, 6, 6), z(2, 3, 3, 3)), 4 * 864, 8 * 864),
    "mm": (torch.mm, (z(2, 3), z(3, 4)), 96, 192),
    # 8 additions of 2, and 8 scales of 6
    "addmm": (torch.addmm, (z(2, 4), z(2, 3), z(3, 4)), 96, 192 + 16),
    "scaled addmm": (lambda c, a, b: torch.addmm(c, a, b, alpha=2), (z(2, 4), z(2, 3), z(3, 4)), 96, 192 + 16 + 48),
    # 24 products, after 2 x 8 x 4 additions of 2
    "einsum": (lambda a, b: torch.einsum("bnd,de->be", a, b), (z(2, 9, 4), z(4, 3)), 96, 192 + 128),
    "einsum outer": (lambda a, b: torch.einsum("i,j->ij", a, b), (z(3), z(4)), 0, 72),
    "add": (torch.add, (z(2, 3), z(2, 3)), 0, 12),
    "mul": (torch.mul, (z(2, 3), z(2, 3)), 0, 36),
    "mul by a real tensor": (torch.mul, (z(2, 3), torch.zeros(2, 3)), 0, 36),
    "div": (torch.div, (z(2, 3), z(2, 3)), 0, 66),
    # two squares, an addition, a root
    "abs": (torch.abs, (z(2, 3),), 0, 24),
    "angle": (torch.angle, (z(2, 3),), 0, 6),
    "exp": (torch.exp, (z(2, 3),), 0, 30),
    # sin and cos of four functions and two products each, and a division of 11
    "tan": (torch.tan, (z(2, 3),), 0, 6 * 23),
    "polar": (torch.polar, (torch.zeros(2, 3), torch.zeros(2, 3)), 0, 24),
    "from parts": (torch.complex, (torch.zeros(2, 3), torch.zeros(2, 3)), 0, 0),
    # 6 elements to 1: 5 additions of 2, or 5 products of 6
    "sum": (torch.sum, (z(2, 3),), 0, 10),
    "prod": (torch.prod, (z(2, 3),), 0, 30),
    "mean": (torch.mean, (z(2, 3),), 0, 12),
    "cumsum": (lambda x: x.cumsum(0), (z(2, 3),), 0, 12),
    "cumprod": (lambda x: x.cumprod(0), (z(2, 3),), 0, 36),
    # two squares and two additions each
    "norm": (torch.linalg.vector_norm, (z(2, 3),), 0, 24),
    "var": (torch.var, (z(2, 3),), 0, 48),
    "copy": (torch.clone, (z(2, 3),), 0, 0),
    # 5 n log2 n are flops of real numbers
    "fft": (torch.fft.fft, (z(16),), 0, 5 * 16 * 4),
    # 4 times 13 of the real matrix
    "lu": (torch.linalg.lu_factor, (torch.eye(3, dtype=torch.complex64),), 0, 4 * 13),
    "scatter": (lambda x, y: x.index_add(0, torch.zeros(4, dtype=torch.int64), y), (z(7, 3), z(4, 3)), 0, 24),
}  # fmt: skip


@pytest.mark.parametrize("name", HAND)
def test_by_hand(name: str) -> None:
    """Macs and flops equal the arithmetic in the comment above the function."""
    function, inputs, macs, flops = HAND[name]
    report = count(Run(function), *inputs)

    assert (macs, flops) == (report.totals.macs, report.totals.flops)
    assert report.complete


def test_bytes_of_complex_numbers() -> None:
    """A complex64 parameter takes 8 bytes, whatever the dtype of the report."""
    layer = nn.Linear(8, 4, dtype=torch.complex64)
    report = count(layer, z(2, 8))

    # 32 + 4 parameters; 16 inputs and 8 outputs besides
    assert (report.totals.params, report.totals.params_bytes(4)) == (36, 288)
    assert report.totals.memory_access_bytes(2) == (36 + 16 + 8) * 8
    assert report.totals.as_dict(2)["params_bytes"] == 288


def test_real_and_complex_parameters_add_up() -> None:
    """The bytes of a network's parameters are those of its real and its complex ones."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.real, self.complex = nn.Linear(8, 4), nn.Linear(4, 2, dtype=torch.complex64)

        def forward(self, x: Tensor) -> Tensor:
            return self.complex(self.real(x).to(torch.complex64))  # type: ignore[no-any-return]

    totals = count(Net(), (1, 8)).totals

    # 36 of the report's dtype, 10 of 8 bytes
    assert (totals.params, totals.params_bytes(4), totals.params_bytes(2)) == (46, 36 * 4 + 80, 36 * 2 + 80)
    # 32 real multiply-accumulates, and 8 complex ones
    assert totals.macs == 32 + 4 * 8


def test_a_kind_without_complex_arithmetic_is_unknown() -> None:
    """An operator whose flops on complex numbers have no formula is unknown, not that of real numbers."""
    report = count(Run(torch.asin), z(2, 3))

    assert report.totals.flops is None
    assert [each.operator for each in report.uncounted] == ["asin"]


def test_complex_kinds_are_elementwise() -> None:
    """Each kind with complex flops is an elementwise kind, or draws numbers."""
    assert set(COMPLEX_ELEMENTWISE) - set(ELEMENTWISE) == {"random"}

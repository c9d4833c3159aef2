"""Quantised products count as those of real numbers, with the unpacked weight and bias as operands."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from arithmetic import Run
from torch import Tensor, nn

from mbanalyze import count
from mbanalyze.report.network import Report
from mbanalyze.trace.matching.quantised import unpacked

with warnings.catch_warnings(action="ignore"):  # PyTorch calls its quantised modules deprecated
    from torch.ao.nn import quantized

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def made(layer: Callable[..., nn.Module], *settings: int) -> Callable[[], nn.Module]:
    """Return a factory of a layer, which warns when it is called."""
    return lambda: layer(*settings)


def quantise(x: Tensor) -> Tensor:
    """Return a tensor as eight-bit integers."""
    return torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)


def dynamic(*layers: nn.Module) -> nn.Module:
    """Return layers with dynamically quantised weights."""
    quantised: nn.Module = torch.ao.quantization.quantize_dynamic(  # type: ignore[no-untyped-call]
        nn.Sequential(*layers), {nn.Linear, nn.LSTM, nn.GRU, nn.LSTMCell}, dtype=torch.qint8
    )
    return quantised


def product(report: Report) -> tuple[int | None, int | None]:
    """Return the macs and flops of the only product of a report."""
    (row,) = [row for row in report.rows if row.cost.macs]
    return row.cost.macs, row.cost.flops


def test_dynamically_quantised_linear() -> None:
    """8 inputs and 4 outputs of 2 rows: 64 multiply-accumulates and 8 biases; the weights are bytes."""
    report = count(dynamic(nn.Linear(8, 4)), torch.zeros(2, 8), real=True)
    (row,) = report.rows

    assert product(report) == (64, 128 + 8)
    assert [(value.shape, value.itemsize) for value in row.op.operands[1:]] == [((4, 8), 1), ((4,), None)]


@pytest.mark.parametrize(
    ("layer", "shape", "macs", "flops"),
    [
        # 3 -> 4 channels, 3 x 3 windows at 16 places, biases
        (made(quantized.Conv2d, 3, 4, 3), (1, 3, 6, 6), 64 * 27, 128 * 27 + 64),
        (made(quantized.Conv1d, 3, 4, 3), (1, 3, 6), 16 * 9, 32 * 9 + 16),
        (made(quantized.Linear, 8, 4), (2, 8), 64, 128 + 8),
        # 2 x 9 inputs, each spread over 4 x 2 x 2 outputs; 64 biases
        (made(quantized.ConvTranspose2d, 2, 4, 2), (1, 2, 3, 3), 18 * 16, 36 * 16 + 64),
        # and a ReLU of each output
        (made(torch.ao.nn.intrinsic.quantized.LinearReLU, 8, 4), (2, 8), 64, 128 + 16),
        (made(torch.ao.nn.intrinsic.quantized.ConvReLU2d, 3, 4, 3), (1, 3, 6, 6), 64 * 27, 128 * 27 + 128),
    ],
)
def test_quantised_layers(
    layer: Callable[[], nn.Module], shape: tuple[int, ...], macs: int, flops: int
) -> None:
    """A quantised layer takes the multiply-accumulates of its layer of real numbers."""
    module = layer()
    report = count(Run(lambda x: module(quantise(x))), torch.zeros(shape), real=True)

    assert product(report) == (macs, flops)
    assert report.complete


@pytest.mark.parametrize(
    ("layer", "macs"),
    [(nn.LSTM(3, 4), 10 * 112), (nn.GRU(3, 4, bidirectional=True), 10 * 2 * 84)],
)
def test_quantised_recurrent_layers(layer: nn.Module, macs: int) -> None:
    """A quantised recurrent layer takes the multiply-accumulates of its weights in each of 10 steps."""
    report = count(dynamic(layer), torch.zeros(5, 2, 3), real=True)
    real = count(layer, (5, 2, 3))

    assert product(report) == (macs, real.totals.flops)
    assert report.complete


def test_quantised_cell() -> None:
    """A step of a quantised LSTM takes 2 x 112 multiply-accumulates."""
    report = count(dynamic(nn.LSTMCell(3, 4)), torch.zeros(2, 3), real=True)

    assert product(report) == (2 * 112, 2 * (224 + 32 + 88))


def test_the_same_tensors_come_back() -> None:
    """A packed object is unpacked once as long as its tensors are held, and another gives its own."""
    first, second = [dynamic(nn.Linear(8, 4))[0]._packed_params._packed_params for _ in range(2)]  # type: ignore[index]
    held = unpacked(first)

    assert [id(tensor) for tensor in held] == [id(tensor) for tensor in unpacked(first)]
    assert unpacked(second)[0] is not held[0]

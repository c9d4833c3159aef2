"""The ATen back end of ptflops: small modules counted by ptflops, and by our rules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from arithmetic import Run, ones
from conventions import both, differences
from packaging.version import Version
from torch import Tensor, nn
from torch.nn import functional

BIAS = "1 for each output element with a bias"
LINEAR_BIAS = f"linear: {BIAS}, if the input is contiguous"
PRODUCT = "matmul: macs, 0 for products with vectors or with a sum"
ATTENTION = "attention: not counted"
STEP_BIAS = "1 for each bias and step, except of transposed inputs"

Fact = tuple[nn.Module, tuple[Any, ...], int, dict[str, int]]


class Masked(nn.Module):
    """Attention with a mask that is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = nn.Parameter(ones(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        return functional.scaled_dot_product_attention(x, x, x, attn_mask=self.mask * 2)


def attend(x: Tensor) -> Tensor:
    """Return the attention of a sequence to itself."""
    return functional.scaled_dot_product_attention(x, x, x)


FACTS: dict[str, Fact] = {
    # 6 * 3 * 3 outputs of 2 * 3 * 3 weights each: 972, and 54 biases
    "a convolution counts its bias": (
        nn.Conv2d(4, 6, 3, groups=2), (ones(1, 4, 5, 5),), 1026, {f"conv: {BIAS}": 54}),
    # 2 * 3 * 3 inputs by 3 * 2 * 2 weights each: 216, and 3 * 6 * 6 biases
    "a transposed convolution counts its bias": (
        nn.ConvTranspose2d(2, 3, 2, stride=2), (ones(1, 2, 3, 3),), 324, {f"conv: {BIAS}": 108}),
    # 2 * 5 * 4 * 3 = 120, and 2 * 5 * 4 biases
    "a linear layer counts its bias": (nn.Linear(3, 4), (ones(2, 5, 3),), 160, {LINEAR_BIAS: 40}),
    "a linear layer of a vector counts its bias": (nn.Linear(3, 4), (ones(3),), 16, {LINEAR_BIAS: 4}),
    "a transposed matrix counts the bias": (nn.Linear(3, 4), (ones(3, 5).T,), 80, {LINEAR_BIAS: 20}),
    "a transposed batch has its bias added by an operator that counts nothing": (
        nn.Linear(3, 4), (ones(2, 3, 5).mT,), 120, {}),
    # 18 elements of a tensor 2 x 3 x 3; its product with itself has 2 * 3 * 3 * 3 = 54 macs
    "@ is a product": (Run(lambda x: x @ x), (ones(2, 3, 3),), 54, {}),
    "a product of a vector and a matrix runs as one of matrices": (
        Run(lambda x: x[0, 0] @ x[0]), (ones(2, 3, 3),), 9, {}),
    "a product with a vector counts nothing": (
        Run(lambda x: x @ x[0, 0]), (ones(2, 3, 3),), 0, {PRODUCT: -18}),
    "mv and dot count nothing": (
        Run(lambda x: torch.dot(torch.mv(x[0], x[0, 0]), x[0, 0])), (ones(2, 3, 3),), 0, {PRODUCT: -12}),
    "addmv counts nothing": (
        Run(lambda x: torch.addmv(x[0, 0], x[0], x[0, 0])), (ones(2, 3, 3),), 0, {PRODUCT: -9}),
    "addmm counts the matrix": (
        Run(lambda x: torch.addmm(x[0], x[0], x[1])), (ones(2, 3, 3),), 36,
        {"matmul: 1 for each element that addmm adds": 9}),
    "baddbmm counts nothing": (Run(lambda x: torch.baddbmm(x, x, x)), (ones(2, 3, 3),), 0, {PRODUCT: -54}),
    "addbmm counts nothing": (Run(lambda x: torch.addbmm(x[0], x, x)), (ones(2, 3, 3),), 0, {PRODUCT: -54}),
    "einsum runs as bmm": (
        Run(lambda x: torch.einsum("bij,bjk->bik", x, x)), (ones(2, 3, 3),), 54, {}),
    "elementwise operators count nothing": (
        nn.Sequential(nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2)), (ones(2, 4, 4),), 0, {}),
    # 2 * (2 heads * 3 * 3 * 4) = 144
    "attention counts nothing": (Run(attend), (ones(1, 2, 3, 4),), 0, {ATTENTION: -144}),
    "attention without a dimension of heads runs as products": (Run(attend), (ones(2, 3, 4),), 144, {}),
    "attention with a learned mask runs as products": (Masked(), (ones(1, 2, 3, 4),), 144, {}),
    "attention with another mask counts nothing": (
        Run(lambda x: functional.scaled_dot_product_attention(x, x, x, attn_mask=ones(3, 3))),
        (ones(1, 2, 3, 4),), 0, {ATTENTION: -144}),
    # 18 scores, each of a product of 4 features and one of 3
    "attention with other features of values runs as products": (
        Run(lambda x: functional.scaled_dot_product_attention(x, x, x[..., :3])), (ones(1, 2, 3, 4),), 126, {}),
    "attention of transposed features runs as products": (Run(attend), (ones(1, 2, 4, 3).mT,), 144, {}),
    # 10 steps of 16 * 7 weights
    "an LSTM counts nothing": (
        nn.LSTM(3, 4), (ones(5, 2, 3),), 0,
        {"nn.LSTM: 1 for each weight and step, only with a projection": -1120}),
    # 10 steps of 16 * (3 + 2) + 2 * 4 weights: 880; 10 * 32 biases
    "an LSTM with a projection counts": (
        nn.LSTM(3, 4, proj_size=2), (ones(5, 2, 3),), 1200,
        {"nn.LSTM: 1 for each bias and step, only with a projection": 320}),
    # 10 steps of 12 * 7 weights: 840; 10 * 24 biases
    "a GRU counts all biases": (nn.GRU(3, 4), (ones(5, 2, 3),), 1080, {f"nn.GRU: {STEP_BIAS}": 240}),
    # half of the biases are those of inputs
    "a GRU with the batch first counts the biases of states": (
        nn.GRU(3, 4, batch_first=True), (ones(2, 5, 3),), 960, {f"nn.GRU: {STEP_BIAS}": 120}),
    "a GRU with one sequence counts all biases": (
        nn.GRU(3, 4, batch_first=True), (ones(1, 5, 3),), 540, {f"nn.GRU: {STEP_BIAS}": 120}),
    # 2 images of 16 * 7 weights: 224; 2 * 32 biases
    "a cell counts all biases": (
        nn.LSTMCell(3, 4), (ones(2, 3),), 288, {f"nn.LSTMCell: {STEP_BIAS}": 64}),
}  # fmt: skip


@pytest.mark.parametrize("fact", FACTS)
def test_facts(fact: str) -> None:
    """Operators count as the fact says, and each part of the difference has its name."""
    if "without a dimension of heads" in fact and Version(torch.__version__) >= Version("2.14"):
        pytest.skip(
            "PyTorch 2.14 runs it as one kernel, and the rules are those of the PyTorch in constraints.txt"
        )
    module, inputs, expected, named = FACTS[fact]
    assert (expected, expected) == both("ptflops-aten", module, *inputs)
    assert named == differences("ptflops-aten", module, *inputs)

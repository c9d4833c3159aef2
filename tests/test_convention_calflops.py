"""The macs of calflops: small modules counted by calflops, and by our rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from arithmetic import ones
from conventions import both, differences
from torch import Tensor, nn
from torch.nn import functional

PRODUCT = "1 for each element of the first factor and size of the last dimension of the second"
TRANSPOSED = "torch.nn.functional.conv_transpose2d: macs, divided by the groups once more"


class Function(nn.Module):
    """A function, with a parameter: calflops takes no model without one."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function, self.scale = function, nn.Parameter(ones(1))

    def forward(self, x: Tensor) -> Any:
        """Return the result of the function."""
        return self.function(x)


def held_twice(module: nn.Module) -> nn.Module:
    """Return two modules that hold the same one."""
    return nn.Sequential(nn.Sequential(module), nn.Sequential(module))


Fact = tuple[nn.Module, Tensor, int, dict[str, int]]

MODULES: dict[str, Fact] = {
    # 2 * 6 * 3 * 3 outputs of 2 * 3 * 3 weights each
    "a convolution counts no bias": (nn.Conv2d(4, 6, 3, groups=2), ones(2, 4, 5, 5), 1944, {}),
    # 3 * 5 * 5 outputs of 2 * 2 * 2 weights each are 600; the padding is taken for 0, and the outputs for 4 * 4
    "padding of an even kernel to the same size leaves places out": (
        nn.Conv2d(2, 3, 2, padding="same"), ones(1, 2, 5, 5), 384, {"torch.nn.functional.conv2d: macs": -216}),
    # 3 * 2 * (3 - 1) = 12 are padded evenly: 75 * 2 * 9
    "padding of an odd kernel leaves none out": (
        nn.Conv2d(2, 3, 3, padding="same", dilation=2), ones(1, 2, 5, 5), 1350, {}),
    # 2 * 3 * 3 inputs by 3 * 2 * 2 weights each
    "a transposed convolution counts its macs": (nn.ConvTranspose2d(2, 3, 2), ones(1, 2, 3, 3), 216, {}),
    # 4 * 3 * 3 inputs by 2 * 2 * 2 weights each are 288, divided by 2 groups once more
    "a transposed convolution of groups is divided twice": (
        nn.ConvTranspose2d(4, 4, 2, groups=2), ones(1, 4, 3, 3), 144, {TRANSPOSED: -144}),
    # 4 * 3 * 3 inputs by 2 * 2 weights each, and 1 output of each group is divided by 4 and rounded down
    "a transposed depthwise convolution counts nothing": (
        nn.ConvTranspose2d(4, 4, 2, groups=4), ones(1, 4, 3, 3), 0, {TRANSPOSED: -144}),
    # 2 * 5 * 4 * 3
    "a linear layer counts no bias": (nn.Linear(3, 4), ones(2, 5, 3), 120, {}),
    # 2 calls of 12, and each module that holds it counts both
    "a module that two modules hold counts for each": (
        held_twice(nn.Linear(3, 3)), ones(1, 3), 36,
        {"functions of a module: counted again for each module that holds it": 18}),
    # 2 steps of 5 sequences by 16 * 7 weights
    "an LSTM has flops and no macs": (nn.LSTM(3, 4), ones(2, 5, 3), 0, {"lstm: not counted": -1120}),
    "norms, activations and pools have flops and no macs": (
        nn.Sequential(nn.BatchNorm1d(4), nn.GELU(), nn.MaxPool1d(2)), ones(2, 4, 4), 0, {}),
    # projections 3 * 3 * 16 and 3 * 16; 2 products of 2 heads, 3 * 3 * 2 each, are an operator of their own
    "attention counts its projections": (
        nn.TransformerEncoderLayer(4, 2, 1, batch_first=True), ones(1, 3, 4), 216, {"attention: not counted": -72}),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("fact", MODULES)
def test_modules(fact: str) -> None:
    """Modules count as the fact says, and each part of the difference has its name."""
    module, x, expected, named = MODULES[fact]
    assert (expected, expected) == both("calflops", module, x)
    assert named == differences("calflops", module, x)


FUNCTIONS: dict[str, tuple[Callable[[Tensor], Any], int, dict[str, int]]] = {
    # a tensor 2 x 3 x 3, whose product with itself has 2 * 3 * 3 * 3 = 54 macs
    "linear": (lambda x: functional.linear(x, ones(3, 3)), 54, {}),
    # an even step between weights leaves no places out: 9 outputs of 2 * 2 * 2 products
    "padding to the same size, dilated": (
        lambda x: functional.conv2d(x[None], ones(1, 2, 2, 2), None, 1, "same", 2),
        72,
        {},
    ),
    "matmul": (lambda x: torch.matmul(x, x), 54, {}),
    "matmul of a tensor": (lambda x: x.matmul(x), 54, {}),
    "@": (lambda x: x @ x, 0, {"matmul: not counted": -54}),
    "mm": (lambda x: torch.mm(x[0], x[1]), 0, {"matmul: not counted": -27}),
    "bmm": (lambda x: torch.bmm(x, x), 0, {"matmul: not counted": -54}),
    "bmm of a tensor": (lambda x: x.bmm(x), 0, {"matmul: not counted": -54}),
    "einsum": (lambda x: torch.einsum("bij,bjk->bik", x, x), 0, {"einsum: not counted": -54}),
    # 18 by the last size of the vector, 3, instead of 18
    "matmul with a vector": (lambda x: torch.matmul(x, x[0, 0]), 54, {f"torch.matmul: {PRODUCT}": 36}),
    "addmm": (lambda x: torch.addmm(x[0], x[0], x[1]), 27, {}),
    "addmm of a tensor": (lambda x: x[0].addmm(x[0], x[1]), 27, {}),
    "baddbmm": (lambda x: torch.baddbmm(x, x, x), 54, {}),
    "baddbmm of a tensor": (lambda x: x.baddbmm(x, x), 0, {"matmul: not counted": -54}),
    "add and mul": (lambda x: torch.add(torch.mul(x, x), x), 0, {}),
    "attention": (
        lambda x: functional.scaled_dot_product_attention(x, x, x), 0, {"attention: not counted": -108}),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    """Replaced functions count, and neither operators of Python nor other methods do."""
    function, expected, named = FUNCTIONS[name]
    assert (expected, expected) == both("calflops", Function(function), ones(2, 3, 3))
    assert named == differences("calflops", Function(function), ones(2, 3, 3))

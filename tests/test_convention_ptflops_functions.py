"""The PyTorch back end of ptflops: functions counted by ptflops, and by our rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from arithmetic import Run, ones
from conventions import both, differences
from torch import Tensor
from torch.nn import functional

BY_FUNCTION = "1 for each input element by the function"
AGAIN = f"{BY_FUNCTION}, also inside a module"
PRODUCT = "1 for each element of the first factor and size of the last dimension of the second"
ELEMENT = "1 for each element, with sizes compared from the first dimension"

FUNCTIONS: dict[str, tuple[Callable[[Tensor], Any], int, dict[str, int]]] = {
    # 18 elements of a tensor 2 x 3 x 3; its product with itself has 2 * 3 * 3 * 3 = 54 macs
    "relu": (lambda x: functional.relu(x, inplace=False), 18, {f"torch.nn.functional.relu: {AGAIN}": 18}),
    "relu6": (lambda x: functional.relu6(x, inplace=False), 18, {f"torch.nn.functional.relu6: {BY_FUNCTION}": 18}),
    "relu of torch": (torch.relu, 0, {}),
    "softmax of a tensor": (lambda x: x.softmax(-1), 0, {}),
    "matmul": (lambda x: torch.matmul(x, x), 54, {}),
    "matmul of a tensor": (lambda x: x.matmul(x), 54, {}),
    "@": (lambda x: x @ x, 0, {"matmul: not counted": -54}),
    "bmm": (lambda x: torch.bmm(x, x), 54, {}),
    "mm": (lambda x: torch.mm(x[0], x[1]), 27, {}),
    "mm of a tensor": (lambda x: x[0].mm(x[1]), 27, {}),
    "mv": (lambda x: torch.mv(x[0], x[0, 0]), 0, {"matmul: not counted": -9}),
    "einsum": (lambda x: torch.einsum("bij,bjk->bik", x, x), 0, {"einsum: not counted": -54}),
    # 18 by the last size of the vector, 3, instead of 18
    "matmul with a vector": (lambda x: torch.matmul(x, x[0, 0]), 54, {f"torch.matmul: {PRODUCT}": 36}),
    # 9 by 3, without the batch of the second factor
    "matmul of a matrix and a batch": (lambda x: torch.matmul(x[0], x), 27, {f"torch.matmul: {PRODUCT}": -27}),
    # 27, and the matrix of 9
    "addmm": (lambda x: torch.addmm(x[0], x[0], x[1]), 36, {"torch.addmm: 1 for each element of the added matrix": 9}),
    "addmm without the matrix": (lambda x: torch.addmm(x[0], x[0], x[1], beta=0), 27, {}),
    "addmm of a tensor": (
        lambda x: x[0].addmm(x[0], x[1]), 36, {"torch.Tensor.addmm: 1 for each element of the added matrix": 9}),
    "baddbmm": (lambda x: torch.baddbmm(x, x, x), 72, {"torch.baddbmm: 1 for each element of the added matrix": 18}),
    "baddbmm of a tensor": (lambda x: x.baddbmm(x, x), 0, {"matmul: not counted": -54}),
    "add": (lambda x: torch.add(x, x), 18, {f"torch.add: {ELEMENT}": 18}),
    "add a number": (lambda x: torch.add(x, 2), 18, {f"torch.add: {ELEMENT}": 18}),
    "mul of a tensor": (lambda x: x.mul(x), 18, {f"torch.Tensor.mul: {ELEMENT}": 18}),
    "+ and *": (lambda x: (x + x) * x, 0, {}),
    # sizes 2 3 3 and 3 3 give max(2, 3) * 3 * 3
    "add a matrix": (lambda x: torch.add(x, x[0]), 27, {f"torch.add: {ELEMENT}": 27}),
    # the average over 2 by 2 places of 1 x 2 x 3 x 3, by the function and by the one that it calls: 2 * 2 * 2, and 18
    "interpolate by areas": (
        lambda x: functional.interpolate(x[None], size=(2, 2), mode="area"),
        26,
        {
            "torch.nn.functional.interpolate: 1 for each output element by the function": 8,
            f"torch.nn.functional.adaptive_avg_pool2d: {AGAIN}": 18,
        },
    ),
    # 2 * 4 * 4; PyTorch multiplies tensors while we run the operator, which is no call
    "interpolate": (
        lambda x: functional.interpolate(input=x[None], size=4, mode="bilinear"),
        32,
        {"torch.nn.functional.interpolate: 1 for each output element by the function": 32},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    """Replaced functions count without a division, and neither operators of Python nor other methods do."""
    function, expected, named = FUNCTIONS[name]
    assert (expected, expected) == both("ptflops", Run(function), ones(2, 3, 3))
    assert named == differences("ptflops", Run(function), ones(2, 3, 3))

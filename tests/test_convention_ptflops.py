"""The PyTorch back end of ptflops: small modules counted by ptflops, and by our rules."""

from __future__ import annotations

from typing import Any

import pytest
from arithmetic import Run, ones
from conventions import both, differences
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import prune
from witness import torchvision

BIAS = "1 for each output element with a bias"
BY_MODULE = "1 for each output element"
BY_FUNCTION = "1 for each input element by the function"
AGAIN = f"{BY_FUNCTION}, also inside a module"
DIVIDED = "amounts of modules divided by the batch size"

Fact = tuple[nn.Module, tuple[Any, ...], int, dict[str, int]]


class Narrow(nn.Conv2d):
    """A class of its own."""


class Each(nn.Module):
    """A convolution of each image of a list, or of one image given by name."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 1, bias=False)

    def forward(self, images: Any) -> list[Tensor]:
        """Return the outputs."""
        return [self.conv(image) for image in images]


class Direct(nn.Module):
    """A module whose forward is called without its hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Any:
        """Return the output."""
        return self.relu.forward(x)


class Deform(nn.Module):
    """A deformable convolution with offsets, and perhaps a mask."""

    def __init__(self, conv: nn.Module, masks: int) -> None:
        super().__init__()
        self.conv, self.masks = conv, masks

    def forward(self, x: Tensor) -> Any:
        """Return the output."""
        return self.conv(x, ones(1, 8, 1, 1), *[ones(1, 4, 1, 1)] * self.masks)


def shared(module: nn.Module) -> nn.Module:
    """Return two modules that hold the same one."""
    return nn.Sequential(nn.Sequential(module), nn.Sequential(module))


MODULES: dict[str, Fact] = {
    # 6 * 3 * 3 outputs of 2 * 3 * 3 weights each: 54 * 18 = 972, and 54 biases
    "a convolution counts its bias": (
        nn.Conv2d(4, 6, 3, groups=2),
        (ones(1, 4, 5, 5),),
        1026,
        {f"nn.Conv2d: {BIAS}": 54},
    ),
    # 2 * 3 * 3 inputs by 3 * 2 * 2 weights each: 216, and 3 * 6 * 6 biases
    "a transposed convolution counts its bias": (
        nn.ConvTranspose2d(2, 3, 2, stride=2),
        (ones(1, 2, 3, 3),),
        324,
        {f"nn.ConvTranspose2d: {BIAS}": 108},
    ),
    # 8 * 4 * 3 * 3 weights at 4 * 3 places: 3456, where 288 * 9 = 2592 run; 4 * 3 * 3 biases; 3492 / 4 = 873
    "without a batch, the channels are taken for one": (
        nn.Conv2d(4, 8, 3),
        (ones(4, 5, 5),),
        873,
        {
            "nn.Conv2d: 1 for each output element and weight of its filter": 864,
            f"nn.Conv2d: {BIAS}": 36,
            DIVIDED: -2619,
        },
    ),
    # 5 * 4 * 3 = 60, and 5 * 4 biases
    "a linear layer counts its bias": (nn.Linear(3, 4), (ones(1, 5, 3),), 80, {f"nn.Linear: {BIAS}": 20}),
    # 5 * 4 * 3 = 60
    "a pruned bias counts": (
        prune.identity(nn.Linear(3, 4).requires_grad_(False), "bias"),  # type: ignore[no-untyped-call]
        (ones(1, 5, 3),),
        80,
        {f"nn.Linear: {BIAS}": 20},
    ),
    "the function `linear` counts nothing": (
        Run(lambda x: functional.linear(x, ones(4, 3))),
        (ones(1, 5, 3),),
        0,
        {"linear: not counted": -60},
    ),
    # 2 * 5 * 5 * 2 = 100
    "a class derived from one with a hook counts nothing": (
        Narrow(2, 2, 1),
        (ones(1, 2, 5, 5),),
        0,
        {"conv: not counted": -100},
    ),
    "ReLU6 calls no function that is replaced": (nn.ReLU6(), (ones(1, 6),), 6, {f"nn.ReLU6: {BY_MODULE}": 6}),
    "leaky ReLU calls no function that is replaced": (
        nn.LeakyReLU(),
        (ones(1, 6),),
        6,
        {f"nn.LeakyReLU: {BY_MODULE}": 6},
    ),
    "SiLU has no hook": (nn.SiLU(), (ones(1, 6),), 6, {f"torch.nn.functional.silu: {BY_FUNCTION}": 6}),
    "softmax has no hook": (
        nn.Softmax(1),
        (ones(1, 6),),
        6,
        {f"torch.nn.functional.softmax: {BY_FUNCTION}": 6},
    ),
    "hardswish and the sigmoid count nothing": (
        nn.Sequential(nn.Hardswish(), nn.Sigmoid()),
        (ones(1, 6),),
        0,
        {},
    ),
    # 9 outputs by the module; 1 * 1 * 3 * 3 by the function
    "an enlargement to a size counts twice": (
        nn.Upsample(size=3),
        (ones(1, 1, 2, 2),),
        18,
        {
            "nn.Upsample: 1 for each output element of the first image, by the module": 9,
            "torch.nn.functional.interpolate: 1 for each output element by the function": 9,
        },
    ),
    # the output is 7 * 7 = 49 by the module; the function multiplies 25 * 1.5 * 1.5 = 56.25, and the sum is cut off
    "an enlargement by a factor multiplies by it": (
        nn.Upsample(scale_factor=1.5),
        (ones(1, 1, 5, 5),),
        105,
        {
            "nn.Upsample: 1 for each output element of the first image, by the module": 49,
            "torch.nn.functional.interpolate: 1 for each output element by the function": 56,
        },
    ),
    # 49 by the module; the function cuts each factor off: 25 * 1 * 1
    "an enlargement by two factors cuts them off": (
        nn.Upsample(scale_factor=(1.5, 1.5)),
        (ones(1, 1, 5, 5),),
        74,
        {
            "nn.Upsample: 1 for each output element of the first image, by the module": 49,
            "torch.nn.functional.interpolate: 1 for each output element by the function": 25,
        },
    ),
    # 2 * 9 outputs by the function; of the first image by the module, halved: int(9 / 2 + 18) = 22 = 9 - 5 + 18
    "an enlargement counts the first image only, and the total is rounded down": (
        nn.Upsample(size=3),
        (ones(2, 1, 1, 1),),
        22,
        {
            "nn.Upsample: 1 for each output element of the first image, by the module": 9,
            "torch.nn.functional.interpolate: 1 for each output element by the function": 18,
            DIVIDED: -5,
        },
    ),
    # modules (1 x 3 x 3 + 1 x 5 x 5) / 2 = 17, where 4 + 12 would be the sum of halves; functions 18 + 50
    "all modules are rounded down together": (
        nn.Sequential(nn.Upsample(3), nn.Upsample(5)),
        (ones(2, 1, 2, 2),),
        85,
        {
            "nn.Upsample: 1 for each output element of the first image, by the module": 34,
            "torch.nn.functional.interpolate: 1 for each output element by the function": 68,
            DIVIDED: -17,
        },
    ),
    # 12 by the module for each of two calls, in each of the two places; 24 by the function
    "a module that two modules hold counts for each": (
        shared(nn.ReLU()),
        (ones(1, 12),),
        72,
        {
            f"nn.ReLU: {BY_MODULE}": 24,
            "nn.ReLU: counted again for each module that holds it": 24,
            f"torch.nn.functional.relu: {AGAIN}": 24,
        },
    ),
    "a direct call of a forward runs no hook": (
        Direct(),
        (ones(1, 12),),
        12,
        {f"torch.nn.functional.relu: {AGAIN}": 12},
    ),
    # 5 * 3 * 2 = 30 by the convolution, divided by the batch of 5; 5 * 3 * 2 / 5 and 30 by the ReLU
    "amounts of modules are divided by the batch, those of functions are not": (
        nn.Sequential(nn.Conv1d(1, 3, 1, bias=False), nn.ReLU()),
        (ones(5, 1, 2),),
        42,
        {f"nn.ReLU: {BY_MODULE}": 30, f"torch.nn.functional.relu: {AGAIN}": 30, DIVIDED: -48},
    ),
    # 3 * 2 * 2 = 12 for each of 4 images, divided by 4 images, not by their 1 channel
    "the batch of a list is its length": (Each(), ([ones(1, 1, 2, 2)] * 4,), 12, {DIVIDED: -36}),
}  # fmt: skip


@pytest.mark.parametrize("fact", MODULES)
def test_modules(fact: str) -> None:
    """Modules count as the fact says, and each part of the difference has its name."""
    module, inputs, expected, named = MODULES[fact]
    assert (expected, expected) == both("ptflops", module, *inputs)
    assert named == differences("ptflops", module, *inputs)


@pytest.mark.parametrize("name", ["ReLU", "GELU", "ELU", "PReLU"])
def test_activations_count_twice(name: str) -> None:
    """These modules have a hook, and call a replaced function."""
    # 6 elements, by the module and by the function
    module = getattr(nn, name)()
    assert both("ptflops", module, ones(1, 6)) == (12, 12)
    expected = {f"nn.{name}: {BY_MODULE}": 6, f"torch.nn.functional.{name.lower()}: {AGAIN}": 6}
    assert expected == differences("ptflops", module, ones(1, 6))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("name", ["MaxPool", "AvgPool", "AdaptiveMaxPool", "AdaptiveAvgPool"])
def test_pools_count_each_input_twice(name: str, n: int) -> None:
    """A pool has a hook, and calls a replaced function; both count the input."""
    # 3 channels of 4 ** n elements, twice
    module, expected = getattr(nn, f"{name}{n}d")(2), 2 * 3 * 4**n
    assert (expected, expected) == both("ptflops", module, ones(1, 3, *[4] * n))


@pytest.mark.parametrize(
    ("expected", "module"),
    [
        (2 * 16, nn.BatchNorm1d(4)),
        (16, nn.BatchNorm1d(4, affine=False)),
        (2 * 16, nn.GroupNorm(2, 4)),
        (16, nn.GroupNorm(2, 4, affine=False)),
        (2 * 16, nn.InstanceNorm1d(4, affine=True)),
        (16, nn.InstanceNorm1d(4)),
        (16, nn.LayerNorm(4)),
    ],
)
def test_normalisations(expected: int, module: nn.Module) -> None:
    """The setting `affine` doubles a normalisation; `nn.LayerNorm` has another name for it."""
    # 16 inputs
    assert (expected, expected) == both("ptflops", module, ones(1, 4, 4))


def test_keyword_arguments_have_no_batch() -> None:
    """A model that takes its input by name is not divided."""
    # 4 images of 3 * 2 outputs
    assert both("ptflops", Each(), keywords={"images": ones(4, 1, 1, 2, 1)}) == (24, 24)


@pytest.mark.parametrize(("masks", "each"), [(0, 24), (1, 25)])
def test_deformable_convolution(masks: int, each: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deformable convolution counts 24 for each weight and place beside its macs, or 25 with a mask."""
    kind = torchvision().ops.DeformConv2d
    # the operator itself needs torchvision's compiled extension, and no count depends on it
    monkeypatch.setattr(kind, "forward", lambda self, x, *others: x.new_zeros((1, 3, 1, 1)))
    # 3 * 2 * 2 * 2 weights at one place, 3 biases, and 2 * 2 samples
    expected = 24 + 3 + 4 * each
    assert (expected, expected) == both("ptflops", Deform(kind(2, 3, 2), masks), ones(1, 2, 2, 2))

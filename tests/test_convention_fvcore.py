"""fvcore's number of small modules, and its named differences from our multiply-accumulates."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from conventions import both, counted, recorded, total_and_differences
from peer_cases import Net, function
from test_conventions import UNUSED, two_layers
from torch import Tensor, nn
from torch.nn import functional

ones = torch.ones
IMAGE, ROWS, HEADS = ones(2, 4, 6, 6), ones(2, 3, 8), ones(2, 2, 3, 4)


class Fact(NamedTuple):
    """A module, its inputs, what fvcore counts, and the differences from our macs."""

    module: nn.Module
    inputs: tuple[Tensor, ...]
    total: int
    parts: dict[str, int]


def fact(module: nn.Module, *inputs: Tensor, total: int, **parts: int) -> Fact:
    """Return a fact; the words of each part are those in `WORDS`."""
    return Fact(module, inputs, total, {WORDS[name]: amount for name, amount in parts.items()})


WORDS = {
    "scaled": "batch_norm: 2 for each output element",
    "plain": "batch_norm: 1 for each output element without a scale",
    "frozen_instance": "batch_norm: 5 for each output element",
    "batch_statistics": "batch_norm_training: 5 for each output element",
    "layer": "layer_norm: 5 for each output element",
    "layer_plain": "layer_norm: 4 for each output element without a scale",
    "group": "group_norm: 5 for each output element",
    "instance": "instance_norm: 4 for each output element without a scale",
    "pool": "adaptive_avg_pool: 1 for each input element of an adaptive pool",
    "global_pool": "global_avg_pool: 1 for each input element of an adaptive pool",
    "bilinear": "interpolate: 4 for each output element of a bilinear resize",
    "nearest": "interpolate: 1 for each output element of a nearest resize",
    "grid": "grid_sample: 4 for each output element",
    "attention": "attention: not counted",
    "same": "conv: not counted with padding='same'",
    "valid": "conv: not counted with padding='valid'",
    "added": "baddbmm: not counted",
    "inner": "inner: not counted",
    "tensordot": "torch.tensordot: not counted",
    "chain": "torch.linalg.multi_dot: not counted",
    "power": "torch.linalg.matrix_power: not counted",
    "method": "torch.Tensor.matrix_power: not counted",
    "covariance": "torch.cov: not counted",
    "lstm": "lstm: not counted",
    "broadcast": "matmul: a broadcast left operand counts once",
    "complex_matmul": "matmul: 1 for a product of complex numbers, not 4",
    "complex_conv": "conv: 3 for a product of complex numbers, not 4",
    "rounded": "einsum: rounded to the 4 digits that NumPy prints",
    "half": "einsum: half of NumPy's flops",
    "view": "torch.einsum: 1 for every two elements of a view",
    "fast": "nn.MultiheadAttention: not counted in its fast path",
    "distance": "distance: not counted",
}
"""A short name -> the words of a difference."""


def _resize(**options: Any) -> nn.Module:
    return function(lambda x: functional.interpolate(x, **options))


def _einsum(equation: str) -> nn.Module:
    return function(lambda *operands: torch.einsum(equation, *operands))


def _attention(*, frozen: bool) -> nn.Module:
    module = Net(lambda s, x: s.a(x, x, x), a=nn.MultiheadAttention(8, 2, batch_first=True))
    return module.requires_grad_(not frozen)


def _complex(run: Any) -> nn.Module:
    return function(lambda *operands: run(*(torch.complex(each, each) for each in operands)).real)


FACTS = {
    # 2 * 6 * 4 * 4 outputs of 2 * 3 * 3 products, as ours
    "grouped convolution": fact(nn.Conv2d(4, 6, 3, groups=2), IMAGE, total=3456),
    # 2 * 4 * 6 * 6 inputs, each into 3 * 2 * 2 outputs, as ours
    "transposed convolution": fact(nn.ConvTranspose2d(4, 3, 2, stride=2), IMAGE, total=3456),
    # 2 * 5 * 6 * 6 outputs of 4 * 3 * 3 products are ours
    "padding in words": fact(nn.Conv2d(4, 5, 3, padding="same"), IMAGE, total=0, same=-12960),
    "no padding in words": fact(nn.Conv2d(4, 5, 3, padding="valid"), IMAGE, total=0, valid=-5760),
    "padding in words, functional": fact(
        function(lambda x, w: functional.conv2d(x, w, None, 1, "same")), IMAGE, ones(5, 4, 3, 3), total=0, same=-12960
    ),
    # such a layer pads by itself
    "reflected padding in words": fact(
        nn.Conv2d(4, 5, 3, padding="same", padding_mode="reflect"), IMAGE, total=12960
    ),
    # 2 * 3 rows of 8 * 5, as ours
    "linear layer": fact(nn.Linear(8, 5), ROWS, total=240),
    # 2 * 4 * 6 * 6 = 288 elements
    "batch norm": fact(nn.BatchNorm2d(4), IMAGE, total=576, scaled=576),
    "batch norm without scale": fact(nn.BatchNorm2d(4, affine=False), IMAGE, total=288, plain=288),
    "batch norm by statistics of the batch": fact(
        nn.BatchNorm2d(4, track_running_stats=False), IMAGE, total=1440, batch_statistics=1440
    ),
    "group norm": fact(nn.GroupNorm(2, 4), IMAGE, total=1440, group=1440),
    "instance norm": fact(nn.InstanceNorm2d(4), IMAGE, total=1152, instance=1152),
    "instance norm by running statistics": fact(
        nn.InstanceNorm2d(4, affine=True, track_running_stats=True), IMAGE, total=1440, frozen_instance=1440
    ),
    # 2 * 3 * 8 = 48 elements
    "layer norm": fact(nn.LayerNorm(8), ROWS, total=240, layer=240),
    "layer norm without scale": fact(
        nn.LayerNorm(8, elementwise_affine=False), ROWS, total=192, layer_plain=192
    ),
    "operator of a layer norm": fact(
        function(lambda x: torch.native_layer_norm(x, [8], None, None, 1e-5)[0]), ROWS, total=0
    ),
    "adaptive pool": fact(nn.AdaptiveAvgPool2d(3), IMAGE, total=288, pool=288),
    "adaptive global pool": fact(nn.AdaptiveAvgPool2d(1), IMAGE, total=288, global_pool=288),
    "adaptive pool of one dimension": fact(nn.AdaptiveAvgPool1d(1), ones(2, 4, 6), total=0),
    "mean of all pixels": fact(function(lambda x: x.mean((2, 3))), IMAGE, total=0),
    # 2 * 4 * 12 * 12 = 1152 outputs
    "bilinear resize": fact(_resize(scale_factor=2, mode="bilinear"), IMAGE, total=4608, bilinear=4608),
    "nearest resize": fact(_resize(scale_factor=2), IMAGE, total=1152, nearest=1152),
    "bicubic resize": fact(_resize(scale_factor=2, mode="bicubic"), IMAGE, total=0),
    # 2 * 4 * 3 * 5 = 120 outputs
    "samples of a grid": fact(
        function(lambda x, grid: functional.grid_sample(x, grid, align_corners=False)),
        IMAGE, torch.zeros(2, 3, 5, 2), total=480, grid=480,
    ),
    "other layers": fact(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Softmax(1), nn.Sigmoid()), IMAGE, total=0),
    # 2 * 2 heads of 2 * 3 * 3 * 4 products
    "attention": fact(function(functional.scaled_dot_product_attention), HEADS, HEADS, HEADS, total=0, attention=-288),
    # 2 * 3 rows of 4 * 8 * 8, and 2 * 2 heads of 2 * 3 * 3 * 4
    "module of attention": fact(_attention(frozen=False), ROWS, total=1824),
    "frozen module of attention": fact(_attention(frozen=True), ROWS, total=0, fast=-1824),
    # 3 steps of 2 rows of 4 * 6 * (8 + 6)
    "recurrent layer": fact(nn.LSTM(8, 6, batch_first=True), ROWS, total=0, lstm=-2016),
    # 2 rows of 4 * 6 * (8 + 6)
    "recurrent cell": fact(nn.LSTMCell(8, 6), ones(2, 8), total=672),
    # 2 * 3 * 4 * 5
    "batch product": fact(function(torch.bmm), ones(2, 3, 4), ones(2, 4, 5), total=120),
    "added batch product": fact(
        function(torch.baddbmm), ones(2, 3, 5), ones(2, 3, 4), ones(2, 4, 5), total=0, added=-120
    ),
    "added product": fact(function(torch.addmm), ones(3, 5), ones(3, 4), ones(4, 5), total=60),
    "inner product": fact(function(torch.inner), ones(2, 4), ones(3, 4), total=0, inner=-24),
    # 3 * 4 elements on the left, 5 columns on the right: ours are twice these
    "broadcast left operand": fact(function(torch.matmul), ones(3, 4), ones(2, 4, 5), total=60, broadcast=-60),
    "broadcast right operand": fact(function(torch.matmul), ones(2, 3, 4), ones(4, 5), total=120),
    # 2 * 3 * 4 * 5
    "contraction of two dimensions": fact(
        function(lambda a, b: torch.tensordot(a, b, 2)), ones(2, 3, 4), ones(3, 4, 5), total=0, tensordot=-120
    ),
    # 2 * 3 * 4 + 2 * 4 * 5
    "chain of products": fact(
        function(lambda *a: torch.linalg.multi_dot(a)), ones(2, 3), ones(3, 4), ones(4, 5), total=0, chain=-64
    ),
    # the square, then the cube: 2 * 3 * 3 * 3
    "power of a matrix": fact(
        function(lambda a: torch.linalg.matrix_power(a, 3)), torch.eye(3), total=0, power=-54
    ),
    "method of a matrix": fact(function(lambda a: a.matrix_power(3)), torch.eye(3), total=0, method=-54),
    # 3 * 3 * 4
    "covariance": fact(function(lambda a: torch.cov(a, correction=0)), ones(3, 4), total=0, covariance=-36),
    # 3 * 3 * 4 squares of differences are ours
    "distances": fact(function(lambda a: torch.cdist(a, a)), ones(3, 4), total=0, distance=-36),
    # one of the four real products of each of 3 * 3 * 3
    "complex product": fact(_complex(torch.matmul), torch.eye(3), ones(3, 3), total=27, complex_matmul=-81),
    # 2 * 5 * 4 * 4 outputs of 4 * 3 * 3 complex products: three real ones each
    "complex convolution": fact(
        _complex(functional.conv2d), IMAGE, ones(5, 4, 3, 3), total=17280, complex_conv=-5760
    ),
    # NumPy prints 2 * 2 * 3 * 4 * 5 + 1 as 2.410e+02, of which the half is 120.5
    "Einstein sum": fact(_einsum("bij,bjk->bik"), ones(2, 3, 4), ones(2, 4, 5), total=120),
    # 2 * 20 * 123 * 77 * 91 + 1 = 34474441 is printed as 3.447e+07
    "large Einstein sum": fact(
        _einsum("bij,bjk->bik"), ones(20, 123, 77), ones(20, 77, 91), total=17235000, rounded=-2220
    ),
    # 13 * 77 * 15 * 19 = 285285, by a rule of its own for these letters
    "Einstein sum with a rule": fact(_einsum("xyz,xyw->xzw"), ones(13, 77, 15), ones(13, 77, 19), total=285285),
    # 2 * 285285 + 1 is printed as 5.706e+05: the rule does not know an ellipsis
    "Einstein sum with an ellipsis": fact(
        _einsum("...yz,...yw->...zw"), ones(13, 77, 15), ones(13, 77, 19), total=285300, rounded=15
    ),
    "Einstein sum with another rule": fact(
        _einsum("xyz,xwz->xwy"), ones(13, 77, 15), ones(13, 19, 15), total=285285
    ),
    # a pair gives 2 * 2 * 5 elements, more than all others have: three factors at once, 3 * 2 * 2 * 2 * 5
    "Einstein sum at once": fact(
        _einsum("ia,ja,ka->ijk"), ones(2, 5), ones(2, 5), ones(2, 5), total=60, half=20
    ),
    # two products of each of 2 * 3 * 4 elements
    "outer product of three": fact(_einsum("i,j,k->ijk"), ones(2), ones(3), ones(4), total=24, half=24),
    # 3 * 4 products and sums: we sum the 4 elements first
    "Einstein sum of a broadcast row": fact(_einsum("ij,ij->i"), ones(3, 4), ones(3, 1), total=12, half=12),
    # 3 * 4 products and one more: half of 13
    "Einstein sum without contraction": fact(_einsum("i,j->ij"), ones(3), ones(4), total=6, half=6),
    # a transposition of 3 * 4 elements: half of 13
    "Einstein sum of a view": fact(_einsum("ij->ji"), ones(3, 4), total=6, view=6),
    # the cheapest order begins on the right: 4 * 3 * 2 + 5 * 4 * 2; ours goes from the left: 5 * 4 * 3 + 5 * 3 * 2
    "Einstein sum of three": fact(
        _einsum("ij,jk,kl->il"), ones(5, 4), ones(4, 3), ones(3, 2), total=64, half=-26
    ),
}  # fmt: skip
"""A name -> a module, and the number of fvcore."""


@pytest.mark.parametrize("name", FACTS)
def test_fact(name: str) -> None:
    """The convention gives fvcore's number, and names each difference from our macs."""
    module, inputs, total, parts = FACTS[name]

    record = recorded(module, *inputs)

    assert total == counted("fvcore", module, *inputs)
    assert (total, parts) == total_and_differences("fvcore", record)


@pytest.mark.parametrize("name", UNUSED)
def test_unused(name: str) -> None:
    """Fvcore counts no convolution whose result nothing uses: 4 * 4 * 36 for each of the others."""
    run, paths = UNUSED[name]
    layers = 1 if name == "the input is returned" else 3 if len(paths) == 3 else 2
    left = layers - sum(path != "" for path in paths)

    assert (576 * left, 576 * left) == both("fvcore", two_layers(run), ones(1, 4, 6, 6))

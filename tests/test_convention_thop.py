"""The convention of thop gives thop's totals, and names their differences from our macs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conventions import both, counted, differences, recorded
from peer_cases import Net, function
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence

from mbanalyze.conventions.convention import ConventionError
from mbanalyze.conventions.thop import THOP

IMAGE = torch.ones(2, 4, 6, 6)
"""288 elements."""
VOLUME = torch.ones(2, 1, 3, 3, 3)
"""54 elements."""
TOKENS = torch.ones(2, 5, 4)
ROWS = torch.ones(2, 4)
STEPS = torch.ones(5, 2, 3)
"""5 steps of 2 sequences."""


class OwnLinear(nn.Linear):
    """A linear layer by another name."""


def packed(module: Any, x: Tensor) -> Tensor:
    """Run an LSTM on sequences of 3, 2 and 1 steps."""
    result: Tensor = module.lstm(pack_padded_sequence(x, torch.tensor([3, 2, 1])))[0].data
    return result


def square() -> nn.Linear:
    """Return a linear layer of 16 weights."""
    return nn.Linear(4, 4, bias=False)


def holder(held: nn.Module) -> nn.Module:
    """Return a module that calls a module inside."""
    return Net(lambda s, x: s.held(x), held=held)


def recurrent(kind: str, products: int, biases: int, units: int, each: int) -> dict[str, int]:
    """Return the differences of a recurrent module; `each` is the rule of its hidden units."""
    parts = {
        "1 for each weight of the gates, step and image, as if without projection": products,
        "2 for each gate of a hidden unit with a bias": biases,
        f"{each} for each hidden unit": units,
    }
    return {f"nn.{kind}: {what}": amount for what, amount in parts.items() if amount}


TRANSPOSED = "as a convolution, 1 for each output element and weight of its filter"
WINDOW = "elements of the window and 1, for each output element"
AGAIN = "counted again for each module that holds it"
SHARED, TWICE, BLOCK = square(), square(), nn.Sequential(square())
Fact = tuple[nn.Module, tuple[Tensor, ...], int, dict[str, int]]
FACTS: dict[str, Fact] = {
    "a convolution counts its products, without the bias": (
        nn.Conv2d(4, 6, 3, groups=2),
        (IMAGE,),
        # 2 x 6 x 4 x 4 outputs of 2 x 9 weights each
        3456,
        {},
    ),
    "a convolution of one dimension": (
        nn.Conv1d(6, 8, 3),
        (torch.ones(2, 6, 5),),
        # 2 x 8 x 3 outputs of 6 x 3 weights each
        864,
        {},
    ),
    "a convolution of three dimensions": (
        nn.Conv3d(1, 2, 2),
        (VOLUME,),
        # 2 x 2 x 8 outputs of 8 weights each
        256,
        {},
    ),
    "the second size of an image without a batch is taken for its channels": (
        nn.Conv2d(4, 6, 3),
        (IMAGE[0],),
        # 6 x 4 x 4 outputs of 6 x 9 weights each, where 4 x 9 is right
        5184,
        {"nn.Conv2d: the second input size taken for the channels": 5184 - 3456},
    ),
    "the size that is taken for the channels is divided by the groups": (
        nn.Conv2d(4, 6, 3, groups=2),
        (IMAGE[0],),
        # 6 x 4 x 4 outputs of 6 / 2 x 9 weights each, where 4 / 2 x 9 is right
        2592,
        {"nn.Conv2d: the second input size taken for the channels": 2592 - 1728},
    ),
    "a transposed convolution counts each output element, though it works for each input element": (
        nn.ConvTranspose2d(4, 5, 2, stride=2),
        (IMAGE,),
        # 2 x 5 x 12 x 12 outputs of 4 x 4 weights each; the products are 288 x 5 x 4
        23040,
        {f"nn.ConvTranspose2d: {TRANSPOSED}": 23040 - 5760},
    ),
    "a transposed convolution of one dimension": (
        nn.ConvTranspose1d(4, 5, 2, stride=2, groups=1),
        (torch.ones(2, 4, 6),),
        # 2 x 5 x 12 outputs of 4 x 2 weights each; the products are 48 x 5 x 2
        960,
        {f"nn.ConvTranspose1d: {TRANSPOSED}": 960 - 480},
    ),
    "a transposed convolution of three dimensions": (
        nn.ConvTranspose3d(1, 2, 2, stride=2),
        (VOLUME,),
        # 2 x 2 x 216 outputs of 8 weights each; the products are 54 x 2 x 8
        6912,
        {f"nn.ConvTranspose3d: {TRANSPOSED}": 6912 - 864},
    ),
    "a linear layer counts its products for each token, without the bias": (
        nn.Linear(4, 6),
        (TOKENS,),
        # 2 x 5 x 6 outputs of 4 weights each
        240,
        {},
    ),
    "a batch norm counts 4": (
        nn.BatchNorm2d(4),
        (IMAGE,),
        # 4 x 288
        1152,
        {"nn.BatchNorm2d: 4 for each input element with a scale": 1152},
    ),
    "a batch norm without a scale counts 2": (
        nn.BatchNorm2d(4, affine=False),
        (IMAGE,),
        # 2 x 288
        576,
        {"nn.BatchNorm2d: 2 for each input element without a scale": 576},
    ),
    "a batch norm of one dimension": (
        nn.BatchNorm1d(4),
        (ROWS,),
        # 4 x 8
        32,
        {"nn.BatchNorm1d: 4 for each input element with a scale": 32},
    ),
    "a batch norm of three dimensions": (
        nn.BatchNorm3d(1),
        (VOLUME,),
        # 4 x 54
        216,
        {"nn.BatchNorm3d: 4 for each input element with a scale": 216},
    ),
    "a batch norm of several processes": (
        nn.SyncBatchNorm(4),
        (IMAGE,),
        # 4 x 288
        1152,
        {"nn.SyncBatchNorm: 4 for each input element with a scale": 1152},
    ),
    "an instance norm without a scale counts 2": (
        nn.InstanceNorm2d(4),
        (IMAGE,),
        # 2 x 288
        576,
        {"nn.InstanceNorm2d: 2 for each input element without a scale": 576},
    ),
    "an instance norm of one dimension": (
        nn.InstanceNorm1d(5, affine=True),
        (TOKENS,),
        # 4 x 40
        160,
        {"nn.InstanceNorm1d: 4 for each input element with a scale": 160},
    ),
    "an instance norm of three dimensions": (
        nn.InstanceNorm3d(1),
        (VOLUME,),
        # 2 x 54
        108,
        {"nn.InstanceNorm3d: 2 for each input element without a scale": 108},
    ),
    "a layer norm without a bias counts 4": (
        nn.LayerNorm(4, bias=False),
        (TOKENS,),
        # 4 x 40
        160,
        {"nn.LayerNorm: 4 for each input element with a scale": 160},
    ),
    "a layer norm without a scale counts 2": (
        nn.LayerNorm(4, elementwise_affine=False),
        (TOKENS,),
        # 2 x 40
        80,
        {"nn.LayerNorm: 2 for each input element without a scale": 80},
    ),
    "a group norm counts nothing": (nn.GroupNorm(2, 4), (IMAGE,), 0, {}),
    "an RMS norm counts nothing": (nn.RMSNorm(4), (TOKENS,), 0, {}),
    "PReLU counts 1": (nn.PReLU(), (IMAGE,), 288, {"nn.PReLU: 1 for each input element": 288}),
    "other activations count nothing": (
        nn.Sequential(nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(), nn.GELU(), nn.SiLU(), nn.Hardswish()),
        (IMAGE,),
        0,
        {},
    ),
    "softmax counts f exponentials, f - 1 additions and f divisions for each row of f": (
        nn.Softmax(dim=1),
        (IMAGE,),
        # 72 rows of 4: 72 x (3 x 4 - 1)
        792,
        {"nn.Softmax: 3 for each input element, less 1 for each row": 792},
    ),
    "softmax of negative dimension": (
        nn.Softmax(dim=-1),
        (IMAGE,),
        # 48 rows of 6: 48 x (3 x 6 - 1)
        816,
        {"nn.Softmax: 3 for each input element, less 1 for each row": 816},
    ),
    "log-softmax counts nothing": (nn.LogSoftmax(dim=1), (IMAGE,), 0, {}),
    "an average pool counts 1 for each output element": (
        nn.AvgPool2d(2),
        (IMAGE,),
        # 2 x 4 x 3 x 3
        72,
        {"nn.AvgPool2d: 1 for each output element": 72},
    ),
    "an average pool of one dimension": (
        nn.AvgPool1d(2),
        (TOKENS,),
        # 2 x 5 x 2
        20,
        {"nn.AvgPool1d: 1 for each output element": 20},
    ),
    "an average pool of three dimensions": (
        nn.AvgPool3d(3),
        (VOLUME,),
        2,
        {"nn.AvgPool3d: 1 for each output element": 2},
    ),
    "maximum pools, padding, shuffling and dropout count nothing": (
        nn.Sequential(
            nn.MaxPool2d(2), nn.ZeroPad2d(1), nn.PixelShuffle(2), nn.Dropout(), nn.AdaptiveMaxPool2d(2)
        ),
        (IMAGE,),
        0,
        {},
    ),
    "a global average pool counts its window and 1": (
        nn.AdaptiveAvgPool2d(1),
        (IMAGE,),
        # 8 outputs of 36 elements each
        8 * 37,
        {f"nn.AdaptiveAvgPool2d: {WINDOW}": 296},
    ),
    "an adaptive average pool has a window of a fraction": (
        nn.AdaptiveAvgPool2d((3, 4)),
        (IMAGE,),
        # 2 x 4 x 12 outputs of 6/3 x 6/4 = 3 elements each
        96 * 4,
        {f"nn.AdaptiveAvgPool2d: {WINDOW}": 384},
    ),
    "an adaptive average pool loses 1 to floating point": (
        nn.AdaptiveAvgPool2d(7),
        (torch.ones(2, 1, 8, 8),),
        # 98 outputs of 8/7 x 8/7 elements each: 98 x (64/49 + 1) = 226, which comes out as 225.99999999999997
        225,
        {f"nn.AdaptiveAvgPool2d: {WINDOW}": 225},
    ),
    "an adaptive average pool of one dimension": (
        nn.AdaptiveAvgPool1d(1),
        (TOKENS,),
        # 10 outputs of 4 elements each
        50,
        {f"nn.AdaptiveAvgPool1d: {WINDOW}": 50},
    ),
    "an adaptive average pool of three dimensions": (
        nn.AdaptiveAvgPool3d(1),
        (VOLUME,),
        # 2 outputs of 27 elements each
        56,
        {f"nn.AdaptiveAvgPool3d: {WINDOW}": 56},
    ),
    "an adaptive average pool without a batch takes its width for the window": (
        nn.AdaptiveAvgPool2d(1),
        (IMAGE[0],),
        # 4 outputs of 6 elements each
        28,
        {f"nn.AdaptiveAvgPool2d: {WINDOW}": 28},
    ),
    "nearest upsampling counts 1": (
        nn.Upsample(scale_factor=2),
        (IMAGE,),
        # 288 x 4
        1152,
        {"nn.Upsample: 1 for each output element of mode nearest": 1152},
    ),
    "linear upsampling counts 5": (
        nn.Upsample(scale_factor=2, mode="linear"),
        (TOKENS,),
        # 5 x 80
        400,
        {"nn.Upsample: 5 for each output element of mode linear": 400},
    ),
    "bilinear upsampling counts 11": (
        nn.Upsample(scale_factor=2, mode="bilinear"),
        (IMAGE,),
        # 11 x 1152
        12672,
        {"nn.Upsample: 11 for each output element of mode bilinear": 12672},
    ),
    "bicubic upsampling counts 259": (
        nn.Upsample(scale_factor=2, mode="bicubic"),
        (IMAGE,),
        # 259 x 1152
        298368,
        {"nn.Upsample: 259 for each output element of mode bicubic": 298368},
    ),
    "trilinear upsampling counts nothing": (nn.Upsample(scale_factor=2, mode="trilinear"), (VOLUME,), 0, {}),
    "exact nearest upsampling counts nothing": (
        nn.Upsample(scale_factor=2, mode="nearest-exact"),
        (IMAGE,),
        0,
        {},
    ),
    "the older classes of upsampling count the same": (
        nn.Sequential(nn.UpsamplingNearest2d(scale_factor=2), nn.UpsamplingBilinear2d(scale_factor=2)),
        (IMAGE,),
        # 1 x 1152 and 11 x 4608
        1152 + 50688,
        {
            "nn.UpsamplingNearest2d: 1 for each output element of mode nearest": 1152,
            "nn.UpsamplingBilinear2d: 11 for each output element of mode bilinear": 50688,
        },
    ),
    "an LSTM counts biases, and 8 for each hidden unit": (
        nn.LSTM(3, 4),
        (STEPS,),
        # 10 steps of 4 gates of 4 units with 3 + 4 weights and 2 biases, and 8 for each unit
        1120 + 320 + 320,
        recurrent("LSTM", 0, 320, 320, each=8),
    ),
    "an LSTM of two layers and directions": (
        nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True, bias=False),
        (torch.ones(2, 5, 3),),
        # 10 steps of 2 directions of 16 gates with 3 + 4 weights, then with 8 + 4; and 8 for each of 16 units
        2240 + 3840 + 1280,
        recurrent("LSTM", 0, 0, 1280, each=8),
    ),
    "an LSTM counts the weights that it would have without a projection": (
        nn.LSTM(3, 4, proj_size=2, bias=False),
        (STEPS,),
        # as above 10 x 16 x 7; the products are 10 x (16 x (3 + 2) + 2 x 4)
        1120 + 320,
        recurrent("LSTM", 1120 - 880, 0, 320, each=8),
    ),
    "packed sequences count as if they were padded": (
        Net(packed, lstm=nn.LSTM(3, 4, bias=False)),
        (torch.ones(3, 3, 3),),
        # 3 steps of 3 sequences of 16 gates with 7 weights, and 8 for each of 4 units; the products are 6 x 112
        1008 + 288,
        recurrent("LSTM", 1008 - 672, 0, 288, each=8),
    ),
    "the features of a sequence without a batch are taken for its images": (
        nn.GRU(3, 4, bias=False),
        (STEPS[:, 0],),
        # 5 x 3 steps of 12 gates with 7 weights, and 7 for each of 4 units; the products are 5 x 84
        1260 + 420,
        recurrent("GRU", 1260 - 420, 0, 420, each=7),
    ),
    "a GRU counts biases, and 7 for each hidden unit": (
        nn.GRU(3, 4),
        (STEPS,),
        # 10 steps of 3 gates of 4 units with 3 + 4 weights and 2 biases, and 7 for each unit
        840 + 240 + 280,
        recurrent("GRU", 0, 240, 280, each=7),
    ),
    "an RNN counts biases, and 1 for each hidden unit": (
        nn.RNN(3, 4),
        (STEPS,),
        # 10 steps of 4 units with 3 + 4 weights, 2 biases and 1
        280 + 80 + 40,
        recurrent("RNN", 0, 80, 40, each=1),
    ),
    "a cell of an LSTM takes one step": (
        nn.LSTMCell(3, 4),
        (STEPS[0],),
        # 2 sequences of 4 gates of 4 units with 7 weights and 2 biases, and 8 for each unit
        224 + 64 + 64,
        recurrent("LSTMCell", 0, 64, 64, each=8),
    ),
    "a cell of a GRU takes one step": (
        nn.GRUCell(3, 4),
        (STEPS[0],),
        # 2 sequences of 3 gates of 4 units with 7 weights and 2 biases, and 7 for each unit
        168 + 48 + 56,
        recurrent("GRUCell", 0, 48, 56, each=7),
    ),
    "a cell of an RNN takes one step": (
        nn.RNNCell(3, 4, bias=False),
        (STEPS[0],),
        # 2 sequences of 4 units with 7 weights, and 1 for each unit
        56 + 8,
        recurrent("RNNCell", 0, 0, 8, each=1),
    ),
    "a subclass counts nothing": (OwnLinear(4, 6), (ROWS,), 0, {"linear: not counted": -48}),
    "a parametrised layer counts nothing, because it is of another class": (
        parametrizations.weight_norm(nn.Linear(4, 6)),
        (ROWS,),
        0,
        {"linear: not counted": -48},
    ),
    "a lazy layer counts nothing, because it changes its class after its hook is set": (
        nn.LazyLinear(6),
        (ROWS,),
        0,
        {"linear: not counted": -48},
    ),
    "attention counts nothing, because its layers are functions": (
        nn.MultiheadAttention(4, 2, batch_first=True),
        (TOKENS, TOKENS, TOKENS),
        0,
        # 4 layers of 16 weights for 10 tokens, and two products of 5 x 5 x 4 for 2 images
        {"linear: not counted": -640, "matmul: not counted": -400},
    ),
    "functions count nothing": (
        function(functional.linear),
        (ROWS, torch.ones(6, 4)),
        0,
        {"linear: not counted": -48},
    ),
    "a module whose forward is called directly counts nothing": (
        Net(lambda s, x: s.a.forward(x), a=square()),
        (ROWS,),
        0,
        {"linear: not counted": -32},
    ),
    "a module that is called twice counts twice": (
        Net(lambda s, x: s.a(s.a(x)), a=square()),
        (ROWS,),
        # 2 x 16, twice
        64,
        {},
    ),
    "a module that one module holds twice counts once for each call": (
        nn.Sequential(TWICE, TWICE),
        (ROWS,),
        # 2 x 16, twice
        64,
        {},
    ),
    "a module that two modules hold has two hooks, and is added twice": (
        nn.Sequential(holder(SHARED), holder(SHARED)),
        (ROWS,),
        # 2 x 16, for each of two calls, times 2 hooks and 2 places
        256,
        {f"nn.Linear: {AGAIN}": 256 - 64},
    ),
    "a module inside of one that three modules hold has three hooks, and is added three times": (
        nn.Sequential(holder(BLOCK), holder(BLOCK), holder(BLOCK)),
        (ROWS,),
        # 2 x 16, for each of three calls, times 3 hooks and 3 places
        864,
        {f"nn.Linear: {AGAIN}": 864 - 96},
    ),
}


@pytest.mark.parametrize("fact", FACTS)
def test_fact(fact: str) -> None:
    """The convention gives the total of thop, and the differences by name."""
    module, inputs, total, parts = FACTS[fact]

    assert (total, total) == both("thop", module, *inputs)
    assert parts == differences("thop", module, *inputs)


def test_keyword() -> None:
    """A hook of thop fails on a module that is called with keywords alone, and its rule says so."""
    module: Any = Net(lambda s, x: s.a(input=x), a=nn.BatchNorm1d(4))

    with pytest.raises(IndexError):
        counted("thop", module, ROWS)
    with pytest.raises(ConventionError, match="a has no input by position, which its hook needs"):
        THOP.total(recorded(module, ROWS))


def test_a_softmax_that_guesses_its_dimension() -> None:
    """Thop fails on it, and its rule says which setting is missing."""
    module = nn.Softmax()

    with pytest.raises(TypeError):
        counted("thop", module, ROWS)
    with (
        pytest.warns(UserWarning, match="Implicit dimension"),
        pytest.raises(
            ConventionError, match=r"no rule counts nn.Softmax at \(model\): its dim is None, not a number"
        ),
    ):
        THOP.total(recorded(module, ROWS))

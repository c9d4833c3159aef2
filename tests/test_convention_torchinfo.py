"""The convention of torchinfo gives torchinfo's totals, and names their differences from our macs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conventions import both, differences, recorded
from peer_cases import Net, function
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune, spectral_norm
from torch.nn.utils.rnn import pack_padded_sequence

from benchmarks.peers import quietly
from mbanalyze.conventions.convention import ConventionError
from mbanalyze.conventions.torchinfo import TORCHINFO

IMAGE = torch.ones(2, 4, 6, 6)
TOKENS = torch.ones(2, 5, 4)
ROWS = torch.ones(2, 4)


class ScaleLikeConv(nn.Module):
    """A module with a factor for each channel, and the word Conv in its name."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled image."""
        return x * self.weight


class InConv:
    """A class with the word Conv in its name, which holds another one."""

    class Scale(ScaleLikeConv):
        """A module with a factor for each channel, and no such word in its own name."""


def packed(module: Any, x: Tensor) -> Tensor:
    """Run an LSTM on sequences of 3, 2 and 1 steps."""
    result: Tensor = module.lstm(pack_padded_sequence(x, torch.tensor([3, 2, 1])))[0].data
    return result


def pruned(device: str = "cpu") -> nn.Module:
    """Return a linear layer of 24 weights, of which a mask keeps 5."""
    linear, mask = nn.Linear(4, 6, device=device), torch.zeros(24, device=device)
    mask[:5] = 1
    with torch.no_grad():
        prune.custom_from_mask(linear, "weight", mask.view(6, 4))  # type: ignore[no-untyped-call]
    return linear


def normalised() -> nn.Module:
    """Return a linear layer whose parameter has the name `weight_orig`, and no mask."""
    with torch.no_grad():
        linear: nn.Module = spectral_norm(nn.Linear(4, 6, bias=False))
    return linear


def scripted() -> nn.Module:
    """Return a module with a module of TorchScript inside."""
    with quietly():  # it is deprecated
        return nn.Sequential(torch.jit.trace(nn.Linear(4, 6), ROWS))  # type: ignore[no-untyped-call]


def tied() -> nn.Module:
    """Return a module that has one parameter by two names."""
    weight = nn.Parameter(torch.ones(4))
    return Net(lambda s, x: x * s.weight + s.bias, weight=weight, bias=weight)


def square() -> nn.Linear:
    """Return a linear layer of 16 weights."""
    return nn.Linear(4, 4, bias=False)


SHARED = square()
Fact = tuple[nn.Module, tuple[Tensor, ...], int, dict[str, int]]
FACTS: dict[str, Fact] = {
    "a convolution counts weights and biases at each output place": (
        nn.Conv2d(4, 6, 3, groups=2),
        (IMAGE,),
        # 6 x 2 x 9 = 108 weights and 6 biases, at 2 x 4 x 4 = 32 places
        3456 + 192,
        {"nn.Conv2d: each bias once for each image and output place": 192},
    ),
    "a transposed convolution counts at each output place, though it works at each input place": (
        nn.ConvTranspose2d(4, 5, 2, stride=2),
        (IMAGE,),
        # 4 x 5 x 4 = 80 weights and 5 biases, at 2 x 12 x 12 = 288 places; the products are 80 x 2 x 36 = 5760
        23040 + 1440,
        {
            "nn.ConvTranspose2d: each weight once for each image and output place": 23040 - 5760,
            "nn.ConvTranspose2d: each bias once for each image and output place": 1440,
        },
    ),
    "the channels of a convolution without a batch are taken for its images": (
        nn.Conv2d(4, 6, 3, bias=False),
        (IMAGE[0],),
        # 6 x 4 x 9 = 216 weights, at 6 x 4 places of the output 6 x 4 x 4
        5184,
        {"nn.Conv2d: each weight once for each image and output place": 5184 - 216 * 16},
    ),
    "the word Conv in the name of a class makes it a convolution": (
        ScaleLikeConv(),
        (IMAGE,),
        # 4 weights at 2 x 6 x 6 = 72 places
        288,
        {
            "test_convention_torchinfo.ScaleLikeConv: each weight once for each image and output place": 288,
        },
    ),
    "the word Conv in the name of the class around it does not": (
        InConv.Scale(),
        (IMAGE,),
        # 4 weights for each of 2 images
        8,
        {
            "test_convention_torchinfo.InConv.Scale: each weight once for each image, not for each token or place": 8,
        },
    ),
    "a linear layer counts its bias": (
        nn.Linear(4, 6),
        (ROWS,),
        # 24 weights and 6 biases for 2 images
        48 + 12,
        {"nn.Linear: each bias once for each image": 12},
    ),
    "a linear layer on tokens counts as if each image were one token": (
        nn.Linear(4, 6),
        (TOKENS,),
        # 24 weights and 6 biases for 2 images; the products are 24 for each of 2 x 5 tokens
        48 + 12,
        {
            "nn.Linear: each weight once for each image, not for each token or place": 48 - 240,
            "nn.Linear: each bias once for each image, not for each token or place": 12,
        },
    ),
    "a linear layer without a batch counts once for each output feature": (
        nn.Linear(4, 6),
        (ROWS[0],),
        # 24 weights and 6 biases, times 6 features
        144 + 36,
        {"nn.Linear: each weight times the first output size": 144 - 24}
        | {"nn.Linear: each bias times the first output size": 36},
    ),
    "a norm counts its parameters for each image": (
        nn.BatchNorm2d(4),
        (IMAGE,),
        # 4 weights and 4 biases for 2 images
        8 + 8,
        {
            "nn.BatchNorm2d: each weight once for each image, not for each token or place": 8,
            "nn.BatchNorm2d: each bias once for each image, not for each token or place": 8,
        },
    ),
    "an embedding counts all its weights for each image": (
        nn.Embedding(10, 4),
        (torch.zeros(2, 5, dtype=torch.long),),
        # 40 weights for 2 images
        80,
        {"nn.Embedding: each weight once for each image, not for each token or place": 80},
    ),
    "an LSTM counts each weight for each step": (
        nn.LSTM(3, 4, bidirectional=True),
        (torch.ones(5, 2, 3),),
        # two directions of 16 x (3 + 4) weights and 2 x 16 biases, for 5 steps of 2 images
        2240 + 640,
        {"nn.LSTM: each bias times the first two output sizes": 640},
    ),
    "a cell counts each weight for each feature of its state": (
        nn.LSTMCell(3, 4),
        (torch.ones(2, 3),),
        # 16 x (3 + 4) weights and 32 biases, times 2 images and 4 features; the products are 112 x 2
        896 + 256,
        {
            "nn.LSTMCell: each weight times the first two output sizes": 896 - 224,
            "nn.LSTMCell: each bias times the first two output sizes": 256,
        },
    ),
    "the output of packed sequences is that of their data": (
        Net(packed, lstm=nn.LSTM(3, 4)),
        (torch.ones(3, 3, 3),),
        # 112 weights and 32 biases, times 3 + 2 + 1 steps and 4 features; the products are 112 x 6
        2688 + 768,
        {
            "nn.LSTM: each weight times the first two output sizes": 2688 - 672,
            "nn.LSTM: each bias times the first two output sizes": 768,
        },
    ),
    "a parameter counts by its name, which contains weight or bias": (
        Net(
            lambda s, x: x * s.gamma + s.my_bias,
            gamma=nn.Parameter(torch.ones(4, 1, 1)),
            my_bias=nn.Parameter(torch.ones(4, 1, 1)),
        ),
        (IMAGE,),
        # 4 elements of my_bias, times 2 x 4
        32,
        {"peer_cases.Net: each bias times the first two output sizes": 32},
    ),
    "a parameter with two names counts once": (
        tied(),
        (ROWS,),
        # 4 weights for 2 images
        8,
        {"peer_cases.Net: each weight once for each image": 8},
    ),
    "functions count nothing": (
        function(functional.conv2d),
        (IMAGE, torch.ones(6, 4, 3, 3)),
        0,
        # 2 x 6 x 4 x 4 outputs of 4 x 9 weights each
        {"conv: not counted": -6912},
    ),
    "a module that is called twice counts twice": (
        Net(lambda s, x: s.a(s.a(x)), a=square()),
        (ROWS,),
        # 16 weights for 2 images, twice
        64,
        {},
    ),
    "a module that two modules hold counts once for each call": (
        nn.Sequential(Net(lambda s, x: s.a(x), a=SHARED), Net(lambda s, x: s.a(x), a=SHARED)),
        (ROWS,),
        # 16 weights for 2 images, twice
        64,
        {},
    ),
    "the own parameters of a module with modules inside do not count": (
        Net(lambda s, x: s.a(x) * s.weight, a=square(), weight=nn.Parameter(torch.ones(4))),
        (ROWS,),
        # 16 weights of the module inside, for 2 images
        32,
        {},
    ),
    "an empty container is no module inside": (
        Net(lambda s, x: x * s.weight, weight=nn.Parameter(torch.ones(4)), layers=nn.ModuleList()),
        (ROWS,),
        # 4 weights for 2 images
        8,
        {"peer_cases.Net: each weight once for each image": 8},
    ),
    "attention counts nothing, because it has a module inside that is not called": (
        nn.MultiheadAttention(4, 2, batch_first=True),
        (TOKENS, TOKENS, TOKENS),
        0,
        # 4 layers of 16 weights for 10 tokens, and two products of 5 x 5 x 4 for 2 images
        {"linear: not counted": -640, "matmul: not counted": -400},
    ),
    "a module whose forward is called directly counts nothing": (
        Net(lambda s, x: s.a.forward(x), a=square()),
        (ROWS,),
        0,
        {"linear: not counted": -32},
    ),
    "a pruned weight counts the elements that its mask keeps": (
        pruned(),
        (ROWS,),
        # 5 weights and 6 biases for 2 images; the products are 24 x 2
        10 + 12,
        {
            "nn.Linear: each weight once for each image": 10 - 48,
            "nn.Linear: each bias once for each image": 12,
        },
    ),
    "a weight whose name ends otherwise counts for each output feature, too": (
        normalised(),
        (ROWS,),
        # 24 elements of weight_orig, times 2 x 6; its norm takes 6 x 4 + 6 products
        288,
        {"nn.Linear: each weight times the first two output sizes": 288 - 48, "matmul: not counted": -30},
    ),
    "a parametrised layer counts nothing, because it has modules inside": (
        parametrizations.weight_norm(nn.Linear(4, 6)),
        (ROWS,),
        0,
        {"linear: not counted": -48},
    ),
    "a module of TorchScript counts nothing": (scripted(), (ROWS,), 0, {"linear: not counted": -48}),
}


@pytest.mark.parametrize("fact", FACTS)
def test_fact(fact: str) -> None:
    """The convention gives the total of torchinfo, and the differences by name."""
    module, inputs, total, parts = FACTS[fact]

    assert (total, total) == both("torchinfo", module, *inputs)
    assert parts == differences("torchinfo", module, *inputs)


def test_keyword() -> None:
    """A module that is called with a keyword counts the same."""
    module: Any = Net(lambda s, x: s.a(input=x), a=square())

    assert both("torchinfo", module, ROWS) == (32, 32)


def test_mask_without_values() -> None:
    """The number of elements that a mask on meta keeps is unknown."""
    record = recorded(pruned("meta"), ROWS)

    with pytest.raises(ConventionError, match=r"weight_orig: torchinfo adds up a mask that has no values"):
        TORCHINFO.total(record)

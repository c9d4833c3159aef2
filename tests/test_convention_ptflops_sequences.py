"""The PyTorch back end of ptflops: attention and recurrent layers counted by ptflops, and by our rules."""

from __future__ import annotations

from typing import Any

import pytest
from arithmetic import ones
from conventions import both, differences, recorded
from torch import Tensor, nn

from mbanalyze.conventions.convention import ConventionError
from mbanalyze.conventions.known import CONVENTIONS

DIVIDED = "amounts of modules divided by the batch size"
PRODUCT = "1 for each element of the first factor and size of the last dimension of the second"

Fact = tuple[nn.Module, tuple[Any, ...], int, dict[str, int]]


class Attend(nn.Module):
    """Attention of a sequence to itself."""

    def __init__(self, *, weights: bool, keywords: bool = False) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2)
        self.weights, self.keywords = weights, keywords

    def forward(self, x: Tensor) -> Any:
        """Return the output, computed with or without the attention weights."""
        if self.keywords:
            return self.attention(query=x, key=x, value=x, need_weights=self.weights)[0]
        return self.attention(x, x, x, need_weights=self.weights)[0]


class Cross(nn.Module):
    """Attention of queries of 8 features to 5 keys of 4 and values of 6."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, kdim=4, vdim=6, batch_first=True)

    def forward(self, x: Tensor) -> Any:
        """Return the output."""
        return self.attention(x, x.new_ones(1, 5, 4), x.new_ones(1, 5, 6), need_weights=False)[0]


MODULES: dict[str, Fact] = {
    # products: 3 * 3 * 4 * 4 = 144 inward, 2 * (3 * 3 * 2) * 2 = 72 in 2 heads, 3 * 4 * 4 = 48 outward, as we count
    # scale 3 * 4 and softmax 2 * 3 * 3: 30; biases 3 * 3 * 4 + 3 * 4 = 48
    "attention has a formula with softmax, scale and biases": (
        Attend(weights=False),
        (ones(3, 1, 4),),
        # divided by the first size, 3, although this is not the batch: 342 / 3
        114,
        {
            "nn.MultiheadAttention: scale of queries, and softmax": 30,
            "nn.MultiheadAttention: biases of the projections": 48,
            DIVIDED: -228,
        },
    ),
    # 114, and by functions: two products of 2 * 3 * 3 * 2 = 36, and a softmax of 2 * 3 * 3
    "attention that returns its weights counts its products again": (
        Attend(weights=True),
        (ones(3, 1, 4),),
        204,
        {
            "nn.MultiheadAttention: scale of queries, and softmax": 30,
            "nn.MultiheadAttention: biases of the projections": 48,
            f"torch.bmm: {PRODUCT}": 72,
            "torch.nn.functional.softmax: 1 for each input element by the function": 18,
            DIVIDED: -228,
        },
    ),
    # projections with the sizes of the inputs: 3 * 8 * 8 + 5 * 4 * 4 + 5 * 6 * 6 inward, 3 * 6 * 6 outward
    # 2 heads of 3 * 5 * (4 + 3): 770, of ours 1024; scale 3 * 8 and softmax 2 * 3 * 5; biases 13 * 8 + 3 * 6
    "attention to other keys counts by the features of its inputs": (
        Cross(),
        (ones(1, 3, 8),),
        946,
        {
            "nn.MultiheadAttention: products of the projections and of the heads": -254,
            "nn.MultiheadAttention: scale of queries, and softmax": 54,
            "nn.MultiheadAttention: biases of the projections": 122,
        },
    ),
    # 5 steps of 16 * (3 + 4) weights: 560; 2 * 16 biases: 160; 10 for each of 4 hidden elements: 200
    "an LSTM counts 10 for each hidden element": (
        nn.LSTM(3, 4, batch_first=True),
        (ones(1, 5, 3),),
        920,
        {"nn.LSTM: 1 for each bias and step": 160, "nn.LSTM: additions and products of gates": 200},
    ),
    # 5 steps of 12 * (3 + 4) weights: 420; 2 * 12 biases: 120; 7 for each of 4 hidden elements: 140
    "a GRU counts 7 for each hidden element": (
        nn.GRU(3, 4, batch_first=True),
        (ones(1, 5, 3),),
        680,
        {"nn.GRU: 1 for each bias and step": 120, "nn.GRU: additions and products of gates": 140},
    ),
    # 2 directions, 5 steps: 4 * (3 + 4) weights, and 4 * (8 + 4) of the second layer, 76: 760; 2 * 4 in 2 layers: 80
    "a recurrent layer without biases counts 1 for each hidden element": (
        nn.RNN(3, 4, num_layers=2, bidirectional=True, bias=False, batch_first=True),
        (ones(1, 5, 3),),
        840,
        {"nn.RNN: additions and products of gates": 80},
    ),
    # 5 steps of 16 * (3 + 2) weights: 400, without the 5 * 2 * 4 = 40 of the projection; 160 biases; 200 of gates
    "the projection of an LSTM counts nothing": (
        nn.LSTM(3, 4, proj_size=2, batch_first=True),
        (ones(1, 5, 3),),
        760,
        {
            "nn.LSTM: 1 for each weight and step": -40,
            "nn.LSTM: 1 for each bias and step": 160,
            "nn.LSTM: additions and products of gates": 200,
        },
    ),
    # one sequence of 5 steps counts as 3 sequences: 3 * 680 = 2040, then divided by 5
    "features of a single sequence are taken for sequences": (
        nn.GRU(3, 4),
        (ones(5, 3),),
        408,
        {
            "nn.GRU: 1 for each bias and step": 120,
            "nn.GRU: additions and products of gates": 140,
            "nn.GRU: features of a single sequence taken for sequences": 1360,
            DIVIDED: -1632,
        },
    ),
    # 12 * 7 weights, 24 biases and 7 * 4 of gates; PyTorch calls `mm` while we run the cell, which is no call
    "a cell takes one step": (
        nn.GRUCell(3, 4),
        (ones(1, 3),),
        136,
        {"nn.GRUCell: 1 for each bias and step": 24, "nn.GRUCell: additions and products of gates": 28},
    ),
}  # fmt: skip


@pytest.mark.parametrize("fact", MODULES)
def test_modules(fact: str) -> None:
    """Modules count as the fact says, and each part of the difference has its name."""
    module, inputs, expected, named = MODULES[fact]
    assert (expected, expected) == both("ptflops", module, *inputs)
    assert named == differences("ptflops", module, *inputs)


def test_linear_layers_inside_timm_attention_count_nothing() -> None:
    """The hook of timm's attention leaves its linear layers to their hooks, but the sum stops at the module."""
    attention = pytest.importorskip("timm.models.vision_transformer").Attention(4, num_heads=2)
    # 2 heads of 2 * 3 * 3 * 2 products, of 264 with the linear layers; scale 3 * 4 and softmax 2 * 3 * 3
    assert both("ptflops", attention, ones(1, 3, 4)) == (102, 102)
    expected = {
        "timm.layers.attention.Attention: products of the heads, without linear layers inside": 72 - 264,
        "timm.layers.attention.Attention: scale of queries, and softmax": 30,
    }
    assert expected == differences("ptflops", attention, ones(1, 3, 4))


def test_attention_by_keywords_has_no_total() -> None:
    """Attention with keyword arguments stops ptflops, and the convention says so."""
    with pytest.raises(ConventionError, match="only with three batches of sequences, given by position"):
        CONVENTIONS["ptflops"].total(recorded(Attend(weights=False, keywords=True), ones(3, 1, 4)))

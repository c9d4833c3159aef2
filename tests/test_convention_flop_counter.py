"""FlopCounterMode's number of small modules on a CPU and on meta, and its named differences from ours."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from conventions import counted, recorded, total_and_differences
from peer_cases import Net, function
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

from mbanalyze.conventions.known import CONVENTIONS

pytestmark = pytest.mark.skipif(
    torch.__version__.partition("+")[0] != CONVENTIONS["flop-counter"].version,
    reason="the rules are those of the PyTorch in constraints.txt",
)

ones = torch.ones
IMAGE, ROWS, HEADS = ones(2, 4, 6, 6), ones(2, 3, 8), ones(2, 2, 3, 4)
CAUSAL = nn.Transformer.generate_square_subsequent_mask(3)
HIDDEN = torch.zeros(2, 3, dtype=torch.bool)

DOUBLED = "2 flops for each multiply-accumulate"
SLOW = ""
FAST = "nn.MultiheadAttention: not counted in its fast path"
FAST_LAYER = "nn.TransformerEncoderLayer: not counted in its fast path"
KERNEL = "attention: not counted in the CPU's kernel"
LSTM = "lstm: not counted in the CPU's kernel"


class Fact(NamedTuple):
    """A module, its inputs, our macs, and those that both or only the CPU leave out, after the reason."""

    module: nn.Module
    inputs: tuple[Tensor, ...]
    macs: int
    both: tuple[str, int] = (SLOW, 0)
    on_cpu: tuple[str, int] = (SLOW, 0)


def _attention(*masks: Any, batch_first: bool = True, heads: int = 2, **options: Any) -> nn.Module:
    """Self-attention, called with masks and options."""
    names = ("key_padding_mask", "need_weights", "attn_mask", "average_attn_weights", "is_causal")
    given = {name: options.pop(name) for name in names if name in options}
    return Net(
        lambda s, x, *inputs: s.a(x, x, x, *masks, **given),
        a=nn.MultiheadAttention(8, heads, batch_first=batch_first, **options),
    )


def _layer(run: Any = lambda s, x: s.a(x), heads: int = 2, **options: Any) -> Net:
    return Net(run, a=nn.TransformerEncoderLayer(8, heads, 16, batch_first=True, **options))


def _other_epsilon() -> nn.Module:
    module = _layer()
    module.get_submodule("a.norm1").eps = 1e-3  # type: ignore[assignment]
    return module


def _scores(**options: Any) -> nn.Module:
    return function(lambda *heads: functional.scaled_dot_product_attention(*heads, **options))


def _complex(run: Any) -> nn.Module:
    return function(lambda *operands: run(*(torch.complex(each, each) for each in operands)).real)


def _packed(*lengths: int) -> nn.Module:
    return Net(lambda s, x: s.r(pack_padded_sequence(x, list(lengths)))[0].data, r=nn.LSTM(8, 6))


FACTS = {
    # 2 * 6 * 4 * 4 outputs of 2 * 3 * 3
    "convolution": Fact(nn.Conv2d(4, 6, 3, groups=2), (IMAGE,), 3456),
    "padding in words": Fact(nn.Conv2d(4, 6, 3, groups=2, padding="valid"), (IMAGE,), 3456),
    # 2 * 4 * 6 * 6 inputs of 3 * 2 * 2
    "transposed convolution": Fact(nn.ConvTranspose2d(4, 3, 2, stride=2), (IMAGE,), 3456),
    "convolution of steps first": Fact(
        function(lambda x, w, b: torch.conv_tbc(x, w, b, 0)), (ones(5, 2, 4), ones(3, 4, 6), ones(6)),
        432, ("conv_tbc: not counted", -432),
    ),
    "norms, pools and activations": Fact(
        nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Softmax(1)), (IMAGE,), 0
    ),
    # 2 * 3 rows of 8 * 5
    "linear layer": Fact(nn.Linear(8, 5), (ROWS,), 240),
    # 2 rows of 8 * 4 * 3 and 2 of 8 * 3
    "bilinear layer": Fact(
        nn.Bilinear(8, 4, 3), (ones(2, 8), ones(2, 4)), 240, ("bilinear: not counted", -240)
    ),
    "added batch product": Fact(
        function(torch.baddbmm), (ones(2, 3, 5), ones(2, 3, 4), ones(2, 4, 5)), 120
    ),
    "product added in place": Fact(
        function(lambda a, b, c: (a + 0).addmm_(b, c)), (ones(3, 5), ones(3, 4), ones(4, 5)),
        60, ("addmm_: not counted", -60),
    ),
    "sum of products": Fact(
        function(torch.addbmm), (ones(3, 5), ones(2, 3, 4), ones(2, 4, 5)), 120, ("addbmm: not counted", -120)
    ),
    "broadcast product": Fact(function(torch.matmul), (ones(3, 4), ones(2, 4, 5)), 120),
    "vector on the right": Fact(
        function(torch.matmul), (ones(2, 3, 4), ones(4)), 24, ("matmul: not counted with a vector", -24)
    ),
    "vector on the left": Fact(function(torch.matmul), (ones(4), ones(2, 4, 5)), 40),
    "matrix and vector": Fact(function(torch.mv), (ones(3, 4), ones(4)), 12, ("mv: not counted", -12)),
    "two vectors": Fact(function(torch.dot), (ones(4), ones(4)), 4, ("dot: not counted", -4)),
    "inner product": Fact(function(torch.inner), (ones(2, 4), ones(3, 4)), 24),
    "inner product with a vector": Fact(function(torch.inner), (ones(2, 4), ones(4)), 8),
    "inner product of vectors": Fact(
        function(torch.inner), (ones(4), ones(4)), 4, ("inner: not counted with a vector", -4)
    ),
    "contraction": Fact(
        function(lambda a, b: torch.tensordot(a, b, 2)), (ones(2, 3, 4), ones(3, 4, 5)), 120
    ),
    "Einstein sum": Fact(
        function(lambda a, b: torch.einsum("bij,bjk->bik", a, b)), (ones(2, 3, 4), ones(2, 4, 5)), 120
    ),
    "distances": Fact(
        function(lambda a: torch.cdist(a, a)), (ones(3, 4),), 36, ("distance: not counted", -36)
    ),
    # 4 * 3 * 3 * 3, of which one of four is counted
    "complex product": Fact(
        _complex(torch.matmul), (torch.eye(3), ones(3, 3)),
        108, ("matmul: 1 for a product of complex numbers, not 4", -81),
    ),
    # 4 * 2 * 5 * 4 * 4 * 4 * 3 * 3, of which three of four are counted
    "complex convolution": Fact(
        _complex(functional.conv2d), (IMAGE, ones(5, 4, 3, 3)),
        23040, ("conv: 3 for a product of complex numbers, not 4", -5760),
    ),
    # 3 * 2 or 4 + 2 rows of 4 * 6 * (8 + 6); a GRU 3 * 6 * 14, an RNN 6 * 14
    "LSTM": Fact(nn.LSTM(8, 6, batch_first=True), (ROWS,), 2016, on_cpu=(LSTM, -2016)),
    "LSTM of a packed batch": Fact(_packed(4, 2), (ones(4, 2, 8),), 2016),
    "LSTM of a packed batch of one length": Fact(_packed(3, 3), (ones(3, 2, 8),), 2016, on_cpu=(LSTM, -2016)),
    "LSTM of double precision": Fact(nn.LSTM(8, 6).double(), (ones(3, 2, 8, dtype=torch.float64),), 2016),
    # 3 steps of 2 rows of 4 * 6 * (8 + 3) + 6 * 3
    "LSTM with a projection": Fact(nn.LSTM(8, 6, proj_size=3), (ones(3, 2, 8),), 1692),
    "GRU": Fact(nn.GRU(8, 6), (ones(3, 2, 8),), 1512),
    "RNN": Fact(nn.RNN(8, 6), (ones(3, 2, 8),), 504),
    "LSTM cell": Fact(nn.LSTMCell(8, 6), (ones(2, 8),), 672),
    # 2 * 2 heads of 2 * 3 * 3 * 4
    "attention": Fact(_scores(), (HEADS,) * 3, 288, on_cpu=(KERNEL, -288)),
    "attention with a mask": Fact(_scores(), (HEADS, HEADS, HEADS, ones(3, 3)), 288, on_cpu=(KERNEL, -288)),
    "attention with a mask of three dimensions": Fact(_scores(), (HEADS, HEADS, HEADS, ones(2, 3, 3)), 288),
    "attention without a batch": Fact(_scores(), (HEADS[0],) * 3, 144),
    # 2 * 2 heads of 3 * 3 * 4 and 3 * 3 * 6
    "attention with longer values": Fact(_scores(), (HEADS, HEADS, ones(2, 2, 3, 6)), 360),
    "attention with dropout": Fact(_scores(dropout_p=0.5), (HEADS,) * 3, 288),
    # 2 * 4 heads of 2 * 3 * 3 * 4
    "attention with shared heads": Fact(
        _scores(enable_gqa=True), (ones(2, 4, 3, 4), HEADS, HEADS), 576, on_cpu=(KERNEL, -576)
    ),
    "attention with broadcast heads": Fact(_scores(), (ones(2, 4, 3, 4), HEADS[:, :1], HEADS[:, :1]), 576),
    "attention with a broadcast batch": Fact(_scores(), (HEADS, HEADS[:1], HEADS[:1]), 288),
    "attention of transposed features": Fact(
        function(lambda q: functional.scaled_dot_product_attention(q.mT, q.mT, q.mT)), (ones(2, 2, 4, 4),), 512
    ),
    # 2 * 3 rows of 4 * 8 * 8, and 2 * 2 heads of 2 * 3 * 3 * 4
    "module of attention": Fact(_attention(), (ROWS,), 1824, on_cpu=(FAST, -1824)),
    "module called by keywords": Fact(
        Net(lambda s, x: s.a(query=x, key=x, value=x), a=nn.MultiheadAttention(8, 2, batch_first=True)),
        (ROWS,), 1824, on_cpu=(FAST, -1824),
    ),
    "module without weights": Fact(_attention(need_weights=False), (ROWS,), 1824, on_cpu=(FAST, -1824)),
    "module with a mask of booleans": Fact(
        _attention(key_padding_mask=HIDDEN), (ROWS,), 1824, on_cpu=(FAST, -1824)
    ),
    "module with a mask of numbers": Fact(_attention(attn_mask=CAUSAL), (ROWS,), 1824),
    "module with a mask by position": Fact(_attention(None, True, CAUSAL), (ROWS,), 1824),
    "module with a mask of keys in numbers": Fact(_attention(key_padding_mask=ones(2, 3)), (ROWS,), 1824),
    "module with a mask of keys by position": Fact(_attention(ones(2, 3)), (ROWS,), 1824),
    # the mask is not read, but prevents the fast path: the projections are counted
    "module with a causal mask": Fact(
        _attention(attn_mask=CAUSAL, is_causal=True, need_weights=False), (ROWS,), 1824, on_cpu=(KERNEL, -288)
    ),
    # the batch is 3 and the sequence 2: 2 * 3 rows of 4 * 8 * 8, and 3 * 2 heads of 2 * 2 * 2 * 4
    "module with the sequence first": Fact(_attention(batch_first=False), (ROWS,), 1728),
    "module with an odd number of heads": Fact(_attention(heads=1), (ROWS,), 1824),
    "module without bias": Fact(_attention(bias=False), (ROWS,), 1824),
    "module without a batch": Fact(_attention(), (ROWS[0],), 912),
    # a key more: 2 * 2 heads of 2 * 3 * 4 * 4
    "module with an extra key": Fact(_attention(add_bias_kv=True), (ROWS,), 1920),
    "module with a key of zeros": Fact(_attention(add_zero_attn=True), (ROWS,), 1920),
    "module with other keys": Fact(
        Net(lambda s, x, y: s.a(x, y, y), a=nn.MultiheadAttention(8, 2, batch_first=True)), (ROWS, ROWS.clone()), 1824
    ),
    # 1824, and 2 * 3 rows of 2 * 8 * 16
    "encoder layer": Fact(_layer(), (ROWS,), 3360, on_cpu=(FAST_LAYER, -3360)),
    "encoder layer with a mask of numbers": Fact(
        _layer(lambda s, x, mask: s.a(x, mask)), (ROWS, CAUSAL), 3360, on_cpu=(FAST_LAYER, -3360)
    ),
    "encoder": Fact(
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
        (ROWS,), 6720, on_cpu=(FAST_LAYER, -6720),
    ),
    # its attention has a fast path of its own
    "encoder layer with another activation": Fact(
        _layer(activation=functional.silu), (ROWS,), 3360, on_cpu=(FAST, -1824)
    ),
    "encoder layer with two epsilons": Fact(_other_epsilon(), (ROWS,), 3360, on_cpu=(FAST, -1824)),
    "encoder layer with an odd number of heads": Fact(_layer(heads=1), (ROWS,), 3360, on_cpu=(KERNEL, -288)),
    "encoder layer without bias": Fact(_layer(bias=False), (ROWS,), 3360, on_cpu=(KERNEL, -288)),
    # without a batch, attention is not four-dimensional for one sequence
    "encoder layer without a batch": Fact(_layer(), (ROWS[0],), 1680, on_cpu=(KERNEL, -144)),
}  # fmt: skip
"""A name -> a module, and the number of FlopCounterMode."""


@pytest.mark.parametrize("name", FACTS)
def test_on_meta(name: str) -> None:
    """On meta, FlopCounterMode counts two flops for each of our macs, without operators that have no formula."""
    module, inputs, macs, (reason, amount), _ = FACTS[name]
    left = macs + amount

    assert 2 * left == counted("flop-counter-meta", module, *inputs)
    assert _explained(left, {reason: amount}) == total_and_differences(
        "flop-counter-meta", recorded(module, *inputs)
    )


@pytest.mark.parametrize("name", FACTS)
def test_on_cpu(name: str) -> None:
    """On a CPU it also leaves out attention, an LSTM and the fast paths of modules."""
    module, inputs, macs, (reason, amount), (reason_on_cpu, amount_on_cpu) = FACTS[name]
    left = macs + amount + amount_on_cpu
    parts = {reason: amount, reason_on_cpu: amount_on_cpu}

    assert 2 * left == counted("flop-counter", module, *inputs)
    assert _explained(left, parts) == total_and_differences("flop-counter", recorded(module, *inputs))


def test_an_encoder_layer_with_a_batch_and_without() -> None:
    """Each call of a layer takes the fast path or not by its own input."""
    module = _layer(lambda s, x: (s.a(x), s.a(x[0])))

    # the second call: half of 3360, without attention of 144
    left = 1536

    assert 2 * left == counted("flop-counter", module, ROWS)
    parts = {FAST_LAYER: -3360, KERNEL: -144}
    assert _explained(left, parts) == total_and_differences("flop-counter", recorded(module, ROWS))


def _explained(left: int, parts: dict[str, int]) -> tuple[int, dict[str, int]]:
    """The total of the convention and its differences."""
    return 2 * left, {what: amount for what, amount in {**parts, DOUBLED: left}.items() if amount}

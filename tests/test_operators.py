"""Operators of small modules cost what their arithmetic, written out by hand, adds up to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from arithmetic import NEED_VALUES, OTHERS, Run
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from mbanalyze import Shape, count
from mbanalyze.ops.elementwise import ELEMENTWISE
from mbanalyze.ops.formulas import FORMULAS
from mbanalyze.ops.record import Value
from mbanalyze.report.network import Report
from mbanalyze.trace.forward_errors import TraceError


def ints(*shape: int) -> Tensor:
    """Return indices of zero."""
    return torch.zeros(shape, dtype=torch.int64)


def sdpa(**settings: Any) -> Run:
    """Return a module that runs attention."""
    return Run(lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, **settings))


def counted(name: str) -> Report:
    """Return the report of a module in `HAND`, on values if its operators need them."""
    make, inputs, _, _ = HAND[name]
    if name not in NEED_VALUES:
        return count(make(), *inputs)
    given = [torch.ones(each) if isinstance(each, tuple) else each for each in inputs]
    return count(make(), *given, real=True)


INDICES = {shape: Shape(*shape, dtype="int64") for shape in ((2, 5), (3, 4))}

# name: module, inputs, macs, flops
HAND: dict[str, tuple[Callable[[], nn.Module], tuple[Any, ...], int, int]] = {
    # 8 filters of 3 channels x 3 elements: 72 products at each of 10 positions, and 8 biases
    "conv1d": (lambda: nn.Conv1d(3, 8, 3), ((1, 3, 12),), 720, 1440 + 80),
    # 2 x 4 x 4 outputs of 9 products each, 3 channels
    "conv2d": (lambda: nn.Conv2d(3, 2, 3, bias=False), ((1, 3, 6, 6),), 32 * 27, 64 * 27),
    # output of the same size: 6 x 6
    "conv2d same": (lambda: nn.Conv2d(3, 2, 3, padding="same", bias=False), ((1, 3, 6, 6),), 72 * 27, 144 * 27),
    # without a batch dimension: the same work
    "conv2d unbatched": (lambda: nn.Conv2d(3, 2, 3, bias=False), ((3, 6, 6),), 32 * 27, 64 * 27),
    # 4 groups of 2 -> 1 channels: 4 x 5 x 5 outputs of 2 products
    "conv2d grouped": (lambda: nn.Conv2d(8, 4, 1, groups=4, bias=False), ((1, 8, 5, 5),), 200, 400),
    # 2 x 2 x 2 x 2 outputs of 3 x 8 products
    "conv3d": (lambda: nn.Conv3d(3, 2, 2, bias=False), ((1, 3, 3, 3, 3),), 16 * 24, 32 * 24),
    # 2 x 3 x 3 inputs, each spread over a 2 x 2 window of 4 channels; 4 x 4 x 4 outputs get a bias
    "conv transposed": (lambda: nn.ConvTranspose2d(2, 4, 2), ((1, 2, 3, 3),), 18 * 16, 36 * 16 + 64),
    "conv transposed 1d": (lambda: nn.ConvTranspose1d(2, 3, 4, bias=False), ((1, 2, 5),), 120, 240),
    # 2 x 5 rows of 4 inputs and 3 outputs
    "linear": (lambda: nn.Linear(4, 3), ((2, 5, 4),), 120, 240 + 30),
    # 3 outputs of 2 x 4 + 2 products: W x2, then with x1; a bias
    "bilinear": (lambda: nn.Bilinear(2, 4, 3), ((5, 2), (5, 4)), 5 * 3 * 10, 300 + 15),
    "mm": (lambda: Run(torch.mm), ((2, 3), (3, 4)), 24, 48),
    "bmm": (lambda: Run(torch.bmm), ((5, 2, 3), (5, 3, 4)), 120, 240),
    # the left matrix serves 5 right ones
    "matmul broadcast": (lambda: Run(torch.matmul), ((2, 3), (5, 3, 4)), 120, 240),
    "mv": (lambda: Run(torch.mv), ((2, 3), (3,)), 6, 12),
    "dot": (lambda: Run(torch.dot), ((7,), (7,)), 7, 14),
    # plus 2 x 4 additions
    "addmm": (lambda: Run(torch.addmm), ((2, 4), (2, 3), (3, 4)), 24, 48 + 8),
    "baddbmm": (lambda: Run(torch.baddbmm), ((5, 2, 4), (5, 2, 3), (5, 3, 4)), 120, 240 + 40),
    # both matrices are scaled, then added; a matrix scaled by zero is not read
    "scaled baddbmm": (
        lambda: Run(lambda a, b, c: torch.baddbmm(a, b, c, alpha=2, beta=3)),
        ((5, 2, 4), (5, 2, 3), (5, 3, 4)), 120, 240 + 3 * 40,
    ),
    "addmm scaled by zero": (
        lambda: Run(lambda a, b, c: torch.addmm(a, b, c, beta=0)), ((2, 4), (2, 3), (3, 4)), 24, 48,
    ),
    # PyTorch composes it of one product
    "tensordot": (lambda: Run(lambda a, b: torch.tensordot(a, b, dims=1)), ((2, 3), (3, 4)), 24, 48),
    "addmv": (lambda: Run(torch.addmv), ((2,), (2, 3), (3,)), 6, 12 + 2),
    # b i j k: 2 x 3 x 4 x 5
    "einsum": (lambda: Run(lambda a, b: torch.einsum("bij,bjk->bik", a, b)), ((2, 3, 4), (2, 4, 5)), 120, 240),
    # a diagonal of 4 summed
    "einsum trace": (lambda: Run(lambda a: torch.einsum("ii->", a)), ((4, 4),), 0, 3),
    # nothing is summed: 3 x 4 multiplications
    "einsum outer": (lambda: Run(lambda a, b: torch.einsum("i,j->ij", a, b)), ((3,), (4,)), 0, 12),
    # i j k = 2 x 3 x 4, then i k l = 2 x 4 x 5
    "einsum of three": (
        lambda: Run(lambda a, b, c: torch.einsum("ij,jk,kl->il", a, b, c)), ((2, 3), (3, 4), (4, 5)), 64, 128,
    ),
    # the ellipsis holds batch and heads: 2 x 3 x (4 x 6 x 5)
    "einsum ellipsis": (
        lambda: Run(lambda a, b: torch.einsum("...ie,...je->...ij", a, b)), ((2, 3, 4, 5), (2, 3, 6, 5)), 720, 1440,
    ),
    # 2 heads of 4 x 6 scores, 8 + 8 products each; scale and softmax take 6 flops a score
    "attention": (sdpa, ((1, 2, 4, 8), (1, 2, 6, 8), (1, 2, 6, 8)), 48 * 16, 96 * 16 + 48 * 6),
    # masked scores are computed too: as above
    "attention causal": (
        lambda: sdpa(is_causal=True), ((1, 2, 6, 8),) * 3, 72 * 16, 144 * 16 + 72 * 6,
    ),
    # plus a mask and a scale for each score
    "attention with dropout": (
        lambda: sdpa(dropout_p=0.5), ((1, 2, 4, 8), (1, 2, 6, 8), (1, 2, 6, 8)), 48 * 16, 96 * 16 + 48 * 8,
    ),
    # 4 heads of queries, 2 of keys and values
    "attention grouped-query": (
        lambda: sdpa(enable_gqa=True), ((1, 4, 3, 8), (1, 2, 5, 8), (1, 2, 5, 8)), 60 * 16, 120 * 16 + 60 * 6,
    ),
    # one step: (3 + 4) x 16 weights, 32 biases, 4 units of 22; 5 steps of 2 sequences
    "lstm": (lambda: nn.LSTM(3, 4), ((5, 2, 3),), 10 * 112, 10 * (224 + 32 + 88)),
    # two directions, and a second layer on 8 values: 2 x (3 + 4) x 16 + 2 x (8 + 4) x 16
    "lstm of two layers, bidirectional": (
        lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True), ((5, 2, 3),), 10 * 608, 10 * (1216 + 128 + 352),
    ),
    # (3 + 4) x 12 weights, 24 biases, 4 units of 17
    "gru": (lambda: nn.GRU(3, 4, batch_first=True), ((2, 5, 3),), 10 * 84, 10 * (168 + 24 + 68)),
    # (3 + 4) x 4 weights, 8 biases, 4 units of 2
    "rnn": (lambda: nn.RNN(3, 4), ((5, 2, 3),), 10 * 28, 10 * (56 + 8 + 8)),
    "lstm cell": (lambda: nn.LSTMCell(3, 4), ((2, 3),), 2 * 112, 2 * (224 + 32 + 88)),
    "gru cell": (lambda: nn.GRUCell(3, 4), ((2, 3),), 2 * 84, 2 * (168 + 24 + 68)),
    "embedding": (lambda: nn.Embedding(100, 8), (INDICES[2, 5],), 0, 0),
    # 3 bags of 4 rows of 8: 3 additions each; a division for the mean; 4 weights
    "embedding bag": (lambda: nn.EmbeddingBag(100, 8, mode="sum"), (INDICES[3, 4],), 0, 24 * 3),
    "embedding bag mean": (lambda: nn.EmbeddingBag(100, 8), (INDICES[3, 4],), 0, 24 * 4),
    "embedding bag weighted": (
        lambda: nn.EmbeddingBag(100, 8, mode="sum"), (INDICES[3, 4], None, (3, 4)), 0, 24 * (3 + 4),
    ),
    # 24 elements: 5 flops for statistics and scaling, 2 for scale and shift
    "layer norm": (lambda: nn.LayerNorm(4), ((2, 3, 4),), 0, 7 * 24),
    "layer norm alone": (lambda: nn.LayerNorm(4, elementwise_affine=False), ((2, 3, 4),), 0, 5 * 24),
    "group norm": (lambda: nn.GroupNorm(2, 4), ((1, 4, 3, 3),), 0, 7 * 36),
    "instance norm": (lambda: nn.InstanceNorm2d(4), ((1, 4, 3, 3),), 0, 5 * 36),
    "instance norm with running statistics": (
        lambda: nn.InstanceNorm2d(4, track_running_stats=True), ((1, 4, 3, 3),), 0, 2 * 36,
    ),
    "rms norm": (lambda: nn.RMSNorm(4), ((2, 3, 4),), 0, 4 * 24),
    "batch norm": (lambda: nn.BatchNorm2d(4), ((1, 4, 3, 3),), 0, 2 * 36),
    # 4 flops for each of 12 weights, then 12 products and 3 biases
    "weight norm": (lambda: parametrizations.weight_norm(nn.Linear(4, 3)), ((1, 4),), 12, 4 * 12 + 24 + 3),
    "randomised relu": (nn.RReLU, ((2, 3),), 0, 12),
    "gelu": (nn.GELU, ((2, 3),), 0, 30),
    "gelu by tanh": (lambda: nn.GELU("tanh"), ((2, 3),), 0, 54),
    "glu": (nn.GLU, ((2, 6),), 0, 30),
    "prelu": (nn.PReLU, ((2, 3),), 0, 12),
    "softmax": (lambda: nn.Softmax(-1), ((2, 3),), 0, 30),
    "log softmax": (lambda: nn.LogSoftmax(-1), ((2, 3),), 0, 30),
    # 3 x 3 windows at 2 x 2 positions of 2 channels
    "max pool": (lambda: nn.MaxPool2d(3, 1), ((1, 2, 4, 4),), 0, 8 * 8),
    "average pool 1d": (lambda: nn.AvgPool1d(2), ((1, 2, 6),), 0, 2 * 6),
    # windows of 3, 3 and 3 of 7: 9 x 9 elements a channel, less the 9 results
    "adaptive max pool": (lambda: nn.AdaptiveMaxPool2d(3), ((1, 2, 7, 7),), 0, 2 * (81 - 9)),
    # 36 outputs of 4 neighbours: 4 products, 3 sums
    "bilinear interpolation": (lambda: nn.Upsample(size=6, mode="bilinear"), ((1, 1, 3, 3),), 0, 36 * 7),
    # from 6 to 2: each window of 2 grows to 6, so 36 neighbours; from 6 to 12: it stays at 2
    "antialiased interpolation": (
        lambda: Run(lambda x: functional.interpolate(x, size=(2, 2), mode="bilinear", antialias=True)),
        ((1, 1, 6, 6),), 0, 4 * 71,
    ),
    "antialiased enlargement": (
        lambda: Run(lambda x: functional.interpolate(x, size=(12, 12), mode="bilinear", antialias=True)),
        ((1, 1, 6, 6),), 0, 144 * 7,
    ),
    "nearest interpolation": (lambda: nn.Upsample(size=6), ((1, 1, 3, 3),), 0, 0),
    # 6 elements to 2, then 6 to 1
    "sum along": (lambda: Run(lambda x: x.sum(1)), ((2, 3),), 0, 4),
    "largest": (lambda: Run(lambda x: x.max()), ((2, 3),), 0, 5),
    "larger of two": (lambda: Run(torch.maximum), ((2, 3), (2, 3)), 0, 6),
    "variance": (lambda: Run(lambda x: x.var(1)), ((2, 3),), 0, 24),
    "norm": (lambda: Run(lambda x: torch.linalg.vector_norm(x, dim=1)), ((2, 3),), 0, 12),
    "log sum exp": (lambda: Run(lambda x: x.logsumexp(1)), ((2, 3),), 0, 24),
    "cumulative sum": (lambda: Run(lambda x: x.cumsum(1)), ((2, 3),), 0, 6),
    # rows of 8: 3 comparisons each
    "sort": (lambda: Run(lambda x: x.sort(-1)), ((2, 8),), 0, 48),
    "largest five": (lambda: Run(lambda x: x.topk(5)), ((2, 9),), 0, 18 * 4),
    "scaled sum": (lambda: Run(lambda x, y: torch.add(x, y, alpha=2)), ((2, 3), (2, 3)), 0, 12),
    "concatenation": (lambda: Run(lambda x, y: torch.cat([x, y])), ((2, 3), (4, 3)), 0, 0),
    "selection": (lambda: Run(lambda x: x[ints(5)]), ((7, 3),), 0, 0),
    # 4 rows of 3 are added
    "scattered sum": (lambda: Run(lambda x, y: x.index_add(0, ints(4), y)), ((7, 3), (4, 3)), 0, 12),
    # one number, added at 4 rows of 3
    "scattered number": (
        lambda: Run(lambda x: x.index_put((ints(4),), torch.tensor(1.0), accumulate=True)), ((7, 3),), 0, 12,
    ),
    # 3 x 3 windows become columns, and are summed back: 9 elements of 2 channels at 4 positions
    "unfold": (lambda: nn.Unfold(3), ((1, 2, 4, 4),), 0, 0),
    "fold": (lambda: nn.Fold((4, 4), 3), ((1, 18, 4),), 0, 72),
    "draw": (lambda: Run(lambda x: x + torch.randn(2, 3)), ((2, 3),), 0, 6 + 6),
    "masked fill": (lambda: Run(lambda x: x.masked_fill(x > 0, 0.0)), ((2, 3),), 0, 6),
    "pixel shuffle": (lambda: nn.PixelShuffle(2), ((1, 4, 3, 3),), 0, 0),
    # 16 values, 4 halvings, 5 flops
    "fourier transform": (lambda: Run(torch.fft.fft), ((16,),), 0, 5 * 16 * 4),
    # two rows, each cut to 16 real values: half of the above for each
    "cut transform": (lambda: Run(lambda x: torch.fft.rfft(x, n=16)), ((2, 24),), 0, 2 * 5 * 16 * 4 // 2),
    # 3 x 3 positions of one channel, 4 neighbours
    "grid sample": (
        lambda: Run(lambda x, g: functional.grid_sample(x, g, align_corners=False)), ((1, 1, 5, 5), (1, 3, 3, 2)),
        0, 9 * 7,
    ),
    "search": (lambda: Run(torch.bucketize), ((10,), (7,)), 0, 10 * 3),
    "search for a number": (lambda: Run(lambda x: torch.bucketize(0.5, x)), ((7,),), 0, 3),
    # each of 4 columns: 2 comparisons for the smallest of 3, 2 for the largest
    "extremes": (lambda: Run(lambda x: torch.aminmax(x, dim=0)), ((3, 4),), 0, 4 * (2 + 2)),
}  # fmt: skip


HAND.update(OTHERS)


@pytest.mark.parametrize("name", HAND)
def test_by_hand(name: str) -> None:
    """Macs and flops equal the arithmetic in the comment above the module."""
    macs, flops = HAND[name][2:]
    report = counted(name)

    assert (macs, flops) == (report.totals.macs, report.totals.flops)
    assert report.complete


@pytest.mark.parametrize("need_weights", [True, False])
def test_multi_head_attention(need_weights: bool) -> None:
    """The totals do not depend on `need_weights`.

    In: 5 x 12 -> 36, 3 heads of 5 x 5 scores of 4 + 4 products, out: 5 x 12 -> 12.
    """
    attention = nn.MultiheadAttention(12, 3, batch_first=True)
    report = count(Run(lambda x: attention(x, x, x, need_weights=need_weights)), (1, 5, 12))

    assert report.totals.macs == 5 * 12 * 36 + 3 * 25 * 8 + 5 * 12 * 12
    assert report.complete


def test_a_transformer_layer_is_not_fused_away() -> None:
    """Attention takes 5 x 8 x (24 + 8) and 2 heads of 25 x 8 macs, the two products 5 x 8 x 16 each."""
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)

    assert count(layer, (1, 5, 8)).totals.macs == 5 * 8 * 32 + 2 * 25 * 8 + 2 * 5 * 8 * 16


def test_an_embedding_reads_what_it_selects_and_owns_the_table() -> None:
    """An embedding reads 10 rows of 8 elements and 10 indices of 8 bytes."""
    totals = count(nn.Embedding(100, 8), ints(2, 5)).totals

    assert (totals.params, totals.reads, totals.writes) == (800, 80 + 10, 80)
    assert totals.memory_access_bytes(4) == 160 * 4 + 10 * 8


def test_tied_weights_are_owned_once() -> None:
    """An embedding that shares its table with the classifier adds no parameters."""
    net = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10, bias=False))
    net[1].weight = net[0].weight
    totals = count(net, ints(3)).totals

    assert (totals.params, totals.macs) == (40, 3 * 40)


def test_a_packed_sequence_costs_its_steps() -> None:
    """A packed batch counts its 7 steps, not 2 sequences of 4."""
    lstm = nn.LSTM(3, 4)
    packed = nn.utils.rnn.pack_padded_sequence(torch.zeros(4, 2, 3), torch.tensor([4, 3]))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = lstm

        def forward(self, data: Tensor) -> Tensor:
            out, _ = self.lstm(packed._replace(data=data))
            return out.data  # type: ignore[no-any-return]

    assert count(Net(), (7, 3)).totals.macs == 7 * 112


def test_dropout_between_layers() -> None:
    """In training, 2 of 3 layers mask and scale 10 steps of 4 units in both directions."""
    lstm = nn.LSTM(3, 4, num_layers=3, bidirectional=True, dropout=0.5)
    inference, training = (count(lstm, (5, 2, 3), mode=mode).totals for mode in ("eval", "train"))
    layer = count(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (1, 5, 8), mode="train")

    assert inference.flops is not None
    assert training.flops == inference.flops + 2 * 10 * 2 * 2 * 4
    assert layer.complete


def test_training_mode_counts_what_runs_then() -> None:
    """In training mode, batch norm computes statistics and dropout drops; the module is restored."""
    net = nn.Sequential(nn.BatchNorm2d(4), nn.Dropout())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    report = count(net, (2, 4, 3, 3), mode="train")

    assert [row.op.kind for row in report.rows if row.op.kind != "add"] == ["batch_norm_training", "dropout"]
    assert report.rows[-1].cost.flops == 2 * 72
    assert "forward pass in training mode; the backward pass is not counted" in report.notes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.training


# kinds whose formulas other tests check
ELSEWHERE = {
    "conv", "linear", "matmul", "global_avg_pool", "adaptive_avg_pool", "mean", "avg_pool", "copy", "pad",
    "batch_norm_training", "dropout", "scatter", "roll", "flip", "repeat", "where", "triangle", "shuffle",
    "nonzero", "roi_align", "composite", "non_maximum_suppression", "deform_conv", "sparse_matmul", "sampled_matmul",

}  # fmt: skip


def test_every_kind_is_counted_by_hand() -> None:
    """Every formula has a module in `HAND`, or a test elsewhere."""
    seen = {row.op.kind for name in HAND for row in counted(name).rows}

    assert set(FORMULAS) - seen - ELSEWHERE - set(ELEMENTWISE) == set()


def test_no_formula_is_negative() -> None:
    """Whichever size of an operator is zero, its formula gives no negative count."""
    for name in HAND:
        for op in (row.op for row in counted(name).rows):
            for size in {n for value in (*op.operands, *op.output) for n in value.shape}:
                emptied = op._replace(operands=without(op.operands, size), output=without(op.output, size))
                macs, flops = FORMULAS[op.kind](emptied)
                assert min(macs, flops) >= 0, (name, op.kind, size)


def without(values: tuple[Value, ...], size: int) -> tuple[Value, ...]:
    """Return values whose dimensions of `size` elements are empty."""
    return tuple(v._replace(shape=tuple(0 if n == size else n for n in v.shape)) for v in values)


@pytest.mark.parametrize(
    "reduce",
    [
        lambda x: x.sum(0),
        lambda x: x.any(1),
        lambda x: x.all(),
        lambda x: torch.einsum("ij->", x),
        lambda x: torch.einsum("ij->j", x),
        lambda x: x.mean(0),
        torch.linalg.vector_norm,
        lambda x: functional.mse_loss(x, x, reduction="sum"),
    ],
)
def test_a_reduction_of_no_elements_computes_nothing(reduce: Callable[[Tensor], Tensor]) -> None:
    """A reduction of zero elements takes no flops."""
    assert count(Run(lambda x: reduce(x[:0])), (4, 4)).totals.flops == 0


def test_a_softmax_in_another_precision() -> None:
    """A softmax to float32 is one operator, and the conversion back is a copy."""
    report = count(
        Run(lambda x: functional.softmax(x, -1, dtype=torch.float32).half()), torch.zeros(2, 3).half()
    )

    assert [row.op.kind for row in report.rows] == ["softmax", "copy"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: functional.layer_norm(x, (8,)),
        lambda x: functional.group_norm(x, 3),
        lambda x: functional.batch_norm(x, torch.zeros(8), torch.ones(8)),
        lambda x: torch.add(x, torch.zeros(3)),
    ],
)
def test_invalid_calls_raise(wrong: Callable[[Tensor], Tensor]) -> None:
    """A call that PyTorch rejects raises TraceError."""
    with pytest.raises(TraceError, match="the forward raised"):
        count(Run(wrong), (2, 16, 4, 16))


def test_outputs_given_by_the_caller_take_their_shape() -> None:
    """A tensor given as `out` takes the shape of the output."""

    def into(x: Tensor) -> Tensor:
        out = torch.empty(0, device=x.device)
        torch.mul(x, x, out=out)
        return out + x

    assert count(Run(into), (2, 3)).rows[-1].op.operands[0].shape == (2, 3)


def test_scattering_that_adds() -> None:
    """Scattering with `reduce="add"` takes one addition for each element of the source."""
    report = count(Run(lambda x: x.scatter(0, ints(2, 3), x[:2], reduce="add")), (4, 3))

    assert report.rows[-1].cost.flops == 6


@pytest.mark.parametrize(
    ("kind", "move"),
    [
        ("roll", lambda x: x.roll(1, 0)),
        ("flip", lambda x: x.flip(0)),
        ("repeat", lambda x: x.repeat(2, 1)),
        ("where", lambda x: torch.where(x > 0, x, x)),
        ("triangle", torch.tril),
        ("pad", lambda x: functional.pad(x, (1, 1))),
        ("copy", torch.clone),
        ("scatter", lambda x: x.scatter(0, ints(2, 3), x)),
    ],
)
def test_moves_compute_nothing(kind: str, move: Callable[[Tensor], Tensor]) -> None:
    """An operator that moves elements has a row with memory access and no flops."""
    row = count(Run(move), (4, 3)).rows[-1]

    assert (row.op.kind, row.cost.flops) == (kind, 0)
    assert row.cost.memory_access > 0

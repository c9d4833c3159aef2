"""The numbers that the test suites of other counters expect of small modules, and the conventions that differ.

The counters are fvcore, torch's `FlopCounterMode` and torchinfo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Normal
from torch.nn import functional
from torch.nn.utils import prune
from torch.nn.utils.rnn import pack_padded_sequence

from mbanalyze import Report, Shape
from mbanalyze.ops.record import Op


class Net(nn.Module):
    """A module of some layers and parameters, whose forward is a function of the module and its inputs."""

    def __init__(self, run: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result of the function."""
        return self.run(self, *args, **kwargs)


def function(run: Callable[..., Any]) -> Net:
    """Return a module that runs a function of its inputs."""
    return Net(lambda _, *args: run(*args))


class Case(NamedTuple):
    """A number that a counter's tests expect.

    Attributes:
        peer: the counter.
        name: the module.
        build: makes the module.
        inputs: the arguments of its forward.
        measure: what the number counts: a total, "products" for two flops per multiply-accumulate, or, after a
            path, the total of a module.
        expected: the number.
        conventions: the names of the conventions that the counter has and ours has not.
        fault: the reason why ours is wrong, if it is.
        options: options of the count.
    """

    peer: str
    name: str
    build: Callable[[], nn.Module]
    inputs: Sequence[Any]
    measure: str
    expected: int
    conventions: tuple[str, ...] = ()
    fault: str = ""
    options: dict[str, Any] = {}  # noqa: RUF012 (never changed)


def _sum(report: Report, amount: Callable[[Op], int], *kinds: str) -> int:
    return sum(amount(row.op) for row in report.rows if row.op.kind in kinds)


def _biases(_: nn.Module, report: Report) -> int:
    """One multiply-accumulate for each output element that a bias is added to."""
    added = _sum(report, lambda op: op.output[0].size if len(op.operands) == 3 else 0, "conv", "linear")
    return added + _sum(report, _recurrent_biases, "lstm")


def _recurrent_biases(op: Op) -> int:
    biases = sum(value.size for value in op.weights if len(value.shape) == 1)
    return prod(op.operands[0].shape[:-1]) * biases


def _cell_weights(op: Op) -> int:
    """The learned scalars of a recurrent layer."""
    return sum(value.size for value in op.weights)


CONVENTIONS: dict[str, Callable[[nn.Module, Report], int]] = {
    "bias": _biases,
    "scale and shift": lambda _, report: _sum(
        report, lambda op: op.output[0].shape[0] * sum(v.size for v in op.weights), "batch_norm", "prelu"
    ),
    "table": lambda _, report: _sum(
        report, lambda op: op.output[0].shape[0] * op.weights[0].size, "embedding"
    ),
    "steps times units": lambda _, report: _sum(
        report,
        lambda op: prod(op.operands[0].shape[:-1]) * (op.output[0].shape[-1] - 1) * _cell_weights(op),
        "lstm",
    ),
    "no parameters outside layers": lambda _, report: (
        -sum(row.cost.macs or 0 for row in report.rows if row.op.kind == "matmul")
    ),
    "unread parameters": lambda module, report: sum(
        param.numel() for name, param in module.named_parameters() if name in report.unused_params
    ),
    "pruned weights": lambda module, _: -sum(int((mask == 0).sum()) for mask in module.buffers()),
    "pruned products": lambda _, report: -(report.totals.macs or 0) // 2,
    "one flop without scale and shift": lambda _, report: (
        -_sum(report, lambda op: op.output[0].size, "batch_norm")
    ),
    "four flops without scale and shift": lambda _, report: (
        -_sum(report, lambda op: op.output[0].size, "batch_norm_training", "group_norm")
    ),
    "five flops with scale and shift": lambda _, report: (
        -_sum(report, lambda op: 2 * op.output[0].size, "batch_norm_training", "group_norm")
    ),
    "four flops per bilinear output": lambda _, report: (
        -_sum(report, lambda op: 3 * op.output[0].size, "interpolate")
    ),
}
"""Convention of a counter -> the amount by which its number exceeds ours.

bias: torchinfo counts a bias as a multiply-accumulate for each output element.
scale and shift: torchinfo counts each learned scalar of a normalisation or PReLU once for each sample.
table: torchinfo counts each learned scalar of an embedding once for each sample.
steps times units: torchinfo multiplies the scalars of an LSTM by the first two output sizes. For a packed batch or a
    cell these are steps and units.
no parameters outside layers: torchinfo does not count products by parameters that belong to no layer.
unread parameters: torchinfo counts the parameters that the forward does not read.
pruned weights: torchinfo does not count weights that a mask sets to zero.
pruned products: torchinfo does not count products by such weights, here half of all.
four flops per bilinear output: fvcore counts four flops for a weighted sum of four neighbours, which takes seven.
The others are fvcore's flops of batch and group norms: ours are 2 for each element at inference. From statistics of
the input they are 5, and 1 more each for scale and shift.
"""


def _conv(dims: int, c: int, k: int, kernel: int, stride: int, groups: int = 1) -> nn.Module:
    layers: tuple[Any, ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    layer: nn.Module = layers[dims - 1](c, k, kernel, stride, kernel // 2, groups=groups)
    return layer


def _transposed(stride: int, extra: int = 0) -> nn.Module:
    return nn.ConvTranspose2d(10, 3, 3, stride, 1, output_padding=extra)


def _three() -> nn.Module:
    return Net(
        lambda s, x: s.linear2(s.linear1(s.pool(s.conv(x)).flatten(1))),
        conv=nn.Conv2d(2, 5, 1), pool=nn.AdaptiveAvgPool2d(1), linear1=nn.Linear(5, 3), linear2=nn.Linear(3, 1),
    )  # fmt: skip


def _nested() -> nn.Module:
    inner = Net(
        lambda s, x: 3 * s.fc(s.conv(x.reshape(-1, 2, 5)).flatten(1)) + 1,
        conv=nn.Conv1d(2, 2, 1),
        fc=nn.Linear(10, 10),
    )
    return Net(
        lambda s, x: s.submod(s.fc(s.conv(x).flatten(1))) ** 2,
        conv=nn.Conv1d(4, 4, 3, padding=1), fc=nn.Linear(20, 10), submod=inner,
    )  # fmt: skip


def _shared_modules() -> nn.Module:
    inner, named = nn.Linear(10, 10), nn.Linear(10, 1)
    return Net(_run_shared, one=nn.Sequential(inner), two=nn.Sequential(inner), name1=named, name2=named)


def _run_shared(s: Any, x: Tensor) -> Any:
    x = s.one(x) + s.two(x)
    return s.name1(x) + s.name2(x)


def _reused_weight(*, reuse: bool) -> nn.Module:
    first, second = nn.Conv2d(100, 100, 3), nn.Conv2d(100, 100, 3)
    if reuse:
        second.weight = first.weight
    return nn.Sequential(first, second)


def _three_convs() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 1, 1), nn.Conv2d(8, 4, 1, 2), nn.Conv2d(4, 2, 1, 2))


def _affine(training: bool) -> nn.Module:
    return Net(
        lambda s, x: functional.batch_norm(x, s.mean, s.mean, s.scale, s.scale, training),
        mean=torch.zeros(2), scale=nn.Parameter(torch.zeros(2)),
    )  # fmt: skip


IMAGE = (2, 2, 2, 2)

FVCORE = [
    # batch x inputs x outputs
    Case("fvcore", "linear 8 to 4", lambda: nn.Linear(8, 4), [(5, 8)], "macs", 5 * 8 * 4),
    Case("fvcore", "linear and sigmoid", lambda: nn.Sequential(nn.Linear(5, 4), nn.Sigmoid()), [(10, 5)], "macs", 200),
    Case("fvcore", "linear 10 to 20", lambda: nn.Linear(10, 20), [(5, 10)], "macs", 1000),
    Case("fvcore", "linear of tokens", lambda: nn.Linear(10, 20), [(5, 5, 10)], "macs", 5000),
    # batch x channels in x channels out x window x positions / groups
    Case("fvcore", "conv2d", lambda: _conv(2, 10, 3, 3, 1), [(5, 10, 15, 15)], "macs", 5 * 10 * 3 * 9 * 225),
    Case("fvcore", "conv2d stride 2", lambda: _conv(2, 10, 6, 3, 2), [(2, 10, 20, 20)], "macs", 2 * 10 * 6 * 9 * 100),
    Case("fvcore", "conv2d groups", lambda: _conv(2, 16, 8, 5, 1, 4), [(5, 16, 15, 15)], "macs", 5 * 4 * 8 * 25 * 225),
    Case("fvcore", "conv2d 8 groups", lambda: _conv(2, 16, 8, 3, 1, 8), [(5, 16, 15, 15)], "macs", 5 * 2 * 8 * 9 * 225),
    Case("fvcore", "conv1d", lambda: _conv(1, 10, 3, 3, 1), [(5, 10, 15)], "macs", 5 * 10 * 3 * 3 * 15),
    Case("fvcore", "conv3d", lambda: _conv(3, 10, 3, 3, 1), [(5, 10, 15, 15, 15)], "macs", 5 * 10 * 3 * 27 * 3375),
    # the positions are those of the input
    Case("fvcore", "transposed", lambda: _transposed(1), [(5, 10, 15, 15)], "macs", 5 * 10 * 3 * 9 * 225),
    Case("fvcore", "transposed stride 2", lambda: _transposed(2), [(5, 10, 15, 15)], "macs", 5 * 10 * 3 * 9 * 225),
    Case("fvcore", "transposed, padded output", lambda: _transposed(3, 2), [(5, 10, 15, 15)], "macs", 5 * 10 * 3 * 9 * 225),
    Case("fvcore", "matmul", lambda: function(torch.matmul), [(20, 10), (10, 100)], "macs", 20000),
    Case("fvcore", "matmul batch 1", lambda: function(torch.matmul), [(1, 20, 10), (1, 10, 100)], "macs", 20000),
    Case("fvcore", "matmul 2 x 2", lambda: function(torch.matmul), [(2, 2, 20, 10), (2, 2, 10, 100)], "macs", 80000),
    Case("fvcore", "matmul by one matrix", lambda: function(torch.matmul), [(1, 20, 10), (10, 100)], "macs", 20000),
    Case("fvcore", "matmul of two by one", lambda: function(torch.matmul), [(2, 20, 10), (10, 100)], "macs", 40000),
    Case("fvcore", "mm", lambda: function(torch.mm), [(3, 4), (4, 5)], "macs", 60),
    Case("fvcore", "matmul 3 x 4 x 5", lambda: function(torch.matmul), [(3, 4), (4, 5)], "macs", 60),
    Case("fvcore", "bmm", lambda: function(torch.bmm), [(2, 5, 2), (2, 2, 12)], "macs", 240),
    Case("fvcore", "einsum nct,ncp->ntp", lambda: function(lambda a, b: torch.einsum("nct,ncp->ntp", a, b)), [(1, 5, 2), (1, 5, 12)], "macs", 120),
    Case("fvcore", "einsum ntg,ncg->nct", lambda: function(lambda a, b: torch.einsum("ntg,ncg->nct", a, b)), [(1, 2, 6), (1, 5, 6)], "macs", 60),
    Case("fvcore", "einsum nc,nchw->hw", lambda: function(lambda a, b: torch.einsum("nc,nchw->hw", a, b)), [(3, 4), (3, 4, 2, 3)], "macs", 72),
    Case("fvcore", "batch norm 1d", lambda: nn.BatchNorm1d(10, affine=False), [(10, 10)], "flops", 100, ("one flop without scale and shift",)),
    Case("fvcore", "batch norm 2d in training", lambda: Net(lambda _, x: functional.batch_norm(x, None, None, training=True)), [(10, 10, 5, 5)], "flops", 4 * 2500, ("four flops without scale and shift",)),
    Case("fvcore", "batch norm 3d in training", lambda: Net(lambda _, x: functional.batch_norm(x, None, None, training=True)), [(10, 10, 5, 5, 5)], "flops", 4 * 12500, ("four flops without scale and shift",)),
    Case("fvcore", "batch norm with scale", lambda: _affine(training=False), [IMAGE], "flops", 32),
    Case("fvcore", "batch norm without scale", lambda: nn.BatchNorm2d(2, affine=False), [IMAGE], "flops", 16, ("one flop without scale and shift",)),
    Case("fvcore", "batch norm with scale in training", lambda: _affine(training=True), [IMAGE], "flops", 80, ("five flops with scale and shift",)),
    Case("fvcore", "group norm", lambda: nn.GroupNorm(2, 2), [IMAGE], "flops", 80, ("five flops with scale and shift",)),
    Case("fvcore", "group norm without scale", lambda: nn.GroupNorm(2, 2, affine=False), [IMAGE], "flops", 64, ("four flops without scale and shift",)),
    Case("fvcore", "bilinear upsampling", lambda: nn.Upsample(scale_factor=2, mode="bilinear"), [IMAGE], "flops", 256, ("four flops per bilinear output",)),
    # 4000 of the convolution, 60 and 12 of the linear layers; pooling reads 4 x 5 x 100 elements
    Case("fvcore", "three layers", _three, [(4, 2, 10, 10)], "macs", 4072),
    Case("fvcore", "three layers", _three, [(4, 2, 10, 10)], "conv macs", 4000),
    Case("fvcore", "three layers", _three, [(4, 2, 10, 10)], "linear1 macs", 60),
    Case("fvcore", "three layers", _three, [(4, 2, 10, 10)], "linear2 macs", 12),
    Case("fvcore", "three layers", _three, [(4, 2, 10, 10)], "pool flops", 2000),
    # 5 positions x 4 x 4 x 3, 20 x 10; inside 5 x 2 x 2, 10 x 10
    Case("fvcore", "nested", _nested, [(1, 4, 5)], "macs", 240 + 200 + 20 + 100),
    Case("fvcore", "nested", _nested, [(1, 4, 5)], "conv macs", 240),
    Case("fvcore", "nested", _nested, [(1, 4, 5)], "fc macs", 200),
    Case("fvcore", "nested", _nested, [(1, 4, 5)], "submod.conv macs", 20),
    Case("fvcore", "nested", _nested, [(1, 4, 5)], "submod.fc macs", 100),
    Case("fvcore", "unused layer", lambda: Net(lambda s, x: s.fc2(s.fc1(x).relu()), fc1=nn.Linear(10, 10), fc2=nn.Linear(10, 1), unused=nn.Linear(20, 20)), [(1, 10)], "macs", 110),
    Case("fvcore", "unused layer", lambda: Net(lambda s, x: s.fc2(s.fc1(x).relu()), fc1=nn.Linear(10, 10), fc2=nn.Linear(10, 1), unused=nn.Linear(20, 20)), [(1, 10)], "unused macs", 0),
    Case("fvcore", "repeated layers", lambda: Net(lambda s, x: s.fc2(s.fc2(s.fc1(s.fc1(s.fc1(x))))), fc1=nn.Linear(10, 10), fc2=nn.Linear(10, 10)), [(1, 10)], "macs", 500),
    Case("fvcore", "repeated layers", lambda: Net(lambda s, x: s.fc2(s.fc2(s.fc1(s.fc1(s.fc1(x))))), fc1=nn.Linear(10, 10), fc2=nn.Linear(10, 10)), [(1, 10)], "fc1 macs", 300),
    Case("fvcore", "call that is no forward", lambda: Net(lambda s, x: s.inner.fc(s.fc(x)), fc=nn.Linear(10, 10), inner=Net(lambda _, x: x, fc=nn.Linear(10, 1))), [(1, 10)], "macs", 110),
    Case("fvcore", "shared modules", _shared_modules, [(1, 10)], "macs", 220),
    Case("fvcore", "recursive module", lambda: Net(lambda s, x, left=3: s(x, left - 1) if left else s.fc(x), fc=nn.Linear(10, 1)), [(1, 10)], "macs", 10),
    Case("fvcore", "reused weight", lambda: _reused_weight(reuse=False), [(1, 100, 5, 5)], "params", 180200),
    Case("fvcore", "reused weight", lambda: _reused_weight(reuse=True), [(1, 100, 5, 5)], "params", 90200),
    Case("fvcore", "three convolutions", _three_convs, [(1, 3, 32, 32)], "activations", 8192 + 1024 + 128),
    Case("fvcore", "three convolutions", _three_convs, [(1, 3, 32, 32)], "0 activations", 8 * 32 * 32),
    Case("fvcore", "three convolutions", _three_convs, [(1, 3, 32, 32)], "1 activations", 4 * 16 * 16),
    Case("fvcore", "three convolutions", _three_convs, [(1, 3, 32, 32)], "2 activations", 2 * 8 * 8),
    Case("fvcore", "linear", lambda: nn.Linear(10, 20), [(1, 10)], "activations", 20),
]  # fmt: skip


class _Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return the product of a matrix with itself."""
        return torch.mm(x, x)


def _square_named(named: dict[str, Tensor]) -> dict[str, Tensor]:
    x = named["a"].relu_()
    return {"a": torch.mm(x, x)}


def _variety(_: nn.Module, *x: Tensor) -> Any:
    torch.mm(x[0], x[1])
    torch.addmm(x[2], x[0], x[1], beta=0.5, alpha=0.5)
    torch.matmul(x[3], x[4])
    torch.einsum("ab,bc->ac", x[5], x[6])


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True)


QUERIES = (4, 8, 128, 64)

TORCH = [
    Case("torch", "mm", lambda: function(torch.mm), [(4, 5), (5, 6)], "products", 240),
    Case("torch", "bmm", lambda: function(torch.bmm), [(3, 4, 5), (3, 5, 6)], "products", 720),
    Case("torch", "addmm", lambda: function(torch.addmm), [(4, 6), (4, 5), (5, 6)], "products", 240),
    Case("torch", "addmm of a column", lambda: function(torch.addmm), [(4, 1), (4, 5), (5, 6)], "products", 240),
    Case("torch", "addmm of a row", lambda: function(torch.addmm), [(6,), (4, 5), (5, 6)], "products", 240),
    Case("torch", "baddbmm", lambda: function(torch.baddbmm), [(3, 4, 6), (3, 4, 5), (3, 5, 6)], "products", 720),
    Case("torch", "conv2d", lambda: nn.Conv2d(3, 6, 4, padding=1), [(2, 3, 6, 6)], "products", 28800),
    Case("torch", "conv1d", lambda: nn.Conv1d(3, 6, 4, padding=1), [(2, 3, 6)], "products", 1440),
    Case("torch", "four products", lambda: Net(_variety), [(4, 5), (5, 6), (4, 6), (5, 6), (6, 7), (6, 7), (7, 8)], "products", 3012 - 1440),
    Case("torch", "linear", lambda: nn.Linear(9, 10), [(8, 9)], "products", 1440),
    # forward and backward are 5184, half of it each
    Case("torch", "expanded product", lambda: function(lambda a, b, c: torch.bmm((a @ b).expand(7, 4, 6), c)), [(4, 5), (5, 6), (7, 6, 7)], "products", 2592),
    Case("torch", "square", lambda: function(lambda x: torch.mm(x, x)), [(5, 5)], "products", 250),
    # forward and backward are 750, a third of it each
    Case("torch", "autograd function", lambda: function(_Square.apply), [(5, 5)], "products", 250),
    Case("torch", "conv_transpose2d", lambda: function(functional.conv_transpose2d), [(1, 1, 2, 2), (1, 1, 2, 2)], "products", 32),
    Case("torch", "conv2d 1 x 1", lambda: function(functional.conv2d), [(1, 1, 2, 2), (1, 1, 1, 1)], "products", 8),
    # 50 passes forward and backward are 1,536,000
    Case("torch", "transposed convolution", lambda: nn.ConvTranspose2d(4, 8, 2, 2), [(1, 4, 30, 2)], "products", 1536000 // 100),
    Case("torch", "mm into a tensor", lambda: function(lambda x: torch.mm(x, x, out=torch.zeros(10, 10))), [(10, 10)], "products", 2000),
    # two layers; forward and backward are 12,000 and 6,000
    Case("torch", "dicts of tensors", lambda: nn.Sequential(*[function(_square_named)] * 2), [{"a": torch.rand(10, 10)}], "products", 4000),
    Case("torch", "tuple of tensors", lambda: function(lambda x: (torch.mm(x, x),)), [(10, 10)], "products", 2000),
    Case("torch", "attention", lambda: function(_attention), [QUERIES] * 3, "products", 134217728),
    Case("torch", "attention to 256", lambda: function(_attention), [QUERIES, (4, 8, 256, 64), (4, 8, 256, 64)], "products", 268435456),
]  # fmt: skip


def _digits() -> nn.Module:
    return Net(
        _run_digits, conv1=nn.Conv2d(1, 10, 5), conv2=nn.Conv2d(10, 20, 5), drop=nn.Dropout2d(0.3), fc1=nn.Linear(320, 50), fc2=nn.Linear(50, 10),
    )  # fmt: skip


def _run_digits(s: Any, x: Tensor) -> Tensor:
    x = functional.relu(functional.max_pool2d(s.conv1(x), 2))
    x = functional.relu(functional.max_pool2d(s.drop(s.conv2(x)), 2))
    x = functional.relu(s.fc1(x.view(-1, 320)))
    return functional.log_softmax(s.fc2(x), dim=1)


def _pruned() -> nn.Module:
    net = _digits()
    for layer in net.children():
        if not isinstance(layer, nn.Dropout2d):
            prune.l1_unstructured(layer, "weight", 0.5)  # type: ignore[no-untyped-call]
    return net


def _scripted() -> nn.Module:
    net = _digits()
    for name in ("fc1", "fc2"):
        setattr(net, name, torch.jit.script(getattr(net, name)))
    return net


def _two_inputs() -> nn.Module:
    layers = {
        name: nn.Linear(300 if name[0] == "a" else 50, 50 if name[0] == "a" else 10)
        for name in ("a1", "b1", "a2", "b2")
    }
    return Net(
        lambda s, x, y: torch.cat([s.b1(s.a1(x).relu()), s.b2(s.a2(y.float()).relu())]).log_softmax(1),
        **layers,
    )


def _words() -> nn.Module:
    return Net(
        lambda s, x: s.decoder(s.encoder(s.embedding(x))[0]),
        embedding=nn.Embedding(20, 300), encoder=nn.LSTM(300, 512, 2), decoder=nn.Linear(512, 20),
    )  # fmt: skip


def _repeat_conv(s: Any, x: Tensor) -> Tensor:
    for _ in range(6):
        x = s.conv(x)
    return x


def _container() -> nn.Module:
    """Eleven calls of five linear layers."""
    child = Net(_run_child, pair=nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5)), between=nn.Linear(5, 5))
    return nn.Sequential(nn.Linear(5, 5), child, nn.Linear(5, 5))


def _run_child(s: Any, x: Tensor) -> Any:
    out = s.between(s.pair(x))
    for layer in s.pair:
        out = layer(out)
    out = s.pair(x)
    for layer in s.pair:
        out = layer(out)
    return out


def _choices(*, pool: bool) -> nn.Module:
    return Net(
        lambda s, x: s.prelu(s.pool(x)) if pool else s.lrelu(s.conv(x)),
        conv=nn.Conv2d(10, 10, 3), pool=nn.MaxPool2d(3), lrelu=nn.LeakyReLU(), prelu=nn.PReLU(),
    )  # fmt: skip


def _autoencoder() -> nn.Module:
    return Net(
        _run_autoencoder, first=nn.Conv2d(3, 16, 3, padding=1), pool=nn.MaxPool2d(2, 2, return_indices=True),
        unpool=nn.MaxUnpool2d(2, 2), last=nn.Conv2d(16, 3, 3, padding=1),
    )  # fmt: skip


def _run_autoencoder(s: Any, x: Tensor) -> Any:
    x = s.first(x).relu()
    pooled, indices = s.pool(x)
    return s.last(s.unpool(pooled, indices, output_size=x.size())).relu()


def _reused_relu() -> nn.Module:
    relu = nn.ReLU(inplace=True)
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(4, 1, 1), nn.BatchNorm2d(1), relu]
    for c in (1, 2, 4):
        layers += [nn.Conv2d(c, 2 * c, 1, 2, 1), nn.BatchNorm2d(2 * c), relu]
    return nn.Sequential(*layers)


def _dilated() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 8, 5, padding="same"), nn.BatchNorm2d(8)]
    for dilation in (2, 4, 8, 8, 4, 2):
        layers += [nn.Conv2d(8, 8, 3, padding="same", dilation=dilation), nn.BatchNorm2d(8)]
    return nn.Sequential(*layers, nn.Conv2d(8, 1, 1, padding="same"), nn.BatchNorm2d(1))


def _fc(*, head: bool) -> nn.Module:
    weights = {"a": nn.Parameter(torch.rand(128, 64)), "b": nn.Parameter(torch.rand(64))}
    return Net(
        lambda s, x: s.head(torch.mm(x, s.a) + s.b),
        **weights,
        head=nn.Linear(64, 32) if head else nn.Identity(),
    )


def _inside() -> nn.Module:
    inner = Net(lambda s, x: s.linear(x) * s.scale, linear=nn.Linear(1, 1), scale=nn.Parameter(torch.ones(1)))
    return Net(
        lambda s, x: s.inner(s.linear(x)) * s.scale,
        linear=nn.Linear(2, 1),
        scale=nn.Parameter(torch.ones(2)),
        inner=inner,
    )


def _tied() -> nn.Module:
    net = nn.Sequential(nn.Embedding(1000, 64), nn.Linear(64, 1000, bias=False))
    net[1].weight = net[0].weight
    return net


def _cell(*, project: bool) -> nn.Module:
    return Net(lambda s, x: _run_cell(s, x, project), cell=nn.LSTMCell(3, 2), project=nn.Linear(2, 3))


def _run_cell(s: Any, x: Tensor, project: bool) -> Any:
    hidden, state = torch.randn(len(x), 2), torch.randn(len(x), 2)
    for _ in range(4):
        hidden, state = s.cell(x, (hidden, state))
        hidden = hidden.tanh()
    return s.project(hidden).tanh() if project else hidden


def _packed() -> nn.Module:
    return Net(_run_packed, embedding=nn.Embedding(60, 128), lstm=nn.LSTM(128, 32), out=nn.Linear(32, 18))


def _run_packed(s: Any, batch: Tensor, lengths: Tensor) -> Any:
    state = torch.ones(1, batch.size(-1), 32)
    _, (hidden, _) = s.lstm(pack_padded_sequence(s.embedding(batch), lengths), (state, state))
    return s.out(hidden[-1]).log_softmax(1)


# 128 sequences of 906 steps in all
LENGTHS = [*[8] * 10, *[7] * 118]


def _blocks() -> nn.Module:
    return nn.Sequential(*[nn.Linear(4, 4) if i % 2 == 0 else nn.ReLU() for i in range(12)])


def _conv_list() -> nn.Module:
    return nn.Sequential(*[nn.Sequential(nn.Conv1d(1, 1, 1), nn.ReLU(), nn.MaxPool1d(1)) for _ in range(5)])


def _stored(**weights: Tensor) -> nn.Module:
    """A module that returns its first parameter."""
    name = next(iter(weights))
    return Net(
        lambda s, _: getattr(s, name), **{name: nn.Parameter(weight) for name, weight in weights.items()}
    )


def _slices() -> nn.Module:
    whole = torch.rand(100, 300)
    return Net(lambda _, x: x, left=nn.Parameter(whole[:, :100]), right=nn.Parameter(whole[:, 100:]))


def _registered() -> nn.Module:
    return Net(
        lambda s, x: x + s.weights[0] * s.one(x) + s.weights[1] * s.two(x),
        weights=nn.Parameter(torch.zeros(2)),
        one=nn.Linear(2, 2),
        two=nn.Linear(2, 2),
    )


def _reused_linear() -> nn.Module:
    return nn.Sequential(*[nn.Linear(10, 10), nn.ReLU(inplace=True)] * 4)


def _nested_result() -> nn.Module:
    return Net(
        lambda s, x: {"a": ({"b": [s.two(s.one(x)).softmax(0)]},)},
        one=nn.Linear(10, 10),
        two=nn.Linear(10, 10),
    )


def _pairs(
    name: str,
    build: Callable[[], nn.Module],
    inputs: Sequence[Any],
    params: int,
    macs: int,
    *conventions: str,
    **rest: Any,
) -> list[Case]:
    """Two cases: torchinfo's parameters, and its multiply-adds."""
    unread = ("unread parameters",) if "unread parameters" in conventions else ()
    masked = ("pruned weights",) if "pruned weights" in conventions else ()
    others = tuple(name for name in conventions if name not in (*unread, *masked))
    return [
        Case("torchinfo", name, build, inputs, "params", params, (*unread, *masked), **rest),
        Case("torchinfo", name, build, inputs, "macs", macs, others, **rest),
    ]


class _Empty(nn.Module):
    """A module without parameters and without an input."""

    def forward(self) -> Tensor:
        """Return a random number."""
        return torch.rand(3, 3).sum()


TOKENS = Shape(1, 100, dtype="int64")
TORCHINFO = [
    *_pairs("digits", _digits, [(16, 1, 28, 28)], 21840, 7801600, "bias"),
    *_pairs("digits, batch of one", _digits, [(1, 1, 28, 28)], 21840, 487600, "bias"),
    *_pairs("digits, batch of two", _digits, [(2, 1, 28, 28)], 21840, 975200, "bias"),
    *_pairs("linear 2 to 5", lambda: nn.Linear(2, 5), [(1, 2)], 15, 15, "bias"),
    *_pairs("two inputs", _two_inputs, [(1, 300), Shape(1, 300, dtype="int64")], 31120, 31120, "bias"),
    *_pairs("groups", lambda: nn.Conv2d(16, 32, 3, groups=4), [(7, 16, 28, 28)], 1184, 5602688, "bias"),
    *_pairs("linear of tokens", lambda: nn.Linear(8, 64), [(32, 16, 8)], 576, 294912, "bias"),
    *_pairs("LSTM", _words, [TOKENS], 3784580, 6000 + 376832000 + 1026000, "bias", "table"),
    *_pairs("one convolution six times", lambda: Net(_repeat_conv, conv=nn.Conv2d(64, 64, 3, 1, 1)), [(1, 64, 28, 28)], 36928, 173709312, "bias"),
    *_pairs("container", _container, [(1, 5)], 150, 330, "bias"),
    *_pairs("container without batch", _container, [(5,)], 150, 330, "bias"),
    *_pairs("dict of choices: convolution", lambda: _choices(pool=False), [(1, 10, 3, 3)], 911, 910, "bias", "unread parameters"),
    *_pairs("dict of choices: pooling", lambda: _choices(pool=True), [(1, 10, 3, 3)], 911, 1, "scale and shift", "unread parameters"),
    *_pairs("nested result", _nested_result, [(10,)], 220, 220, "bias"),
    *_pairs("autoencoder", _autoencoder, [(1, 3, 64, 64)], 883, 883 * 4096, "bias"),
    *_pairs("one linear layer four times", _reused_linear, [(2, 10)], 110, 880, "bias"),
    # 98,000 and 8, 20,736 and 16, 17,328 and 32, 19,360 and 64
    *_pairs("one activation four times", _reused_relu, [(4, 4, 64, 64)], 91, 155544, "bias", "scale and shift"),
    *_pairs("parameters and a layer", lambda: _fc(head=True), [(3, 128)], 10336, 6240, "bias", "no parameters outside layers"),
    *_pairs("parameters", lambda: _fc(head=False), [(3, 128)], 8256, 0, "no parameters outside layers"),
    *_pairs("parameters beside layers", _inside, [(100, 2)], 8, 500, "bias"),
    # (608 + 6 x 584 + 9) scalars at 2 x 128 x 128 positions, and 2 x 114 of the normalisations
    *_pairs("dilations", _dilated, [(2, 3, 128, 128)], 4235, 4121 * 32768 + 228, "bias", "scale and shift"),
    *_pairs("list of convolutions", _conv_list, [(1, 1, 10)], 10, 100, "bias"),
    *_pairs("shared activation", _blocks, [(1, 4)], 120, 120, "bias"),
    *_pairs("LSTM cell", lambda: _cell(project=False), [(2, 3)], 65, 896, "bias", "steps times units", "unread parameters"),
    *_pairs("LSTM cell and a layer", lambda: _cell(project=True), [(2, 3)], 65, 914, "bias", "steps times units"),
    *_pairs("size in a tensor", lambda: Net(lambda s, x: s.conv(x), conv=nn.Conv1d(1, 1, 3, padding=1), kernel_size=torch.tensor(3)), [(1, 1, 16)], 4, 64, "bias"),
    *_pairs("number as input", lambda: Net(lambda s, x, t: s.linear(x) * t, linear=nn.Linear(10, 5)), [(1, 10), torch.rand([])], 55, 55, "bias"),
    *_pairs("dict of results", _digits, [(1, 1, 28, 28)], 21840, 487600, "bias"),
    *_pairs("dict as input", lambda: Net(lambda _, x, scale: scale * (x[256] + x[512][0]) * 5), [{256: torch.rand(10, 1), 512: [torch.rand(10, 1)]}, 5], 0, 0),
    *_pairs("dict with a word", lambda: Net(lambda _, x: x["tensor"] * 2), [{"tensor": torch.rand(1, 3, 32, 32), "label": "cat"}], 0, 0),
    *_pairs("dict with None", lambda: Net(lambda _, x: x["tensor"] * 2), [{"tensor": torch.rand(1, 3, 32, 32), "mask": None}], 0, 0),
    *_pairs("categorical result", lambda: Net(lambda s, x: Categorical(logits=s.linear(x).log_softmax(-1)), linear=nn.Linear(10, 5)), [(1, 10)], 55, 55, "bias"),
    *_pairs("normal result", lambda: Net(lambda s, x: Normal(s.mean(x), functional.softplus(s.std(x))), mean=nn.Linear(10, 5), std=nn.Linear(10, 5)), [(1, 10)], 110, 110, "bias"),
    # 20 x 7,680 of the table, 906 steps x 32 units x 20,736 scalars, 128 x 594
    *_pairs("packed batch", _packed, [torch.ones(20, 128, dtype=torch.int64), torch.tensor(LENGTHS)], 29010, 601407744, "bias", "table", "steps times units", options={"real": True}),
    Case("torchinfo", "scripted layers", _scripted, [(2, 1, 28, 28)], "params", 21840),
    Case("torchinfo", "pruned", _pruned, [(16, 1, 28, 28)], "params", 10965, ("pruned weights",)),
    Case("torchinfo", "pruned", _pruned, [(16, 1, 28, 28)], "macs", 3957600, ("bias", "pruned products")),
    Case("torchinfo", "stored parameter", lambda: _stored(weight=torch.ones(4, 8)), [(1,)], "params", 32, ("unread parameters",)),
    Case("torchinfo", "parameter named as pruned", lambda: _stored(weight_orig=torch.ones(4, 8)), [(1,)], "params", 32, ("unread parameters",)),
    Case("torchinfo", "small stored parameter", lambda: _stored(weight=torch.ones(3, 2)), [(2,)], "params", 6, ("unread parameters",)),
    Case("torchinfo", "large stored parameter", lambda: _stored(w=torch.zeros(1024)), [(1,)], "params", 1024, ("unread parameters",)),
    Case("torchinfo", "two parameters", lambda: Net(lambda s, x: s.w * x + s.b, w=nn.Parameter(torch.ones(10)), b=nn.Parameter(torch.ones(10))), [(10,)], "params", 20),
    Case("torchinfo", "registered parameter", _registered, [(1, 2)], "params", 14),
    Case("torchinfo", "tied weights", _tied, [Shape(2, 8, dtype="int64")], "params", 64000),
    Case("torchinfo", "slices of one tensor", _slices, [(100, 100)], "params", 30000, ("unread parameters",)),
    Case("torchinfo", "module without input", _Empty, [], "params", 0),
    *_pairs("frozen layers", lambda: nn.Sequential(*[nn.Conv1d(1, 1, 1).requires_grad_(False) for _ in range(3)]), [(1, 1, 1)], 6, 6, "bias"),
]  # fmt: skip

CASES = [*FVCORE, *TORCH, *TORCHINFO]

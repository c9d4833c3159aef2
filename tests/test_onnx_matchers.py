"""Each operator of ONNX is counted as the operator of PyTorch with the same meaning."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from onnx import TensorProto, defs, helper
from onnx_graphs import exported, exported_graph
from torch import Tensor, nn
from torch.nn import functional

import mbanalyze
from mbanalyze.model_files.onnx_file.graph_tensors import typed
from mbanalyze.model_files.onnx_file.learned_names import looks_learned
from mbanalyze.model_files.onnx_file.node_matching.matchers import MATCHERS
from mbanalyze.model_files.onnx_file.walk import RESHAPES
from mbanalyze.report.rows import Row

IMAGE = (2, 4, 6, 8)
ZEROS = torch.zeros(IMAGE, dtype=torch.long)
Works = Counter[tuple[str, int | None, int | None, int]]


class Run(nn.Module):
    """A module that runs a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Tensor) -> Any:
        """Return the result of the function."""
        return self.function(*args)


def work(each: Sequence[Row]) -> Works:
    """Return the kind, macs, flops and params of each row that computes something or has parameters."""
    found = [(row.op.kind, row.cost.macs, row.cost.flops, row.cost.params) for row in each]
    return Counter(entry for entry in found if entry[2] != 0 or entry[3])


def randomised(module: nn.Module) -> nn.Module:
    """Fill parameters and statistics with numbers that all differ, as exporters merge equal ones."""
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.uniform_(0.1, 1)
    return module


def traced(module: nn.Module, *shapes: tuple[int, ...]) -> Sequence[Row]:
    """Return the rows that the tracer gives."""
    return mbanalyze.count(module.eval(), *shapes).rows


ACTIVATIONS = {
    name: functools.partial(Run, function)
    for name, function in {
        "relu": functional.relu,
        "relu6": functional.relu6,
        "hardtanh": lambda x: functional.hardtanh(x, -2, 2),
        "clamp": lambda x: x.clamp(min=0.5),
        "leaky_relu": functional.leaky_relu,
        "elu": functional.elu,
        "celu": lambda x: functional.celu(x, 2.0),
        "selu": functional.selu,
        "gelu": functional.gelu,
        "tanh gelu": lambda x: functional.gelu(x, approximate="tanh"),
        "sigmoid": torch.sigmoid,
        "softplus": functional.softplus,
        "hardsigmoid": functional.hardsigmoid,
        "hardswish": functional.hardswish,
        "softmax": lambda x: x.softmax(1),
        "log_softmax": lambda x: x.log_softmax(-1),
    }.items()
}

ARITHMETIC = {
    name: functools.partial(Run, function)
    for name, function in {
        "square": lambda x: x**2,
        "root": lambda x: (x + 2).sqrt(),
        "add": lambda x: x + x.flip(0),
        "subtract from one": lambda x: 1 - x,
        "multiply": lambda x: x * x[:1],
        "divide": lambda x: x / 3,
        "mod": lambda x: torch.fmod(x, 2.0),
        "functions": lambda x: x.exp().log().sin().cos().tan().erf().abs().neg().reciprocal(),
        "inverse functions": lambda x: x.asin().acos().atan(),
        "rounding": lambda x: x.floor() + x.ceil() + x.round() + x.sign(),
        "comparisons": lambda x: torch.where((x > 0).logical_and(x < 1), x, x.isnan().float()),
        "extremum of two": lambda x: torch.maximum(x, x + 1),
    }.items()
}

REDUCTIONS = {
    name: functools.partial(Run, function)
    for name, function in {
        "sum": lambda x: x.sum(1),
        "maximum": lambda x: x.amax((2, 3)),
        "minimum": lambda x: x.amin(-1, keepdim=True),
        "product": lambda x: x.prod(1),
        "mean of an image": lambda x: x.mean((2, 3)),
        "mean of channels": lambda x: x.mean(1, keepdim=True),
        "mean of everything": lambda x: x.mean(),
        "norm": lambda x: x.norm(dim=1),
        "norm of order 1": lambda x: x.norm(p=1, dim=1),
        "log_sum_exp": lambda x: x.logsumexp(1),
        "argmax": lambda x: x.argmax(1),
        "top k": lambda x: x.topk(2, 1),
        "cumsum": lambda x: x.cumsum(2),
    }.items()
}

WINDOWS: dict[str, Callable[[], nn.Module]] = {
    "max pool": lambda: nn.MaxPool2d(3, 2, padding=1),
    "max pool of ceiled size": lambda: nn.MaxPool2d(3, 2, ceil_mode=True),
    "average pool": lambda: nn.AvgPool2d(2, stride=1, padding=1),
    "global average pool": lambda: nn.AdaptiveAvgPool2d(1),
    "average pool of the whole image": lambda: nn.AvgPool2d((6, 8)),
    "nearest": lambda: nn.Upsample(scale_factor=2),
    "bilinear": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
    "bicubic": lambda: nn.Upsample(scale_factor=2, mode="bicubic"),
    "grid": lambda: Run(lambda x: functional.grid_sample(x, x[..., :2], align_corners=False)),
    "nearest of a grid": lambda: Run(
        lambda x: functional.grid_sample(x, x[..., :2], "nearest", align_corners=True)
    ),
    "pixel shuffle": lambda: Run(lambda x: functional.pixel_shuffle(x, 2).relu()),
    "fold": lambda: Run(lambda x: functional.fold(x.flatten(2), (7, 9), (2, 2))),
}

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2),
    "depthwise convolution": lambda: nn.Conv2d(4, 4, 3, groups=4, bias=False),
    "transposed convolution": lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1),
    "prelu of each channel": lambda: nn.PReLU(4),
    "prelu": nn.PReLU,
    "batch norm": lambda: nn.BatchNorm2d(4),
    "instance norm": lambda: nn.InstanceNorm2d(4, affine=True),
    "instance norm without scale": lambda: nn.InstanceNorm2d(4),
    "layer norm": lambda: nn.LayerNorm(8),
    "layer norm of an image": lambda: nn.LayerNorm((6, 8)),
}  # fmt: skip

PRODUCTS: dict[str, Callable[[], nn.Module]] = {
    "linear layer without bias": lambda: nn.Linear(8, 5, bias=False),
    "linear layer of rows": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 5)),
    "matrix product": lambda: Run(lambda x: x @ x.transpose(2, 3)),
    "scaled sum": lambda: Run(lambda x: torch.addmm(x[0, 0, :, :6], x[0, 1], x[0, 2].t(), beta=2, alpha=3)),
    "einsum": lambda: Run(lambda x: torch.einsum("bchw,bdhw->bcd", x, x)),
    "einsum with an ellipsis": lambda: Run(lambda x: torch.einsum("...hw,...dw->...hd", x, x)),
    "lstm": lambda: First(nn.LSTM(8, 5)),
    "lstm without bias": lambda: First(nn.LSTM(8, 5, bias=False)),
    "gru of both directions": lambda: First(nn.GRU(8, 5, bidirectional=True)),
    "rnn": lambda: First(nn.RNN(8, 5, batch_first=True)),
    "embedding": lambda: nn.Sequential(Run(lambda x: x.argmax(1).argmax(1)), nn.Embedding(9, 5)),
}

INDEXING: dict[str, Callable[[], nn.Module]] = {
    name: functools.partial(Run, function)
    for name, function in {
        "added elements": lambda x: x.scatter_add(1, ZEROS, x),
        "written elements": lambda x: x.scatter(1, ZEROS, x).exp(),
        "moved elements": lambda x: functional.pad(x[:, :, ::2].repeat(2, 1, 1, 1).tril(), (1, 1)).exp(),
        "likelihood": lambda x: functional.nll_loss(x, ZEROS[:, 0]),
    }.items()
}


class First(nn.Module):
    """The first output of a recurrent layer on the first channel."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs of all steps."""
        return self.layer(images[:, 0])[0]  # type: ignore[no-any-return]


class Positions(nn.Module):
    """A learned row before the others, and learned positions, as in a vision transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.rand(1, 1, 32))
        self.positions = nn.Parameter(torch.rand(1, 13, 32))

    def forward(self, images: Tensor) -> Tensor:
        """Return the rows with their positions."""
        rows = images.reshape(-1, 12, 32)
        return torch.cat([self.first.expand(len(rows), -1, -1), rows], 1) + self.positions


SAME: dict[str, Callable[[], nn.Module]] = {
    **ACTIVATIONS,
    **ARITHMETIC,
    **REDUCTIONS,
    **WINDOWS,
    **LAYERS,
    **PRODUCTS,
    **INDEXING,
}


@pytest.mark.parametrize("name", SAME)
def test_a_node_is_the_operator_that_it_was_exported_from(name: str) -> None:
    """The exporter keeps these operators: their kinds, macs, flops and params are those of a trace."""
    module = randomised(SAME[name]())
    assert work(traced(module, IMAGE)) == work(exported(module, IMAGE))


SPLIT: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "linear layer": (lambda: nn.Linear(8, 5), "linear add"),
    "silu": (nn.SiLU, "sigmoid mul"),
    "mish": (nn.Mish, "softplus tanh mul"),
    "glu": (lambda: nn.GLU(1), "sigmoid mul"),
    "log sigmoid": (nn.LogSigmoid, "sigmoid log"),
    "group norm": (lambda: nn.GroupNorm(2, 4), "instance_norm mul add"),
    "lstm of two layers": (lambda: First(nn.LSTM(8, 5, num_layers=2, bidirectional=True)), "lstm lstm"),
    "adaptive pooling": (lambda: nn.AdaptiveAvgPool2d((3, 4)), "avg_pool"),
    "global max pool": (lambda: nn.AdaptiveMaxPool2d(1), "max_pool"),
    "cross entropy": (lambda: Run(lambda x: functional.cross_entropy(x, ZEROS[:, 0])), "composite"),
    "weight norm": (
        lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 6, 3)), "norm div mul conv"
    ),
    "transformer's positions": (Positions, "cat add"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPLIT)
def test_an_operator_that_the_exporter_splits_costs_the_same(name: str) -> None:
    """The exporter writes several nodes, or one for several operators; the totals are those of a trace."""
    make, kinds = SPLIT[name]
    module = randomised(make())
    ours = exported(module, IMAGE)

    assert totals(traced(module, IMAGE)) == totals(ours)
    assert sorted(kinds.split()) == sorted(row.op.kind for row in ours if row.op.kind not in MOVED)


MOVED = {"copy", "gather"}


def totals(each: Sequence[Row]) -> tuple[int, ...]:
    """Return the sums of macs, flops and params."""
    return tuple(sum(getattr(row.cost, name) for row in each) for name in ("macs", "flops", "params"))


def network() -> nn.Module:
    """Return a network with operators whose attributes became inputs in later versions."""
    return nn.Sequential(
        nn.ZeroPad2d(1),
        nn.Conv2d(4, 6, 3),
        nn.ReLU6(),
        nn.Upsample(scale_factor=2),
        Run(lambda x: x[:, 1:5].split(2, 1)[0].squeeze().clamp(0, 1).sum(1, keepdim=True)),
        nn.Dropout(),
        Run(lambda x: x.mean((2, 3)).topk(1, 1)[0].unsqueeze(1)),
    )


@pytest.mark.parametrize("opset", [9, 11, 13, 18])
def test_versions_of_operators(opset: int) -> None:
    """The same operators with attributes or with inputs have the same work."""
    assert work(traced(network(), IMAGE)) == work(exported(network(), IMAGE, opset=opset))


FOLDED = {"Constant", "Shape", "Size"}
"""The operators whose outputs are known without the elements of their inputs."""

STRUCTURE = {"If", "Loop", "Scan", "Optional", "OptionalGetElement", "OptionalHasElement", "SequenceMap"} | {
    *(f"Sequence{what}" for what in ("At", "Construct", "Empty", "Erase", "Insert", "Length")),
    *("ConcatFromSequence", "SplitToSequence"),
}
"""The operators that choose, repeat or collect other nodes."""

QUANTISED = {
    *("QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger"),
    "MatMulInteger",
}
"""The operators of quantised numbers."""

UNCOUNTED = {
    **dict.fromkeys(("StringConcat", "StringNormalizer", "StringSplit", "RegexFullMatch"), "text"),
    "TfIdfVectorizer": "counts of words depend on values",
    "ImageDecoder": "the work depends on the compressed image",
    "MaxRoiPool": "the size of a region depends on values",
    "MelWeightMatrix": "depends on no image; it is computed once",
    "LinearAttention": "experimental: no released PyTorch has it",
}
"""Operator -> the reason why it has no matcher."""


def test_every_operator_is_known() -> None:
    """Each operator of ONNX has a matcher, is free, gives the graph its structure, or is left out for a reason."""
    schemas = {schema.name for schema in defs.get_all_schemas_with_history() if schema.domain == ""}
    known = {name for name in MATCHERS if "::" not in name} | RESHAPES | FOLDED | STRUCTURE | QUANTISED
    assert schemas - known == set(UNCOUNTED) & schemas
    assert set(UNCOUNTED) & known == set()


def test_equal_weights_are_stored_once() -> None:
    """The exporter of TorchScript gives equal weights one initializer; the file has 12 of 16, and says so."""
    module = nn.Sequential(nn.LayerNorm(4), nn.LayerNorm(4))
    with torch.no_grad():
        module[0].weight.uniform_()  # type: ignore[operator]
    record = exported_graph(module, (2, 4), opset=17).record([(2, 4)])

    assert sum(op.params for op in record.ops) == 12
    assert any("merged with equal ones: 4" in note for note in record.notes)


@pytest.mark.parametrize(
    ("name", "shape", "learned"),
    [
        ("features.0.weight", (4, 3), True),
        ("class_token", (1, 1, 8), True),
        ("onnx::MatMul_439", (4, 3), False),
        ("val_32", (4, 3), False),
        ("/layer/Constant_output_0", (4,), False),
        ("unsqueeze", (1, 3, 49, 49), False),
        ("features.0.factor", (1,), False),
        ("onnx::Mul_12", (4, 1, 1), True),
        ("val_7", (4, 1, 1), True),
        ("onnx::Mul_16", (1, 4, 1, 1), True),
        ("unsqueeze_3", (4, 1, 1), True),
        ("view", (1, 4, 1, 1), True),
        ("view_1", (1, 4, 4, 1), False),
        ("val_165", (49, 1), False),
    ],
)
def test_names_of_learned_numbers(name: str, shape: tuple[int, ...], learned: bool) -> None:
    """A weight has several numbers and a name of its own, or the shape of the scale of a group norm."""
    tensor = typed(helper.make_tensor_type_proto(TensorProto.FLOAT, shape), name, "initializer")
    assert learned == looks_learned(tensor)

"""Each operator of ONNX is counted as the operator of PyTorch with the same meaning."""

from __future__ import annotations

import functools
import io
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, defs, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

import mbanalyze
from mbanalyze.model_files.onnx_file.node_matching.matchers import MATCHERS
from mbanalyze.model_files.onnx_file.onnx_graph import OnnxGraph
from mbanalyze.model_files.onnx_file.read_onnx import read_onnx
from mbanalyze.model_files.onnx_file.walk import RESHAPES
from mbanalyze.ops.formulas import FORMULAS
from mbanalyze.report.rows import Row, rows

IMAGE = (2, 4, 6, 8)
Works = Counter[tuple[str, int | None, int | None, int]]


class Run(nn.Module):
    """A module that runs a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Tensor) -> Any:
        """Return the result of the function."""
        return self.function(*args)


def work(each: list[Row]) -> Works:
    """Return the kind, macs, flops and params of each row that computes something or has parameters."""
    found = [(row.op.kind, row.cost.macs, row.cost.flops, row.cost.params) for row in each]
    return Counter(entry for entry in found if entry[2] != 0 or entry[3])


def exported(module: nn.Module, *shapes: tuple[int, ...], opset: int = 20) -> list[Row]:
    """Return the rows of a module that the exporter of TorchScript wrote to a file."""
    buffer = io.BytesIO()
    inputs = tuple(torch.rand(shape) for shape in shapes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), inputs, buffer, dynamo=False, opset_version=opset)
    return rows(OnnxGraph("net.onnx", onnx.load_from_string(buffer.getvalue())).record(shapes).ops)


def randomised(module: nn.Module) -> nn.Module:
    """Fill parameters and statistics with numbers that all differ, as exporters merge equal ones."""
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.uniform_(0.1, 1)
    return module


def traced(module: nn.Module, *shapes: tuple[int, ...]) -> list[Row]:
    """Return the rows that the tracer gives."""
    return list(mbanalyze.count(module.eval(), *shapes).rows)


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
        "hardshrink": functional.hardshrink,
        "softshrink": functional.softshrink,
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
        "inverse functions": lambda x: x.asin().acos().atan().sinh().cosh().tanh(),
        "area functions": lambda x: x.asinh().acosh().atanh(),
        "rounding": lambda x: x.floor() + x.ceil() + x.round() + x.sign(),
        "comparisons": lambda x: torch.where((x > 0) & (x < 1), x, x.isnan().float()),
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
    "global max pool": lambda: nn.AdaptiveMaxPool2d(1),
    "nearest": lambda: nn.Upsample(scale_factor=2),
    "bilinear": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
    "bicubic": lambda: nn.Upsample(scale_factor=2, mode="bicubic"),
    "grid": lambda: Run(lambda x: functional.grid_sample(x, x[:, :, :, :2], align_corners=False)),
    "nearest of a grid": lambda: Run(lambda x: functional.grid_sample(x, x[:, :, :, :2], "nearest")),
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

SAME = {**ACTIVATIONS, **ARITHMETIC, **REDUCTIONS, **WINDOWS, **LAYERS}


@pytest.mark.parametrize("name", SAME)
def test_a_node_is_the_operator_that_it_was_exported_from(name: str) -> None:
    """The exporter keeps these operators: their kinds, macs, flops and params are those of a trace."""
    module = randomised(SAME[name]())
    assert work(traced(module, IMAGE)) == work(exported(module, IMAGE))

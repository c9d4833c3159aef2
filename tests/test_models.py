"""The modules of `mbanalyze.models` train, and equal tables of torchsummary layer by layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from witness import table

from mbanalyze import count
from mbanalyze.archs import ARCHS
from mbanalyze.models import MODELS, MobileNetV1, MobileNetV2
from mbanalyze.report.network import Report
from mbanalyze.report.rows import Row


@pytest.mark.parametrize("name", MODELS)
def test_a_model_trains(name: str) -> None:
    """A backward pass gives every parameter a finite gradient, auxiliary classifiers included."""
    torch.manual_seed(0)
    model = MODELS[name](num_classes=4)
    side = 299 if name == "inception_v3" else 96
    outputs = model(torch.rand(2, 3, side, side))
    logits = outputs if isinstance(outputs, tuple) else (outputs,)
    sum(nn.functional.cross_entropy(each, torch.arange(2)) for each in logits).backward()  # type: ignore[union-attr]

    assert all(param.grad is not None and param.grad.isfinite().all() for param in model.parameters())


def test_every_architecture_has_a_module() -> None:
    """`ARCHS` and `MODELS` have the same names."""
    assert list(ARCHS) == list(MODELS)


TYPES = {"conv": "Conv2d", "batch_norm": "BatchNorm2d", "relu": "ReLU", "relu6": "ReLU6", "linear": "Linear"}


def described(row: Row) -> tuple[str, tuple[int, ...], int]:
    """Return type, output shape without the batch, and params, as torchsummary prints them."""
    return TYPES[row.op.kind], row.op.output[0].shape[1:], row.cost.params


def printed(row: dict[str, str]) -> tuple[str, tuple[int, ...], int]:
    """Return the same fields of a line of torchsummary."""
    sizes = (row["output_channels"], row["output_height"], row["output_width"])
    return row["layer_type"], tuple(int(size) for size in sizes if size), int(row["params"])


def layers_of(report: Report) -> list[Row]:
    """Return the rows for which torchsummary has a line."""
    return [row for row in report.rows if row.op.kind in TYPES]


def test_mobilenet_v1_layer_by_layer() -> None:
    """Every line of torchsummary is a row, in order, except the pooling, which has another name."""
    rows = table("torchsummary_mobilenet_v1.csv")
    report = count(MobileNetV1(), (1, 3, 224, 224))

    assert [printed(row) for row in rows if row["layer_type"] != "AvgPool2d"] == [
        described(row) for row in layers_of(report)
    ]
    assert [row["layer_type"] for row in rows if row["layer_type"] not in TYPES.values()] == ["AvgPool2d"]
    assert [row.op.kind for row in report.rows if row.op.kind not in TYPES] == ["global_avg_pool"]


def test_mobilenet_v2_layer_by_layer() -> None:
    """Every line of torchsummary is a row, in order, except blocks and dropout, which have no row."""
    rows = table("torchsummary_mobilenet_v2.csv")
    report = count(MobileNetV2(), (1, 3, 224, 224))

    assert [printed(row) for row in rows if row["layer_type"] in TYPES.values()] == [
        described(row) for row in layers_of(report)
    ]
    others = [row["layer_type"] for row in rows if row["layer_type"] not in TYPES.values()]
    assert others == ["InvertedResidual"] * 17 + ["Dropout"]
    assert report.free["dropout"] == 1
    assert {row.op.kind for row in report.rows if row.op.kind not in TYPES} == {"add", "global_avg_pool"}


def test_mobilenet_v2_block_by_block() -> None:
    """Each InvertedResidual line of torchsummary is the last output of its block."""
    printed_blocks = [
        printed(row)[1]
        for row in table("torchsummary_mobilenet_v2.csv")
        if row["layer_type"] == "InvertedResidual"
    ]
    blocks = {group.key: group for group in count(MobileNetV2(), (1, 3, 224, 224)).by("block")}

    assert printed_blocks == [blocks[f"features.{i}"].rows[-1].op.output[0].shape[1:] for i in range(1, 18)]

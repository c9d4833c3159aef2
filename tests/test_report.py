"""Reports: rows, groups, filters, frames."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mbanalyze import count
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.report.rows import block


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("features.3.conv.0.0", "features.3"),
        ("layer1.0.bn1", "layer1.0"),
        ("conv1", "conv1"),
        ("classifier.1", "classifier.1"),
        ("inception3a.branch1.conv", "inception3a"),
        ("encoder.layers.11.mlp.0", "encoder.layers.11"),
        ("", ""),
    ],
)
def test_blocks(path: str, name: str) -> None:
    """A block is the path up to its first number, or else its first name."""
    assert name == block(path)


def test_groups_of_mobilenet_v2() -> None:
    """MobileNetV2 has 21 blocks (19 features, the pooling and the classifier), and six kinds."""
    report = count("mobilenet_v2")

    assert [group.key for group in report.by("block")] == [
        *(f"features.{i}" for i in range(19)),
        "",
        "classifier.1",
    ]
    assert {group.key: len(group.rows) for group in report.by("kind")} == {
        "conv": 52,
        "batch_norm": 52,
        "relu6": 35,
        "add": 10,
        "global_avg_pool": 1,
        "linear": 1,
    }
    assert len(report.by("op")) == len(report.rows) == 151


def test_a_module_that_runs_twice_is_one_group() -> None:
    """A module that runs twice is one group with the rows of both calls."""
    twice = nn.ReLU()
    report = count(nn.Sequential(twice, nn.Linear(2, 2), twice), (1, 2))

    assert [(group.key, len(group.rows)) for group in report.by("module")] == [("0", 2), ("1", 1)]


def test_two_counts_of_a_module_are_equal() -> None:
    """Two traces of a module give equal reports, and so does a copy of one."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    report = count(model, (1, 3, 8, 8))

    assert report == count(model, (1, 3, 8, 8)) == copy.deepcopy(report)
    assert report != count(model, (1, 3, 9, 9))


def test_filters() -> None:
    """`only` keeps the rows of some kinds, and the rest of the report is unchanged."""
    report = count("mobilenet_v2")
    narrow = report.only("conv", "linear", "matmul")

    assert narrow.totals.macs == report.totals.macs
    assert narrow.totals.flops == 2 * 300_774_272 + 1000
    assert narrow.model == report.model


def test_a_filter_does_not_complete_a_report() -> None:
    """A filtered report stays incomplete, because an uncounted operator might be of the kind."""

    class Net(nn.Module):
        def forward(self, x: object) -> object:
            return torch.special.bessel_j0(x) + 1

    report = count(Net(), (3,))

    assert not report.only("add").complete
    assert report.only("add").uncounted == report.uncounted
    assert len(report.only("aten::special_bessel_j0").uncounted) == 1


def test_huge_counts_in_frames() -> None:
    """A count above 64 bits stays an integer in a frame."""
    frame = count("mobilenet_v2", resolution=10**9).frame()

    assert frame["macs"].sum() == count("mobilenet_v2", resolution=10**9).totals.macs


def test_frames() -> None:
    """A frame has the columns of the rows or groups, and sums to the totals."""
    frame = count("mobilenet_v2").frame()
    kinds = count("mobilenet_v2").frame(by="kind").set_index("key")

    assert list(frame.columns) == [
        "path",
        "kind",
        "variant",
        "merged",
        "inputs",
        "weights",
        "output",
        "params",
        "trainable_params",
        "macs",
        "flops",
        "activations",
        "reads",
        "writes",
        "memory_access",
        "live_bytes",
        "macs_share",
    ]
    assert (frame["memory_access"] == frame["reads"] + frame["writes"]).all()
    assert frame["macs_share"].sum() == pytest.approx(1)
    assert len(frame) == 151
    assert frame["macs"].sum() == 300_774_272
    assert kinds.loc["conv", "macs"] == 299_494_272
    assert list(count(nn.Identity(), (1, 2)).frame().columns) == list(frame.columns)


def test_unknown_counts_in_frames() -> None:
    """An unknown count is missing in a frame, in a column of nullable integers."""

    class Net(nn.Module):
        def forward(self, x: object) -> object:
            return torch.special.bessel_j0(x)

    frame = count(Net(), (3,)).frame()

    assert frame["macs"].isna().tolist() == [True]
    assert str(frame["macs"].dtype) == "Int64"


def test_bytes_follow_the_dtype() -> None:
    """The dtype changes bytes and leaves elements unchanged."""
    single, eighth = count("mobilenet_v2"), count("mobilenet_v2", dtype="int8")

    assert single.totals == eighth.totals
    assert single.totals.memory_access_bytes(single.itemsize) == 4 * eighth.totals.memory_access_bytes(1)
    assert eighth.itemsize == 1


@pytest.mark.parametrize(
    ("attempt", "problem"),
    [
        (
            lambda report: report.by("layer"),
            "unknown grouping 'layer': choose one of op, module, block, kind",
        ),
        (lambda report: report.only("convolution"), "unknown kind 'convolution'"),
        (lambda report: report.only(["conv"]), "unknown kind"),
        (lambda report: report.to("yaml"), "unknown format 'yaml': choose one of table, markdown, csv, json"),
        (lambda _: count("mobilenet_v2", dtype="float8"), "unknown dtype 'float8'"),
    ],
)
def test_unknown_choices_list_the_known(attempt: object, problem: str) -> None:
    """An unknown grouping, kind, format or dtype raises ChoiceError and lists the known ones."""
    with pytest.raises(ChoiceError, match=problem):
        attempt(count("mobilenet_v1"))  # type: ignore[operator]

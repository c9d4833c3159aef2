"""Fused reports: memory access with batch norms and activations merged into the product before them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from commandline import Run
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mbanalyze import compare, count, guidelines, models
from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import OptionError
from mbanalyze.comparison.comparison import Comparison
from mbanalyze.memory_access.analysis import GuidelinesError
from mbanalyze.plots.titles import title_of
from mbanalyze.report.network import Report
from mbanalyze.report.outline import outline

IMAGE = (1, 3, 8, 8)
NOTE = "note: batch norm and activation are merged into the convolution or linear layer before them"


def merged(module: nn.Module, *shape: int) -> list[str]:
    """Return the kinds of each row of the fused report: the operator, and those merged into it."""
    return [" + ".join((row.op.kind, *row.merged)) for row in count(module, shape, fused=True).rows]


def reads(module: nn.Module, *shape: int) -> list[int]:
    """Return the reads of each row of the fused report."""
    return [row.cost.reads for row in count(module, shape, fused=True).rows]


def test_the_first_block_of_mobilenet_v2() -> None:
    """Each row reads its input, weight and bias once, and writes the last output once."""
    first, depthwise, projection = count("mobilenet_v2", fused=True).rows[:3]
    pixels = 112 * 112

    assert [row.op.path for row in (first, depthwise, projection)] == [
        *("features.0.0", "features.1.conv.0.0", "features.1.conv.1")
    ]
    # 3x3 on the image, with a batch norm's 32 shifts as the bias
    assert (3 * 224 * 224 + 32 * 27 + 32, 32 * pixels) == (first.cost.reads, first.cost.writes)
    assert (32 * pixels + 32 * 9 + 32, 32 * pixels) == (depthwise.cost.reads, depthwise.cost.writes)
    assert (32 * pixels + 16 * 32 + 16, 16 * pixels) == (projection.cost.reads, projection.cost.writes)
    # the weight, and a batch norm's scale and shift
    assert first.cost.params == 32 * 27 + 2 * 32
    # two for each of 27 multiply-accumulates, two of the batch norm, one of ReLU6
    assert (2 * 27 + 2 + 1) * 32 * pixels == first.cost.flops


@pytest.mark.parametrize(
    ("name", "plain", "fused"),
    [("mobilenet_v2", 43_266_256, 17_647_280), ("resnet50", 106_498_960, 76_012_624)],
)
def test_merged_operators_move_less(name: str, plain: int, fused: int) -> None:
    """Fusion saves the reads and writes between the parts of each row, and adds a bias to each batch norm's product."""
    report = count(name)
    merged_rows = report.fused()
    # each merged part reads and writes one tensor of its own size, and a batch norm four numbers a channel
    saved = sum(
        2 * part.output[0].size + 4 * part.output[0].shape[1] * (part.kind == "batch_norm")
        for row in merged_rows.rows
        for part in row.parts[1:]
    )
    shifts = sum(row.op.output[0].shape[1] for row in merged_rows.rows if "batch_norm" in row.merged)

    assert (plain, fused) == (report.totals.memory_access, merged_rows.totals.memory_access)
    assert plain - saved + shifts == fused


def fuse_batch_norms(module: nn.Module) -> None:
    """Let torch put each batch norm into the convolution before it, in every `Sequential`."""
    for parent in module.modules():
        names = list(parent._modules) if isinstance(parent, nn.Sequential) else []
        for before, name in pairwise(names):
            conv, norm = getattr(parent, before), getattr(parent, name)
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, before, fuse_conv_bn_eval(conv, norm))
                setattr(parent, name, nn.Identity())


def test_torch_fuses_batch_norms_likewise() -> None:
    """The convolutions of a network that torch fuses have the reads and writes of the merged rows."""
    spec = ARCHS["mobilenet_v2"](alpha=0.25, resolution=32, num_classes=3)  # type: ignore[call-arg]
    module = models.build(spec).eval()
    expected = count(module, IMAGE, fused=True)
    fuse_batch_norms(module)
    found = count(module, IMAGE)

    def moved(report: Report) -> list[tuple[str, int, int]]:
        products = report.only("conv", "linear").rows
        return [(row.op.path, row.cost.reads, row.cost.writes) for row in products]

    assert {row.op.kind for row in found.rows} == {"conv", "relu6", "add", "global_avg_pool", "linear"}
    assert moved(found) == moved(expected)


@pytest.mark.parametrize("name", ARCHS)
def test_closed_form_and_trace_are_fused_equally(name: str) -> None:
    """Both producers give the same merged rows and peaks; params, macs and flops are those of the plain report."""
    report = count(name, resolution=96)
    fused, traced = report.fused(), count(name, resolution=96, trace=True, fused=True)

    assert fused.rows == traced.rows
    assert fused.peak_bytes("deployed") == traced.peak_bytes("deployed")
    for total in ("params", "macs", "flops", "activations", "params_fixed"):
        assert getattr(report.totals, total) == getattr(fused.totals, total)
    assert report.trainable_params == fused.trainable_params
    assert report.totals.memory_access > fused.totals.memory_access


class Custom(nn.Module):
    """A convolution, a batch norm, a linear layer and a buffer, which a function uses."""

    def __init__(self, use: Use) -> None:
        super().__init__()
        self.use, self.conv, self.norm = use, nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.linear = nn.Linear(3, 4)
        self.register_buffer("least", torch.zeros(1, 4, 1, 1))

    def forward(self, x: torch.Tensor) -> Any:
        """[1, 3, 8, 8] -> the result of the function."""
        return self.use(self, x)

    def computed(self, x: torch.Tensor) -> Any:
        """[1, 3, 8, 8] -> four numbers that depend on the image."""
        return self.linear(x.mean((2, 3)))[0]


Use = Callable[[Custom, torch.Tensor], Any]


def by_position(net: Custom, x: torch.Tensor) -> Any:
    """Normalise the features of all positions of the image together, as LeViT does."""
    y, norm = net.linear(x.flatten(2).mT.contiguous()), net.norm
    z = F.batch_norm(y.flatten(0, 1), norm.running_mean, norm.running_var, norm.weight, norm.bias)
    return F.hardswish(z.reshape_as(y))


def added(net: Custom, x: torch.Tensor) -> Any:
    """Read the output of the convolution twice."""
    y = net.conv(x)
    return F.relu(y) + y


def in_place(net: Custom, x: torch.Tensor) -> Any:
    """Return the output of the convolution after a function has changed it."""
    y = net.conv(x)
    F.relu_(y)
    return y


def dynamic(net: Custom, x: torch.Tensor) -> Any:
    """Convolve with a weight that depends on the image."""
    kernel = net.computed(x).view(4, 1, 1, 1).expand(4, 3, 1, 1)
    return F.relu(net.norm(F.conv2d(x, kernel)))


@pytest.mark.parametrize(
    ("use", "rows"),
    [
        (added, ["conv", "relu", "add"]),
        (in_place, ["conv + relu"]),
        (dynamic, ["global_avg_pool", "linear", "conv", "batch_norm", "relu"]),
        (lambda net, x: F.hardswish(net.norm(net.conv(x))), ["conv + batch_norm + hard_swish"]),
        (lambda net, x: F.relu(net.conv(x)[:, :2]), ["conv", "relu"]),
        (lambda net, x: F.relu(net.conv(x).flatten(1)), ["conv + relu"]),
        (lambda net, x: F.relu(net.conv(x)[0]), ["conv + relu"]),
        (lambda net, x: F.relu(net.conv(x).mT), ["conv", "relu"]),
        (lambda net, x: net.norm(net.conv(x[0])[None]), ["conv + batch_norm"]),
        (lambda net, x: net.norm(net.conv(x).view(4, 4, 4, 4)), ["conv", "batch_norm"]),
        (by_position, ["copy", "linear + batch_norm + hard_swish"]),
        (lambda net, x: torch.clamp(net.conv(x), min=net.least), ["conv + clamp"]),
        (
            lambda net, x: F.prelu(net.conv(x), net.computed(x)),
            ["conv", "global_avg_pool", "linear", "prelu"],
        ),
    ],
)
def test_only_the_sole_reader_of_the_whole_output_is_merged(use: Use, rows: list[str]) -> None:
    """An operator stays if the product has other readers, or if its own numbers or the weight are computed."""
    assert rows == merged(Custom(use), *IMAGE)


def test_a_returned_output_is_written() -> None:
    """The activation after a feature that the network returns keeps its row; one in place changes the feature."""

    def features(net: Custom, x: torch.Tensor) -> Any:
        y = net.conv(x)
        return {"feature": y[:, 1:], "logits": F.relu(y)}

    def overwritten(net: Custom, x: torch.Tensor) -> Any:
        y = net.conv(x)
        return [y, F.relu(y, inplace=True)]

    assert merged(Custom(features), *IMAGE) == ["conv", "relu"]
    assert merged(Custom(overwritten), *IMAGE) == ["conv + relu"]


def test_a_merged_operator_keeps_its_shape() -> None:
    """An activation of the flattened output leaves the output of the convolution an image."""
    (row,) = count(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.ReLU()), IMAGE, fused=True).rows
    (analysis,) = guidelines(
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.ReLU()), IMAGE, fused=True
    ).convolutions

    assert row.op.output[0].shape == (1, 4, 8, 8)
    assert analysis.channels == (3, 4)


CONV, BARE = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1, bias=False)


@pytest.mark.parametrize(
    ("layers", "shape", "rows", "expected"),
    [
        # 192 elements of the image, 12 weights, 4 biases
        ([CONV, nn.ReLU()], IMAGE, ["conv + relu"], [208]),
        ([CONV, nn.BatchNorm2d(4)], IMAGE, ["conv + batch_norm"], [208]),
        ([BARE, nn.BatchNorm2d(4)], IMAGE, ["conv + batch_norm"], [208]),
        ([BARE, nn.BatchNorm2d(4, affine=False)], IMAGE, ["conv + batch_norm"], [208]),
        ([BARE, nn.ReLU6(inplace=True)], IMAGE, ["conv + relu6"], [204]),
        # one more weight for all channels, and one for each
        ([BARE, nn.PReLU()], IMAGE, ["conv + prelu"], [205]),
        ([BARE, nn.BatchNorm2d(4), nn.PReLU(4)], IMAGE, ["conv + batch_norm + prelu"], [212]),
        # the batch norm reads 256 elements and four numbers a channel
        ([CONV, nn.ReLU(), nn.BatchNorm2d(4)], IMAGE, ["conv + relu", "batch_norm"], [208, 272]),
        ([CONV, nn.ReLU(), nn.Sigmoid()], IMAGE, ["conv + relu", "sigmoid"], [208, 256]),
        ([BARE, nn.BatchNorm2d(4), nn.BatchNorm2d(4)], IMAGE, ["conv + batch_norm", "batch_norm"], [208, 272]),
        # 48 weights of 2x2, whose output has a bias a channel too
        ([nn.ConvTranspose2d(3, 4, 2, bias=False), nn.BatchNorm2d(4), nn.SiLU()], IMAGE,
         ["conv + batch_norm + silu"], [192 + 48 + 4]),
        ([nn.Conv1d(3, 4, 1), nn.BatchNorm1d(4)], (1, 3, 8), ["conv + batch_norm"], [24 + 12 + 4]),
        ([nn.Linear(8, 4), nn.ReLU()], (2, 5, 8), ["linear + relu"], [80 + 32 + 4]),
        ([nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Tanh()], (2, 8), ["linear + batch_norm + tanh"], [16 + 32 + 4]),
        # a batch norm of the five positions, not of the four features
        ([nn.Linear(8, 4), nn.BatchNorm1d(5)], (2, 5, 8), ["linear", "batch_norm"], [116, 40 + 20]),
        # without a batch, the eight rows are the channels of a batch norm in one dimension
        ([BARE, nn.BatchNorm1d(8)], (3, 8, 8), ["conv", "batch_norm"], [204, 256 + 32]),
        # a batch norm that needs the statistics of its input
        ([BARE, nn.BatchNorm2d(4, affine=False, track_running_stats=False)], IMAGE,
         ["conv", "batch_norm_training"], [204, 256]),
        ([BARE, nn.Dropout(), nn.ReLU()], IMAGE, ["conv + relu"], [204]),
        ([nn.MaxPool2d(2), nn.ReLU()], IMAGE, ["max_pool", "relu"], [192, 48]),
    ],
)  # fmt: skip
def test_merged_rows_and_their_reads(
    layers: list[nn.Module], shape: tuple[int, ...], rows: list[str], expected: list[int]
) -> None:
    """A batch norm, an activation, or both are merged; the row reads a bias, and the weight of a PReLU."""
    module = nn.Sequential(*layers)

    assert rows == merged(module, *shape)
    assert expected == reads(module, *shape)


def test_complex_numbers_are_not_merged() -> None:
    """An activation of complex numbers without a formula keeps its row, and the report stays incomplete."""

    class Complex(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4, dtype=torch.complex64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.celu(self.layer(torch.complex(x, x)))

    report = count(Complex(), (2, 4), fused=True)

    assert [row.types for row in report.rows] == ["copy", "linear", "celu"]
    assert [each.operator for each in report.uncounted] == ["celu"]


def test_frozen_parts() -> None:
    """The trainable params of a merged row are the sum of those of its parts."""
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    module[1].requires_grad_(False)
    (row,) = count(module, IMAGE, fused=True).records()

    assert (row["params"], row["trainable_params"]) == (16 + 8, 16)


def test_a_plain_report_says_that_nothing_is_merged() -> None:
    """Its document and its rows have the same keys, with False and empty lists."""
    plain, fused = count("squeezenet1_0").as_dict(), count("squeezenet1_0", fused=True).as_dict()

    assert (plain["fused"], fused["fused"]) == (False, True)
    assert {()} == {tuple(row["merged"]) for row in plain["rows"]}
    assert fused["rows"][0]["merged"] == ["relu"]
    assert (plain.keys(), plain["rows"][0].keys()) == (fused.keys(), fused["rows"][0].keys())
    assert [*plain["notes"], NOTE.removeprefix("note: ")] == fused["notes"]


def test_peaks_are_those_of_the_record() -> None:
    """Fusion changes no peak; the live bytes of a merged row are the most of its parts."""
    report = count("mobilenet_v2", resolution=32)
    fused = report.fused()
    parts = {row.op.path: row for row in report.rows if row.op.path.startswith("features.0")}

    assert report.peak_bytes() == fused.peak_bytes() == fused.live_bytes(fused.rows)
    assert report.peak_bytes("deployed") == fused.peak_bytes("deployed")
    assert fused.live_bytes(fused.rows[:1]) == report.live_bytes(parts.values())


def test_fused_twice_and_in_part() -> None:
    """A second fusion changes nothing, and kinds may be selected before or after the first."""
    report = count("mobilenet_v2", resolution=32)

    assert report.fused() == report.fused().fused()
    assert report.only("conv").fused() == report.fused().only("conv")
    assert copy.deepcopy(report).fused() == report.fused()


def test_groups_of_a_fused_report() -> None:
    """A merged row belongs to the module and the kind of its product."""
    report = count(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU()), IMAGE, fused=True)

    assert [group.key for group in report.by("kind")] == ["conv"]
    assert [(group.key, len(group.rows)) for group in report.by("module")] == [("0", 1)]
    assert "| 0 | conv pointwise + batch_norm + relu | batch_norm relu | 4x3x1x1 4 |" in report.to(
        "markdown", columns="kind,merged,weights"
    )


def test_equal_blocks_need_equal_parts() -> None:
    """Neighbours are one row of the tree only if the same kinds are merged in both."""
    blocks = [nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()) for _ in range(3)]
    blocks[2][1] = nn.LeakyReLU()
    report = count(nn.Sequential(*blocks), (1, 4, 8, 8), fused=True)

    assert [group.key for group in outline(report, 1)] == ["0-1 (x2)", "2"]


def test_the_command_line(run: Run) -> None:
    """`report --fused` names the merged kinds, and says that the report is fused."""
    table = run("report", "mobilenet_v2", "--fused", "--by", "op", "--columns", "kind,reads")
    document = json.loads(run("report", "mobilenet_v2", "--fused", "-f", "json").out)
    lines = run("report", "mobilenet_v2", "--fused", "-f", "csv").out.splitlines()

    assert "features.1.conv.0.0 conv depthwise + batch_norm + relu6 401.7 k" in " ".join(table.out.split())
    assert NOTE in table.out
    assert "closed-form, fused | convention" in table.out
    assert document == count("mobilenet_v2", fused=True).as_dict()
    assert lines[1].startswith("features.0.0,conv,standard,batch_norm relu6,1x3x224x224,32x3x3x3 32,")


def test_a_check_compares_the_recorded_operators(run: Run) -> None:
    """`--check` beside `--fused` compares the operators before they are merged."""
    checked = run("report", "mobilenet_v2", "--resolution", "32", "--fused", "--check", "--strict")

    assert checked.code == 0
    assert "closed-form/trace operators 151 151 yes" in " ".join(checked.out.split())


def test_compared_networks_are_fused(run: Run) -> None:
    """Every model is fused, reports included; the labels tell a fused report from a plain one."""
    report = count("mobilenet_v2")
    both = compare(report, "mobilenet_v2@alpha=0.75", fused=True)
    mixed = compare(report, report.fused())
    shown = run("compare", "mobilenet_v2", "mobilenet_v2@alpha=0.75", "--fused").out

    assert [model["fused"] for model in both.as_dict()["models"]] == [True, True]
    assert both.changes("memory_access")[1] == -2_616_168
    assert mixed.labels == ("mobilenet_v2 unfused", "mobilenet_v2 fused")
    assert "conv pointwise" in [part.key for part in both.by_kind]
    assert NOTE in shown
    assert "17,647,280   15,031,112  x 0.852" in shown


def test_titles_of_plots() -> None:
    """The title of a plot says that a report is fused, and of a comparison that all its reports are."""
    report = count("mobilenet_v2", fused=True)
    plain = count("mobilenet_v2", alpha=0.5)

    assert "mobilenet_v2, 1x3x224x224, fused" == title_of(report) == title_of(guidelines(report))
    assert title_of(compare(report, plain, fused=True)).endswith("1x3x224x224, fused")
    assert "fused" not in title_of(Comparison((plain, plain))) + title_of(Comparison((report, plain)))


def test_guidelines_of_a_fused_network(run: Run) -> None:
    """Element-wise operators that are merged move nothing; the parts of each convolution still add up."""
    analysis = guidelines("mobilenet_v2", fused=True)
    report = analysis.report

    # 10 additions read two tensors and write one
    additions = sum(3 * row.op.output[0].size for row in report.rows if row.op.kind == "add")
    assert additions == analysis.shares["element-wise"] == 649_152
    assert "batch norm" not in analysis.shares
    assert sum(analysis.shares.values()) == report.totals.memory_access
    for c in analysis.convolutions:
        assert c.memory_access == pytest.approx(c.bound + c.imbalance + c.grouping + c.bias)
        assert c.bias == c.channels[1]
    assert guidelines(report) == guidelines(count("mobilenet_v2"), fused=True) == analysis
    assert analysis.as_dict()["fused"] is True
    assert NOTE in run("guidelines", "mobilenet_v2", "--fused").out


def test_bad_values(run: Run) -> None:
    """A text is no flag, and the paper's experiments cannot be fused."""
    with pytest.raises(OptionError, match="fused must be True or False, not 'no'"):
        count("mobilenet_v2", fused="no")
    with pytest.raises(OptionError, match="fused must be True or False, not 'no'"):
        guidelines("mobilenet_v2", fused="no")  # type: ignore[call-overload]
    with pytest.raises(OptionError, match=r"fused must be True or False, not 1\.5"):
        compare("mobilenet_v2", "resnet18", fused=1.5)  # type: ignore[arg-type]
    with pytest.raises(GuidelinesError, match="fused merges the operators of a network: give one"):
        guidelines(fused=True)  # type: ignore[call-overload]
    assert "--input and --fused need a model" in run("guidelines", "--fused").err

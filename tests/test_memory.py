"""`memory`: the peak of a network as a command, a function and a plot."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from commandline import Run
from matplotlib.patches import StepPatch
from torch import Tensor, nn

from mbanalyze import count, memory, plots
from mbanalyze.archs import ARCHS
from mbanalyze.capacity.peak import CapacityError, Memory
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.peak_memory.timeline import ACCOUNTS
from mbanalyze.plots.drawing import PlotError
from mbanalyze.report.accounts import AccountError

NETS = Path(__file__).parent / "data/nets.py"
DOCS = Path(__file__).parent.parent / "docs"


class Identity(nn.Module):
    """A network without operators."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the input."""
        return x


class Branches(nn.Module):
    """Seven convolutions of the input, concatenated, inside a module with a long name."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({f"{'long' * 40}_{i}": nn.Conv2d(1, 1, 1) for i in range(7)})

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate."""
        return torch.cat([branch(x) for branch in self.inner.values()], 1)


def test_the_tensors_of_a_peak() -> None:
    """The tensors at ResNet-50's peak are the two sides of the first shortcut and their input."""
    peak = memory("resnet50")

    # 256, 256 and 64 channels of 56 x 56 float32 numbers
    assert [(each["path"], each["kind"], each["shape"], each["bytes"]) for each in peak.records()] == [
        ("layer1.0.bn3", "batch_norm", "1x256x56x56", 256 * 56 * 56 * 4),
        ("layer1.0.downsample.0", "conv", "1x256x56x56", 256 * 56 * 56 * 4),
        ("maxpool", "max_pool", "1x64x56x56", 64 * 56 * 56 * 4),
    ]
    assert [each["share"] for each in peak.records()] == [256 / 576, 256 / 576, 64 / 576]
    assert sum(tensor.bytes for tensor in peak.tensors) == peak.peak_bytes == 7_225_344


@pytest.mark.parametrize("name", ARCHS)
def test_weights_are_params_and_buffers(name: str) -> None:
    """The weights of a network take the bytes of its params, and of two numbers for each channel of a batch norm."""
    report = count(name)
    channels = sum(row.op.output[0].shape[1] for row in report.only("batch_norm").rows)

    assert 4 * (report.totals.params + 2 * channels) == memory(report).stored_bytes("ideal")


def test_merged_batch_norms_leave_a_bias() -> None:
    """Deployed, a batch norm's four numbers for each channel are one."""
    report = count("mobilenet_v2", dtype="int8")
    channels = sum(row.op.output[0].shape[1] for row in report.only("batch_norm").rows)
    peak = memory(report)

    assert 3 * channels == peak.stored_bytes("ideal") - peak.stored_bytes("deployed")


def test_shared_and_fixed_weights() -> None:
    """A weight that is read twice counts once, and a buffer of int64 has its own size."""

    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3, 3))
            self.index = nn.Buffer(torch.zeros(3, dtype=torch.int64))

        def forward(self, x: Tensor) -> Tensor:
            return (x @ self.weight @ self.weight)[:, self.index] + self.index

    # 9 numbers of 2 bytes, and 3 of 8
    assert memory(Shared(), (1, 3), dtype="float16").stored_bytes() == 9 * 2 + 3 * 8


def test_every_account_is_summed_up() -> None:
    """The document has the peak, the place and the weights of each account, and the steps of the chosen one."""
    document = memory("mobilenet_v2", dtype="int8", account="deployed").as_dict()
    ideal, deployed = document["accounts"]

    assert (ideal["account"], ideal["peak_bytes"], ideal["path"]) == (
        "ideal",
        1_505_280,
        "features.2.conv.1.0",
    )
    assert (deployed["peak_bytes"], deployed["path"], deployed["kind"]) == (
        1_404_928,
        "features.2.conv.0.0",
        "conv",
    )
    assert document["account"] == "deployed"
    assert max(step["live_bytes"] for step in document["steps"]) == 1_404_928
    # 52 convolutions and a linear layer with what is merged into them, 10 additions and a pooling
    assert len(document["steps"]) == 52 + 1 + 10 + 1
    assert document["tensors"][0]["shape"] == [1, 96, 112, 112]


def test_eager_traces(run: Run) -> None:
    """The account `eager` traces a known network, and its bytes do not depend on the element type assumed."""
    peak = memory("squeezenet1_1", resolution=64, account="eager")
    half = memory("squeezenet1_1", resolution=64, account="eager", dtype="float16")

    assert peak.report.method == "trace"
    assert [each["account"] for each in peak.as_dict()["accounts"]] == ["ideal", "deployed", "eager"]
    assert peak.peak_bytes == half.peak_bytes > memory(peak.report).peak_bytes
    assert peak.stored_bytes() == 2 * half.stored_bytes()
    assert (
        peak.to("csv")
        == run(
            *("memory", "squeezenet1_1", "--resolution", "64", "--account", "eager", "--format", "csv")
        ).out
    )
    assert "float32" not in plots.memory(peak).get_title("left")


def test_a_network_without_operators_has_no_peak() -> None:
    """Without operators, the peak is 0 bytes at no place, and there is nothing to draw."""
    peak = memory(Identity(), (1, 3))

    assert (peak.peak_bytes, peak.peak, peak.tensors, peak.stored_bytes()) == (0, None, (), 0)
    assert peak.to("csv") == "path,kind,shape,bytes,share\n"
    assert peak.as_dict()["accounts"][0]["path"] is None
    assert "none" in peak.to("table")
    with pytest.raises(PlotError, match="Identity has no operator that works on activations"):
        plots.memory(peak)


def test_arguments_that_contradict() -> None:
    """A report has its inputs and options; a closed form has no `eager`; an unknown account names the known ones."""
    report = count("mobilenet_v2")

    with pytest.raises(CapacityError, match="not counted yet"):
        memory(report, dtype="int8")
    with pytest.raises(AccountError, match="trace=True"):
        memory(report, account="eager")
    with pytest.raises(ChoiceError, match="choose one of ideal, eager, deployed"):
        memory("mobilenet_v2", account="real")  # type: ignore[arg-type]


def test_the_command_prints_the_result(run: Run, tmp_path: Path) -> None:
    """The command prints what the function returns, in every format, also of a trace and into a file."""
    peak = memory("mobilenet_v2", alpha=0.5, dtype="int8", account="deployed")
    arguments = ("memory", "mobilenet_v2", "--alpha", "0.5", "--dtype", "int8", "--account", "deployed")
    file = tmp_path / "memory.csv"

    for format in ("table", "markdown", "csv", "json"):
        assert (0, peak.to(format), "") == run(*arguments, "--format", format)
    assert run(*arguments, "-o", str(file)) == (0, "", "")
    assert next(csv.DictReader(io.StringIO(file.read_text())))["shape"] == "1x48x112x112"
    traced = run("memory", f"{NETS}:small", "--input", "1,3,32,32", "--format", "json")
    assert json.loads(traced.out)["method"] == "trace"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--account real", "--account: unknown account 'real': choose one of ideal, eager, deployed"),
        ("--dtype int7", "--dtype: unknown dtype 'int7'"),
        ("--output m.html", "m.html would be html, which this command does not have"),
        ("--plot m.gif", "cannot save a plot as 'm.gif'"),
        ("--plot-size 3x3", "--plot-size is the size of a plot: give --plot FILE too"),
        ("--format csv --width 80", "--width is for tables, not for csv"),
        ("--alpha 0", "alpha must be a number above 0"),
    ],
)
def test_wrong_arguments(run: Run, arguments: str, message: str) -> None:
    """A wrong argument is one line on stderr and exit code 2."""
    ran = run("memory", "mobilenet_v2", *arguments.split())

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert message in ran.err


def test_printed_figures_of_the_guide(run: Run) -> None:
    """The commands beside the printed figures give the bytes of their rows."""
    rows = re.findall(
        r"`mbanalyze (memory .*? --account deployed)` \| ([\d,]+) \|", (DOCS / "peak_memory.md").read_text()
    )

    assert len(rows) == 2
    for command, printed in rows:
        accounts = json.loads(run(*command.split(), "--format", "json").out)["accounts"]
        found = {account["account"]: account["peak_bytes"] for account in accounts}
        assert f"{found['deployed']:,}" == printed


def bands(peak: Memory, **options: Any) -> list[StepPatch]:
    """Draw a peak and return its bands."""
    plt.close("all")
    return [patch for patch in plots.memory(peak, **options).patches if isinstance(patch, StepPatch)]


@pytest.mark.parametrize("account", [account for account in ACCOUNTS if account != "eager"])
def test_bands_add_up_to_the_bytes_alive(account: Any) -> None:
    """The bands of a plot lie on each other; the highest has the bytes alive, and the mark is at the peak."""
    peak = memory("resnet50", account=account)
    drawn = bands(peak)
    (mark,) = plt.gca().lines

    for below, above in itertools.pairwise(drawn):
        assert list(below.get_data()[0]) == list(above.get_data()[2])  # type: ignore[call-overload]
    assert list(drawn[-1].get_data()[0]) == list(peak.timeline.live_bytes)
    assert mark.get_xydata().tolist() == [[peak.timeline.peak, peak.peak_bytes]]  # type: ignore[union-attr]


def legend() -> list[str]:
    """Return the entries of the legend of the current plot."""
    found = plt.gca().get_legend()
    assert found is not None
    return [text.get_text() for text in found.get_texts()]


def test_the_legend_names_the_tensors() -> None:
    """The legend names the peak, its tensors with shapes and sizes, and all other tensors."""
    bands(memory("resnet50"))

    assert legend() == [
        "peak: 7.225 MB at layer1.0.downsample.0, conv",
        "layer1.0.bn3 batch_norm 1x256x56x56, 3.211 MB",
        "layer1.0.downsample.0 conv 1x256x56x56, 3.211 MB",
        "maxpool max_pool 1x64x56x56, 802.8 kB",
        "other tensors",
    ]


def test_many_tensors_with_long_paths() -> None:
    """The five largest tensors have a colour, the others share one, and the start of a long path is left out."""
    bands(memory(Branches(), (1, 1, 4, 4)), size=(5, 3.5))
    first, concatenated, *others = legend()

    # 7 outputs of 64 bytes, and their concatenation
    assert (first, concatenated) == (
        "peak: 896 B at (model), cat",
        "(model) cat 1x7x4x4, 448 B",
    )
    assert [
        bool(re.fullmatch(r"\.\.\.(long|ong|ng|g)?(long)+_\d conv 1x1x4x4, 64 B", each)) for each in others
    ] == [
        *[True] * 4,
        *[False] * 2,
    ]
    assert others[-2:] == ["3 smaller tensors at the peak", "other tensors"]


def test_one_operator_is_drawn() -> None:
    """A network of one operator has one step, and whole numbers on its axis."""
    drawn = bands(memory(nn.Conv2d(1, 1, 1), (1, 1, 4, 4)))
    ax = plt.gca()
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]

    assert [len(band.get_data()[0]) for band in drawn] == [1, 1]
    assert {label.get_text() for label in ax.get_xticklabels()} <= {"", "\N{MINUS SIGN}1", "0", "1"}


def test_another_result_has_no_memory() -> None:
    """A frame or another result cannot be drawn."""
    with pytest.raises(PlotError, match="give a report"):
        plots.memory(count("mobilenet_v2").frame())

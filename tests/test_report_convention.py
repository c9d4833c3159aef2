"""Reports, comparisons, ablations and searches with the macs that another counter counts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from commandline import Run
from torch import Tensor, nn

from benchmarks.peers import quietly
from mbanalyze import ablate, compare, count, guidelines, plots, search
from mbanalyze.archs.options import OptionError
from mbanalyze.conventions.convention import Amount, Convention, ConventionError, Record
from mbanalyze.conventions.known import CONVENTIONS
from mbanalyze.conventions.thop import THOP
from mbanalyze.crosscheck.counters import COUNTERS
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.memory_access.analysis import GuidelinesError
from mbanalyze.report.convention_rows import convention_rows, counted_as
from mbanalyze.report.network import CONVENTION, Report

SMALL = "mobilenet_v1@alpha=0.25,resolution=32"
"""A known network that is traced in a moment."""
IMAGE = (1, 3, 8, 8)
THOP_NOTE = f"macs as thop {THOP.version} counts them; other columns as mbanalyze counts"


class Net(nn.Module):
    """A convolution with batch norm and activation, and a product by a function, which thop does not count."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return products of the features with themselves."""
        y = self.act(self.norm(self.conv(x))).flatten(2)
        products: Tensor = y @ y.transpose(1, 2)
        return products


class Unknown(Net):
    """The same with an operator that has no formula."""

    def forward(self, x: Tensor) -> Tensor:
        """Return a Bessel function of the products."""
        values: Tensor = torch.special.bessel_j0(super().forward(x))
        return values


@pytest.fixture(scope="module")
def traced() -> Report:
    """Return the report of the small network as thop counts it."""
    return count(SMALL, convention="thop")


@pytest.mark.parametrize("name", CONVENTIONS)
def test_rows_sum_to_the_amounts_of_the_convention(name: str) -> None:
    """Rows, totals and amounts have one sum for a module, and only the macs change."""
    report, ours = count(Net(), IMAGE, convention=name), count(Net(), IMAGE)
    expected = sum(amount.macs for amount in CONVENTIONS[name].amounts(report.record))

    assert expected == report.totals.macs == sum(row.cost.macs or 0 for row in report.rows)
    assert expected == sum(group.cost.macs or 0 for group in report.by("kind"))
    assert CONVENTIONS[name].label == report.convention
    assert ours.totals._replace(macs=0) == report.totals._replace(macs=0)


def test_a_row_has_what_the_counter_counts_for_it() -> None:
    """Thop counts the convolution and its batch norm, and no product that a Python operator makes."""
    report = count(Net(), IMAGE, convention="thop")

    # conv: 4 * 8 * 8 outputs * 3 * 3 * 3 weights of a filter; batch_norm: 4 for each of 4 * 8 * 8 elements
    assert {group.key: group.cost.macs for group in report.by("kind")} == {
        "conv": 6912,
        "batch_norm": 1024,
        "relu": 0,
        "matmul": 0,
    }
    # the share of the convolution is 6912 / 7936
    assert report.records()[0]["macs_share"] == 6912 / 7936
    assert report.records()[1]["macs_share"] == 1024 / 7936


def extra(record: Record) -> list[Amount]:
    """Return a negative amount, and an amount behind the last operator."""
    end = len(record.ops)
    return [Amount("less", -7000, 0, 1), Amount("more", 30, end, end, claims=False)]


def test_amounts_without_an_operator_are_in_the_last_row() -> None:
    """A negative amount is kept, and an amount that no operator ran for is in the row before it."""
    report = count(Net(), IMAGE)
    rows = convention_rows(
        report.rows, report.record, Convention("x", "x", "", "", record_rules=(extra,), needs_trace=False)
    )

    assert [row.cost.macs for row in rows] == [-7000, 0, 0, 30]


def test_a_network_without_operators_has_no_row_for_an_amount() -> None:
    """An amount that no row can have is an error, and no silent zero."""
    rule = Convention("x", "x", "", "", record_rules=(extra,), needs_trace=False)
    with pytest.raises(ConventionError, match=r"^x counts less, but the network runs no operator$"):
        rule.of_ops(Record(()))


def test_an_operator_without_a_formula_stays_unknown() -> None:
    """Its macs are unknown and not zero, and the report stays incomplete."""
    report = count(Unknown(), IMAGE, convention="thop")

    assert report.uncounted
    assert not report.complete
    assert None is report.rows[-1].cost.macs
    assert report.totals.macs == 7936


def test_merged_rows_have_the_sum_of_their_parts() -> None:
    """A fused report has the same total, and the order of both methods does not matter."""
    report = count(Net(), IMAGE, convention="thop", fused=True)

    # the convolution with its batch norm and activation: 6912 + 1024
    assert [row.cost.macs for row in report.rows] == [7936, 0]
    assert report.rows == count(Net(), IMAGE, convention="thop").fused().rows
    assert sum("thop" in note for note in report.notes) == 1


def test_a_second_convention_replaces_the_first() -> None:
    """The macs and notes are those of the last one; FlopCounterMode's own total is in its unit."""
    report = count(Net(), IMAGE, convention="thop").under("flop-counter-meta")

    # conv 6912 and matmul 4 * 4 * 64; 2 flops for each
    assert report.totals.macs == 6912 + 1024
    assert not [note for note in report.notes if "thop" in note]
    assert "total of FlopCounterMode on meta: 15,872 flops" in report.notes


def test_the_closed_form_is_enough_if_no_trace_is_needed(traced: Report) -> None:
    """Conventions of kinds of operators count the closed form; the others trace."""
    assert count(SMALL, convention="flop-counter-meta").method == "closed-form"
    assert traced.method == "trace"


def test_only_keeps_the_rows_of_some_kinds(traced: Report) -> None:
    """The rows of a kind have the convention's macs in either order."""
    ours = count(SMALL).totals.macs or 0
    # the linear layer has 256 inputs and 1000 outputs
    assert ours - 256_000 == traced.only("conv").totals.macs
    assert traced.only("conv").rows == count(SMALL, trace=True).only("conv").rows


@pytest.mark.parametrize("format", ["table", "markdown", "csv", "json", "html"])
@pytest.mark.parametrize("by", [None, "kind"])
def test_every_format_names_the_convention(traced: Report, format: str, by: str | None) -> None:
    """The name and version are in each format, and ours is in none."""
    text = traced.to(format, by=by)

    assert THOP.label in text
    assert CONVENTION not in text
    assert (THOP_NOTE in text) == (format != "csv")


def test_notebooks_and_chosen_columns_name_the_convention(traced: Report) -> None:
    """The display of a notebook has the note; a selection of columns keeps the name of the convention."""
    assert THOP_NOTE in traced._repr_html_()
    assert list(next(csv.DictReader(io.StringIO(traced.to("csv", columns="path,macs"))))) == [
        "path",
        "macs",
        "convention",
    ]
    assert "macs (thop)" in traced.to("table", columns="macs", depth=1)
    assert {THOP.label} == set(traced.frame()["convention"]) == set(traced.frame("kind")["convention"])


def test_our_own_report_names_our_convention_alone() -> None:
    """Without an option, there is no column, and the label is ours."""
    report = count(SMALL)

    assert CONVENTION == report.convention == report.as_dict()["convention"]
    assert "convention" not in report.columns()


@pytest.mark.parametrize("name", ["thop", "flop-counter-meta"])
def test_a_grid_has_the_macs_of_each_report(name: str) -> None:
    """Each row of an ablation of a known network, with a trace or without, equals the report of its variant."""
    grid = ablate("mobilenet_v1", alpha=[0.25, 0.5], resolution=[32, 64], convention=name)
    reports = [
        count("mobilenet_v1", alpha=r["alpha"], resolution=r["resolution"], convention=name)
        for r in grid.records()
    ]

    assert [report.totals.macs for report in reports] == [row["macs"] for row in grid.records()]
    assert [report.totals.params for report in reports] == [row["params"] for row in grid.records()]
    assert {CONVENTIONS[name].label} == {row["convention"] for row in grid.records()}
    assert f"macs ({name})" in grid.to("markdown")


def test_many_variants_are_counted_in_one_pass() -> None:
    """Arrays give the macs of each variant; the batch counts too."""
    grid = ablate("mobilenet_v2", resolution=list(range(96, 226, 2)), batch=2, convention="flop-counter-meta")
    last = count("mobilenet_v2", resolution=224, batch=2, convention="flop-counter-meta")

    assert last.totals.macs == grid.records()[-1]["macs"]
    assert ablate("mobilenet_v2", resolution=224, batch=2).records()[0]["macs"] == last.totals.macs


def test_variants_of_a_factory_follow_the_convention() -> None:
    """The rows of a factory are traced with calls."""
    grid = ablate(Net, IMAGE, width=[4, 8], convention="thop")

    # 64 positions * 27 weights of a filter + 4 for each element, for each channel
    assert [row["macs"] for row in grid.records()] == [4 * 64 * (27 + 4), 8 * 64 * (27 + 4)]
    assert THOP_NOTE in grid.to("table")


def test_architectures_of_a_pattern_follow_the_convention() -> None:
    """Each row of a pattern names the convention, after the totals."""
    grid = ablate("mobilenet_v*", resolution=64, convention="flop-counter-meta")
    columns = list(grid.frame())

    assert columns.index("convention") == columns.index("published_macs") - 1
    assert {"flop-counter-meta/2.13.0"} == set(grid.frame()["convention"])


def test_a_search_limits_the_macs_of_the_convention() -> None:
    """A limit, the best variant, the verdict and the command are under the convention."""
    options: dict[str, Any] = {"alpha": 0.25, "shallow": False, "resolution": [32, 64]}
    found = search("mobilenet_v1", max_macs="3.6M", convention="thop", **options)
    best = found.best or {}

    # for an image of 64 x 64, thop counts 3,997,440 and we count 3,584,512
    assert count("mobilenet_v1", alpha=0.25, resolution=32, convention="thop").totals.macs == best["macs"]
    assert THOP.label == found.as_dict()["convention"] == best["convention"]
    text = found.to("table", flags=True)
    assert "best within 3.6 M multiply-accumulates (thop): mobilenet_v1@alpha=0.25,resolution=32" in text
    assert "mbanalyze report mobilenet_v1@alpha=0.25,resolution=32,shallow=false --convention thop" in text


def test_a_comparison_is_under_the_convention() -> None:
    """Both models follow it, and totals, parts and layers name it."""
    both = compare(SMALL, Net(), inputs=[IMAGE], convention="thop")

    assert [report.convention for report in both.reports] == [THOP.label] * 2
    assert both.totals[1]["macs"] == 7936
    assert sum(part.counts("macs")[1] or 0 for part in both.by_kind) == 7936
    for format in ("table", "markdown", "json", "csv"):
        assert THOP.label in both.to(format), format
    assert "Macs (thop) by kind" in both.to("table")
    for which in ("totals", "kind", "stage", "layers"):
        assert THOP.label in both.records(which)[0].values(), which


def test_conventions_that_differ_are_in_the_labels() -> None:
    """A model under two conventions has two names."""
    both = compare(count(SMALL), count(SMALL).under("flop-counter-meta"))

    assert (f"mobilenet_v1 {CONVENTION}", "mobilenet_v1 flop-counter-meta/2.13.0") == both.labels
    assert None is both.other_convention


def test_plots_name_the_convention(traced: Report) -> None:
    """The title has the version, and the axis or legend has the name."""
    grid = ablate("mobilenet_v1", alpha=[0.25, 0.5], resolution=224, convention="flop-counter-meta")
    axes = plots.tradeoff(grid)

    assert axes.get_title(loc="left").endswith("macs as FlopCounterMode on meta 2.13.0 counts them")
    assert axes.get_xlabel() == "multiply-accumulates (flop-counter-meta)"
    assert f"macs as thop {THOP.version} counts them" in plots.profile(traced).get_title(loc="left")


def refusals() -> dict[str, tuple[type[Exception], str, Any]]:
    """Return calls that are refused: the error, its message, and the call."""
    given = "give one of them"
    return {
        "train": (OptionError, given, lambda: count(SMALL, convention="thop", train=True)),
        "training report": (
            ConventionError,
            "without train",
            lambda: count(SMALL, batch=2, train=True).under("flop-counter-meta"),
        ),
        "unknown": (
            ChoiceError,
            r"unknown convention 'thpo': did you mean thop\?",
            lambda: count(SMALL, convention="thpo"),
        ),
        "no text": (ChoiceError, "unknown convention 5", lambda: ablate("mobilenet_v1", convention=5)),  # type: ignore[arg-type]
        "search": (ChoiceError, "unknown convention", lambda: search("mobilenet_v1", convention="ours")),
        "compare": (ChoiceError, "unknown convention", lambda: compare(SMALL, SMALL, convention="ours")),
        "no calls": (ConventionError, "count with convention='thop'", lambda: count(SMALL).under("thop")),
        "guidelines": (GuidelinesError, "leave convention out", lambda: guidelines(SMALL, convention="thop")),
    }


@pytest.mark.parametrize("name", refusals())
def test_refusals_say_what_to_do(name: str) -> None:
    """A convention with the wrong arguments is an error of one line."""
    error, message, call = refusals()[name]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["--check"],
            "mbanalyze: error: --check compares counts of mbanalyze: leave out --check or --convention",
        ),
        (
            ["--train"],
            "mbanalyze: error: convention counts one forward pass and train a training step: give one of them",
        ),
    ],
)
def test_the_command_refuses_other_measurements(run: Run, more: list[str], message: str) -> None:
    """`--check` and `--train` end in one line."""
    assert (2, f"{message}\n") == run("report", SMALL, "--convention", "thop", *more)[::2]


def test_the_commands_take_the_option(run: Run, tmp_path: Path) -> None:
    """Each command writes a document that names the convention."""
    for name, *arguments in (
        ("report", SMALL),
        ("ablate", "mobilenet_v1", "--alpha", "0.25", "--resolution", "32"),
        ("compare", SMALL, SMALL),
        ("search", "mobilenet_v1", "--alpha", "0.25", "--resolution", "32"),
    ):
        file = tmp_path / f"{name}.json"
        assert run(name, *arguments, "--convention", "flop-counter-meta", "-o", str(file)).code == 0, name
        assert '"convention": "flop-counter-meta/2.13.0"' in file.read_text(encoding="utf-8"), name
        assert json.loads(file.read_text(encoding="utf-8"))


def test_strict_is_about_operators_that_we_cannot_count(run: Run) -> None:
    """A complete report under a convention exits with 0."""
    assert run("report", SMALL, "--convention", "thop", "--strict").code == 0


class Attention(nn.Module):
    """Attention, and a batch norm without scale."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.BatchNorm1d(6, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return normalised features of 6 tokens."""
        attended: Tensor = self.norm(self.attention(x, x, x, need_weights=False)[0])
        return attended


@pytest.mark.parametrize("name", ["fvcore", "flop-counter", "torchinfo", "torchprofile", "thop"])
@pytest.mark.parametrize("make", [Net, Attention])
def test_training_mode_is_that_of_the_counter(name: str, make: Callable[[], nn.Module]) -> None:
    """A report in training mode has the number of the counter for a module in training mode."""
    x = torch.rand(IMAGE if make is Net else (2, 6, 8))
    report = count(make(), tuple(x.shape), convention=name, mode="train")

    convention = CONVENTIONS[name]
    with quietly():
        assert COUNTERS[name](make().train(), (x,), {}) == (report.totals.macs or 0) * convention.factor
    assert "forward pass in training mode; the backward pass is not counted" in report.notes


def test_training_mode_leaves_the_fast_path_of_attention() -> None:
    """FlopCounterMode counts projections in training mode alone: in eval mode, it is one operator without a formula."""
    trained = count(Attention(), (2, 6, 8), convention="flop-counter", mode="train")

    # three projections and one of the output, 8 x 8 weights for each of 12 tokens; a kernel computes the maps
    assert trained.totals.macs == 4 * 64 * 12
    assert count(Attention(), (2, 6, 8), convention="flop-counter").totals.macs == 0


def test_a_search_traces_each_variant_once_in_processes() -> None:
    """Processes give the rows that one process gives, and the winner's command has its number."""
    options: dict[str, Any] = {"max_macs": "5M", "convention": "thop", "resolution": [32, 64]}
    done: list[float] = []
    one, two = (search("mobilenet_v1", **options, workers=n, progress=done.append) for n in (None, 2))

    assert one.as_dict() == two.as_dict()
    # each search ends with all of its traces done
    assert done.count(1.0) == 2
    assert one.best is not None
    assert one.reference is not None
    assert one.best["macs"] == count(one.reference, convention="thop").totals.macs


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("calflops", "macs as calflops 0.3.2 counts them"),
        ("ptflops-aten", "macs as ptflops 0.7.5 counts them, ATen back end"),
        ("flop-counter-meta", "macs as FlopCounterMode on meta 2.13.0 counts them"),
        ("paper", "macs as in the multiply-adds of papers on light-weight networks arXiv:1704.04861"),
    ],
)
def test_the_words_of_a_convention(name: str, words: str) -> None:
    """The version follows the name of the tool."""
    assert counted_as(CONVENTIONS[name]) == words

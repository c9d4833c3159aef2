"""Comparisons of reports: sums, stages, alignment, and every format."""

from __future__ import annotations

import csv as csv_module
import io
import itertools
import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn
from witness import DATA, Bessel, torchvision

from mbanalyze import Shape, count
from mbanalyze.archs import ARCHS
from mbanalyze.comparison.comparison import Comparison, ComparisonError, compare
from mbanalyze.comparison.parts import PART_COUNTS
from mbanalyze.comparison.stages import stages
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.report.network import TOTALS, Report

IMAGE = (1, 3, 32, 32)
VARIANTS: list[dict[str, Any]] = [
    {}, {"alpha": 0.75}, {"alpha": 1.4}, {"resolution": 192}, {"batch": 2}, {"num_classes": 10},
]  # fmt: skip


def layers(**changed: nn.Module | None) -> dict[str, nn.Module]:
    """Return the layers of a tiny network by name, without those that are None."""
    named: dict[str, nn.Module | None] = {
        "stem": nn.Conv2d(3, 16, 3, 2, 1, bias=False),
        "first": nn.ReLU(),
        "mixer": nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False),
        "second": nn.ReLU(),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flat": nn.Flatten(),
        "fc": nn.Linear(16, 10),
        **changed,
    }
    return {name: layer for name, layer in named.items() if layer is not None}


def tiny(named: dict[str, nn.Module]) -> Report:
    """Return the traced report of a sequence of layers."""
    model = nn.Sequential()
    for name, layer in named.items():
        model.add_module(name, layer)
    return count(model, IMAGE)


def changed(comparison: Comparison) -> dict[str, tuple[str, int | None, int | None]]:
    """Return status, change of params and change of macs of each layer that differs, by path."""
    return {
        layer.key: (layer.status, layer.changes("params")[1], layer.changes("macs")[1])
        for layer in comparison.layers or ()
        if layer.status != "same"
    }


def assert_exact(comparison: Comparison) -> None:
    """The changes of kinds, of stages and of layers sum to the changes of the totals, for every count."""
    first = comparison.reports[0].totals
    for i, report in enumerate(comparison.reports):
        for name in PART_COUNTS:
            difference = getattr(report.totals, name) - getattr(first, name)
            assert difference == comparison.changes(name)[i]
            for parts in (comparison.by_kind, comparison.by_stage, comparison.layers or ()):
                assert not parts or difference == sum(part.changes(name)[i] or 0 for part in parts)


def assert_all_layers(comparison: Comparison) -> None:
    """Each layer of both networks occurs once."""
    for i, report in enumerate(comparison.reports):
        seen = [layer.groups[i].key for layer in comparison.layers or () if layer.groups[i].rows]
        assert sorted(group.key for group in report.by("module")) == sorted(seen)


def test_every_pair_sums() -> None:
    """For every two known networks, changes sum to the difference, and every layer is aligned or listed."""
    reports = [count(name) for name in ARCHS]
    for pair in itertools.product(reports, repeat=2):
        comparison = compare(*pair)
        assert_exact(comparison)
        assert_all_layers(comparison)
    assert_exact(compare(*reports))


def test_every_variant_sums() -> None:
    """The same holds for two variants of a network: width, resolution, batch, classes."""
    reports = [count("mobilenet_v2", **variant) for variant in VARIANTS]
    for pair in itertools.permutations(reports, 2):
        assert_exact(compare(*pair))
        assert_all_layers(compare(*pair))


def test_totals_of_known_networks() -> None:
    """MobileNetV2 at alpha 0.75 has its published macs, and their ratio to alpha 1."""
    comparison = compare(count("mobilenet_v2"), count("mobilenet_v2", alpha=0.75))

    assert [totals["macs"] for totals in comparison.totals] == [300_774_272, 209_069_792]
    assert comparison.changes("macs") == (0, 209_069_792 - 300_774_272)
    assert [ratios["macs"] for ratios in comparison.ratios] == [1.0, 209_069_792 / 300_774_272]
    assert list(TOTALS) == list(comparison.totals[0]) == list(comparison.ratios[1])


def test_a_report_beside_itself() -> None:
    """A report compared with itself has only ratios of one, unchanged layers and zero changes."""
    comparison = compare(count("mobilenet_v2"), count("mobilenet_v2"))

    assert {1.0} == {
        ratio for ratios in comparison.ratios for name, ratio in ratios.items() if "eager" not in name
    }
    assert {"same"} == {layer.status for layer in comparison.layers or ()}
    assert {(0, 0, 0)} == {part.size for part in (*comparison.by_kind, *comparison.by_stage)}


def test_the_largest_change_comes_first() -> None:
    """Parts are sorted by the size of their macs change, then by memory access."""
    comparison = compare(count("mobilenet_v1"), count("mobilenet_v2"), count("shufflenet_v2"))
    for parts in (comparison.by_kind, comparison.by_stage):
        sizes = [max(abs(change or 0) for change in part.changes("macs")) for part in parts]
        assert sorted(sizes, reverse=True) == sizes
    without = [part for part in comparison.by_kind if part.size[0] == 0]
    accessed = [max(abs(change or 0) for change in part.changes("memory_access")) for part in without]

    assert sorted(accessed, reverse=True) == accessed
    assert len(without) > 3


# 32 x 32 halved once; a 3x3 convolution of 16 channels sums 9 or 9 x 16 products an output
@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (layers(stem=nn.Conv2d(3, 16, 3, 2, 1)), {"stem": ("changed", 16, 0)}),
        (
            layers(mixer=nn.Conv2d(16, 16, 3, 1, 1, bias=False)),
            {"mixer": ("changed", 9 * 16 * 15, 16 * 16 * 9 * 16 * 15)},
        ),
        (layers(second=nn.Hardswish()), {"second": ("changed", 0, 0)}),
        (layers(second=None), {"second": ("removed", 0, 0)}),
        (layers(fc=nn.Linear(16, 11)), {"fc": ("changed", 17, 16)}),
    ],
    ids=["a bias", "dense for depthwise", "another activation", "one less", "a class more"],
)
def test_a_layer_that_changed(after: dict[str, nn.Module], expected: dict[str, tuple[str, int, int]]) -> None:
    """A changed layer is reported with its change, and no other layer is."""
    comparison = compare(tiny(layers()), tiny(after))

    assert expected == changed(comparison)
    assert_exact(comparison)


def test_a_layer_that_was_renamed() -> None:
    """A renamed layer is recognised by kind, stage and order, and nothing else changes."""
    after = {{"mixer": "blend"}.get(name, name): layer for name, layer in layers().items()}
    comparison = compare(tiny(layers()), tiny(after))
    (renamed,) = (layer for layer in comparison.layers or () if layer.status != "same")

    assert (renamed.key, renamed.status) == ("blend", "renamed")
    assert [group.key for group in renamed.groups] == ["mixer", "blend"]
    assert renamed.size == (0, 0, 0)
    assert "blend" in repr(comparison)
    assert "mixer" in repr(comparison)


def test_a_layer_that_was_put_between() -> None:
    """An inserted layer shifts the paths of later layers, which still align with themselves."""
    before = [nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 3)]
    after = [before[0], nn.BatchNorm2d(8), *before[1:]]
    comparison = compare(*(count(nn.Sequential(*some), IMAGE) for some in (before, after)))

    assert changed(comparison) == {"1": ("added", 16, 0), "2": ("renamed", 0, 0), "3": ("renamed", 0, 0)}


def test_another_stride_renames_nothing() -> None:
    """Layers with equal paths stay aligned when the stages of the whole network shift."""
    statuses = Counter(
        layer.status
        for layer in compare(tiny(layers()), tiny(layers(stem=nn.Conv2d(3, 16, 3, 1, 1, bias=False)))).layers
        or ()
    )

    # the linear layer sees no image
    assert statuses == {"changed": 5, "same": 1}


@pytest.mark.parametrize(
    ("first", "second", "least"),
    [("mobilenet_v1", "mobilenet_v2", 50), ("vgg16", "alexnet", 15), ("inception_v3", "resnet50", 80)],
)
def test_families_are_aligned_in_order(first: str, second: str, least: int) -> None:
    """Networks with few equal paths are aligned by kind and stage, in order."""
    comparison = compare(count(first), count(second))
    orders = [[group.key for group in report.by("module")] for report in comparison.reports]
    stage = [
        dict(reversed([(row.op.path, name) for row, name in zip(report.rows, stages(report), strict=True)]))
        for report in comparison.reports
    ]
    met = [layer.groups for layer in comparison.layers or () if all(group.rows for group in layer.groups)]
    places = sorted([names.index(g.key) for names, g in zip(orders, pair, strict=True)] for pair in met)

    assert len(met) >= least
    assert sorted(after for _, after in places) == [after for _, after in places]
    for a, b in met:
        assert a.rows[0].op.variant == b.rows[0].op.variant
        assert stage[0][a.key] == stage[1][b.key]


def counted(name: str) -> list[tuple[str, int]]:
    """Return the stages of a network in order, each with its number of rows."""
    known = name in ARCHS
    report = count(name) if known else count(getattr(torchvision().models, name)(), (1, 3, 224, 224))
    return [(stage, len(list(rows))) for stage, rows in itertools.groupby(stages(report))]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vgg16", "/1 /2 /4 /8 /16 /32 head"),
        # 224 pixels become 55, 27, 13 and 6
        ("alexnet", "/4 /8 /16 /32 head"),
        ("mobilenet_v1", "/2 /4 /8 /16 /32 head"),
        # squeeze-and-excitation, with one pixel left, is no head
        ("mobilenet_v3_large", "/2 /4 /8 /16 /32 head"),
        # the last convolution is before the pooling
        ("squeezenet1_1", "/2 /4 /8 /16 head"),
        # 14 x 14 tokens and one more; attention is between 197 and 197
        ("vit_b_16", "/16 head"),
        # channels last, cut into windows
        ("swin_t", "/4 /8 /16 /32 head"),
    ],
)
def test_stages_of_known_networks(name: str, expected: str) -> None:
    """Stages change at the layers that halve the image in the papers."""
    assert expected.split() == [stage for stage, _ in counted(name)]


def test_the_stage_of_an_image_that_grows() -> None:
    """The stages of a decoder rise again, and a larger image than the input has a stage of its own."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, 4, 1), nn.ConvTranspose2d(8, 8, 2, 2), nn.ReLU(), nn.Upsample(scale_factor=4)
    )

    assert stages(count(model, IMAGE)) == ["/4", "/2", "/2", "x2"]


def test_stages_do_not_depend_on_resolution_or_batch() -> None:
    """A stage is a ratio of sizes, so it is the same at every resolution and batch."""
    assert stages(count("mobilenet_v2")) == stages(count("mobilenet_v2", resolution=320, batch=4))
    assert stages(count("mobilenet_v2")) == stages(count("mobilenet_v2", trace=True, resolution=160))


def test_what_takes_no_images_is_told_by_block() -> None:
    """Networks that take no images are compared by block."""
    a, b = (count(nn.Sequential(nn.Linear(4, n), nn.Linear(n, 2)), (1, 4)) for n in (8, 16))
    comparison = compare(a, b)

    assert stages(a) == ["0", "1"]
    # 4 x 8 more products, and 8 x 2
    assert {part.key: part.changes("macs")[1] for part in comparison.by_stage} == {"0": 32, "1": 16}
    assert "Macs by block" in repr(comparison)
    assert "Macs by stage" in repr(compare(tiny(layers()), tiny(layers())))


def test_what_is_not_counted_is_unknown() -> None:
    """An operator without a formula leaves no ratio and no change, and lower bounds are marked."""
    known, unknown = (count(nn.Sequential(nn.Linear(4, 4), last), (1, 4)) for last in (nn.ReLU(), Bessel()))
    for pair in ((known, unknown), (unknown, known)):
        comparison = compare(*pair)
        i = pair.index(unknown)

        assert tuple(totals["macs"] for totals in comparison.totals) == (16, 16)
        assert [comparison.ratios[1][name] for name in ("macs", "memory_access")] == [None, 1.0]
        assert comparison.changes("macs")[1] is None
        (part,) = (part for part in comparison.by_kind if "bessel" in part.key)
        assert part.counts("macs")[i] is None
        assert part.changes("macs")[1] is None
        (layer,) = (layer for layer in comparison.layers or () if layer.key == "1")
        assert layer.changes("flops")[1] is None
        assert "≥ 36" in repr(comparison)
        assert f"not counted in {comparison.labels[i]}, so its" in comparison.to("markdown")
        assert "| 1 | relu → aten::special_bessel_j0" in compare(known, unknown).to("markdown")
        document = comparison.as_dict()
        assert [i == 1, i == 0] == [model["complete"] for model in document["models"]]
        assert document["ratios"][1]["macs"] is None
        macs = comparison.frame("layers").set_index("path_after")["macs_change"]
        assert str(macs.dtype) == "Int64"
        assert bool(macs.isna()["1"])
        assert macs["0"] == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([("mobilenet_v1", {}), ("mobilenet_v2", {})], ["mobilenet_v1", "mobilenet_v2"]),
        (
            [("mobilenet_v2", {}), ("mobilenet_v2", {"alpha": 0.75, "resolution": 192})],
            ["mobilenet_v2@alpha=1.0,resolution=224", "mobilenet_v2@alpha=0.75,resolution=192"],
        ),
        (
            [("mobilenet_v1", {"alpha": 0.5}), ("mobilenet_v2", {})],
            ["mobilenet_v1@alpha=0.5", "mobilenet_v2@alpha=1.0"],
        ),
        (
            [("mobilenet_v1", {"in_channels": 1}), ("mobilenet_v2", {})],
            ["mobilenet_v1@in_channels=1", "mobilenet_v2"],
        ),
        (
            [("mobilenet_v1", {"in_channels": 1}), ("mobilenet_v2", {"in_channels": 1})],
            ["mobilenet_v1", "mobilenet_v2"],
        ),
        (
            [("mobilenet_v2", {}), ("mobilenet_v2", {"batch": 2})],
            ["mobilenet_v2 1x3x224x224", "mobilenet_v2 2x3x224x224"],
        ),
        (
            [("mobilenet_v2", {}), ("mobilenet_v2", {"trace": True})],
            ["mobilenet_v2 closed-form", "mobilenet_v2 trace"],
        ),
        (
            [("mobilenet_v2", {}), ("mobilenet_v2", {"dtype": "int8"})],
            ["mobilenet_v2 float32", "mobilenet_v2 int8"],
        ),
        ([("mobilenet_v2", {})] * 2, ["mobilenet_v2 (1)", "mobilenet_v2 (2)"]),
        (
            [(f"{DATA / 'nets.py'}:small", {}), (f"{DATA / 'nets.py'}:small", {"width": 16})],
            [f"{DATA / 'nets.py'}:small", f"{DATA / 'nets.py'}:small@width=16"],
        ),
    ],
)
def test_labels_tell_reports_apart(given: list[tuple[str, dict[str, Any]]], expected: list[str]) -> None:
    """Labels show the options that differ, or else the input, the method, the dtype or a number."""
    inputs = [[IMAGE] if ":" in name else [] for name, _ in given]
    reports = [count(name, *shape, **options) for (name, options), shape in zip(given, inputs, strict=True)]
    assert tuple(expected) == compare(*reports).labels


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_reports(n: int) -> None:
    """Fewer than two models raise ComparisonError."""
    with pytest.raises(ComparisonError, match=f"^compare two models or more, not {n}$"):
        compare(*[count("mobilenet_v2")] * n)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([["alexnet", "vgg16"]], r"one by one: compare\(\*models\) for a list"),
        ([("alexnet", "vgg16")], r"one by one: compare\(\*models\) for a list"),
        (["alexnet", "vgg16", IMAGE], r"give the inputs of the models by name: inputs=\[\(1, 3, "),
    ],
)
def test_what_is_no_model(models: list[Any], message: str) -> None:
    """A list of models and a shape among the models raise ComparisonError, which says what to write."""
    with pytest.raises(ComparisonError, match=message):
        compare(*models)


@pytest.mark.parametrize("given", [{"inputs": [IMAGE]}, {"kwargs": {"input": Shape(*IMAGE)}}])
def test_inputs_that_no_model_takes(given: dict[str, Any]) -> None:
    """Inputs raise ComparisonError if every model is a report or a known network, and are used otherwise."""
    with pytest.raises(ComparisonError, match=r"^no compared model takes an input shape"):
        compare("mobilenet_v2", count("mobilenet_v1"), **given)
    assert len(compare("mobilenet_v2", f"{DATA / 'nets.py'}:small", **given).reports) == 2


def test_frames_are_tidy() -> None:
    """Frames have a row for each report, for each kind or stage of a report, or for each layer, and sum to the totals."""
    comparison = compare(count("mobilenet_v1"), count("mobilenet_v2"))
    macs = {"mobilenet_v1": 568_740_352, "mobilenet_v2": 300_774_272}

    assert macs == comparison.frame().set_index("model")["macs"].to_dict()
    for which in ("kind", "stage"):
        frame = comparison.frame(which)
        assert macs == frame.groupby("model")["macs"].sum().to_dict()
        assert not frame.duplicated([which, "model"]).any()
    frame = comparison.frame("layers")
    sums = [int(frame[f"macs_{name}"].sum()) for name in ("before", "after", "change")]
    assert sums == [568_740_352, 300_774_272, -267_966_080]
    assert {"same", "changed", "renamed", "added", "removed"} >= set(frame["status"])


def test_three_reports_have_no_layers() -> None:
    """Three reports have no aligned layers: records raise ComparisonError, and JSON has null."""
    comparison = compare(*map(count, ("mobilenet_v1", "mobilenet_v2", "shufflenet_v2")))

    assert comparison.layers is None
    assert comparison.as_dict()["layers"] is None
    with pytest.raises(ComparisonError, match="only two reports have aligned layers, not 3"):
        comparison.frame("layers")
    with pytest.raises(ChoiceError, match="unknown table 'rows': choose one of totals, kind, stage, layers"):
        comparison.frame("rows")


def test_the_middle_one_of_three_counts() -> None:
    """A part that differs in the middle report alone counts as changed."""
    wide = tiny(layers(fc=nn.Linear(16, 11)))
    comparison = compare(tiny(layers()), wide, tiny(layers()))

    assert [part.key for part in comparison.by_kind if not part.unchanged] == ["linear"]
    assert "176  +16" in comparison.to("table", width=120)


def test_json_is_the_documented_schema() -> None:
    """JSON has the documented keys, and two sides for each layer."""
    comparison = compare(tiny(layers(extra=nn.ReLU())), tiny(layers(fc=nn.Linear(16, 11))))
    document = json.loads(json.dumps(comparison.as_dict()))

    assert list(document) == ["schema", "models", "ratios", "by_kind", "by_stage", "layers", "own"]
    assert document["schema"] == "mbanalyze.comparison/1"
    assert document["models"][0]["input"] == [[1, 3, 32, 32]]
    assert document["by_stage"][0]["stage"] == "head"
    assert document["by_kind"][0]["changes"][1] == {
        "params": 17,
        "macs": 16,
        "flops": 33,
        "memory_access": 18,
    }
    by_status = {layer["status"]: layer for layer in document["layers"]}
    assert by_status["removed"]["after"] is None
    assert by_status["removed"]["before"]["path"] == "extra"
    assert by_status["changed"]["after"] == {
        "path": "fc", "kind": "linear", "output": [[1, 11]],
        # 16 x 11 weights and 11 biases, and as many read beside 16 features; 11 written
        "params": 187, "macs": 176, "flops": 363, "memory_access": 16 + 187 + 11,
    }  # fmt: skip


def test_an_option_that_json_has_no_word_for() -> None:
    """An infinite option is a string in JSON."""
    report = count(nn.ReLU(), (1,))
    endless = Report("x", {"most": float("inf")}, report.input, "trace", report.rows)

    assert json.loads(json.dumps(compare(report, endless).as_dict()))["models"][1]["options"] == {
        "most": "inf"
    }


def test_csv_has_a_line_for_each_report() -> None:
    """CSV has a line for each report, with exact totals and their ratios."""
    comparison = compare(count("mobilenet_v2"), count("mobilenet_v2", alpha=0.75))
    lines = list(csv_module.DictReader(io.StringIO(comparison.to("csv"))))

    assert [line["model"] for line in lines] == ["mobilenet_v2@alpha=1.0", "mobilenet_v2@alpha=0.75"]
    assert [line["macs"] for line in lines] == ["300774272", "209069792"]
    assert str(209_069_792 / 300_774_272) == lines[1]["macs_ratio"]


PAIRS = [
    [("mobilenet_v2", {}), ("mobilenet_v2", {"alpha": 0.75, "resolution": 192})],
    [("mobilenet_v1", {}), ("mobilenet_v2", {})],
    [("resnet50", {}), ("mobilenet_v3_large", {})],
    [("mobilenet_v2", {}), ("shufflenet_v2", {}), ("mobilenet_v3_large", {})],
    [(name, {}) for name in ARCHS],
]


@pytest.mark.parametrize("given", PAIRS, ids=str)
@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_table_fits_its_width(given: list[tuple[str, dict[str, Any]]], width: int) -> None:
    """No cell is cut, and no line is longer than the width, except for references, which are never broken."""
    comparison = compare(*(count(name, **options) for name, options in given))
    text = comparison.to("table", width=width)

    assert "…" not in text
    assert max(len(line) for line in text.splitlines() if "=" not in line) <= width
    for report, label in zip(comparison.reports, comparison.labels, strict=True):
        assert f"{report.totals.macs:,}" in text
        assert label.split("@", maxsplit=1)[0] in text


def test_long_labels_stand_on_several_lines() -> None:
    """In 80 columns, two variants take one table for each of the four headings."""
    comparison = compare(count("mobilenet_v2"), count("mobilenet_v2", alpha=0.75, resolution=192))

    assert len(re.findall(r"^ *total ", comparison.to("table", width=80), re.MULTILINE)) == 4


def test_kinds_without_macs_are_one_line_of_three_reports() -> None:
    """Three reports show only macs, so kinds without macs share a row; two reports show them by memory access."""
    reports = list(map(count, ("mobilenet_v2", "shufflenet_v2", "mobilenet_v3_large")))

    assert "batch_norm" not in compare(*reports).to("table", width=80)
    assert "batch_norm" in compare(*reports[:2]).to("table", width=80).split("Layers")[0]


def test_a_table_says_what_it_leaves_out() -> None:
    """Layers beyond the first `top` share a row, unchanged layers another, and the rows sum to the total."""
    comparison = compare(count("mobilenet_v2"), count("mobilenet_v2", alpha=0.75))
    lines = comparison.to("markdown", top=3).split("## Layers")[1].splitlines()
    cells = [[cell.strip() for cell in line.split("|")] for line in lines if line.startswith("|")]
    changes = [int(line[cells[0].index("macs change")].replace(",", "") or 0) for line in cells[2:]]

    assert [line[1] for line in cells[5:]] == ["(120 more)", "(28 unchanged)", "total"]
    assert changes[:3] == [-6_585_600, -5_017_600, -4_741_632]
    assert changes[-1] == sum(changes[:-1]) == -91_704_480


def test_it_shows_itself() -> None:
    """A comparison shows the same numbers on a console, as text and in HTML."""
    comparison = compare(count("mobilenet_v1"), count("mobilenet_v2"))
    console = Console(file=io.StringIO(), width=100)
    with console.capture() as capture:
        console.print(comparison)

    assert "-268.0 M" in capture.get()
    assert "-268.0 M" in repr(comparison)
    assert "-268.0 M" in comparison._repr_html_()


HOSTILE = "[red]a|b\n<img src=x onerror=alert(1)>\x1b[31m`*"


class Tags(HTMLParser):
    """The tags and the text of an HTML document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Record a tag."""
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        """Record text."""
        self.text += data


@pytest.fixture
def hostile() -> Comparison:
    """Return a comparison of a model whose names contain markup."""
    reports = [tiny({**layers(), HOSTILE: nn.Linear(10, n)}) for n in (2, 3)]
    first, second = (Report(HOSTILE, {}, r.input, "trace", r.rows) for r in reports)
    return compare(first, second)


SPELLED = "[red]a|b\\n<img src=x onerror=alert(1)>\\x1b[31m`*"


def test_hostile_names_in_a_terminal(hostile: Comparison) -> None:
    """Terminals show brackets, and escape characters that do not print."""
    text = hostile.to("table", width=200)

    assert f"\n{SPELLED}  " in text
    assert "\x1b" not in text
    assert "[red]a|b\\n<img" in text.split("total", 1)[0]


def test_hostile_names_in_markdown(hostile: Comparison) -> None:
    """No cell ends early, no line breaks, and no HTML is left."""
    text = hostile.to("markdown")
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("| ")]

    for lines in tables:
        rows = [line.replace("\\\\", "").replace("\\|", "") for line in lines if line.startswith("|")]
        assert len({row.count("|") for row in rows}) == 1
        assert all(row.startswith("| ") and row.endswith(" |") for row in rows)
    assert len(tables) == 4
    assert "<" not in text
    assert "&lt;img src=x" in text


def test_hostile_names_in_html(hostile: Comparison) -> None:
    """HTML shows hostile names as text."""
    seen = Tags(hostile._repr_html_())

    assert {"p", "b", "table", "thead", "tbody", "tr", "th", "td", "pre"} == seen.tags
    assert SPELLED in seen.text


def test_hostile_names_in_data(hostile: Comparison) -> None:
    """CSV and JSON contain the original names."""
    lines = list(csv_module.DictReader(io.StringIO(hostile.to("csv"))))
    document = json.loads(hostile.to("json"))

    assert [f"{SPELLED} (1)", f"{SPELLED} (2)"] == [line["model"] for line in lines]
    assert document["models"][0]["model"] == HOSTILE
    assert document["layers"][0]["after"]["path"] == HOSTILE


def test_closed_forms_are_compared_without_torch() -> None:
    """Comparing closed forms loads neither torch nor pandas."""
    code = (
        "import sys\n"
        "from mbanalyze import count\n"
        "from mbanalyze import compare\n"
        "repr(compare(count('mobilenet_v1'), count('mobilenet_v2')))\n"
        "print([name for name in ('torch', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout == "[]\n"


@pytest.mark.parametrize("name", ["total", "kind", "stage"])
def test_a_model_named_like_a_column(name: str) -> None:
    """A model with the name of a column keeps its own column."""
    known = count("mobilenet_v2")
    report = Report(name, {}, known.input, "closed-form", known.rows)
    headings = [line for line in compare(known, report).to("markdown").splitlines() if f" {name} |" in line]

    assert [f"| {first} | mobilenet_v2 | {name} |" for first in ("total", "kind", "stage")] == [
        " | ".join(line.split(" | ")[:3]).removesuffix(" |") + " |"
        for line in headings
        if "mobilenet" in line
    ]


def test_networks_that_do_nothing() -> None:
    """Networks without operators compare without rows, ratios or errors."""
    comparison = compare(*[count(nn.Identity(), IMAGE)] * 2)

    assert comparison.changes("macs") == (0, 0)
    assert comparison.ratios[1]["macs"] is None
    assert (comparison.by_kind, comparison.by_stage, comparison.layers) == ((), (), ())
    assert "total" in repr(comparison)


def test_a_module_that_runs_twice_is_one_layer() -> None:
    """The rows of a module that runs twice form one layer."""

    class Twice(nn.Module):
        def __init__(self, times: int) -> None:
            super().__init__()
            self.times, self.mix = times, nn.Conv2d(3, 3, 1, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(self.times):
                x = self.mix(x).relu()
            return x

    comparison = compare(count(Twice(1), IMAGE), count(Twice(2), IMAGE))

    # 9 products for each of 32 x 32 pixels, once more; the weights stay nine
    assert changed(comparison) == {"": ("changed", 0, 0), "mix": ("changed", 0, 9 * 32 * 32)}
    assert "(model)" in repr(comparison)

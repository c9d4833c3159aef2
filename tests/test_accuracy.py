"""The user's own accuracy, and the sources of published accuracy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from commandline import Run
from torch import nn
from witness import DATA

from mbanalyze import ablate, compare, count, search
from mbanalyze.archs import MobileNetV1, MobileNetV3Small
from mbanalyze.comparison.comparison import ComparisonError
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.literature.accuracy.agreement import AccuracySource
from mbanalyze.literature.accuracy.cells import AccuracyError
from mbanalyze.literature.accuracy.own_table import read_accuracy
from mbanalyze.literature.accuracy.ranked_sources import published_accuracies, ranked_sources
from mbanalyze.literature.figures import entries
from mbanalyze.sweep.ablation_result import Ablation
from mbanalyze.sweep.candidates import SearchError
from mbanalyze.sweep.grid import GridError

NETS = str(DATA / "nets.py")
SLIM_V1 = "tensorflow/models@02c04f49 research/slim/nets/mobilenet_v1.md"


@pytest.fixture
def table(tmp_path: Path) -> Any:
    """A function that writes lines into a CSV file and returns its path."""

    def write(*lines: str, encoding: str = "utf-8") -> Path:
        file = tmp_path / "own.csv"
        file.write_text("\n".join(lines), encoding=encoding)
        return file

    return write


def top1(ablation: Ablation) -> list[tuple[float | None, str | None]]:
    """The accuracy of each variant, and its source."""
    return [(row["top1"], row["accuracy_source"]) for row in ablation.records()]


def words(text: str) -> str:
    """Text on one line."""
    return " ".join(text.split())


def test_options_name_the_variants(table: Any) -> None:
    """A row gives its accuracy and its other metrics to the variant with its options, and to no other."""
    file = table("alpha,resolution,top1,f1", "1,224,72.5,0.7", "0.5,160,58,", "0.5,999,1,1")
    ablation = ablate("mobilenet_v1", alpha=[1, 0.5], resolution=[224, 160], accuracy=file)

    yours = "yours (own.csv)"
    assert [(72.5, yours), (None, None), (None, None), (58.0, yours)] == top1(ablation)
    assert [row["f1"] for row in ablation.records()] == [0.7, None, None, None]
    assert list(ablation.frame())[-3:] == ["source", "accuracy_source", "f1"]
    assert ablation.own is not None
    assert list(map(str, ablation.own.unmatched)) == ["line 4 (alpha=0.5,resolution=999)"]


def test_a_model_reference_has_defaults() -> None:
    """A row with a reference or an alias is about that network, whose other options have their defaults."""
    frame = pd.DataFrame(
        {"model": ["mobilenet_v1@alpha=0.5", "mnasnet0_5", "mobilenet_v1"], "top1": [60, 55, 70]}
    )

    assert top1(ablate("mobilenet_v1", alpha=[1, 0.5], accuracy=frame)) == [(70.0, "yours"), (60.0, "yours")]
    assert top1(ablate("mobilenet_v1", resolution=192, accuracy=frame)) == [(None, None)]
    assert top1(ablate("mnasnet", alpha=[0.5, 1], accuracy=frame)) == [(55.0, "yours"), (None, None)]


def test_an_option_that_a_row_leaves_out() -> None:
    """Without a model, it has the only value of the grid, or its default if the grid has several."""
    frame = pd.DataFrame({"alpha": [0.5], "top1": [60]})

    assert top1(ablate("mobilenet_v1", alpha=0.5, resolution=192, accuracy=frame)) == [(60.0, "yours")]
    found = ablate("mobilenet_v1", alpha=0.5, resolution=[192, 224], accuracy=frame)
    assert top1(found) == [(None, None), (60.0, "yours")]


def test_equal_networks_have_equal_accuracy() -> None:
    """Options that make the same network match, and so do floats with a rounding error."""
    # 0.1 + 0.2 + 0.05 is 0.35000000000000003
    frame = pd.DataFrame({"alpha": [0.35], "top1": [60]})
    assert top1(ablate("mobilenet_v2", alpha=[0.1 + 0.2 + 0.05], accuracy=frame)) == [(60.0, "yours")]
    assert [row["top1"] for row in ablate("mobilenet_v2", alpha=[0.1 + 0.2 + 0.05]).records()] == [60.3]

    spelled = pd.DataFrame({"model": ["mobilenet_v3_small@head=1024"], "top1": [66]})
    assert top1(ablate("mobilenet_v3_small", accuracy=spelled)) == [(66.0, "yours")]
    assert published_accuracies(MobileNetV3Small()) == published_accuracies(MobileNetV3Small(head=1024))


def test_published_values_are_kept_on_demand(table: Any) -> None:
    """By default only the user's accuracy is shown; `published` adds the published one, each with its source."""
    file = table("alpha,top1,latency_ms", "1,72.5,3.5")
    alone = ablate("mobilenet_v2", alpha=[1, 0.75], accuracy=file)
    beside = ablate("mobilenet_v2", alpha=[1, 0.75], accuracy=file, published=True)
    (_, plain) = ablate("mobilenet_v2", alpha=[1, 0.75]).records()

    assert top1(alone) == [(72.5, "yours (own.csv)"), (None, None)]
    assert [(72.5, "yours (own.csv)"), (plain["top1"], plain["source"])] == top1(beside)
    for found, other in ((alone, [None, None]), (beside, [plain["latency_ms"], plain["device"]])):
        first, second = found.records()
        assert [first["latency_ms"], first["device"]] == [3.5, None]
        assert other == [second["latency_ms"], second["device"]]
    assert plain["published_macs"] == alone.records()[1]["published_macs"]
    assert "published accuracy is left out: published shows it where own.csv has none" in words(repr(alone))
    assert "--published shows it" in words(alone.to("table", flags=True))
    assert "is left out" not in words(repr(beside))


def test_a_table_without_top1_leaves_it_published(table: Any) -> None:
    """A file with another metric alone does not replace the published accuracy."""
    found = ablate("mobilenet_v1", accuracy=table("alpha,f1", "1,0.5"))

    assert top1(found) == [(70.9, SLIM_V1)]
    assert [row["f1"] for row in found.records()] == [0.5]


def test_what_ablate_and_search_write_can_be_filled_in(tmp_path: Path) -> None:
    """Their CSV, with accuracies filled in, is a table: counts and figures in it are ignored, and a note says so."""
    file = tmp_path / "grid.csv"
    for result, again in (
        (ablate("mobilenet_v1", alpha=[1, 0.5], rho=[1, 0.714]), {}),
        (search("mobilenet_v3_small", max_macs="60M"), {}),
    ):
        frame = pd.read_csv(file) if again else result.frame()
        frame["top1"] = range(10, 10 + len(frame))
        frame.to_csv(file, index=False)
        if isinstance(result, Ablation):
            found = ablate("mobilenet_v1", alpha=[1, 0.5], rho=[1, 0.714], accuracy=file)
            assert [row["top1"] for row in found.records()] == [10, 11, 12, 13]
            assert "ignored columns of grid.csv: params, macs, flops and 15 more" in words(repr(found))
        else:
            ranked = search("mobilenet_v3_small", max_macs="60M", accuracy=file)
            assert list(frame["top1"]) == list(ranked.frame()["top1"])
            assert ranked.own is not None
            assert ranked.own.unmatched == ()


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["alpha,res,top1", "1,96,72"], "line 1: unknown column 'res': did you mean resolution?"),
        (["name,top1", "mobilenet_v1,72"], "line 1: unknown column 'name': did you mean model?"),
        (["alpha,top1", "1,72", "1,71"], "line 2 and line 3 give top1 72 and 71 of one variant, alpha=1"),
        (["alpha,top1", "1,72", "", "0.5,abc"], "line 4: top1 is 'abc', not a number"),
        (["alpha,top1", "1,inf"], "line 2: top1 is 'inf', not a number"),
        (["alpha,f1", "1,nan"], "line 2: f1 is 'nan', not a number"),
        (["alpha,top1", "1,101"], "line 2: top1 is 101, not a per cent from 0 to 100"),
        (["alpha,top5", "1,-1"], "line 2: top5 is -1, not a per cent from 0 to 100"),
        (["alpha,top1", "1,0.65", "0.5,0.72"], "line 3: top1 is 0.72: give per cent, such as 72"),
        (["alhpa,top1", "1,72"], "line 1: unknown column 'alhpa': did you mean alpha?"),
        (["alpha,Top-1", "1,72"], "line 1: unknown column 'Top-1': did you mean top1?"),
        (["alpha,accuracy", "1,72"], "line 1: unknown column 'accuracy': did you mean top1?"),
        (["alpha,resolution", "1,224"], "line 1: no column has a metric: give top1, in per cent, or another number"),
        (["top1", "72"], "line 1: no column names the variants: give model, or options such as alpha"),
        (["alpha,top1,top1", "1,72,72"], "line 1: column top1 occurs twice"),
        (["alpha,top1,", "1,72,"], "line 1: column 3 has no name"),
        (["alpha;top1", "1;72"], "line 1: separate the columns by commas"),
        (["rho,top1", "1,72"], "line 1: give the column resolution, in pixels, instead of rho"),
        ([""], "it has no rows: give a header, and a line for each variant"),
        (["alpha,top1"], "it has no rows: give a header, and a line for each variant"),
        (["alpha,top1", "1,"], "no row has a value: fill in the metric of at least one variant"),
        (["alpha,top1", ",72"], "line 2: it names no model and no option"),
        (["alpha,top1", "1,72,5"], "line 2: it has 3 cells, and the header has 2"),
        (["alpha,top1", '1,"72'], "line 2: unexpected end of data"),
        (["alpha,groups,top1", "1,3,72"], "line 2: mobilenet_v2 has no option 'groups'"),
        (["alpha,top1", "x,72"], "line 2: alpha must be a number above 0"),
        (["model,top1", "mobilnet_v2,72"], "line 2: unknown model 'mobilnet_v2': did you mean mobilenet_v2?"),
        (["model,top1", "mobilenet_v2@alpah=1,72"], "line 2: mobilenet_v2 has no option 'alpah': did you mean alpha"),
        (["model,alpha,top1", "mobilenet_v2@alpha=1,0.5,72"], "line 2: alpha is both 1 and 0.5"),
        (["model,alpha,top1", "mnasnet0_5,1,72"], "line 2: mnasnet0_5 implies alpha=0.5: leave alpha out"),
    ],
)  # fmt: skip
def test_malformed_tables_raise(lines: list[str], problem: str, table: Any) -> None:
    """The message names the file, the line and the problem."""
    file = table(*lines)
    with pytest.raises(AccuracyError) as raised:
        ablate("mobilenet_v2", alpha=[1, 0.5], accuracy=file)

    assert f"own.csv: {problem}" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"alpha,top1\n1,72\n0.5,\xe9\n", "line 3: it is not UTF-8"),
        ("alpha,top1\n1,72".encode("utf-16"), "line 1: it is not UTF-8"),
        (b"alpha,top1\n1,7\x002\n", "it is not a text file"),
        (None, "it cannot be read: No such file or directory"),
    ],
)
def test_files_that_are_no_text_raise(content: bytes | None, problem: str, tmp_path: Path) -> None:
    """Another encoding and a missing file are named."""
    file = tmp_path / "own.csv"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(AccuracyError, match=problem):
        read_accuracy(str(file))


def test_a_spreadsheet_may_write_the_table(tmp_path: Path) -> None:
    """A byte order mark, carriage returns, blank lines and quotes are read."""
    file = tmp_path / "own.csv"
    file.write_bytes(b'\xef\xbb\xbfmodel,top1\r\n\r\n"mobilenet_v2@alpha=0.5,resolution=96", 50 \r\n')

    (row,) = read_accuracy(file).rows
    assert (row.place, row.model, row.options) == ("line 3", "mobilenet_v2", {"alpha": 0.5, "resolution": 96})
    assert row.metrics == {"top1": 50.0}


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (
            pd.DataFrame({"alpha": [1.0], "top1": [True]}),
            "the accuracy frame: row 0: top1 is True, not a number",
        ),
        (pd.DataFrame({"alpha": [], "top1": []}), "the accuracy frame: it has no rows"),
        (
            pd.DataFrame([[1, 2, 3]], columns=["alpha", "top1", "top1"]),
            "the header: column top1 occurs twice",
        ),
        (3, "accuracy is the path of a CSV file or of a folder of runs, or a frame, not int"),
    ],
)
def test_malformed_frames_raise(frame: Any, problem: str) -> None:
    """The message names the row of a frame."""
    with pytest.raises(AccuracyError, match=problem):
        ablate("mobilenet_v2", accuracy=frame)


def test_missing_cells_of_a_frame_are_unknown() -> None:
    """NaN is no accuracy and no option."""
    frame = pd.DataFrame({"alpha": [1.0, 0.5, None], "model": [None, None, "mobilenet_v1@alpha=0.25"], "top1": [70, None, 50]})  # fmt: skip

    found = ablate("mobilenet_v1", alpha=[1, 0.5, 0.25], accuracy=frame)
    assert top1(found) == [(70.0, "yours"), (None, None), (50.0, "yours")]


def test_sides_of_an_image_match(table: Any) -> None:
    """A resolution of height and width is one variant, and equal sides are the same as one side."""
    file = table("model,resolution,top1", "mobilenet_v1,160x224,41", "mobilenet_v1,224x224,51", ",96x128,31")
    found = ablate("mobilenet_v1", resolution=[(160, 224), 224, "96x128"], accuracy=file)

    assert [row["top1"] for row in found.records()] == [41, 51, 31]
    assert (
        search("mobilenet_v1", max_macs="570M", accuracy=file).reference
        == "mobilenet_v1@alpha=1.0,resolution=224"
    )
    compared = compare("mobilenet_v1", "mobilenet_v1@resolution=160x224", accuracy=file)
    assert [accuracy.top1 for accuracy in compared.accuracies] == [51, 41]


def test_two_rows_may_complete_each_other(table: Any) -> None:
    """Rows about one variant are merged unless they contradict each other."""
    file = table("alpha,top1,f1", "1,72,", "1,72,0.5")

    assert [(row["top1"], row["f1"]) for row in ablate("mobilenet_v1", accuracy=file).records()] == [
        (72.0, 0.5)
    ]


def test_tables_mark_what_is_yours(table: Any) -> None:
    """A row with the user's accuracy says `yours`, and a line below names the file and its columns."""
    ablation = ablate("mobilenet_v1", alpha=[1, 0.5], accuracy=table("alpha,top1,f1", "1,72,0.25"))
    first, second = [
        line for line in ablation.to("markdown").splitlines() if line.startswith(("| 1.0 ", "| 0.5 "))
    ]

    assert first.endswith("| 72.0 | 0.25 | yours \\[1\\] |")
    assert second.endswith("|  |  | \\[1\\] |")
    assert "yours: top1, f1 of own.csv" in ablation.to("markdown")
    assert json.loads(ablation.to("json"))[0]["accuracy_source"] == "yours (own.csv)"
    assert ablation.as_dict()["own"] == {
        "source": "yours (own.csv)", "metrics": ["top1", "f1"], "rows": 1, "unmatched": []
    }  # fmt: skip


def build(width: int = 8, kernel: int = 1) -> nn.Module:
    """Build a layer."""
    return nn.Conv2d(3, width, kernel)


def test_factories_have_the_users_accuracy(table: Any) -> None:
    """Rows match the options of a factory, by name or by columns, and its frame has their metrics."""
    file = table("model,width,top1", f"{NETS}:small,4,50", ",8,60", f"{NETS}:small@width=5,,1")
    found = ablate(f"{NETS}:small", (1, 3, 8, 8), width=[4, 8], accuracy=file)

    assert top1(found) == [(50.0, "yours (own.csv)"), (60.0, "yours (own.csv)")]
    assert found.own is not None
    assert [row.place for row in found.own.unmatched] == ["line 4"]
    assert "yours" in repr(found)
    named = pd.DataFrame({"model": ["build"], "width": [8], "kernel": [3], "f1": [0.5]})
    frame = ablate(build, (1, 3, 8, 8), width=[8, 9], kernel=[3, 1], accuracy=named).frame()
    assert [None if pd.isna(f1) else f1 for f1 in frame["f1"]] == [0.5, None, None, None]
    with pytest.raises(
        AccuracyError, match=r"row 0 \(width=8\) does not state kernel, which has several values"
    ):
        ablate(build, (1, 3, 8, 8), width=[8, 9], kernel=[3, 1], accuracy=named[["width", "f1"]])
    with pytest.raises(
        GridError, match="published selects published figures, which only known architectures"
    ):
        ablate(build, (1, 3, 8, 8), accuracy=named, published=True)


def test_sources_are_ranked_by_network() -> None:
    """A variant has one accuracy in every grid: that of the source with most variants of the network."""
    alone = ablate("mobilenet_v1", alpha=1).records()
    among = ablate("mobilenet_v1", alpha=[1, 0.75, 0.5, 0.25], resolution=[224, 192, 160, 128]).records()
    searched = search("mobilenet_v1").frame("considered")
    compared = compare("mobilenet_v1", "mobilenet_v1@alpha=0.5").accuracies[0]

    assert ranked_sources("mobilenet_v1")[0] == SLIM_V1
    assert [(row["top1"], row["accuracy_source"]) for row in alone] == [(70.9, SLIM_V1)]
    assert (alone[0]["top1"], alone[0]["source"]) == (among[0]["top1"], among[0]["source"])
    assert tuple(searched.loc[0, ["top1", "accuracy_source"]]) == (70.9, SLIM_V1)
    assert (compared.top1, compared.source) == (70.9, SLIM_V1)


def test_other_sources_of_the_same_variants_are_compared() -> None:
    """The result says how far each other source differs, as the data states."""
    ablation = ablate("mobilenet_v1", alpha=[1, 0.5])
    (source,) = ablation.sources
    paper = {entry.spec: entry.top1 for entry in entries() if entry.source == "arXiv:1704.04861 Table 6"}
    differences = [
        abs((row["top1"] or 0) - (paper[MobileNetV1(alpha=row["alpha"])] or 0)) for row in ablation.records()
    ]

    # 70.9 - 70.6 and 63.3 - 63.7
    assert [round(difference, 3) for difference in differences] == [0.3, 0.4]
    assert isinstance(source, AccuracySource)
    assert (
        source.model,
        source.source,
        source.variants,
        source.publishes,
    ) == ("mobilenet_v1", SLIM_V1, 2, 16)
    (other,) = [other for other in source.others if other.source == "arXiv:1704.04861 Table 6"]
    assert (other.variants, other.mean, other.largest) == (2, 0.35, 0.4)
    text = words(repr(ablation))
    assert "top-1 of 2 variants from [1], which has most of mobilenet_v1 (16 variants)" in text
    assert (
        "arXiv:1704.04861 Table 6 also has 2 variants of these: top-1 differs by up to 0.4, 0.35 on average"
        in text
    )
    assert ablation.as_dict()["accuracy"] == [source.as_dict()]
    chosen = ablate("mobilenet_v1", alpha=[1, 0.5], source="arXiv:1704.04861 Table 6")
    assert "top-1 of 2 variants from [1], selected by source" in words(repr(chosen))


def test_a_search_says_which_recipes_it_compares() -> None:
    """A front of several sources says so; a front of one source does not."""
    note = "sources, whose training recipes may differ"

    assert f"the front compares top-1 of 3 {note}" in words(
        repr(search("mobilenet", max_macs="60M", max_params="2.5M"))
    )
    assert note not in words(repr(search("mobilenet_v1", max_macs="60M")))
    assert note not in words(repr(search("mobilenet", max_macs="60M", objective="macs")))


def test_a_search_ranks_the_users_variants(table: Any) -> None:
    """The variants of the table are considered, ranked by its accuracy alone, or with `published` by both."""
    file = table(
        "model,top1,f1", '"mobilenet_v2@alpha=0.6,resolution=208",64,0.9', "mobilenet_v1@alpha=0.5,60,0.1"
    )
    alone = search("mobilenet", max_macs=150e6, accuracy=file)
    beside = search("mobilenet", max_macs=150e6, accuracy=file, published=True)

    assert alone.reference == "mobilenet_v2@alpha=0.6,resolution=208"
    assert {"yours (own.csv)"} == set(alone.frame("front")["accuracy_source"])
    assert alone.frame()["top1"].notna().sum() == 2
    assert beside.best is not None
    assert beside.best["top1"] > 64
    assert "fitting variants have no known accuracy and are not ranked" in words(repr(alone))
    assert alone.as_dict()["own"]["unmatched"] == []
    ranked = search("mobilenet", accuracy=file, objective="f1")
    assert ranked.best is not None
    assert (ranked.ranked_by, ranked.best["f1"]) == ("f1", 0.9)
    assert "best: mobilenet_v2@alpha=0.6,resolution=208 (f1 0.9; 64.0 % top-1;" in words(repr(ranked))


def test_a_search_keeps_the_users_accuracy_to_the_users_options(table: Any) -> None:
    """Options that are published, but that the user does not give, have their default in a row that leaves them out."""
    file = table("alpha,resolution,top1", "0.5,96,50.1")
    given: list[dict[str, Any]] = [
        {"alpha": 0.5, "resolution": 96},
        {"alpha": 0.5, "resolution": [96], "in_channels": 1},
        {"alpha": 0.5, "rho": 96 / 224},
        {"alpha": [0.5, 0.25], "resolution": [96, 128], "shallow": True},
    ]
    expected = [{""}, {"in_channels=1"}, {""}, {"shallow=true"}]
    for options, measured in zip(given, expected, strict=True):
        considered = search("mobilenet_v1", accuracy=file, **options).frame("considered")
        assert measured == {*considered[considered["top1"].notna()]["options"]}


def test_searches_with_a_wrong_table_raise(table: Any) -> None:
    """Rows need a model where a family has several, and an objective is a metric that can be maximised."""
    file = table("alpha,top1,latency_ms", "1,70,3")

    with pytest.raises(
        AccuracyError, match=r"line 2 \(alpha=1\) names no model, and mobilenet has several: add a col"
    ):
        search("mobilenet", accuracy=file)
    with pytest.raises(SearchError, match="latency_ms is better when lower, and search maximises"):
        search("mobilenet_v1", accuracy=file, objective="latency_ms")
    with pytest.raises(
        ChoiceError,
        match="unknown objective 'f1': choose one of top1, params, macs, predicted_ms, latency_ms",
    ):
        search("mobilenet_v1", accuracy=file, objective="f1")
    for call in (search, lambda **given: ablate("mobilenet_v1", **given)):
        with pytest.raises(
            (SearchError, GridError), match="published keeps published accuracy beside your own"
        ):
            call(published=True)
    with pytest.raises(ComparisonError, match="published keeps published accuracy beside your own"):
        compare("mobilenet_v1", "mobilenet_v2", published=True)


def test_compare_shows_accuracy() -> None:
    """A comparison has the published accuracy of each known network, its change and its source."""
    found = compare("mobilenet_v1", "mobilenet_v1@alpha=0.5", "squeezenet1_0@resolution=100")
    first, second, third = found.as_dict()["models"]

    assert (first["top1"], first["accuracy_source"]) == (70.9, SLIM_V1)
    assert (second["top1"], second["accuracy_source"]) == (63.3, SLIM_V1)
    assert (third["top1"], third["accuracy_source"]) == (None, None)
    assert list(found.frame())[-2:] == ["top1", "accuracy_source"]
    # 63.3 - 70.9
    assert "| mobilenet_v1@alpha=0.5,resolution=224 | 63.3 | -7.6 | \\[1\\] |" in found.to("markdown")
    assert "Accuracy" not in repr(compare("mobilenet_v1@resolution=100", "mobilenet_v1@resolution=101"))
    mixed = compare("mobilenet_v1", "shufflenet_v2")
    assert "the top-1 accuracies are of different sources, whose training recipes may differ" in words(
        repr(mixed)
    )


def test_compare_takes_the_users_accuracy(table: Any) -> None:
    """Rows match networks by model, also those of a factory or a module."""
    small = f"{NETS}:small"
    file = table("model,top1,f1", "mobilenet_v1,72,0.5", f"{small}@width=4,40,", "Conv2d,10,", "vgg16,1,")
    reports = [count("mobilenet_v1"), count(f"{small}@width=4", (1, 3, 8, 8)), count(build(), (1, 3, 8, 8))]
    found = compare(*reports, "mobilenet_v2", accuracy=file)

    assert [accuracy.top1 for accuracy in found.accuracies] == [72, 40, 10, None]
    assert [row["f1"] for row in found.records()] == [0.5, None, None, None]
    text = words(repr(found))
    assert "published accuracy is left out: published shows it where own.csv has none" in text
    assert "1 row of own.csv matches no variant: line 5 (vgg16)" in text
    both = compare(reports[0], "mobilenet_v2", accuracy=file, published=True)
    assert [accuracy.top1 for accuracy in both.accuracies] == [72, 71.8]
    with pytest.raises(
        AccuracyError, match="names no model, and several models are compared: add a column model"
    ):
        compare("mobilenet_v1", "mobilenet_v2", accuracy=pd.DataFrame({"alpha": [1], "top1": [70]}))
    alone = compare("mobilenet_v1@resolution=192", "mobilenet_v1@alpha=0.5,resolution=192",
                    accuracy=pd.DataFrame({"alpha": [0.5], "top1": [60]}))  # fmt: skip
    assert [accuracy.top1 for accuracy in alone.accuracies] == [None, 60]


def test_commands_take_the_file(table: Any, run: Run) -> None:
    """`ablate`, `search` and `compare` show the user's accuracy, and their notes name flags."""
    file = str(table("model,top1", "mobilenet_v1@alpha=0.5,61.5", "vgg16,70"))
    ablated = run("ablate", "mobilenet_v1", "--alpha", "1,0.5", "--accuracy", file)
    found = run("search", "mobilenet_v1", "--accuracy", file, "--published", "--max-macs", "60e6")
    compared = run("compare", "mobilenet_v1@alpha=0.5", "mobilenet_v2", "--accuracy", file)

    for ran in (ablated, found, compared):
        assert (ran.code, ran.err) == (0, "")
        assert "own.csv matches no variant: line 3 (vgg16)" in words(ran.out)
    assert "61.5  yours [1]" in ablated.out
    assert "--published shows it where own.csv has none" in words(ablated.out)
    assert "raising --max-macs to 76.53 M would allow mobilenet_v1@alpha=0.5,resolution=160" in words(
        found.out
    )
    assert "yours (own.csv)" in compared.out


@pytest.mark.parametrize("command", [["ablate", "mobilenet_v1"], ["search"], ["compare", "vgg16", "alexnet"]])
def test_bad_files_get_one_line(command: list[str], table: Any, run: Run) -> None:
    """An error prints one line on stderr and exits with 2."""
    for arguments, problem in (
        (["--accuracy", "no/such.csv"], "no/such.csv: it cannot be read: No such file or directory"),
        (
            ["--accuracy", str(table("model,top1", "vgg16,0.7"))],
            "line 2: top1 is 0.7: give per cent, such as 70",
        ),
        (["--published"], "published keeps published accuracy beside your own: give accuracy too"),
    ):
        ran = run(*command, *arguments)
        assert (ran.code, ran.out) == (2, "")
        assert problem in ran.err
        assert ran.err.count("\n") == 1


def test_the_table_of_the_guide_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """Every row of the example in docs/variants.md matches a variant, and its commands run."""
    guide = (Path(__file__).parents[1] / "docs/variants.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^```csv\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    (tmp_path / "own.csv").write_text(lines)
    monkeypatch.chdir(tmp_path)
    commands = [
        line for line in guide.splitlines() if line.startswith("mbanalyze ") and "--accuracy own.csv" in line
    ]

    assert len(commands) == 3
    assert all(run(*command.split()[1:]).code == 0 for command in commands)
    found = search("mobilenet", accuracy="own.csv", objective="images_per_s")
    assert found.own is not None
    assert found.own.unmatched == ()
    assert found.reference == "mobilenet_v2@alpha=0.5,resolution=192"

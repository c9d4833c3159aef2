"""The rows and columns of a report that a reader asks for."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from commandline import Run
from torch import nn
from witness import Bessel

from mbanalyze import count
from mbanalyze.cli.report import complete_columns
from mbanalyze.display.result import view_of
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.report.columns import COLUMNS, COUNTS, value
from mbanalyze.report.network import Report
from mbanalyze.report.selection import SelectionError


def three(**options: Any) -> Report:
    """Return a report of three layers: a small one, the largest one, and one without macs."""
    return count(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 6), nn.ReLU()), (1, 2), **options)


def cells(report: Any, **options: Any) -> dict[str, list[str]]:
    """Return the exact cells of each column of a report's first table."""
    section = view_of(report, **options).sections[0]
    return {
        column.heading: [cell if isinstance(cell, str) else cell.exact for cell in column.cells]
        for column in section.columns
    }


def rows(text: str) -> list[dict[str, str]]:
    """Return the rows of CSV."""
    return list(csv.DictReader(io.StringIO(text)))


def test_the_largest_rows_stand_before_the_sum_of_the_others() -> None:
    """`top` sorts by macs, and one row has the sum of what is left out, so that rows add up to the total."""
    shown = cells(three(), top=1)

    # 3 x 6 = 18 macs; the other two have 2 x 3 = 6; params 18 + 6 and 6 + 3
    assert shown["module"] == ["1", "2 others", "total"]
    assert shown["macs"] == ["18", "6", "24"]
    assert shown["params"] == ["24", "9", "33"]
    assert shown["kind"] == ["linear", "2 ops", "3 ops"]
    assert shown["share of macs"] == ["██████  75.0 %", "        25.0 %", ""]


def test_one_row_that_is_left_out_is_one_other() -> None:
    """Two of three rows leave 1 other, and more rows than there are leave none."""
    assert cells(three(), top=2)["module"] == ["1", "0", "1 other", "total"]
    assert cells(three(), top=3)["module"] == cells(three(), top=9)["module"] == ["1", "0", "2", "total"]


def test_rows_are_sorted_by_any_number() -> None:
    """The largest comes first, rows of equal numbers keep their order, and `top` takes the order of `sort`."""
    # writes: 3, 6 and 6; memory access: 2 + 6 + 3 + 3, 3 + 18 + 6 + 6 and 6 + 6
    assert cells(three(), sort="writes")["module"] == ["1", "2", "0", "total"]
    assert cells(three(), sort="writes")["writes"] == ["6", "6", "3", "15"]
    assert cells(three(), sort="memory_access", top=1)["memory access"] == ["33", "26", "59"]
    for name in COUNTS:
        assert cells(three(train=True), sort=name)["module"][-1] == "total"


def test_a_row_that_is_not_counted_comes_last() -> None:
    """Its macs are unknown, so that the row of the others is a lower bound."""
    report = count(nn.Sequential(Bessel(), nn.Linear(4, 4), nn.ReLU()), (1, 4))

    assert cells(report, sort="macs")["module"] == ["1", "2", "0", "total"]
    assert cells(report, top=1)["macs"] == ["16", "≥ 0", "≥ 16"]


def test_chosen_columns_stand_in_the_given_order() -> None:
    """Settings are those of convolutions and poolings; equal ones are listed once, and many are counted."""
    net = nn.Sequential(
        nn.Conv2d(4, 8, (3, 1), stride=2, dilation=(1, 2), groups=2), nn.BatchNorm2d(8), nn.MaxPool2d(2)
    ).eval()
    report = count(net, (1, 4, 9, 9))
    shown = cells(report, columns="groups,kernel,stride,dilation,inputs,weights,buffers,output,variant")

    assert list(shown) == [
        *("module", "groups", "kernel", "stride", "dilation", "inputs"),
        *("weights", "buffers", "output", "variant"),
    ]
    assert shown["groups"] == ["2", "", "", ""]
    assert shown["kernel"] == ["3x1", "", "2x2", ""]
    assert shown["stride"] == ["2x2", "", "2x2", ""]
    assert shown["dilation"] == ["1x2", "", "", ""]
    assert shown["inputs"] == ["1x4x9x9", "1x8x4x5", "1x8x4x5", ""]
    assert shown["weights"] == ["8x2x3x1 8", "8 8", "", ""]
    assert shown["buffers"] == ["", "8 8", "", ""]
    assert shown["variant"] == ["grouped", "", "", ""]
    by_kind = cells(count("mobilenet_v1").by("kind"), columns=["kernel", "stride", "weights"])
    assert by_kind["kernel"][0] == "3x3 1x1"
    assert by_kind["stride"][0] == "2x2 1x1"
    assert by_kind["weights"][0] == "27 tensors"


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("by", ["op", "module", "block", "kind"])
def test_every_column_is_in_every_format(name: str, by: str) -> None:
    """A column has a cell for each row and the total, and its value in CSV and JSON."""
    groups = three(train=True).by(by)
    document = json.loads(groups.to("json", columns=name))

    assert {len(column) for column in cells(groups, columns=name).values()} == {len(groups) + 1}
    assert f"| {by} |" in groups.to("markdown", columns=name)
    assert [list(row) for row in document["rows"]] == [[name]] * len(groups)
    assert groups.to("csv", columns=name).splitlines()[0] == name


def test_records_have_the_rows_and_columns_of_the_choice() -> None:
    """CSV and JSON have the largest rows and the given columns alone, and no sum of the others."""
    report = three()

    assert rows(report.to("csv", top=1)) == rows(report.to("csv", sort="macs"))[:1]
    assert rows(report.to("csv", top=2, columns="path,macs")) == [
        {"path": "1", "macs": "18"},
        {"path": "0", "macs": "6"},
    ]
    chosen = json.loads(report.to("json", top=1, columns=["key", "ops", "groups"]))
    assert chosen["rows"] == [{"key": "1", "ops": 1, "groups": []}]
    assert {**chosen, "rows": None} == {**report.as_dict(), "rows": None, "input": [[1, 2]]}
    assert report.to("csv") == report.to("csv", columns=report.columns())


def test_the_stride_of_a_traced_network_is_that_of_its_closed_form() -> None:
    """Kernels, strides, dilations and groups of every operator are equal."""
    for name in ("mobilenet_v2", "alexnet"):
        closed, traced = (count(name, trace=trace).by("op") for trace in (False, True))
        for column in ("kernel", "stride", "dilation", "groups"):
            expected = [value(column, group, closed.report) for group in closed]
            assert expected == [value(column, group, traced.report) for group in traced]
            assert any(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sort": "output"}, "unknown column to sort by 'output': choose one of ops, params"),
        ({"columns": "macs,speed"}, "unknown column 'speed': choose one of path, key, kind"),
        ({"columns": ""}, "columns is empty: give some of path, key"),
        ({"columns": []}, "columns is empty: give some of path, key"),
        ({"columns": "macs,"}, "unknown column ''"),
        ({"top": 0}, "top must be a whole number above 0, not 0"),
        ({"top": 1.5}, "top must be a whole number above 0, not 1.5"),
        ({"top": True}, "top must be a whole number above 0, not True"),
        ({"depth": 0}, "depth must be a whole number above 0, not 0"),
        ({"depth": 1, "top": 2}, "depth shows every branch of the tree: leave out top"),
        ({"depth": 1, "by": "kind"}, "depth shows modules, not kinds: leave out by"),
        ({"depth": 1, "format": "csv"}, "depth is for tables and Markdown, not for csv"),
        ({"depth": 1, "format": "json"}, "depth is for tables and Markdown, not for json"),
        ({"top": 2, "sort": "macs", "format": "html"}, "leave out sort, top"),
    ],
)
def test_a_choice_that_has_no_sense(options: dict[str, Any], message: str) -> None:
    """An unknown name, a number below 1 and a contradiction are errors that say what to do."""
    with pytest.raises((ChoiceError, SelectionError), match=message.replace("(", r"\(")):
        three().to(**options)


def test_the_command_takes_the_choices_of_the_library(run: Run) -> None:
    """Each option of `report` gives the text of `to`, also with a check."""
    report = count("squeezenet1_1", resolution=64)
    for format in ("table", "markdown", "csv", "json"):
        options = ("--top", "3", "--sort", "reads", "--columns", "path,reads", "--format", format)
        ran = run("report", "squeezenet1_1", "--resolution", "64", *options)
        assert ran == (0, report.to(format, top=3, sort="reads", columns="path,reads"), "")
    ran = run("report", "squeezenet1_1", "--resolution", "64", "--depth", "2", "--no-collapse")
    assert ran == (0, report.to(depth=2, collapse=False), "")
    checked = run("report", "squeezenet1_1", "--resolution", "64", "--check", "--top", "1")
    assert "others" in checked.out
    assert "closed-form/trace" in checked.out
    document = json.loads(
        run(
            *("report", "squeezenet1_1", "--resolution", "64", "--check", "--top", "1", "--format", "json")
        ).out
    )
    assert len(document["rows"]) == 1
    assert document["check"]["agree"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--columns", "macs,speed"], "unknown column 'speed'"),
        (["--sort", "kind"], "unknown column to sort by 'kind'"),
        (["--top", "0"], "top"),
        (["--depth", "x"], "depth"),
        (["--depth", "2", "--by", "block"], "depth shows modules, not blocks: leave out by"),
        (["--depth", "2", "--format", "csv"], "depth is for tables and Markdown"),
    ],
)
def test_a_wrong_choice_is_one_line(run: Run, options: list[str], message: str) -> None:
    """A wrong value of an option ends with exit code 2 and one line that names it."""
    ran = run("report", "mobilenet_v1", *options)

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_lists_of_columns_are_completed() -> None:
    """The last name of a list is completed by the names that it does not have yet."""
    assert complete_columns("ma") == ["macs", "macs_share"]
    assert complete_columns("macs,ma") == ["macs,macs_share"]
    assert complete_columns("macs,")[0] == "macs,path"


def test_settings_of_unusual_windows() -> None:
    """A transposed convolution of one dimension has settings, and a random pooling has no stride."""
    net = nn.Sequential(nn.ConvTranspose1d(2, 4, 3, stride=2, groups=2))
    report = count(net, (1, 2, 5))
    random = count(nn.FractionalMaxPool2d(2, output_size=3), (1, 1, 8, 8))

    assert cells(report, columns="kernel,stride,groups") == {
        "module": ["0", "total"],
        "kernel": ["3", ""],
        "stride": ["2", ""],
        "groups": ["2", ""],
    }
    assert cells(random, columns="kernel,stride")["stride"][0] == ""
    assert cells(random, columns="kernel,stride")["kernel"][0] == "2x2"

"""Reports as text."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import nn
from witness import Bessel

from mbanalyze import count
from mbanalyze.crosscheck.checked_count import NOT_COUNTED, CheckedCount
from mbanalyze.crosscheck.witnesses import Check
from mbanalyze.display.markdown import escape
from mbanalyze.display.records import one_line
from mbanalyze.display.terminal import plain
from mbanalyze.display.views import Column, Section, View
from mbanalyze.report.view import DROP_ORDER


def lines(name: str, width: int, by: str | None = None) -> list[str]:
    """Return the lines of a known network's table."""
    return count(name).to("table", by, width=width).splitlines()


@pytest.mark.parametrize("width", [48, 60, 80, 100, 120, 200])
@pytest.mark.parametrize("by", ["op", "module", "block", "kind"])
def test_a_table_fits_its_width(width: int, by: str) -> None:
    """No line is longer than the width, and no cell is cut."""
    for line in lines("mobilenet_v2", width, by):
        assert len(line) <= width or line.startswith(("memory access", "mobilenet_v2@")) or width < 60
        assert "…" not in line


@pytest.mark.parametrize("by", ["module", "kind"])
def test_no_width_cuts_a_number(by: str) -> None:
    """If the fewest columns do not fit, lines are longer, and the key column stays."""
    narrow = lines("mobilenet_v2", 10, by)

    assert " ".join(narrow[:3]).startswith("mobilenet_v2, input")
    assert next(line for line in narrow if line.startswith(by)).split()[:3] == [by, "params", "macs"]
    assert not any("…" in line for line in narrow)
    assert "3.505 M  300.8 M" in " ".join(narrow)


def test_partly_known_groups_are_marked() -> None:
    """A sum that skips an unknown count is marked as a lower bound."""
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 4), Bessel()), nn.Linear(4, 4))
    report = count(model, (1, 4))

    assert [group.complete for group in report.by("block")] == [False, True]
    assert "≥ 36" in report.to("table", "block")
    assert "| ≥ 36 |" in report.to("markdown", "block")


def test_columns_go_in_the_stated_order() -> None:
    """A narrower table hides the next column of the order, and names the hidden columns."""
    shown = {width: " ".join(lines("mobilenet_v2", width)) for width in (200, 110, 80, 60, 45)}

    order = [name for name in DROP_ORDER if name != "backward flops"]  # a column of training

    assert "hidden at this width" not in shown[200]
    assert f"hidden at this width: {', '.join(order[:3])}; needs" in shown[80]
    assert f"hidden at this width: {', '.join(order[:5])}" in " ".join(shown[60].split())
    for width, text in shown.items():
        assert "share of macs" in " ".join(text.split()) or width < 60


def test_a_table_ends_with_exact_totals_and_provenance() -> None:
    """A table begins with the model and its input, and ends with exact totals and one line of provenance."""
    text = count("mobilenet_v2", alpha=0.75, resolution=192).to("table")
    subject = "mobilenet_v2@alpha=0.75,resolution=192, input 1x3x192x192"

    for exact in ("2,636,424", "153,941,888", "320,589,608", "28,227,776", "112.9 MB"):
        assert exact in text
    assert text.startswith(f"{subject}\n")
    assert text.splitlines()[-1].startswith("closed-form | convention mbanalyze/1 | mbanalyze ")


def test_only_a_width_hides_columns_and_breaks_lines() -> None:
    """Text without a width has every column, one line for each note, and no reason broken into lines."""
    report = replace(count("mobilenet_v2"), notes=("word " * 60,))
    reason = Check(report, (CheckedCount("fvcore/conv", 1, 2, False, "because " * 30),))

    assert "hidden" not in report.to("table")
    assert "flops" in report.to("table")
    assert f"\nnote: {'word ' * 60}".rstrip() in report.to("table")
    assert ("because " * 30).rstrip() in reason.to("table")
    broken = [line for line in report.to("table", width=80).splitlines() if "word" in line]
    assert {len(line) <= 80 and line.split()[-1] == "word" for line in broken} == {True}
    assert sum(line.count("word") for line in broken) == 60


def rich_table(columns: list[Column], *, total: bool) -> str:
    """Return a table as rich lays it out, with each word of a heading above numbers on a line of its own."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False)
    for column in columns:
        heading = column.heading if column.align == "left" else column.heading.replace(" ", "\n")
        table.add_column(Text(heading), justify=column.align, no_wrap=True)
    *body, last = zip(*(column.cells for column in columns), strict=True)
    for row in body:
        table.add_row(*map(str, row))
    if total:
        table.add_section()
    table.add_row(*map(str, last))
    console = Console(file=io.StringIO(), width=1_000, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


# a letter, a wide one, one with a combining accent, a block, and a space
TEXTS = st.text("a漢é\u0301█ ", max_size=6)


@st.composite
def some_columns(draw: st.DrawFn) -> list[Column]:
    """Draw columns of equal length, each with a heading."""
    rows = draw(st.integers(1, 4))
    cells = st.lists(TEXTS, min_size=rows, max_size=rows)
    headings = st.sampled_from(["name", "two words", "漢 one two"])
    column = st.builds(Column, headings, cells, st.sampled_from(["left", "right"]))
    return draw(st.lists(column, min_size=1, max_size=4))


@settings(max_examples=60, deadline=None)
@given(some_columns(), st.booleans())
def test_a_table_is_laid_out_as_rich_does(columns: list[Column], total: bool) -> None:
    """Columns, headings of several lines, wide characters and the gap above a total are where rich puts them."""
    assert rich_table(columns, total=total) == plain(View((Section("", tuple(columns), total=total),)))


def test_a_table_names_what_is_missing() -> None:
    """Uncounted operators, free operators and unused parameters each have a line."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(2, 2)

        def forward(self, x: object) -> object:
            return torch.special.bessel_j0(x.view(-1))  # type: ignore[attr-defined]

    text = count(Net(), (3,)).to("table")

    assert "lower bounds:\naten::special_bessel_j0: 1 x, in (model)\n" in text
    assert "free: view x 1" in text
    assert "parameters never read: 2 in head" in text
    assert " ? " in text


def test_shares_are_drawn_to_the_scale_of_the_largest_row() -> None:
    """The row with the most macs has a full bar, a row with a third of them has a third, and zero has none."""
    # macs 2 x 3 = 6, then 3 x 6 = 18: a quarter and three quarters of 24; 6 cells times 6 / 18 are 2
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 6), nn.ReLU())
    shown = {line.split()[0]: line for line in count(model, (1, 2)).to("table").splitlines() if line}

    assert "  ██      25.0 %" in shown["0"]
    assert "  ██████  75.0 %" in shown["1"]
    assert "%" not in shown["2"]


def test_json_is_the_documented_schema() -> None:
    """The JSON has the documented keys in order, with shapes as lists."""
    document = json.loads(count("mobilenet_v2", resolution=192).to("json"))

    assert list(document) == [
        "schema",
        "model",
        "options",
        "input",
        "method",
        "fused",
        "convention",
        "versions",
        "dtype",
        "complete",
        "totals",
        "rows",
        "uncounted",
        "free",
        "unused_params",
        "notes",
        "real",
        "unseen",
    ]
    assert document["schema"] == "mbanalyze.report/1"
    assert document["input"] == [[1, 3, 192, 192]]
    assert document["method"] == "closed-form"
    assert document["complete"] is True
    assert list(document["totals"]) == [
        "params",
        "macs",
        "flops",
        "activations",
        "reads",
        "writes",
        "memory_access",
        "memory_access_bytes",
        "arithmetic_intensity",
        "params_bytes",
        "peak_bytes",
        "peak_bytes_deployed",
        "peak_bytes_eager",
        "trainable_params",
    ]
    assert document["rows"][0] == {
        "path": "features.0.0",
        "kind": "conv",
        "variant": "standard",
        "merged": [],
        "inputs": [[1, 3, 192, 192]],
        "weights": [[32, 3, 3, 3]],
        "output": [[1, 32, 96, 96]],
        "params": 864,
        "trainable_params": 864,
        "macs": 864 * 96 * 96,
        "flops": 2 * 864 * 96 * 96,
        "activations": 32 * 96 * 96,
        "reads": 3 * 192 * 192 + 864,
        "writes": 32 * 96 * 96,
        "memory_access": 3 * 192 * 192 + 864 + 32 * 96 * 96,
        "live_bytes": 4 * (3 * 192 * 192 + 32 * 96 * 96),
        "macs_share": 864 * 96 * 96 / document["totals"]["macs"],
    }


@pytest.mark.parametrize("by", ["op", "module", "block", "kind"])
def test_json_groups(by: str) -> None:
    """With a grouping, rows have a key, a number of operators, the totals that are sums, and two numbers of a row."""
    document = json.loads(count("mobilenet_v1").to("json", by))
    sums = [name for name in document["totals"] if not name.startswith("peak_bytes")]

    assert {tuple(row) for row in document["rows"]} == {("key", "ops", *sums, "live_bytes", "macs_share")}
    assert sum(row["macs_share"] for row in document["rows"]) == pytest.approx(1)
    assert sum(row["ops"] for row in document["rows"]) == 83


def test_csv_has_the_columns_of_the_rows_and_nothing_else() -> None:
    """CSV has a header and the rows, with shapes as `3x4` and unknown counts empty."""

    class Net(nn.Module):
        def forward(self, x: object) -> object:
            return torch.special.bessel_j0(x)

    text = count(Net(), (3, 4)).to("csv")
    (row,) = csv.DictReader(io.StringIO(text))

    assert text.splitlines()[0].split(",") == count("mobilenet_v1").columns()
    assert (row["macs"], row["flops"], row["reads"], row["inputs"]) == ("", "", "12", "3x4")
    assert len(count("mobilenet_v1").to("csv").splitlines()) == 1 + 83


def test_markdown_escapes_what_would_leave_its_cell() -> None:
    """A pipe in a module's name is escaped."""
    model = nn.Sequential()
    model.add_module("a|b", nn.ReLU())
    text = count(model, (1, 2)).to("markdown")

    assert "| a\\|b | relu |" in text


def test_markup_in_a_name_is_only_a_name() -> None:
    """Markup of rich or HTML in a module's name is printed as text."""
    model = nn.Sequential()
    model.add_module("[bold]<b>&", nn.ReLU())
    report = count(model, (1, 2))

    assert "[bold]<b>&" in report.to("table")
    assert "[bold]&lt;b&gt;&amp;" in report._repr_html_()
    assert r"\[bold\]&lt;b&gt;&amp;" in report.to("markdown")


HOSTILE = "\x1b[31mred\u202e<script>\r\n\u2028\x7f\ud800`@team"
"""A name with control characters, a change of direction, line breaks, a lone surrogate, markup and a mention."""


@pytest.mark.parametrize("format", ["table", "markdown", "csv", "json", "html"])
@pytest.mark.parametrize("by", ["op", "module", "block"])
def test_a_hostile_name_is_text_on_one_line(format: str, by: str) -> None:
    """No format prints a character of a name that does not print, and a line break in it begins no line."""
    model = nn.Sequential()
    model.add_module(HOSTILE, nn.ReLU())
    plain = nn.Sequential()
    plain.add_module("x" * len(one_line(HOSTILE)), nn.ReLU())
    text, expected = (count(each, (1, 2)).to(format, by) for each in (model, plain))

    assert all(character.isprintable() or character == "\n" for character in text)
    assert len(text.splitlines()) == len(expected.splitlines())
    assert "red" in text


def test_json_keeps_a_hostile_name() -> None:
    """The escapes of JSON are those that every reader undoes, also beyond the 16 bits of an escape."""
    model = nn.Sequential()
    model.add_module(f"{HOSTILE}\U000e0001\N{GRINNING FACE}", nn.ReLU())
    text = count(model, (1, 2)).to("json")

    assert json.loads(text)["rows"][0]["path"] == f"{HOSTILE}\U000e0001\N{GRINNING FACE}"
    assert r"\udb40\udc01" in text
    assert "\N{GRINNING FACE}" in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("@team", "@&#8203;team"),
        ("a @org/team", "a @&#8203;org/team"),
        ("-@x", "-@&#8203;x"),
        ("\u00e9@x", "\u00e9@&#8203;x"),
        ("net@alpha=1", "net@alpha=1"),
        ("a`b", r"a\`b"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("a&#64;b", r"a&amp;\#64;b"),
        ("a|b", r"a\|b"),
    ],
)
def test_markdown_is_text(name: str, shown: str) -> None:
    """Markdown has no markup from a name, and mentions nobody; a reference with options is unchanged."""
    assert escape(name) == shown


def test_a_report_shows_itself() -> None:
    """A report displays itself at a prompt, on a rich console and in a notebook."""
    report = count("mobilenet_v1", alpha=0.25)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(report)

    assert "41,030,272" in repr(report)
    assert "41,030,272" in console.export_text()
    assert report._repr_html_().count("<tr>") == 1 + len(report.by("module")) + 1 + 7


def test_an_empty_network_has_an_empty_report() -> None:
    """A network without operators has no rows and zero totals in every format."""
    report = count(nn.Identity(), (1, 2))

    assert report.totals.as_dict(4) == {
        **dict.fromkeys(report.totals.as_dict(4), 0),
        "arithmetic_intensity": None,
    }
    assert report.to("csv").splitlines() == [",".join(report.columns())]
    assert json.loads(report.to("json"))["rows"] == []
    assert "total" in report.to("table")
    assert "total" in report.to("markdown")


def test_a_check_for_people() -> None:
    """A disagreement is marked NO, and a count that one side does not have is empty."""
    check = Check(
        count("alexnet"),
        (
            CheckedCount("fvcore/conv", 1000, 900, False, "unexplained"),
            CheckedCount("fvcore/relu", 5, None, None, NOT_COUNTED),
        ),
    )

    assert "fvcore/conv  macs      1,000     900  NO            unexplained" in check.to("table")
    assert check.to("table", width=40).count("unexplained") == 1
    assert "| fvcore/relu | flops | 5 |  | not compared |  |" in check.to("markdown")
    assert "1 disagree, 1 not compared" in check.to("table")

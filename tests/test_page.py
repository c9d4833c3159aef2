"""The HTML page of a report: its content and its parts."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from html import escape
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from commandline import Run
from many_rows import many_rows
from torch import nn
from warm import warm_python
from witness import Bessel

from mbanalyze import count
from mbanalyze.archs import ARCHS
from mbanalyze.crosscheck.checked_count import CheckedCount
from mbanalyze.crosscheck.witnesses import Check, CheckedReport
from mbanalyze.display.records import one_line
from mbanalyze.report import page
from mbanalyze.report.network import Report
from mbanalyze.report.page import PACKAGES, ROWS, SCRIPTS, PageError
from mbanalyze.report.page.charts import charts
from mbanalyze.report.page.terms import DEFINITIONS, MEASURES
from mbanalyze.report.page.tree import CHILDREN, Node, tree
from mbanalyze.report.pictures import profile

NOT_INSTALLED = "plotly not installed: pip install 'mbanalyze[html]'"


class Reader(HTMLParser):
    """The tags of a page, and the cells of its tables row by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Start a row or a cell."""
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self._cell = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        """End a cell."""
        self._cell = self._cell and tag not in ("th", "td")

    def handle_data(self, data: str) -> None:
        """Add text to a cell."""
        if self._cell:
            self.rows[-1][-1] += data


def data(text: str) -> dict[str, Any]:
    """Return the data that the script of a page reads."""
    return dict(json.loads(json_of(text)))


def json_of(text: str) -> str:
    """Return the text of that data in the document."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*)</script>', text)
    return str(found)


def partly_known() -> Report:
    """Return the report of a network with an uncounted operator."""
    return count(nn.Sequential(nn.Sequential(nn.Linear(4, 4), Bessel()), nn.Linear(4, 4)), (1, 4))


@pytest.mark.parametrize("by", ["op", "module", "block", "kind"])
def test_the_table_has_every_group_with_exact_counts(by: str) -> None:
    """The table has all digits of each group, in thousands, and the total below."""
    report = count("mobilenet_v2")
    _, *body, total = Reader(report.to("html", by)).rows

    assert [group.key or "(model)" for group in report.by(by)] == [cells[0] for cells in body]
    assert [f"{group.cost.macs:,}" for group in report.by(by)] == [cells[-5] for cells in body]
    # of MobileNetV2 at 224 px: share of macs, params, macs, flops, activations, memory access, flops per byte
    assert total[-7:-4] == ["100.0 %", "3,504,872", "300,774,272"]
    assert total[-4:] == ["621,290,664", "6,679,112", "43,266,256", "3.59"]


def test_unknown_counts_and_lower_bounds_are_marked() -> None:
    """The page marks unknown counts and lower bounds, and an unknown count has no share."""
    text = partly_known().to("html", "block")
    _, first, second, total = Reader(text).rows
    _, _, unknown, *_ = Reader(partly_known().to("html", "op")).rows

    # each linear layer: 16 multiply-accumulates, 32 flops of them and 4 of the bias
    assert (first[3], first[5:7]) == ("50.0 %", ["≥ 16", "≥ 36"])
    assert (second[3], second[5:7]) == ("50.0 %", ["16", "36"])
    assert (total[3], total[5:7]) == ("100.0 %", ["≥ 32", "≥ 72"])
    assert (unknown[3], unknown[5:8]) == ("?", ["?", "?", "?"])
    assert "aten::special_bessel_j0</code>: 1 x, in 0.1" in text


def test_the_bar_of_the_largest_row_is_full() -> None:
    """The bars of the shares are scaled to the largest row."""
    text = count(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 8), nn.ReLU()), (1, 4)).to("html")

    # 16 and 32 macs
    assert re.findall(r'<i style="width:(.*?)%">', text) == ["50.00", "100.00", "0.00"]


def test_every_column_of_counts_is_defined() -> None:
    """The definitions cover the heading of each column of counts, and the page shows them."""
    text = count("alexnet").to("html")
    headings = re.findall(r'<th .*data-column="(.*?)"', text)

    assert {*headings} - {"share of macs"} <= {*DEFINITIONS}
    assert re.findall("<details.*?<summary>(.*?)</summary>", text, re.DOTALL) == ["Definitions"]
    for meaning in DEFINITIONS.values():
        assert f"<dd>{escape(meaning)}</dd>" in text


def test_a_page_is_ascii() -> None:
    """A page and its template files are ASCII, so that the encoding of stdout does not matter."""
    assert partly_known().to("html").isascii()
    for name in ("page.html", "page.css", *SCRIPTS):
        assert (files(page) / name).read_text(encoding="utf-8").isascii()


def test_a_page_is_the_same_each_time() -> None:
    """Two pages of equal reports are equal."""
    assert count("squeezenet1_0").to("html") == count("squeezenet1_0").to("html")


@pytest.mark.parametrize("name", ARCHS)
def test_a_page_of_each_network_is_small(name: str) -> None:
    """The page of each known network has less than three megabytes."""
    assert len(count(name).to("html", "op")) < 3_000_000


def test_a_page_of_150_rows_is_small() -> None:
    """A page of 150 rows has less than three megabytes, and one of 20,000 less than ten."""
    assert len(many_rows(150).to("html")) < 3_000_000
    assert len(many_rows(20_000).to("html")) < 10_000_000


@pytest.mark.parametrize("by", ["op", "module", "block"])
def test_a_long_table_has_all_rows_in_the_data(by: str) -> None:
    """The markup of a long table has the first rows, and the data of the script has the cells of each row."""
    long = many_rows(ROWS + 1).to("html", by)
    _, *body, total = Reader(long).rows
    rows = data(long)["rows"]

    assert [*body] == rows[:ROWS]
    assert len(rows) == ROWS + 1
    assert rows[-1][0] == f"stage{ROWS}.layer"[: None if by != "block" else -len(".layer")]
    assert total[0] == "total"
    assert "The filter searches all 501 rows" in long
    assert data(many_rows(ROWS).to("html", by))["rows"] is None


HOSTILE = "</script><!--<script>&amp;'\"\u2028\u2029\ud800\x1b\u202e"


def test_names_in_the_data_are_no_markup() -> None:
    """The data of the script has no character that ends a script, a comment, a line or a character reference."""
    hostile = many_rows(ROWS + 1, HOSTILE + "{}").to("html")

    assert set(json_of(hostile)) & {"<", ">", "&", "'", "\u2028", "\u2029", "\x1b", "\u202e"} == set()
    assert Reader(many_rows(ROWS + 1).to("html")).tags == Reader(hostile).tags
    assert one_line(f"{HOSTILE}{ROWS}") == data(hostile)["rows"][-1][0]


def test_a_name_is_no_markup() -> None:
    """A hostile module name creates no tag, in the document and in the data of its script."""
    model = nn.Sequential()
    model.add_module("</script><script>alert(1)</script><img src=x onerror=alert(1)>", nn.ReLU())
    hostile, tame = count(model, (1, 2)).to("html"), count(nn.Sequential(nn.ReLU()), (1, 2)).to("html")

    assert Reader(tame).tags == Reader(hostile).tags
    assert "alert(1)</script><img" not in hostile
    assert Reader(hostile).rows[1][0] == "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


def test_charts_hold_escaped_text() -> None:
    """Charts interpret some markup, so names in them are escaped."""
    model = nn.Sequential()
    model.add_module("<a href='x'>&lt;", nn.Sequential(nn.ReLU(), nn.ReLU()))
    modules = charts(count(model, (1, 2)))["modules"]
    drawn = json.dumps([modules["labels"], modules["tips"]])

    assert "<a" not in drawn
    assert "&lt;a href=&#x27;x&#x27;&gt;&amp;lt;" in drawn


@pytest.mark.parametrize("name", ["mobilenet_v2", "googlenet", "shufflenet_v2"])
def test_what_is_below_a_module_adds_up_to_it(name: str) -> None:
    """The costs of a module's children sum to its own, and each operator is one leaf."""
    nodes = tree(count(name))
    for at, node in enumerate(nodes):
        below = [other for other in nodes if other.parent == at]
        assert below or len(node.rows) == 1
        for measure in MEASURES if below else ():
            assert getattr(node.cost, measure) == sum(getattr(other.cost, measure) for other in below)
    assert len(count(name).rows) == sum(len(node.rows) == 1 for node in nodes)


def test_a_chain_of_modules_is_one_node() -> None:
    """A module with a single child shares its node, and operators of the root are named by kind."""
    model = nn.Sequential(nn.Sequential(nn.Sequential(nn.ReLU(), nn.Tanh())), Bessel())
    labels = [(node.parent, node.label, node.path) for node in tree(count(model, (1, 2)))]

    assert labels == [
        (None, "Sequential", ""),
        (0, "0.0", "0.0"),
        (0, "1", "1"),
        (1, "0", "0.0.0"),
        (1, "1", "0.0.1"),
    ]
    assert [(node.parent, node.label) for node in tree(count(nn.ReLU(), (1, 2)))] == [
        (None, "ReLU"),
        (0, "relu"),
    ]


@pytest.mark.parametrize("path", ["layers.{}", "{}", "same", "", "blocks.{}.a.b"])
def test_runs_stand_for_many_children(path: str) -> None:
    """No module of the chart has more children than fit, each operator is one leaf, and costs add up."""
    nodes = tree(many_rows(3000, path))
    below: dict[int | None, list[Node]] = {}
    for node in nodes:
        below.setdefault(node.parent, []).append(node)

    assert max(map(len, below.values())) <= CHILDREN
    assert len([at for at in range(len(nodes)) if at not in below]) == 3000
    for parent, children in below.items():
        if parent is not None:
            assert nodes[parent].rows == tuple(row for child in children for row in child.rows)


def test_a_run_is_named_after_its_first_and_last_child() -> None:
    """A run has the names of its ends, and so has its list entry."""
    modules = charts(many_rows(101, "layers.{}"))["modules"]

    # 101 children in 21 runs of up to 5; the last has one child, which stands for itself
    assert modules["labels"][:3] == ["mobilenet_v2", "layers", "0 to 4"]
    assert "100" in modules["labels"][:23]
    assert [2, "layers.0 to layers.4"] in modules["holders"]
    assert modules["tips"][2][:2] == ["layers.0 to layers.4", "5 operators"]


def test_bars_of_a_long_report_are_sums() -> None:
    """A bar stands for a run of operators in a long report; all of them together are the total."""
    report = many_rows(20_000)
    operators = charts(report)["operators"]
    macs = 2 + list(MEASURES).index("macs")

    assert (operators["length"], len(operators["tips"])) == (20, 1000)
    assert operators["tips"][0][:2] == ["stage0.layer to stage19.layer", "20 operators"]
    assert report.totals.macs == sum(int(tip[macs].replace(",", "")) for tip in operators["tips"])
    assert (charts(many_rows(1000))["operators"]["length"], operators["shaded"]) == (1, False)


def test_pictures_of_a_long_report_are_sums() -> None:
    """The picture along depth has at most 300 bars for each of three counts, and says what a bar is."""
    drawn = profile(many_rows(20_000))

    # 20,000 operators in runs of 67; and a line below each of the three strips
    assert "share along depth, 67 operators a bar" in drawn
    assert drawn.count("<rect") <= 3 * 300 + 3
    assert "share along depth, operator by operator" in profile(many_rows(300))


def test_the_largest_are_named_in_words() -> None:
    """The captions of the charts name the largest parts, for each measure."""
    said = charts(count("mobilenet_v2"))["captions"]

    # 19,267,584 of 300,774,272; 1,281,000 of 3,504,872
    assert "features.2.conv.0.0 (conv pointwise) 6.4 %" in said["macs"]["operators"]
    assert said["params"]["modules"].startswith("Most params: classifier.1 36.5 %, ")


def test_an_empty_network_has_a_page() -> None:
    """A network without operators gives a page without rows and bars."""
    report = count(nn.Identity(), (1, 2))

    assert [cells[0] for cells in Reader(report.to("html")).rows] == ["module", "total"]
    assert charts(report)["captions"]["macs"]["operators"] == "No multiply-accumulates are known."


def test_a_check_has_its_place() -> None:
    """A page with a check shows its verdict and a row for each comparison."""
    check = Check(partly_known(), (CheckedCount("fvcore/conv", 1000, 900, False, "unexplained"),))
    text = CheckedReport(partly_known(), check).to("html")

    assert Reader(text).rows[1] == ["fvcore/conv", "macs", "1,000", "900", "NO", "unexplained"]
    assert "Some comparisons disagree." in text
    nothing = CheckedReport(partly_known(), Check(partly_known(), ())).to("html")
    assert "No operator could be compared." in nothing


def test_the_command_writes_a_page(run: Run, tmp_path: Path) -> None:
    """The command writes the library's page to a file or stdout, and with --check its table too."""
    out = tmp_path / "report.html"
    assert run("report", "alexnet", "--format", "html", "--output", str(out)) == (0, "", "")
    assert count("alexnet").to("html") == out.read_text() == run("report", "alexnet", "--format", "html").out

    checked = run("report", "alexnet", "--format", "html", "--by", "kind", "--check")
    assert (checked.code, checked.err) == (0, "")
    assert "Every comparison agrees." in checked.out
    assert "closed-form/trace" in Reader(checked.out).rows[1]


@pytest.mark.posix
def test_a_terminal_is_no_place_for_a_page() -> None:
    """On a terminal, the command exits with 2 and one line that suggests --output."""
    ours, theirs = os.openpty()
    command = [warm_python(), "-m", "mbanalyze", "report", "alexnet", "--format", "html"]
    ran = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)
    os.close(theirs)
    os.close(ours)

    assert ran.returncode == 2
    assert ran.stderr == "mbanalyze: error: a terminal cannot show an HTML page: give --output FILE.html\n"


def test_without_the_extra_one_line_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without Plotly, the command exits with 2, names the extra and writes nothing."""
    monkeypatch.setitem(sys.modules, "plotly", None)
    out = tmp_path / "report.html"
    ran = run("report", "alexnet", "--format", "html", "--output", str(out))

    assert ran == (2, "", f"mbanalyze: error: {NOT_INSTALLED}\n")
    assert not out.exists()
    with pytest.raises(PageError, match=re.escape(NOT_INSTALLED)):
        count("alexnet").to("html")


def test_the_extra_has_what_a_page_needs() -> None:
    """Each package of the page is in the extras `html` and `test`."""
    project = (Path(__file__).parent.parent / "pyproject.toml").read_text()

    for package in PACKAGES:
        assert project.count(f'"{package}>=') == 2


def luminance(color: str) -> float:
    """Return the relative luminance of `#rrggbb`, as WCAG 2.2 defines it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, as WCAG 2.2 defines it."""
    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


KINDS = [f"kind-{i}" for i in range(8)]
TEXT = [
    *itertools.product(("ink", "faint", "accent"), ("paper", "wash", "band")),
    *itertools.product(["on-kind"], KINDS),
    *[("ink", "module"), ("ink", "warn-paper"), ("tip-ink", "tip"), ("paper", "accent")],
    *[("good", "wash"), ("bad", "wash"), ("bad", "paper")],
]
SHAPES = [*itertools.product(KINDS, ("paper", "band")), ("accent", "band"), ("faint", "paper")]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colors_have_contrast(theme: str) -> None:
    """Contrast is at least 4.5 for text and 3 for shapes (WCAG 2.2, criteria 1.4.3 and 1.4.11)."""
    light, dark = (files(page) / "page.css").read_text(encoding="utf-8").split("@media", 1)
    colors = dict(re.findall(r"--([\w-]+): (#\w{6});", light if theme == "light" else dark))

    assert {pair for pair in TEXT if contrast(*map(colors.__getitem__, pair)) < 4.5} == set()
    assert {pair for pair in SHAPES if contrast(*map(colors.__getitem__, pair)) < 3} == set()
    assert round(contrast("#000000", "#ffffff"), 3) == 21

"""Every result displays itself in notebooks: completely, without markup from names, and in the notebook's colours."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_profile import profile
from torch import nn

from mbanalyze import compare, count, fit, guard, layers, memory, predict, search
from mbanalyze.conventions.convention import Difference
from mbanalyze.crosscheck.checked_count import CheckedCount
from mbanalyze.crosscheck.explained_totals import CounterResult, ExplainedTotals
from mbanalyze.crosscheck.witnesses import Check
from mbanalyze.guard import Explanations, Outcome, Policy, load
from mbanalyze.guard.changes import CountChange, LayerId
from mbanalyze.guard.explanation import Cause, Contribution, Explanation
from mbanalyze.guard.model_result import ModelResult
from mbanalyze.guard.source_location import SourceLocation
from mbanalyze.literature.paper_tables import paper_tables
from mbanalyze.literature.verdicts import Verdicts, published
from mbanalyze.memory_access.analysis import guidelines
from mbanalyze.memory_access.experiments import TITLES, Experiments, Timings, trials
from mbanalyze.ops.cost import Cost
from mbanalyze.profiles.class_fit import ClassFit
from mbanalyze.profiles.predicted_time import PredictedTime
from mbanalyze.profiles.profile_file import read_profile
from mbanalyze.profiles.time_profile import Anchor, Profile
from mbanalyze.profiles.work import Work
from mbanalyze.report.network import Report
from mbanalyze.report.pictures import pictures
from mbanalyze.report.rows import KEYS
from mbanalyze.timing.measured_time import MeasuredTime, MeasuredTimes

PROFILE = Path(__file__).parent / "data/time_profile.json"
HOSTILE = "<script>alert('1')</script>|a\n&amp;"
SHOWN = "<script>alert('1')</script>|a\\n&amp;"
"""The text that a page shows for it, on one line."""


class Page(HTMLParser):
    """The tags, styles, table cells and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.styles: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record a tag and its style."""
        self.tags.append(tag)
        self._open.append(tag)
        self.styles.append(dict(attrs).get("style") or "")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record a tag that closes itself."""
        self.handle_starttag(tag, attrs)
        self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Check that tags close in order."""
        assert tag == self._open.pop()

    def handle_data(self, data: str) -> None:
        """Record text, also of the current cell."""
        self.text += data
        if self._open and self._open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def hostile() -> Report:
    """Return a report whose model, option, module and note have a hostile name."""
    model = nn.Sequential()
    model.add_module(HOSTILE.replace(".", ""), nn.Conv2d(3, 8, 3))
    made = count(model, (1, 3, 8, 8))
    return replace(made, model=HOSTILE, options={"name": HOSTILE}, notes=(HOSTILE,))


def shown(result: Any) -> Page:
    """Return the page that a notebook shows for a result."""
    return Page(result._repr_html_())


def a_search(name: str) -> Any:
    """Return a search with the given name as model, options and source."""
    found = search("mobilenet_v1", max_macs=10**8)
    names = np.full(len(found.rows), name, dtype=object)
    return replace(found, rows=found.rows.with_columns(model=names, options=names, source=names))


def a_verdict(name: str) -> Verdicts:
    """A verdict whose source, variant, label and arithmetic are called `name`."""
    first = published("vgg16")[0]
    entry = replace(first.figure.entry, source=name, label=name, options={"a": name})
    return Verdicts((replace(first, figure=replace(first.figure, entry=entry), arithmetic=name),))


def a_model_result(name: str) -> ModelResult:
    """Return the result of a model that grew, with one layer; both have the given name."""
    layers = (None, LayerId(name, name))
    return ModelResult(
        name, "worse", 1, tuple(CountChange("macs", 1, 2, "worse", layer=layer) for layer in layers)
    )


def an_outcome(name: str) -> Outcome:
    """Return an outcome of that model with a damaged lock of the same name."""
    policy = Policy(Path(__file__).parents[1] / "pyproject.toml", Path("mbanalyze.lock.json"))
    return Outcome(policy, name, (a_model_result(name),), name)


def explanations(name: str) -> Explanations:
    """Return an explanation of the growth: one layer, and no option that would help."""
    part = Contribution(name, name, 1, 1.0, SourceLocation(name, 1, name))
    cause = Cause("macs", 1, 2, None, grew=True, contributions=(part,))
    return Explanations(an_outcome(name), (Explanation(a_model_result(name), (cause,), (), (name,)),))


def explained_totals(name: str) -> ExplainedTotals:
    """The totals of two counters of that name, one of which failed."""
    counted = CounterResult(name, name, 5, name, (Difference(name, 2),), 1)
    failed = CounterResult(name, name, None, name, (), None, name)
    return ExplainedTotals(replace(count("alexnet"), model=name), (counted, failed))


def a_profile(name: str) -> Profile:
    """A profile of a machine of that name, whose anchor, class and date have it too."""
    fit = ClassFit(1.0, 1.0, 1.0, 1.0, 1, 0.1, Work(1, 1, 1), in_place=False)
    anchors = (Anchor(name, 1.0, 1.0),)
    names: dict[str, Any] = {"machine": name, "date": name, "versions": {name: name}, "classes": {name: fit}}
    return profile(device="cuda", launch_ns=1.0, anchors=anchors, **names)


def timed(device: str) -> Experiments:
    """The experiments, timed on a device of that name."""
    return Experiments(timings=Timings({(t.guideline, t.setting): 1.0 for t in trials()}, 5, device))


RESULTS: dict[str, Any] = {
    "report": hostile,
    "groups": lambda: hostile().by("module"),
    "comparison": lambda: compare(hostile(), replace(hostile(), model="b")),
    "search": lambda: a_search(HOSTILE),
    "guidelines": lambda: guidelines(hostile()),
    "memory": lambda: memory(hostile()),
    "prediction": lambda: predict(hostile(), profile=replace(read_profile(PROFILE), machine=HOSTILE)),
    "profile": lambda: a_profile(HOSTILE),
    "measured times": lambda: MeasuredTimes(
        (MeasuredTime(hostile(), "float32", (1.0, 2.0), PredictedTime((), 0.1)),),
        HOSTILE,
        "cpu",
        1,
        a_profile(HOSTILE),
    ),
    "relative time": lambda: predict(hostile(), device="t4"),
    "fit": lambda: replace(fit(nn.Linear(2, 2), "1 kB", (1, 2)), model=HOSTILE),
    "agreement": lambda: Check(count("alexnet"), (CheckedCount(HOSTILE, 1, 2, agree=False, reason=HOSTILE),)),
    "explained totals": lambda: explained_totals(HOSTILE),
    "verdicts": lambda: a_verdict(HOSTILE),
    "paper table": lambda: replace(paper_tables()[0], title=HOSTILE, note=HOSTILE),
    "outcome": lambda: an_outcome(HOSTILE),
    "explanations": lambda: explanations(HOSTILE),
    "experiments": lambda: timed(HOSTILE),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_hostile_name_is_only_a_name(name: str) -> None:
    """Markup, pipes and line breaks in names are shown as text and create no tag."""
    page = shown(RESULTS[name]())

    assert "script" not in page.tags
    assert SHOWN in page.text
    assert HOSTILE not in page.text


@pytest.mark.parametrize("name", [*RESULTS, "cost"])
def test_results_have_the_colours_of_their_page(name: str) -> None:
    """No style sets a colour or a background, so that light and dark pages are both legible."""
    others: dict[str, Any] = {"cost": lambda: layers.conv(14, 8, 8, 3)}
    page = shown((RESULTS | others)[name]())

    assert "table" in page.tags
    assert not {style for style in page.styles if re.search("color|background|black|white;", style)}


@pytest.mark.parametrize("by", KEYS)
def test_groups_show_their_report(by: str) -> None:
    """Groups have one row each between the headings and the total, and the exact totals below."""
    report = count("mobilenet_v1")
    page = shown(report.by(by))

    keys = [group.key for group in report.by(by)]
    assert [*keys, "total"] == [row[0] for row in page.rows[1 : len(keys) + 2]]
    assert "568,740,352" in page.text


def test_a_cost_shows_its_counts() -> None:
    """A cost shows exact counts, and a question mark for an unknown count."""
    # 3 x 3 x 512 x 512 weights at 14 x 14 places
    page = shown(layers.conv(14, 512, 512, 3, padding=1, bias=False))

    assert page.rows[1] == ["params", "2,359,296"]
    assert page.rows[2] == ["macs", "462,422,016"]
    assert shown(Cost(macs=None)).rows[2] == ["macs", "?"]


def test_an_agreement_shows_each_comparison() -> None:
    """A check shows a row for each comparison, with its reason, in a notebook and at a prompt."""
    agreement = Check(count("alexnet"), (CheckedCount("fvcore/conv", 9, 8, agree=True, reason="odd"),))

    assert shown(agreement).rows[1] == ["fvcore/conv", "macs", "9", "8", "yes", "odd"]
    assert "fvcore/conv  macs" in repr(agreement)


def test_verdicts_show_their_arithmetic() -> None:
    """Every format for people has a row for each figure, and a numbered note for each that is not exact."""
    found = published("squeezenet")
    page = shown(found)
    sources = dict.fromkeys(verdict.figure.entry.source for verdict in found)

    assert len(found) + len(sources) == len(page.rows)
    assert all(source in page.text for source in sources)
    for text in (page.text, found.to("markdown"), " ".join(repr(found).split())):
        plain = text.replace("\\", "")
        for verdict in found:
            if verdict.category != "exact":
                assert f"{verdict.category} [" in plain
                assert f"] {verdict.arithmetic}" in plain
    assert "10 figures: 7 exact, 2 convention, 0 erratum, 1 unresolved" in page.text
    assert "10 figures: 7 exact" in repr(found)
    assert "0 figures" in shown(Verdicts(())).text


def test_guidelines_show_all_four() -> None:
    """Notebooks and prompts show the headings of G1 to G4 and the costliest convolutions."""
    analysis = guidelines("shufflenet_v2")

    for text in (shown(analysis).text, repr(analysis)):
        assert all(f"{guideline}: " in text for guideline in TITLES)
        assert "stage2.0.branch2.3" in text


def test_experiments_show_a_table_for_each_guideline() -> None:
    """All experiments have four tables; a selection has its own and no notes."""
    assert shown(guidelines()).tags.count("table") == 4
    assert "relative to the first setting" in shown(guidelines()).text
    assert shown(Experiments(("G2",))).tags.count("table") == 1
    assert "groups raise memory access" in shown(Experiments(("G2",))).text


def test_a_search_shows_its_front() -> None:
    """A search shows its front, sources and verdict; if nothing fits, it shows only the verdict."""
    found = search("mobilenet_v1", max_macs=150_000_000)
    page = shown(found)

    assert 1 + len(found.frame("front")) == len(page.rows)
    assert "best within 150 M multiply-accumulates" in page.text
    assert "[1] tensorflow/models" in page.text
    assert "table" not in shown(search("mobilenet_v1", max_macs=1)).tags


def test_a_guard_shows_growth_and_its_reason(tmp_path: Path) -> None:
    """A failed guard shows its verdict, totals, layers and a fitting option; a passed guard shows its totals."""
    file = tmp_path / "mbanalyze.toml"
    model = '[models.small]\nsource = "mobilenet_v2"\nbudget = { macs = "110 M" }\noptions = { alpha = %s }'
    file.write_text(model % 0.5)
    fine = guard.check(load(file)) and guard.check(load(file))
    why_fine = guard.explain(load(file), ["small"])
    file.write_text(model % 0.75)
    grown = guard.check(load(file))
    why = guard.explain(load(file))

    # 12,868,160 below the budget of 110 M macs
    for passed in (fine, why_fine):
        assert [row[:4] for row in shown(passed).rows] == [
            ["model", "verdict", "params", "macs"],
            ["small", "ok", "1.969 M", "97.13 M"],
            ["model", "macs"],
            ["small", "12.87 M (11.7 %) of 110.0 M"],
        ]
    assert "Model costs against mbanalyze.lock.json" in shown(fine).text
    assert shown(grown).rows[2][:3] == ["what", "before", "after"]
    # 97,131,840 and 209,069,792 macs
    assert shown(grown).rows[3][:3] == ["macs", "", "209.1 M"]
    assert ["layer", "kind", "params", "from"] in [row[:3] + row[-1:] for row in shown(why).rows]
    for text in (shown(why).text, repr(why)):
        assert "small" in text
        assert "alpha=0.51 fits instead of 0.75: " in text  # and has the channels of 0.5
    assert "over budget" in repr(grown)
    file.write_text(model % 0.5)
    assert repr(guard.explain(load(file))) == "nothing fails\n"


def test_pictures_name_kinds_and_draw_shares() -> None:
    """The pictures show five kinds and the rest, a strip for each count, and text in the page's colour."""
    page = Page(pictures(count("mobilenet_v2")))

    assert page.tags.count("svg") == 2
    assert all(kind in page.text for kind in ("conv", "batch_norm", "relu6", "linear", "add", "1 more"))
    # 299,494,272 of 300,774,272 macs are convolutions'
    assert "99.6" in page.text
    assert "black" not in pictures(count("mobilenet_v2"))


def test_pictures_of_hostile_and_empty_reports() -> None:
    """Markup in a kind is shown as text, and a network without operators has empty pictures."""
    odd = hostile()
    (row,) = odd.rows
    odd = replace(odd, rows=(row._replace(op=row.op._replace(kind=HOSTILE)),))

    assert SHOWN in Page(pictures(odd)).text
    assert "rect" in Page(pictures(replace(odd, rows=()))).tags

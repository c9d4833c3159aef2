"""Every result is one family: data, records, a frame, text in every format, and displays."""

from __future__ import annotations

import csv
import importlib
import io
import json
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console
from witness import DATA

import mbanalyze
from mbanalyze import (
    ablate,
    check,
    compare,
    count,
    evaluate,
    explain,
    fit,
    guard,
    guidelines,
    measure,
    memory,
    predict,
    published,
    search,
    search_space,
    train,
    tune_space,
)
from mbanalyze.archs.catalog import Catalog
from mbanalyze.crosscheck.witnesses import CheckedReport
from mbanalyze.display.result import FORMATS, Result, formats, load_view
from mbanalyze.display.views import Column, Section, View
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.literature.paper_tables import paper_tables
from mbanalyze.profiles.profile_file import read_profile
from mbanalyze.training.trained_run import TrainingRun

PROFILE = Path(__file__).parent / "data/time_profile.json"
POLICY = """
[models.small]
source = "mobilenet_v2@alpha=0.5"
budget = { macs = "1 M" }
"""


def outcome(folder: Path) -> guard.Outcome:
    """Return the outcome for a model over its budget."""
    file = folder / "mbanalyze.toml"
    file.write_text(POLICY)
    return guard.check(guard.load(file), ci=True)


def explanations(folder: Path) -> Any:
    """Return the explanation of the same model."""
    outcome(folder)
    return guard.explain(guard.load(folder / "mbanalyze.toml"))


def trained() -> TrainingRun:
    """Return the run of a small network."""
    return train("mobilenet_v1", alpha=0.0625, shallow=True, resolution=8, epochs=1, batch=512)


RESULTS: dict[str, Callable[[Path], Any]] = {
    "Report": lambda _: count("mobilenet_v2"),
    "Groups": lambda _: count("mobilenet_v2").by("kind"),
    "Catalog": lambda _: Catalog(),
    "Cost": lambda _: count("mobilenet_v2").totals,
    "Check": lambda _: check("squeezenet1_1", resolution=64),
    "CheckedReport": lambda _: CheckedReport(count("alexnet"), check("alexnet")),
    "ExplainedTotals": lambda _: explain("squeezenet1_1", resolution=64, counters=["thop"]),
    "Comparison": lambda _: compare("mobilenet_v1", "mobilenet_v2"),
    "Verdicts": lambda _: published("squeezenet"),
    "PaperTable": lambda _: paper_tables()[0],
    "Guidelines": lambda _: guidelines("mobilenet_v2"),
    "Memory": lambda _: memory("mobilenet_v2"),
    "Prediction": lambda _: predict("mobilenet_v2", profile=PROFILE),
    "TimeGroups": lambda _: predict("mobilenet_v2", profile=PROFILE).by("block"),
    "RelativeTime": lambda _: predict("mobilenet_v2", device="t4"),
    "RelativeGroups": lambda _: predict("mobilenet_v2", device="t4").by("block"),
    "Fit": lambda _: fit("squeezenet1_1", "100 MB", resolution=32),
    "Profile": lambda _: read_profile(DATA / "time_profile.json"),
    "MeasuredTimes": lambda _: measure("squeezenet1_1", resolution=32, seconds=0),
    "Experiments": lambda _: guidelines(),
    "Ablation": lambda _: ablate("mobilenet_v2", alpha=[1.0, 0.5]),
    "Search": lambda _: search("mobilenet_v2", max_macs=10**8),
    "SpaceSearch": lambda _: search_space("mobilenet_v2", trials=5),
    "SpaceTuning": lambda _: tune_space("mobilenet_v2", samples=2, alpha=[0.3], resolution=[64]),
    "TrainingRun": lambda _: trained(),
    "Evaluation": lambda _: evaluate(trained()),
    "Outcome": outcome,
    "Explanations": explanations,
    "NewPolicy": lambda folder: guard.init(folder / "mbanalyze.toml", ["mobilenet_v2"], {}, []),
}
"""A result of each class, by the name of the class."""


def classes(base: type) -> Iterator[type]:
    """Yield the subclasses of a class that their modules define; dataclasses with slots leave copies behind."""
    subclasses: list[type] = type.__subclasses__(base)
    for kind in subclasses:
        yield from classes(kind)
        if getattr(importlib.import_module(kind.__module__), kind.__name__, None) is kind:
            yield kind


def test_every_result_is_tested() -> None:
    """The table above has an instance of each class of results in the package."""
    for module in pkgutil.walk_packages(mbanalyze.__path__, "mbanalyze."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    known = {
        kind.__name__ for kind in classes(Result) if not kind.__module__.startswith("mbanalyze.display.")
    }

    assert known == set(RESULTS)


@pytest.fixture(params=RESULTS)
def result(request: pytest.FixtureRequest, tmp_path: Path) -> Result:
    """Return one result."""
    made: Result = RESULTS[request.param](tmp_path)
    assert type(made).__name__ == request.param
    return made


def test_every_result_has_every_format(result: Result) -> None:
    """All four formats have text; JSON is the document, and CSV has the records."""
    load_view(result)

    assert set(FORMATS) == {"table", "markdown", "csv", "json"}
    assert set(FORMATS) <= set(formats(result))
    assert all(result.to(format).strip() for format in FORMATS)
    document = json.loads(json.dumps(result.as_dict(), default=str))
    assert json.loads(result.to("json")) == (document[result.json_key] if result.json_key else document)
    rows = list(csv.DictReader(io.StringIO(result.to("csv"))))
    assert len(rows) == len(result.records())
    assert {tuple(row) for row in rows} <= {tuple(result.columns())}
    assert "| --- |" in result.to("markdown")
    assert "…" not in result.to("table", width=80)


def test_records_are_a_frame(result: Result) -> None:
    """A frame has a row for each record and a column for each key."""
    frame = result.frame()

    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == len(result.records())
    assert list(frame.columns) == result.columns()


def test_every_result_displays_itself(result: Result) -> None:
    """At a prompt and on a rich console it is its table, and in a notebook HTML tables."""
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(result)

    first = result.to("table", width=100).splitlines()[0].split()
    assert repr(result) == result.to("table")
    assert first == console.export_text().splitlines()[0].split()
    assert "<table>" in result._repr_html_()


def test_one_function_is_a_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renderer that joins the table of formats serves every result."""

    def headings(result: Result, **options: Any) -> str:
        view: View = importlib.import_module("mbanalyze.display.result").view_of(result, **options)
        return " ".join(column.heading for section in view.sections for column in section.columns)

    monkeypatch.setattr("mbanalyze.display.result.FORMATS", {**FORMATS, "headings": headings})

    assert count("mobilenet_v2").totals.to("headings") == "count elements"
    assert (
        compare("mobilenet_v1", "mobilenet_v2").to("headings").startswith("total mobilenet_v1 mobilenet_v2")
    )


def test_an_unknown_setting_is_named() -> None:
    """A misspelt setting is an error in every format, also in those that do not use it."""
    report, ablation = count("alexnet"), ablate("mobilenet_v2", alpha=[1.0, 0.5])

    for format in formats(report):
        with pytest.raises(ChoiceError, match="unknown setting 'tpo': choose one of sort, top, depth, col"):
            report.to(format, tpo=5)
        with pytest.raises(ChoiceError, match="unknown setting 'tpo': choose one of sort, top, depth, col"):
            report.to(format, by="kind", tpo=5)
    for format in FORMATS:
        with pytest.raises(ChoiceError, match="unknown setting 'top'"):
            ablation.to(format, top=3)
        assert ablation.to(format, width=500)


def test_a_view_without_rows_says_none() -> None:
    """A section without rows shows its heading in every format, and no empty table."""
    from mbanalyze.display.html import HEADING, html
    from mbanalyze.display.markdown import markdown
    from mbanalyze.display.terminal import plain

    empty = View((Section("Nothing here", (Column("macs", []),)),))

    assert plain(empty, 80) == "Nothing here\nnone\n"
    assert markdown(empty) == "## Nothing here\n\nnone\n"
    assert html(empty) == f'<p style="{HEADING}"><b>Nothing here</b></p><p>none</p>'

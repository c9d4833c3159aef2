"""Outcomes of the guard as tables, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json

from markdown_it import MarkdownIt
from outcomes import COMMAND, LAYER, MODEL, OLD, Project, hostile, spelled

from mbanalyze.guard import Outcome


def test_hostile_names_in_tables(outcomes: dict[str, Outcome]) -> None:
    """Markup stays text on one line, and no line is a command for GitHub's runner."""
    text = outcomes["hostile"].to("table")
    assert f"\n{spelled(MODEL)}  worse  " in text
    assert f"\n{spelled(LAYER)} " in text
    for line in text.splitlines():
        assert line.isprintable()
        assert not line.lstrip().startswith("::")
        assert "##[" not in line


def test_commands_stay_on_one_line(outcomes_project: Project) -> None:
    """The advised command is one line even if a name contains a line break, also in Markdown."""
    outcome = outcomes_project.check(hostile(False) | {"small": ""}, hostile(True) | {"small": ""})
    assert outcome.advice
    assert not set("\n\x07") & set(outcome.advice.command)
    *_, last = outcome.to("table").splitlines()
    assert last.startswith("mbanalyze guard update ")
    assert len(outcome.to("markdown").rpartition("```sh")[2].splitlines()) == 3


def test_hostile_names_in_markdown(outcomes: dict[str, Outcome]) -> None:
    """A Markdown reader finds no markup in names."""
    text = outcomes["hostile"].to("markdown")
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    assert "<script" not in text
    inside = [child for token in tokens if token.type == "inline" for child in token.children or []]
    assert {"text"} == {child.type for child in inside} - {"text_special"}
    assert not [token for token in tokens if token.type.startswith("html")]
    cells = [token for token in tokens if token.type == "inline"]
    texts = ["".join(child.content for child in cell.children or []) for cell in cells]
    assert {spelled(MODEL), f"Total of {spelled(MODEL)}", f"Layers of {spelled(MODEL)}"} <= {*texts}
    assert spelled(LAYER) in texts


def test_hostile_names_in_json(outcomes: dict[str, Outcome]) -> None:
    """JSON contains the exact names."""
    [model] = json.loads(outcomes["hostile"].to("json"))["models"]
    assert model["name"] == MODEL
    assert {"", LAYER, COMMAND, OLD} == {change["path"] for change in model["changes"]}


def test_csv_has_one_record_for_each_change(outcomes: dict[str, Outcome]) -> None:
    """CSV lists the changes that JSON lists, with the name of the model; it has a header without changes too."""
    [model] = json.loads(outcomes["worse"].to("json"))["models"]
    records = list(csv.DictReader(io.StringIO(outcomes["worse"].to("csv"))))
    assert records == [
        {"model": "small", **{key: "" if value is None else str(value) for key, value in change.items()}}
        for change in model["changes"]
    ]
    assert len(records) > 2
    assert (
        outcomes["ok"].to("csv")
        == "model,path,kind,metric,before,after,limit,verdict,level,before_at,after_at\n"
    )

"""Verdicts on published figures as text: `FORMATS` maps a format's name to a function of the verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from textwrap import wrap
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from mbanalyze.display.records import comma_separated, dump
from mbanalyze.display.tables import Columns, grid_of, html_notes, html_sections, markdown_table
from mbanalyze.inputs.parsing import spell_options
from mbanalyze.literature.paper_tables import Reproduction, reproductions
from mbanalyze.literature.verdicts import OUTCOMES, Verdict, cuts_off

STYLES = {"exact": "green", "convention": "cyan", "erratum": "bold red", "unresolved": "yellow"}


def network(verdict: Verdict) -> str:
    """The network that a figure is about: its variant, options, and what else its row says."""
    entry = verdict.figure.entry
    words = (entry.variant, spell_options(entry.options, " "), f"({entry.label})" if entry.label else "")
    return " ".join(word for word in words if word)


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many figures got which verdict."""
    times = Counter(verdict.outcome for verdict in verdicts)
    return f"{len(verdicts)} figures: " + ", ".join(f"{times[outcome]} {outcome}" for outcome in OUTCOMES)


def _heading(source: str) -> str:
    """A table, and which of its columns cut off."""
    return source + "".join(f" ({name} cut off)" for name in ("macs", "params") if cuts_off((source, name)))


def _computed(verdict: Verdict) -> str:
    return "?" if verdict.computed is None else f"{verdict.computed:,}"


def _reproduced(verdicts: Sequence[Verdict]) -> tuple[Reproduction, ...]:
    """The small tables of the papers, where the verdicts are about a network in them."""
    variants = {verdict.figure.entry.variant for verdict in verdicts}
    return tuple(made for made in reproductions() if variants & set(made.variants))


def _columns(records: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    def cell(value: object) -> str:
        return f"{value:,}" if isinstance(value, int) else str(value)

    return {name: [cell(record[name]) for record in records] for name in records[0]}


def table(verdicts: Sequence[Verdict], width: int = 80) -> RenderableType:
    """The verdicts for people: by source, a line a figure, and one more below it where it is not exact."""
    parts: list[RenderableType] = []
    for source, found in groupby(verdicts, key=lambda verdict: verdict.figure.entry.source):
        parts.append(Text(_heading(source), style="bold"))
        for verdict in found:
            printed = f"{verdict.figure.printed} {verdict.figure.unit}"
            line = Text(f"  {verdict.figure.quantity:6} {printed:>12} {_computed(verdict):>14}  ")
            line.append(f"{verdict.outcome:10}", STYLES[verdict.outcome])
            line.append(f"  {network(verdict)}")
            parts.append(line)
            if verdict.outcome != "exact":
                lines = wrap(verdict.arithmetic, max(width - 9, 30))
                parts += [Text(f"         {text}", style="dim") for text in lines]
        parts.append(Text())
    for made in _reproduced(verdicts):
        parts += [Text(f"{made.source}: {made.title}", style="bold"), grid_of(_columns(made.records), width)]
        parts += [Text(text, style="dim") for text in wrap(made.note, max(width, 30))]
        parts.append(Text())
    return Group(*parts, Text(summary(verdicts)))


def markdown(verdicts: Sequence[Verdict]) -> str:
    """The verdicts as Markdown: a table for each source."""
    families = dict.fromkeys(verdict.figure.entry.family for verdict in verdicts)
    parts = [f"# Published figures: {', '.join(families)}\n\n{summary(verdicts)}.\n"]
    for source, found in groupby(verdicts, key=lambda verdict: verdict.figure.entry.source):
        body = [
            [
                network(verdict),
                f"{verdict.figure.printed} {verdict.figure.unit} {verdict.figure.quantity}",
                verdict.computed,
                verdict.outcome if verdict.outcome == "exact" else f"**{verdict.outcome}**",
                verdict.arithmetic,
            ]
            for verdict in found
        ]
        headings = ["network", "printed", "computed", "verdict", "arithmetic"]
        parts.append(f"## {_heading(source)}\n\n{markdown_table(headings, body)}")
    for made in _reproduced(verdicts):
        headings = list(made.records[0])
        body = [list(record.values()) for record in made.records]
        parts.append(f"## {made.source}: {made.title}\n\n{markdown_table(headings, body)}\n{made.note}\n")
    return "\n".join(parts)


def html(verdicts: Sequence[Verdict]) -> str:
    """The verdicts as HTML, for notebooks: a table for each source."""
    sources = groupby(verdicts, key=lambda verdict: verdict.figure.entry.source)
    sections = [(_heading(source), _figures(list(found))) for source, found in sources]
    return html_sections(sections) + html_notes([summary(verdicts)])


def _figures(verdicts: Sequence[Verdict]) -> Columns:
    return {
        "network": [network(v) for v in verdicts],
        "printed": [f"{v.figure.printed} {v.figure.unit} {v.figure.quantity}" for v in verdicts],
        "computed": [_computed(v) for v in verdicts],
        "verdict": [v.outcome for v in verdicts],
        "arithmetic": [v.arithmetic for v in verdicts],
    }


def html_reproduction(made: Reproduction) -> str:
    """A small table of a paper as HTML, printed cells beside computed ones."""
    return html_sections([(f"{made.source}: {made.title}", _columns(made.records))]) + html_notes([made.note])


def records(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """A flat record for each figure."""
    return [verdict.as_dict() for verdict in verdicts]


def csv(verdicts: Sequence[Verdict]) -> str:
    """The records, their options as 'alpha=0.75 resolution=192'."""
    rows = [record | {"options": spell_options(record["options"], " ")} for record in records(verdicts)]
    return comma_separated(list(rows[0]), rows)


def json(verdicts: Sequence[Verdict]) -> str:
    """The records as a list of objects."""
    return dump(records(verdicts))


FORMATS: dict[str, Callable[[Sequence[Verdict]], str]] = {"markdown": markdown, "csv": csv, "json": json}

"""The views of verdicts and of the papers' small tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from mbanalyze.display.result import view
from mbanalyze.display.views import Cell, Column, Section, View, words
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.literature.interpretations import truncates
from mbanalyze.literature.paper_tables import PaperTable, paper_tables
from mbanalyze.literature.verdicts import CATEGORIES, Verdict, Verdicts

STYLES = {"exact": "green", "convention": "cyan", "erratum": "bold red", "unresolved": "yellow"}


@view.register
def verdicts_view(verdicts: Verdicts) -> View:
    """Lay out verdicts: a table for each source, and the small tables of the papers about these networks."""
    sources = groupby(verdicts, key=lambda verdict: verdict.figure.entry.source)
    figures = [_source_section(source, list(found)) for source, found in sources]
    variants = {verdict.figure.entry.variant for verdict in verdicts}
    tables = [_table_section(table) for table in paper_tables(variants)]
    return View((*figures, *tables), (summary(verdicts),))


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return the number of figures in each category, in one line."""
    times = Counter(verdict.category for verdict in verdicts)
    return f"{len(verdicts)} figures: " + ", ".join(f"{times[name]} {name}" for name in CATEGORIES)


def _source_section(source: str, verdicts: Sequence[Verdict]) -> Section:
    """The figures of one source; a numbered note shows the arithmetic of each figure that is not exact."""
    noted = [verdict for verdict in verdicts if verdict.category != "exact"]
    numbers = {id(verdict): f"[{number}]" for number, verdict in enumerate(noted, 1)}
    computed = ["?" if verdict.computed is None else f"{verdict.computed:,}" for verdict in verdicts]
    return Section(
        source + "".join(f" ({name} truncated)" for name in ("macs", "params") if truncates((source, name))),
        (
            words("network", list(map(network_name, verdicts)), wrap=True),
            words("figure", [verdict.figure.quantity for verdict in verdicts]),
            Column("printed", [str(verdict.figure) for verdict in verdicts]),
            Column("computed", computed),
            words("verdict", [_category(verdict, numbers.get(id(verdict), "")) for verdict in verdicts]),
        ),
        notes=tuple(f"{numbers[id(verdict)]} {verdict.arithmetic}" for verdict in noted),
    )


def network_name(verdict: Verdict) -> str:
    """Return the network of a figure as a reference, with its label."""
    entry = verdict.figure.entry
    return spell_reference(entry.variant, entry.options) + (f" ({entry.label})" if entry.label else "")


def _category(verdict: Verdict, number: str) -> Cell:
    text = f"{verdict.category} {number}".strip()
    return Cell(text, text, STYLES[verdict.category])


@view.register
def paper_table_view(table: PaperTable) -> View:
    """Lay out a small table of a paper."""
    return View((_table_section(table),))


def _table_section(table: PaperTable) -> Section:
    """Printed and computed cells side by side; the first column has the names of the rows."""
    first, *others = table.columns()
    return Section(
        f"{table.source}: {table.title}",
        (
            words(first, [str(row[first]) for row in table.rows]),
            *(Column(name, [_cell(row[name]) for row in table.rows]) for name in others),
        ),
        fixed=1,
        notes=(table.note,),
    )


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)

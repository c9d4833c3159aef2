"""What became of guarded models, as tables for people and as JSON; and every format by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.text import Text

from mbanalyze.display.records import dump, one_line
from mbanalyze.display.tables import fit, grid_of, html_notes, html_sections, markdown_table, plain
from mbanalyze.guard.formats.annotations import github
from mbanalyze.guard.formats.junit import junit
from mbanalyze.guard.formats.sarif import sarif
from mbanalyze.guard.formats.wording import advice, count, headline, label, name_of, sign, signed, verdicts
from mbanalyze.guard.judging import TOTAL, Change, Judged, gravest
from mbanalyze.guard.outcome import Outcome

SCHEMA = "mbanalyze.guard/1"
TOP = 10
"""So many layers of a model are told one by one."""
DROPPED = ("kind", "activations", "flops", "memory access bytes", "memory access")
"""Columns of the layers that give way, in this order, when their table is too wide."""
Columns = dict[str, list[str]]


def _totals(judged: Judged) -> Columns:
    """What changed of the whole model, count by count."""
    changes = [change for change in judged.changes if change.kind == TOTAL]
    columns = {
        "what": [change.metric.replace("_", " ") for change in changes],
        "before": ["" if c.before is None else count(c.before, c.metric, c.after) for c in changes],
        "after": [count(c.after, c.metric, c.before, c.limit) for c in changes],
        "change": [signed(change) for change in changes],
        "at most": ["" if c.limit is None else count(c.limit, c.metric, c.after) for c in changes],
        "verdict": [_verdict([change]) for change in changes],
    }
    if all(change.limit == change.before for change in changes):
        del columns["at most"]
    return {name: cells for name, cells in columns.items() if any(cells)}


def _verdict(changes: Sequence[Change]) -> str:
    """The gravest verdict of some changes, and whether it is a warning only."""
    grave = gravest(changes)
    warning = grave in ("over budget", "worse") and not any(change.fails for change in changes)
    return f"{grave} (warning)" if warning else grave


def _layers(judged: Judged, top: int) -> tuple[Columns, int]:
    """The layers that changed, what fails first and then the largest growth; and how many are left out."""
    layers: dict[str, list[Change]] = {}
    for change in judged.changes:
        if change.kind != TOTAL:
            layers.setdefault(change.path, []).append(change)
    order = sorted(
        layers.values(), key=lambda some: (not any(c.fails for c in some), -max(abs(c.growth) for c in some))
    )
    shown = order[:top]
    metrics = dict.fromkeys(c.metric for some in order for c in some if c.metric != "path")
    columns = {
        "layer": [name_of(some[0]) for some in shown],
        "was": [next((one_line(str(c.before)) for c in some if c.metric == "path"), "") for some in shown],
        "kind": [one_line(some[0].kind) for some in shown],
        **{metric.replace("_", " "): [_of(metric, some) for some in shown] for metric in metrics},
        "verdict": [_verdict(some) for some in shown],
    }
    return {name: cells for name, cells in columns.items() if any(cells)}, len(layers) - len(shown)


def _of(metric: str, changes: Sequence[Change]) -> str:
    """What happened to one count of a layer: by how much it changed, or how much it is over its budget."""
    told = []
    for change in changes:
        if change.metric == metric and change.verdict == "over budget":
            told.append(
                f"{count(change.after, metric, change.limit)} > {count(change.limit, metric, change.after)}"
            )
        elif change.metric == metric:
            unknown = change.before is None or change.after is None
            told.append(
                f"{count(change.before, metric)} -> {count(change.after, metric)}"
                if unknown
                else sign(change)
            )
    return ", ".join(told)


def text(outcome: Outcome, width: int = 80) -> RenderableType:
    """Every verdict, what changed, and what to do, for a terminal."""
    parts: list[RenderableType] = []
    longest = max((cell_len(label(judged.name)) for judged in outcome.models), default=0)
    for judged in outcome.models:
        parts += told(judged, width, longest)
    parts.append(Text(f"{verdicts(outcome)}, against {one_line(outcome.against)}"))
    if outcome.problem:
        parts.append(Text(one_line(outcome.problem), style="red"))
    return Stack(*parts, *map(Text, advice(outcome)))


def told(judged: Judged, width: int = 80, longest: int = 0) -> Iterator[RenderableType]:
    """A model's verdict and changes for a terminal; `longest` are the cells that names take."""
    shown = label(judged.name)
    name = Text(shown + " " * (max(longest, cell_len(shown)) - cell_len(shown) + 2), style="bold")
    yield name + Text(headline(judged), style=_style(judged))
    yield from _tables(judged, width)


def _style(judged: Judged) -> str:
    if judged.exit:
        return "red"
    return "green" if judged.verdict in ("ok", "better") else "yellow"


def _tables(judged: Judged, width: int) -> Iterator[RenderableType]:
    """The changes of a model's total and layers."""
    layers, rest = _layers(judged, TOP)
    for columns in (_totals(judged), layers):
        if columns:
            fit(columns, DROPPED, width)
            yield grid_of(columns, width)
            yield Text()
    if rest:
        yield Text(f"({rest} more layers)\n")


def as_text(outcome: Outcome) -> str:
    """`text` without colour, as wide as the terminal."""
    width = Console().width
    return plain(text(outcome, width), width)


def markdown(outcome: Outcome) -> str:
    """The same as Markdown, for a pull request."""
    rows = [[judged.name, judged.verdict, _why(judged)] for judged in outcome.models]
    parts = [
        f"## Model costs, against {cell(outcome.against)}\n\n",
        markdown_table(["model", "verdict", "what"], rows, cell),
    ]
    for judged in outcome.models:
        totals, (layers, rest) = _totals(judged), _layers(judged, TOP)
        if totals or layers:
            parts.append(f"\n### {cell(judged.name)}\n")
        parts += [
            f"\n{markdown_table(list(columns), list(zip(*columns.values(), strict=True)), cell)}"
            for columns in filter(None, (totals, layers))
        ]
        parts.append(f"\n{rest} more layers changed.\n" if rest else "")
    if outcome.problem:
        parts.append(f"\n{cell(outcome.problem)}\n")
    told = advice(outcome)
    return "".join([*parts, f"\n{told[0].capitalize()}:\n\n```sh\n{told[1]}\n```\n" if told else ""])


def html(outcome: Outcome) -> str:
    """The same as HTML, for notebooks."""
    sections: list[tuple[str, Columns]] = []
    for judged in outcome.models:
        layers, rest = _layers(judged, TOP)
        sections.append((f"{label(judged.name)}: {headline(judged)}", _totals(judged)))
        more = f"; {rest} more" * bool(rest)
        sections += [(f"layers of {label(judged.name)} that changed{more}", layers)] * bool(layers)
    said = f"{verdicts(outcome)}, against {outcome.against}"
    return html_sections(sections) + html_notes([said, *filter(None, [outcome.problem]), *advice(outcome)])


def _why(judged: Judged) -> str:
    return headline(judged).removeprefix(judged.verdict).removeprefix(": ")


def cell(text: str) -> str:
    """Text that is neither Markdown nor HTML."""
    shown = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{letter}" if letter in "\\|`*_[]#~!" else letter for letter in shown)


def document(outcome: Outcome) -> dict[str, Any]:
    """The outcome as the JSON document of schema `SCHEMA`."""
    return {
        "schema": SCHEMA,
        "exit": outcome.exit,
        "against": outcome.against,
        "problem": outcome.problem or None,
        "models": [
            {
                "name": judged.name,
                "verdict": judged.verdict,
                "exit": judged.exit,
                "reason": judged.reason or None,
                "stale": judged.stale,
                "changes": [change_document(change) for change in judged.changes],
                "totals": dict(judged.measured.facts.totals)
                if judged.measured and judged.measured.facts
                else None,
            }
            for judged in outcome.models
        ],
        "command": outcome.advice[1] or None,
    }


def change_document(change: Change) -> dict[str, Any]:
    """A change as it is in that document."""
    return {
        "path": change.path,
        "kind": change.kind,
        "metric": change.metric,
        "before": change.before,
        "after": change.after,
        "limit": change.limit,
        "verdict": change.verdict,
        "level": change.level,
    }


def json(outcome: Outcome) -> str:
    """The JSON document of schema `SCHEMA`."""
    return dump(document(outcome))


FORMATS: dict[str, Callable[[Outcome], str]] = {
    "text": as_text,
    "markdown": markdown,
    "json": json,
    "github": github,
    "junit": junit,
    "sarif": sarif,
}

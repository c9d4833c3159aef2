"""What became of guarded models, for people and as JSON: the verdicts, what changed, and what mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.text import Text

from mbanalyze.cost import si, si_bytes
from mbanalyze.guard import Outcome
from mbanalyze.guard.judging import TOTAL, Change, Judged
from mbanalyze.render.records import dump, one_line
from mbanalyze.render.tables import fit, grid_of, markdown_table, plain

SCHEMA = "mbanalyze.guard/1"
TOP = 10
"""So many layers of a model are told one by one."""
DROPPED = ("kind", "activations", "flops", "memory access bytes", "memory access")
"""Columns of the layers that give way, in this order, when their table is too wide."""
Columns = dict[str, list[str]]


def count(value: Any, metric: str, *others: Any) -> str:
    """A count as people read it; exactly where that is what tells it from one of `others`."""
    if not isinstance(value, int | float):
        return "?" if value is None else one_line(str(value))
    short = _short(value, metric)
    alike = any(other != value and other is not None and _short(other, metric) == short for other in others)
    return f"{value:,}" if alike else short


def _short(value: Any, metric: str) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return si_bytes(value) if metric.endswith("_bytes") else si(value)


def signed(change: Change) -> str:
    """By how much a count changed, and of what it was: '+100.0 k (+8.1 %)'."""
    if not isinstance(change.before, int) or not isinstance(change.after, int):
        return ""
    return f"{_sign(change)}{_percent(change.growth, change.before)}"


def _percent(growth: int, before: int) -> str:
    """' (+8.1 %)', with more digits where one would hide it; nothing of nothing."""
    if not before:
        return ""
    percent = 100 * growth / before
    return f" ({percent:+.1f} %)" if abs(percent) >= 0.05 else f" ({percent:+.1g} %)"


def phrase(change: Change) -> str:
    """A change in words: 'macs 1.234 M -> 1.334 M (+8.1 %), at most 1.234 M'."""
    metric = change.metric.replace("_", " ")
    if change.verdict == "renamed":
        return f"{one_line(str(change.before))} is called {one_line(str(change.after))}"
    after = count(change.after, change.metric, change.before, change.limit)
    if change.verdict == "over budget":
        return f"{metric} {after}, over the budget of {count(change.limit, change.metric, change.after)}"
    before = count(change.before, change.metric, change.after, change.limit)
    return f"{metric} {before} -> {after}, {signed(change)}".rstrip(", ")


def name_of(change: Change) -> str:
    """What a change is about, for people: the whole model, or a layer."""
    return TOTAL if change.kind == TOTAL else one_line(change.path) or "(model)"


def headline(judged: Judged) -> str:
    """A model's verdict in one line, without its name: 'worse: macs 1.2 M -> 1.3 M, +100 k (+8.1 %)'."""
    if judged.reason:
        return f"{judged.verdict}: {one_line(judged.reason)}"
    told = _foremost(judged)
    stale = "; the lock is out of date" if judged.stale else ""
    about = f": {phrase(told)}" if told else ""
    where = f" in {name_of(told)}" if told and told.kind != TOTAL and told.metric != "path" else ""
    return f"{judged.verdict}{about}{where}{stale}"


def _foremost(judged: Judged) -> Change | None:
    """The change that says most: one that fails before one that does not, the total's before a layer's."""
    for some in (judged.failing, judged.changes):
        for metric in ("macs", "params", "memory_access", "flops", "activations", ""):
            for change in some:
                if change.metric == metric or not metric:
                    return change
    return None


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
    found = {change.verdict: change.level for change in changes}
    grave = next(
        verdict for verdict in ("over budget", "worse", "better", "ok", "renamed") if verdict in found
    )
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
                else _sign(change)
            )
    return ", ".join(told)


def _sign(change: Change) -> str:
    return f"{'+' if change.growth > 0 else ''}{_short(change.growth, change.metric)}"


def verdicts(outcome: Outcome) -> str:
    """How many models have which verdict: '2 ok, 1 worse'."""
    found: dict[str, int] = {}
    for judged in outcome.models:
        found[judged.verdict] = found.get(judged.verdict, 0) + 1
    return ", ".join(f"{number} {verdict}" for verdict, number in found.items())


def advice(outcome: Outcome) -> list[str]:
    """What to do, the command last; nothing where all is fine."""
    command = outcome.command
    if not command:
        return []
    if outcome.written:
        what = f"{outcome.policy.lock.name} was written: review and commit it"
    elif command.startswith("mbanalyze report"):
        what = "to see why it cannot be measured"
    elif " explain" in command:
        what = "to see which layers, and what would fit"
    else:
        what = f"if that is meant: update {outcome.policy.lock.name}, review and commit it"
    return [what, command]


def text(outcome: Outcome, width: int = 80) -> RenderableType:
    """Every verdict, what changed, and what to do, for a terminal."""
    parts: list[RenderableType] = []
    longest = max((len(one_line(judged.name)) for judged in outcome.models), default=0)
    for judged in outcome.models:
        parts += told(judged, width, longest)
    parts.append(Text(f"{verdicts(outcome)}, against {one_line(outcome.against)}"))
    if outcome.problem:
        parts.append(Text(one_line(outcome.problem), style="red"))
    return Stack(*parts, *map(Text, advice(outcome)))


def told(judged: Judged, width: int = 80, longest: int = 0) -> Iterator[RenderableType]:
    """A model's verdict and changes for a terminal; `longest` are the cells that names take."""
    name = Text(f"{one_line(judged.name):<{longest}}  ", style="bold")
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
        _table(["model", "verdict", "what"], rows),
    ]
    for judged in outcome.models:
        totals, (layers, rest) = _totals(judged), _layers(judged, TOP)
        if totals or layers:
            parts.append(f"\n### {cell(judged.name)}\n")
        parts += [
            f"\n{_table(list(columns), list(zip(*columns.values(), strict=True)))}"
            for columns in filter(None, (totals, layers))
        ]
        parts.append(f"\n{rest} more layers changed.\n" if rest else "")
    if outcome.problem:
        parts.append(f"\n{cell(outcome.problem)}\n")
    told = advice(outcome)
    return "".join([*parts, f"\n{told[0].capitalize()}:\n\n```sh\n{told[1]}\n```\n" if told else ""])


def _why(judged: Judged) -> str:
    return headline(judged).removeprefix(judged.verdict).removeprefix(": ")


def _table(headings: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return markdown_table(headings, [list(map(cell, row)) for row in body])


def cell(text: str) -> str:
    """Text that is neither Markdown nor HTML."""
    shown = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{letter}" if letter in "`*_[]#~!" else letter for letter in shown)


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
        "command": outcome.command or None,
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


FORMATS: dict[str, Callable[[Outcome], str]] = {"text": as_text, "markdown": markdown, "json": json}

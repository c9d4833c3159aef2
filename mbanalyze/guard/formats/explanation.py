"""Why guarded models cost more than they may, as text: causes first, then what would fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.text import Text

from mbanalyze.display.records import dump, one_line
from mbanalyze.display.tables import Columns, fit, grid_of, html_notes, html_sections, markdown_table, plain
from mbanalyze.guard.explaining import Cause, Explanation, Remedy, Share
from mbanalyze.guard.formats.text import cell
from mbanalyze.guard.formats.wording import count, headline, label

SCHEMA = "mbanalyze.explanation/1"
DROPPED = ("kind", "from")
TOP = 5
"""So many layers of a cause are told where nobody asks for more."""


def _heading(cause: Cause) -> str:
    """What a cause is about: 'macs 1.2 M -> 1.3 M, at most 1.2 M; the growth by layer:'."""
    metric = cause.metric.replace("_", " ")
    before = "" if cause.before is None else f" {count(cause.before, cause.metric, cause.after)} ->"
    most = "" if cause.limit is None else f", at most {count(cause.limit, cause.metric, cause.after)}"
    what = "the growth" if cause.grew else "all of it"
    layers = f"; {what} by layer:" if cause.shares else ""
    return f"{metric}{before} {count(cause.after, cause.metric, cause.before, cause.limit)}{most}{layers}"


def _columns(shares: Sequence[Share], metric: str) -> dict[str, list[str]]:
    return {
        "layer": [label(share.path) or "(model)" for share in shares],
        "kind": [one_line(share.kind) for share in shares],
        metric.replace("_", " "): [count(share.amount, metric) for share in shares],
        "share": [f"{100 * share.share:.1f} %" for share in shares],
        "from": [f"{share.place.file}:{share.place.line} {one_line(share.place.what)}" for share in shares],
    }


def _advice(explanation: Explanation) -> list[str]:
    """What would fit; or that nothing does, of what was tried."""
    if not explanation.causes:
        return []
    if not explanation.tried:
        return ["no width multiplier or resolution of it is known, so none was tried"]
    found = {remedy.option for remedy in explanation.remedies}
    lines = [_fits(remedy) for remedy in explanation.remedies]
    return lines + [
        f"no smaller {option} alone would fit" for option in explanation.tried if option not in found
    ]


def _fits(remedy: Remedy) -> str:
    macs, params = (count(remedy.totals[metric], metric) for metric in ("macs", "params"))
    return f"{remedy.option}={remedy.value:g} would fit, where it is {remedy.now:g}: {macs} macs, {params} params"


def text(explanations: Sequence[Explanation], top: int, width: int = 80) -> RenderableType:
    """Every explanation for a terminal; `top` layers of each cause."""
    parts: list[RenderableType] = []
    for explanation in explanations:
        judged = explanation.judged
        parts.append(Text(f"{label(judged.name)}  {headline(judged)}", style="bold"))
        for cause in explanation.causes:
            columns = _columns(cause.shares[:top], cause.metric)
            parts.append(Text(f"\n{_heading(cause)}"))
            if cause.shares:
                fit(columns, DROPPED, width)
                parts.append(grid_of(columns, width))
            rest = len(cause.shares) - top
            parts += [Text(f"({rest} more layers)")] * (rest > 0)
        advice = _advice(explanation)
        parts += [Text(), *map(Text, advice)] if advice else []
        parts.append(Text())
    return Stack(*parts[:-1])


def as_text(explanations: Sequence[Explanation], top: int) -> str:
    """`text` without colour, as wide as the terminal."""
    width = Console().width
    return plain(text(explanations, top, width), width)


def markdown(explanations: Sequence[Explanation], top: int) -> str:
    """The same as Markdown."""
    parts = []
    for explanation in explanations:
        judged = explanation.judged
        parts.append(f"## {cell(judged.name)}\n\n{cell(headline(judged))}\n")
        for cause in explanation.causes:
            columns = _columns(cause.shares[:top], cause.metric)
            body = list(zip(*columns.values(), strict=True))
            parts.append(f"\n{cell(_heading(cause))}\n\n{markdown_table(list(columns), body, cell)}")
        parts += [f"\n- {cell(line)}" for line in _advice(explanation)]
        parts.append("\n")
    return "".join(parts)


def html(explanation: Explanation) -> str:
    """One explanation as HTML, for notebooks."""
    judged = explanation.judged
    sections: list[tuple[str, Columns]] = []
    for cause in explanation.causes:
        rest = len(cause.shares) - TOP
        more = f" ({rest} more)" * (rest > 0)
        sections.append(
            (_heading(cause).removesuffix(":") + more, _columns(cause.shares[:TOP], cause.metric))
        )
    title: tuple[str, Columns] = (f"{label(judged.name)}: {headline(judged)}", {})
    advice = _advice(explanation)
    return html_sections([title, *sections]) + (html_notes(advice) if advice else "")


def json(explanations: Sequence[Explanation], _: int) -> str:
    """The JSON document of schema `SCHEMA`, of all layers."""
    return dump({"schema": SCHEMA, "models": [_document(each) for each in explanations]})


def _document(explanation: Explanation) -> dict[str, Any]:
    return {
        "name": explanation.judged.name,
        "verdict": explanation.judged.verdict,
        "reason": explanation.judged.reason or None,
        "causes": [
            {
                "metric": cause.metric,
                "before": cause.before,
                "after": cause.after,
                "limit": cause.limit,
                "grew": cause.grew,
                "layers": [_share(share) for share in cause.shares],
            }
            for cause in explanation.causes
        ],
        "remedies": [
            {"option": r.option, "now": r.now, "value": r.value, "totals": dict(r.totals)}
            for r in explanation.remedies
        ],
        "tried": list(explanation.tried),
    }


def _share(share: Share) -> dict[str, Any]:
    place = {"file": share.place.file, "line": share.place.line, "what": share.place.what}
    return {"path": share.path, "kind": share.kind, "amount": share.amount, "share": share.share, **place}


FORMATS = {"text": as_text, "markdown": markdown, "json": json}

"""What a search found, as text."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from mbanalyze.display.tables import fit, grid_of, html_notes, html_table
from mbanalyze.display.units import si
from mbanalyze.sweep import variants_view as ablation

if TYPE_CHECKING:
    import pandas as pd

    from mbanalyze.sweep.budget import Search

HTML_WIDTH = 110
"""Cells that a notebook's page has room for."""
NAMES = {
    "macs": "multiply-accumulates",
    "params": "params",
    "memory_access": "memory access",
    "activations": "activations",
    "top1": "top-1 accuracy",
}


SHOWN = 3
"""So many of the variants that no accuracy is published of are rows of a table."""


def name(variant: Mapping[str, Any]) -> str:
    """'mobilenet_v2@alpha=0.75,resolution=192', as `mbanalyze compare` takes it."""
    alpha = [] if variant["alpha"] is None else [f"alpha={variant['alpha']}"]
    options = [*alpha, f"resolution={variant['resolution']}", *variant["options"].split()]
    return f"{variant['model']}@{','.join(options)}"


def verdict(found: Search) -> list[str]:
    """What is best and why not more, or that nothing fits and by how much."""
    limits = " and ".join(f"{_count(most)} {NAMES[quantity]}" for quantity, most in found.limits.items())
    under = f" under {limits}" if limits else ""
    looked = f"{len(found.variants)} variants"
    best = found.best
    if best is None:
        least = [
            f"the least {NAMES[quantity]} of {looked} are {_count(row[quantity])}: {name(row)}"
            for quantity, row in found.smallest.items()
        ]
        return [f"nothing fits{under}", *least]
    unpublished = best["top1"] is None
    accuracy = "no accuracy is published of it" if unpublished else f"{best['top1']} % top-1"
    costs = f"{_count(best['macs'])} macs, {_count(best['params'])} params"
    stand_in = ", as no accuracy is published of what fits" * (found.ranked_by != found.objective)
    what = NAMES[found.ranked_by] + stand_in
    fits = int(found.variants["fits"].sum())
    lines = [f"best{under} by {what}: {name(best)} ({accuracy}; {costs}); {fits} of {looked} fit"]
    for bound in found.blocking_limits:
        most = bound.variant[found.ranked_by]
        gain = f"{most} % top-1" if found.ranked_by == "top1" else f"{_count(most)} {NAMES[found.ranked_by]}"
        lines.append(
            f"{NAMES[bound.quantity]} bind: {_count(bound.needed)} would admit {name(bound.variant)} ({gain})"
        )
    if not found.blocking_limits and len(found._better):
        lines.append(f"no limit binds alone: {len(found._better)} better variants exceed several")
    elif not found.blocking_limits:
        lines.append("no limit binds: no variant is better")
    return lines


def _count(count: int) -> str:
    """To four digits, and exactly where that hides some."""
    short = si(count)
    digits, _, unit = short.partition(" ")
    exact = count == Decimal(digits).scaleb(3 * " kMGTPE".index(unit or " "))
    return f"{float(digits):g} {unit}".strip() if exact else f"{short} ({count:,})"


def notes(found: Search) -> list[str]:
    """The verdict, and what is said of variants without a published accuracy."""
    missing, said = len(found._unpublished), verdict(found)
    if not missing:
        return said
    which = f"the {SHOWN} largest in macs are" if missing > SHOWN else "they are"
    return [
        *said,
        f"? no accuracy is published of {missing} that fit, and they have no place on the front; {which} shown",
    ]


def table(found: Search, width: int = 80) -> RenderableType:
    """The Pareto front of what fits, best first, and the verdict."""
    lines = [
        Text(line)
        for said in notes(found)
        for line in wrap(
            said, max(width, 20), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    ]
    shown = _shown(found)
    if not len(shown):
        return Group(*lines)
    columns = ablation.columns_of(shown)
    left_out = fit(columns, ablation.DROPPED, width)
    sources = [Text(line, style="dim") for line in ablation.notes(shown)]
    return Group(grid_of(columns, width), *left_out, *sources, Text(), *lines)


def markdown(found: Search) -> str:
    """The Pareto front in Markdown, and the verdict."""
    shown = _shown(found)
    text = ablation.markdown(shown) + "\n" if len(shown) else ""
    return text + "".join(f"- {line}\n" for line in notes(found))


def csv(found: Search) -> str:
    """Every variant that fits, the front's marked."""
    return ablation.csv(found.variants[found.variants["fits"]])


def html(found: Search) -> str:
    """The Pareto front for notebooks, in the notebook's own colours, and the verdict."""
    shown = _shown(found)
    if not len(shown):
        return html_notes(notes(found))
    columns = ablation.columns_of(shown)
    left_out = [text.plain for text in fit(columns, ablation.DROPPED, HTML_WIDTH)]
    return html_table(columns) + html_notes([*left_out, *ablation.notes(shown), *notes(found)])


def _shown(found: Search) -> pd.DataFrame:
    """The front, and some of what cannot be on it; `?` where no accuracy is published."""
    import pandas as pd

    shown = pd.concat([found._front, found._unpublished.head(SHOWN)])
    return shown.assign(top1=shown["top1"].astype(object).where(shown["top1"].notna(), "?"))

"""What a search found, as text."""

from __future__ import annotations

from decimal import Decimal
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from mbanalyze.cost import si
from mbanalyze.render import ablation
from mbanalyze.render.records import rows_of
from mbanalyze.render.tables import fit, grid_of

if TYPE_CHECKING:
    from mbanalyze.budget import Search

NAMES = {
    "macs": "multiply-accumulates",
    "params": "params",
    "memory_access": "memory access",
    "activations": "activations",
    "top1": "top-1 accuracy",
}


def name(variant: dict[str, Any]) -> str:
    """'mobilenet_v2 alpha=0.75 resolution=192', as the command line takes it."""
    alpha = "" if variant["alpha"] is None else f" alpha={variant['alpha']:g}"
    options = f" {variant['options']}" if variant["options"] else ""
    return f"{variant['model']}{alpha} resolution={variant['resolution']}{options}"


def verdict(found: Search) -> list[str]:
    """What is best and why not more, or that nothing fits and by how much."""
    limits = " and ".join(f"{_count(most)} {NAMES[quantity]}" for quantity, most in found.limits.items())
    under = f" under {limits}" if limits else ""
    looked = f"{len(found.frame)} variants"
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
    stand_in = found.objective == "top1" and unpublished
    what = "macs, as no accuracy is published of what fits" if stand_in else NAMES[found.objective]
    fits = int(found.frame["fits"].sum())
    lines = [f"best{under} by {what}: {name(best)} ({accuracy}; {costs}); {fits} of {looked} fit"]
    for bound in found.binding:
        gain = f"{bound.variant['top1']} % top-1" if bound.variant["top1"] is not None else "more macs"
        lines.append(
            f"{NAMES[bound.quantity]} bind: {_count(bound.needed)} would admit {name(dict(bound.variant))} ({gain})"
        )
    if not found.binding and found.better:
        lines.append(f"no limit binds alone: {found.better} better variants exceed several")
    elif not found.binding:
        lines.append("no limit binds: no variant is better")
    return lines


def _count(count: int) -> str:
    """To four digits, and exactly where that hides some."""
    short = si(count)
    digits, _, unit = short.partition(" ")
    exact = count == Decimal(digits).scaleb(3 * " kMGTPE".index(unit or " "))
    return f"{float(digits):g} {unit}".strip() if exact else f"{short} ({count:,})"


def _unpublished(found: Search) -> str | None:
    missing = found.frame[found.frame["fits"] & found.frame["top1"].isna()]
    if found.objective != "top1" or not len(missing):
        return None
    largest = rows_of(missing.sort_values("macs", ascending=False, kind="stable").head(1))[0]
    return (
        f"no accuracy is published of {len(missing)} that fit, and they have no place on the front; "
        f"the largest is {name(largest)} ({_count(largest['macs'])} macs)"
    )


def table(found: Search, width: int = 80) -> RenderableType:
    """The Pareto front of what fits, best first, and the verdict."""
    said = [*verdict(found), *filter(None, [_unpublished(found)])]
    lines = [Text(line) for text in said for line in wrap(text, max(width, 20), subsequent_indent="  ")]
    front = _front(found)
    if not len(front):
        return Group(*lines)
    columns = ablation.columns_of(front)
    left_out = fit(columns, (*ablation.DROPPED, "options"), width)
    sources = [Text(line, style="dim") for line in ablation.notes(front)]
    return Group(grid_of(columns, width), *left_out, *sources, Text(), *lines)


def markdown(found: Search) -> str:
    """The Pareto front in Markdown, and the verdict."""
    front = _front(found)
    text = ablation.markdown(front) + "\n" if len(front) else ""
    return (
        text
        + "\n".join(f"- {line}" for line in [*verdict(found), *filter(None, [_unpublished(found)])])
        + "\n"
    )


def csv(found: Search) -> str:
    """Every variant that fits, the front's marked."""
    return ablation.csv(found.frame[found.frame["fits"]])


def html(found: Search) -> str:
    """The Pareto front for notebooks, in the notebook's own colours."""
    front = _front(found)
    shown = front.to_html(
        index=False, na_rep="", columns=[c for c in front.columns if c not in ablation.HIDDEN]
    )
    return f"{shown if len(front) else ''}<pre>{escape(chr(10).join(verdict(found)))}</pre>"


def _front(found: Search) -> Any:
    front = found.frame[found.frame["front"]]
    return front.sort_values([found.objective, "macs"], ascending=[False, True], kind="stable")

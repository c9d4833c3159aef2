"""The verdict of a search in words: the best variant, and the effect of raising each limit."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any

from mbanalyze.display.units import si, si_bytes
from mbanalyze.report.convention_rows import macs_name
from mbanalyze.sweep.best_variants import Search
from mbanalyze.sweep.candidates import variant_reference
from mbanalyze.sweep.objectives import BYTES, LIMITS, MINIMISED, OBJECTIVES, UNITS, limit_name, limit_title


def option_name(parameter: str, flags: bool) -> str:
    """Return a parameter as the user spells it: a flag of the command line, or an argument in Python."""
    return f"--{parameter.replace('_', '-')}" if flags else parameter


def verdict(search: Search, flags: bool) -> list[str]:
    """Return the best variant and the limits that exclude a better one, or the variants nearest to the limits."""
    limits = " and ".join(
        f"{_total(t, n)} {limit_title(t, search.dtype, search.other_convention)}"
        for t, n in search.limits.items()
    )
    within, considered = f" within {limits}" if limits else "", f"{len(search.rows)} variants"
    best = search.best
    if best is None:
        lowest = [
            f"lowest {limit_title(total, 'float32', search.other_convention)} of {considered}: {_total(total, row[total])}, {variant_reference(row)}"
            for total, row in search.smallest.items()
        ]
        return [f"nothing fits{within}", *lowest]
    accuracy = unranked_reason(search) if best["top1"] is None else f"{round(best['top1'], 2)} % top-1"
    titles = {"macs": macs_name("macs", search.other_convention), "params": "params"} | {
        t: LIMITS[t] for t in search.limits if t in UNITS
    }
    costs = ", ".join(f"{_total(name, best[name])} {title}" for name, title in titles.items())
    ranking = f"{search.size()} of {considered} fit, ranked by {_title(search)}"
    if search.ranked_by != search.objective:
        ranking += f", because none has {unranked_reason(search).replace('no ', 'a ', 1)}"
    if search.objective not in OBJECTIVES:
        accuracy = f"{search.objective} {best[search.objective]}; {accuracy}"
    return [
        f"best{within}: {variant_reference(best)} ({accuracy}; {costs})",
        ranking,
        *_advice(search, flags),
    ]


def _title(search: Search) -> str:
    """The name of the quantity that ranks the variants: a title, or the name of the user's metric."""
    title = OBJECTIVES.get(search.ranked_by, search.ranked_by)
    return macs_name(title, search.other_convention) if search.ranked_by == "macs" else title


def unranked_reason(search: Search) -> str:
    """Return the reason that a variant is not ranked."""
    if search.objective not in OBJECTIVES:
        return f"no {search.objective}"
    return "no published accuracy" if search.own is None else "no known accuracy"


def _advice(search: Search, flags: bool) -> list[str]:
    """The effect of raising each limit."""
    if search.blocking_limits:
        return [
            f"raising {option_name(limit_name(blocking.quantity), flags)} to "
            f"{_rounded_up(blocking.quantity, blocking.needed)} "
            f"would allow {variant_reference(blocking.variant)} ({_gain(search, blocking.variant)})"
            for blocking in search.blocking_limits
        ]
    if better := int(search.is_better.sum()):
        exceeding = "1 better variant exceeds" if better == 1 else f"{better} better variants exceed"
        return [f"raising one limit is not enough: {exceeding} several limits"]
    return ["no limit excludes a better variant"] if search.limits else []


def _gain(search: Search, variant: Mapping[str, Any]) -> str:
    """The objective of a better variant, and its difference from the best."""
    value, best = variant[search.ranked_by], search.best
    gain = value - (best[search.ranked_by] if best else 0)
    if search.ranked_by == "top1":
        return f"{round(value, 2)} % top-1, {round(gain, 3):+}"
    if search.ranked_by in MINIMISED:
        return f"{_total(search.ranked_by, value)}, {_total(search.ranked_by, gain)}"
    if search.ranked_by in OBJECTIVES:
        return f"{si(value)} {_title(search)}, +{si(gain)}"
    return f"{search.ranked_by} {value}, {round(gain, 3):+}"


def _rounded_up(total: str, count: float) -> str:
    """A total to four digits that is at least the exact one."""
    if isinstance(count, float):
        return f"{Context(4, ROUND_CEILING).create_decimal(repr(count)):f}"
    step = 10 ** max(0, len(str(count)) - 4)
    return (si_bytes if total in BYTES else si)(-(-count // step) * step)


def _total(total: str, count: float) -> str:
    """A total to four digits with its unit, and the exact count if that is different."""
    if isinstance(count, float):
        return f"{count:.4g} {UNITS[total]}" if abs(count) < 10_000 else f"{count:,.0f} {UNITS[total]}"
    digits, _, prefix = si(count).partition(" ")
    exact = count == Decimal(digits).scaleb(3 * " kMGTPE".index(prefix or " "))
    unit = f"{prefix}{UNITS.get(total, '')}"
    return f"{float(digits):g} {unit}".strip() if exact else f"{digits} {unit} ({count:,})"

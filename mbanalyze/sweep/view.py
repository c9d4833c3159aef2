"""The views of ablations and searches: a row for each variant, the sources of its figures, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from mbanalyze.display.records import one_line
from mbanalyze.display.result import FORMATS, Renderer, formats, view
from mbanalyze.display.units import count_cell, ratio_cell, si, si_bytes
from mbanalyze.display.views import Cell, Column, Section, View, words
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.sweep.ablation import Ablation
from mbanalyze.sweep.best_variants import Search
from mbanalyze.sweep.candidates import SIZE_OPTIONS
from mbanalyze.sweep.many_models import uncounted
from mbanalyze.sweep.objectives import LIMITS, OBJECTIVES

COUNT_COLUMNS = ("params", "macs", "flops", "activations", "memory_access")
"""Columns of counts, which a table always shows."""
HEADINGS = {
    "resolution": "px",
    "memory_access": "memory access",
    "arithmetic_intensity": "flops per byte",
    "params_bytes": "model size",
    "published_macs": "published macs",
    "published_params": "published params",
    "top1": "top-1 %",
    "latency_ms": "latency ms",
}
"""Headings that differ from the name of their column."""
HIDDEN = (
    *("reads", "writes", "memory_access_bytes", "complete", "device", "label", "source", "fits", "front"),
    *("error", "counted_with"),
)
"""Columns that tables leave out; sources have numbers, and are spelled below the table."""
DROP_ORDER = (
    *("input", "activations", "flops per byte", "memory access", "model size", "flops", "latency ms"),
    *("published params", "published macs"),
)
"""Headings of the columns to leave out, in this order, while the table is too wide."""
MAX_UNPUBLISHED = 3
"""The largest number of unranked variants in the table of a search."""

Record = Mapping[str, Any]


@view.register
def ablation_view(ablation: Ablation) -> View:
    """Lay out an ablation: a row for each variant."""
    rows = ablation.records()
    notes = [*_batch_notes(rows), *uncounted_notes(uncounted(ablation.variants))]
    return View((_variants(rows),), tuple(notes), _source_notes(rows))


@view.register
def search_view(search: Search) -> View:
    """Lay out a search: the Pareto front, some variants without accuracy, and the verdict."""
    unpublished = search.records("unpublished")
    unranked = [{**row, search.ranked_by: "?"} for row in unpublished[:MAX_UNPUBLISHED]]
    rows = [*search.records("front"), *unranked]
    notes = [*_verdict(search), *_unpublished_notes(len(unpublished)), *_batch_notes(rows)]
    notes += uncounted_notes(search.uncounted)
    return View((_variants(rows),) if rows else (), tuple(notes), _source_notes(rows))


def _variants(rows: Sequence[Record]) -> Section:
    """The table of variants, without empty columns."""
    filled = [name for name in rows[0] if any(row[name] not in (None, "") for row in rows)]
    shown = [name for name in rows[0] if name in COUNT_COLUMNS or (name in filled and name not in HIDDEN)]
    columns = [_column(name, rows) for name in shown]
    if "source" in filled:
        numbers = _source_numbers(rows)
        columns.append(words("ref", [f"[{numbers[row['source']]}]" if row["source"] else "" for row in rows]))
    return Section("", tuple(columns), DROP_ORDER)


def _column(name: str, rows: Sequence[Record]) -> Column:
    align = "left" if name in ("model", "input", "options") else "right"
    return Column(HEADINGS.get(name, name), [_cell(name, row) for row in rows], align)  # type: ignore[arg-type]


def _cell(name: str, row: Record) -> str | Cell:
    value = row[name]
    if name in COUNT_COLUMNS:
        return count_cell(value, complete=name not in ("macs", "flops") or row.get("complete") is not False)
    if name == "arithmetic_intensity":
        return ratio_cell(value)
    if name == "params_bytes":
        return Cell("?", "?") if value is None else Cell(si_bytes(value), f"{value:,} B")
    if name == "options":
        return str(value).replace(" ", ",")  # as in a reference
    return "" if value is None else str(value)


def _source_numbers(rows: Sequence[Record]) -> dict[str, int]:
    """A number for each source, in order of appearance."""
    sources = dict.fromkeys(row["source"] for row in rows if row.get("source"))
    return {source: number for number, source in enumerate(sources, 1)}


def _source_notes(rows: Sequence[Record]) -> tuple[str, ...]:
    """The sources by number, with the devices of their latencies."""
    devices = {row["source"]: row["device"] for row in rows if row.get("latency_ms") is not None}
    return tuple(
        f"[{number}] {source}" + (f"; latency on {devices[source]}" if devices.get(source) else "")
        for source, number in _source_numbers(rows).items()
    )


def _batch_notes(rows: Sequence[Record]) -> tuple[str, ...]:
    """A note that published figures of one image are left out."""
    batch = next((row.get("batch", 1) for row in rows), 1)
    if batch == 1 or not _source_numbers(rows):
        return ()
    return (f"published macs and latency hold for one image, and are left out for a batch of {batch}",)


def _verdict(search: Search) -> list[str]:
    """The best variant and the limits that exclude a better one, or the variants nearest to the limits."""
    limits = " and ".join(f"{_count(limit)} {LIMITS[total]}" for total, limit in search.limits.items())
    within, considered = f" within {limits}" if limits else "", f"{len(search.considered)} variants"
    best = search.best
    if best is None:
        lowest = [
            f"lowest {LIMITS[total]} of {considered}: {_count(row[total])}, {variant_reference(row)}"
            for total, row in search.smallest.items()
        ]
        return [f"nothing fits{within}", *lowest]
    accuracy = "no published accuracy" if best["top1"] is None else f"{best['top1']} % top-1"
    costs = f"{_count(best['macs'])} macs, {_count(best['params'])} params"
    ranking = f"{len(search.frame())} of {considered} fit, ranked by {OBJECTIVES[search.ranked_by]}"
    if search.ranked_by != search.objective:
        ranking += ", because none has a published accuracy"
    return [f"best{within}: {variant_reference(best)} ({accuracy}; {costs})", ranking, *_advice(search)]


def _advice(search: Search) -> list[str]:
    """The effect of raising each limit."""
    if search.blocking_limits:
        return [
            f"raising --max-{blocking.quantity.replace('_', '-')} to {_count(blocking.needed)} "
            f"would allow {variant_reference(blocking.variant)} ({_gain(search, blocking.variant)})"
            for blocking in search.blocking_limits
        ]
    if better := len(search.better):
        exceeding = "1 better variant exceeds" if better == 1 else f"{better} better variants exceed"
        return [f"raising one limit is not enough: {exceeding} several limits"]
    return ["no limit excludes a better variant"] if search.limits else []


def _gain(search: Search, variant: Record) -> str:
    """The objective of a better variant."""
    value = variant[search.ranked_by]
    if search.ranked_by == "top1":
        return f"{value} % top-1"
    return f"{_count(value)} {OBJECTIVES[search.ranked_by]}"


def variant_reference(row: Record) -> str:
    """Return a variant as the reference that every command takes."""
    sizes = {name: row[name] for name in SIZE_OPTIONS if row[name] is not None}
    return ",".join([spell_reference(row["model"], sizes), *row["options"].split()])


def _count(count: int) -> str:
    """A count to four digits, with the exact count if that is different."""
    short = si(count)
    digits, _, unit = short.partition(" ")
    exact = count == Decimal(digits).scaleb(3 * " kMGTPE".index(unit or " "))
    return f"{float(digits):g} {unit}".strip() if exact else f"{short} ({count:,})"


def _unpublished_notes(count: int) -> list[str]:
    """A note on fitting variants without a published accuracy."""
    if not count:
        return []
    shown = f"; the {MAX_UNPUBLISHED} with the most macs are shown" if count > MAX_UNPUBLISHED else ""
    if count == 1:
        return ["1 fitting variant has no published accuracy and is not ranked"]
    return [f"{count} fitting variants have no published accuracy and are not ranked{shown}"]


def uncounted_notes(reasons: Sequence[tuple[str, str]]) -> list[str]:
    """Return notes that name each model that is not counted completely, with the reason."""
    if not reasons:
        return []
    head = "1 count is not complete:" if len(reasons) == 1 else f"{len(reasons)} counts are not complete:"
    return [head, *(reason if model in reason else f"{model}: {reason}" for model, reason in reasons)]


def _ablation_csv(ablation: Ablation, **_: Any) -> str:
    frame = ablation.variants.rename(columns=one_line)
    for name in frame.select_dtypes(exclude=["number", "bool"]):
        frame[name] = [one_line(value) if isinstance(value, str) else value for value in frame[name]]
    return frame.to_csv(index=False, lineterminator="\n")


@formats.register
def ablation_formats(_: Ablation) -> Mapping[str, Renderer]:
    """The formats of an ablation; CSV is written from the frame, because grids can be large."""
    return {**FORMATS, "csv": _ablation_csv}

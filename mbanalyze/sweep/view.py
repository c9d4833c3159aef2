"""The views of ablations and searches: a row for each variant, the sources of its figures, and the verdict."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from mbanalyze.conventions.convention import Convention
from mbanalyze.display.records import csv_of
from mbanalyze.display.result import FORMATS, Renderer, formats, view
from mbanalyze.display.units import count_cell, milliseconds, ratio_cell, si_bytes
from mbanalyze.display.views import Cell, Column, Section, View, words
from mbanalyze.literature.accuracy.accuracy_notes import (
    choice_note,
    difference_notes,
    own_notes,
    own_provenance,
)
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.report.accounts import PEAKS
from mbanalyze.report.convention_rows import convention_note, macs_name
from mbanalyze.sweep.ablation_result import Ablation
from mbanalyze.sweep.best_variants import Search
from mbanalyze.sweep.many_models import uncounted
from mbanalyze.sweep.predicted_columns import TIME_COLUMNS, time_note
from mbanalyze.sweep.search_verdict import option_name, unranked_reason, verdict

COUNT_COLUMNS = ("params", "macs", "flops", "activations", "memory_access")
"""Columns of counts, which a table always shows."""
BYTE_COLUMNS = ("params_bytes", *PEAKS)
"""Columns of bytes."""
HEADINGS = {
    "resolution": "px",
    "memory_access": "memory access",
    "arithmetic_intensity": "flops per byte",
    "params_bytes": "model size",
    "peak_bytes": "ideal peak",
    "peak_bytes_deployed": "deployed peak",
    "peak_bytes_eager": "eager peak",
    "published_macs": "published macs",
    "published_params": "published params",
    "top1": "top-1 %",
    "top1_spread": "spread",
    "latency_ms": "latency ms",
    "predicted_ms": "predicted ms",
    "low_ms": "low ms",
    "high_ms": "high ms",
}
"""Headings that differ from the name of their column."""
HIDDEN = (
    *("reads", "writes", "memory_access_bytes", "complete", "device", "label", "source", "accuracy_source"),
    *("fits", "front", "error", "counted_with", "convention"),
)
"""Columns that tables leave out; sources have numbers, and are spelled below the table."""
DROP_ORDER = (
    *("input", "activations", "flops per byte", "memory access", "eager peak", "ideal peak"),
    *("deployed peak", "model size", "flops", "latency ms", "published params", "published macs"),
    *("low ms", "high ms"),
)
"""Headings of the columns to leave out, in this order, while the table is too wide."""
MAX_UNPUBLISHED = 3
"""The largest number of unranked variants in the table of a search."""

Record = Mapping[str, Any]


@view.register
def ablation_view(ablation: Ablation, *, flags: bool = False) -> View:
    """Lay out an ablation: a row for each variant.

    Args:
        ablation: the ablation.
        flags: name the flags of the command line in notes, not the arguments of the function.
    """
    rows = ablation.records()
    notes = [
        *_convention_notes(ablation.other_convention),
        *_time_notes(ablation.profile),
        *choice_note(ablation.sources, _source_numbers(rows), selected=ablation.selected),
        *difference_notes(ablation.sources),
        *own_notes(ablation.own, _published_name(rows, flags)),
        *uncounted_notes(uncounted(ablation.rows), timed=ablation.profile is not None),
    ]
    own = own_provenance(ablation.own.own if ablation.own else None)
    return View(
        (_variants(rows, convention=ablation.other_convention),),
        (*_batch_notes(rows), *notes),
        (*_source_notes(rows), *own),
    )


@view.register
def search_view(search: Search, *, flags: bool = False) -> View:
    """Lay out a search: the Pareto front, some variants that are not ranked, and the verdict.

    Args:
        search: the search.
        flags: name the flags of the command line in notes, not the arguments of the function.
    """
    unpublished = search.records("unpublished")
    unranked = [{**row, search.ranked_by: "?"} for row in unpublished[:MAX_UNPUBLISHED]]
    rows = [*search.records("front"), *unranked]
    notes = [
        *_convention_notes(search.other_convention),
        *_time_notes(search.profile),
        *verdict(search, flags),
        *_unpublished_notes(search, len(unpublished)),
        *_batch_notes(rows),
        *_mixture_notes(search),
        *own_notes(search.own, _published_name(unpublished, flags)),
        *uncounted_notes(search.uncounted, timed=search.profile is not None),
    ]
    own = own_provenance(search.own.own if search.own else None)
    under = f" --convention {search.other_convention.name}" if search.other_convention else ""
    commands = (f"mbanalyze report {shlex.quote(search.reference)}{under}",) if search.reference else ()
    sections = (_variants(rows, _drop_order(search), search.other_convention),) if rows else ()
    return View(sections, tuple(notes), (*_source_notes(rows), *own), commands)


def _published_name(rows: Sequence[Record], flags: bool) -> str:
    """The name of the option that shows published accuracy; "" if no known architecture lacks an accuracy."""
    known = [row for row in rows if "source" in row and ":" not in row.get("model", "")]
    missing = any(row["top1"] is None for row in known)
    return option_name("published", flags) if missing else ""


def _mixture_notes(search: Search) -> list[str]:
    """Notes on the sources that the front compares, and on variants that several sources publish."""
    notes, names = [], list(dict.fromkeys(source.source for source in search.sources))
    if len(names) > 1 and search.ranked_by == "top1":
        notes.append(
            f"the front compares top-1 of {len(names)} sources, whose training recipes may differ; "
            "each network has the source with most of its variants"
        )
    return [*notes, *(difference_notes(search.sources) if search.ranked_by == "top1" else ())]


def _convention_notes(convention: Convention | None) -> list[str]:
    """A note on macs that another counter's convention gives."""
    return [convention_note(convention)] if convention else []


def _time_notes(profile: Profile | None) -> list[str]:
    """A note on predicted times."""
    return [time_note(profile)] if profile else []


def _drop_order(search: Search) -> tuple[str, ...]:
    """`DROP_ORDER` with limited totals at the end, behind the macs if another cost matters more than these."""
    limited = {HEADINGS.get(total, total) for total in search.limits}
    kept = [heading for heading in DROP_ORDER if heading in limited]
    unnamed = (kept or search.profile) and "macs" not in (*limited, search.ranked_by)
    macs = [macs_name("macs", search.other_convention)] if unnamed else []
    return (*(heading for heading in DROP_ORDER if heading not in limited), *macs, *kept)


def _variants(
    rows: Sequence[Record], drop: Sequence[str] = DROP_ORDER, convention: Convention | None = None
) -> Section:
    """The table of variants, without empty columns.

    Args:
        rows: the variants.
        drop: the headings to leave out first.
        convention: the convention of the macs; None for ours.
    """
    filled = [name for name in rows[0] if any(row[name] not in (None, "") for row in rows)]
    shown = [name for name in rows[0] if name in COUNT_COLUMNS or (name in filled and name not in HIDDEN)]
    columns = [_column(name, rows, convention) for name in shown]
    if "source" in filled:
        numbers = _source_numbers(rows)
        columns.append(words("ref", [_ref(row, numbers) for row in rows]))
    elif "accuracy_source" in filled:
        columns.append(words("ref", [_ref(row, {}) for row in rows]))
    return Section("", tuple(columns), tuple(drop))


def _ref(row: Record, numbers: Mapping[str, int]) -> str:
    """The source of the row's figures by number, after `yours` if its accuracy is the user's."""
    figures = f"[{numbers[row['source']]}]" if row.get("source") else ""
    accuracy = row.get("accuracy_source")
    return " ".join(filter(None, ["yours" if accuracy and accuracy != row.get("source") else "", figures]))


def _column(name: str, rows: Sequence[Record], convention: Convention | None) -> Column:
    align = "left" if name in ("model", "input", "options") else "right"
    heading = macs_name(name, convention) if name == "macs" else HEADINGS.get(name, name)
    return Column(heading, [_cell(name, row) for row in rows], align)  # type: ignore[arg-type]


def _cell(name: str, row: Record) -> str | Cell:
    value = row[name]
    if name in COUNT_COLUMNS:
        return count_cell(value, complete=name not in ("macs", "flops") or row.get("complete") is not False)
    if name in TIME_COLUMNS:
        return Cell("?", "?") if value is None else Cell(milliseconds(value), f"{value:.6f}")
    if name == "arithmetic_intensity":
        return ratio_cell(value)
    if name in BYTE_COLUMNS:
        return Cell("?", "?") if value is None else Cell(si_bytes(value), f"{value:,} B")
    if name == "options":
        return str(value).replace(" ", ",")  # as in a reference
    return "" if value is None else _metric_cell(name, value)


def _metric_cell(name: str, value: Any) -> str | Cell:
    """A number that was measured; a mean over seeds has two decimals in terminals."""
    if name == "seeds":
        return f"{value:.0f}"
    long = isinstance(value, float) and name in ("top1", "top1_spread") and value != round(value, 2)
    return Cell(f"{value:.2f}", str(value)) if long else str(value)


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


def _unpublished_notes(search: Search, count: int) -> list[str]:
    """A note on fitting variants without a value to rank."""
    if not count:
        return []
    missing = unranked_reason(search)
    shown = f"; the {MAX_UNPUBLISHED} with the most macs are shown" if count > MAX_UNPUBLISHED else ""
    if count == 1:
        return [f"1 fitting variant has {missing} and is not ranked"]
    return [f"{count} fitting variants have {missing} and are not ranked{shown}"]


def uncounted_notes(reasons: Sequence[tuple[str, str]], *, timed: bool = False) -> list[str]:
    """Return notes that name each model that is not counted completely, with the reason.

    Args:
        reasons: the models and reasons.
        timed: a model without a predicted time is among those that are not complete.
    """
    if not reasons:
        return []
    noun = "result" if timed else "count"
    head = f"1 {noun} is not complete:" if len(reasons) == 1 else f"{len(reasons)} {noun}s are not complete:"
    return [head, *(reason if model in reason else f"{model}: {reason}" for model, reason in reasons)]


def _ablation_csv(ablation: Ablation, **_: Any) -> str:
    return csv_of(ablation.rows)


@formats.register
def ablation_formats(_: Ablation) -> Mapping[str, Renderer]:
    """The formats of an ablation; CSV is written from columns, because grids can be large."""
    return {**FORMATS, "csv": _ablation_csv}

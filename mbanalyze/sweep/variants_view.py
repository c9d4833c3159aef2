"""Frames of variants as text: ablations, and what a search found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from mbanalyze.display.records import dump, rows_of
from mbanalyze.display.tables import fit, grid_of, markdown_table
from mbanalyze.display.units import si, si_bytes
from mbanalyze.sweep.published_rows import PUBLISHED_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

COUNTS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "resolution": ("px", str),
    "params": ("params", si),
    "macs": ("macs", si),
    "flops": ("flops", si),
    "activations": ("activations", si),
    "memory_access": ("memory access", si),
    "arithmetic_intensity": ("flops a byte", "{:.2f}".format),
    "params_bytes": ("model size", si_bytes),
    "published_macs": ("macs printed", str),
    "published_params": ("params printed", str),
    "top1": ("top-1 %", str),
    "latency_ms": ("latency ms", str),
}
"""Column of a frame -> its heading, and how a value is written."""
HIDDEN = ("reads", "writes", "memory_access_bytes", "complete", "device", "label", "source", "fits", "front")
"""Columns that a table has no place for; where figures are from is written below it."""
DROPPED = (
    *("activations", "flops a byte", "memory access", "model size", "flops", "latency ms"),
    *("params printed", "macs printed"),
)
"""Headings that give way, in this order, when a table is too wide."""


def columns_of(frame: pd.DataFrame) -> dict[str, list[str]]:
    """Cells by heading; options first, as they are."""
    rows = rows_of(frame)
    columns: dict[str, list[str]] = {}
    for name in map(str, frame.columns):
        if name in HIDDEN or (name in PUBLISHED_COLUMNS and frame[name].isna().all()):
            continue
        heading, written = COUNTS.get(name, (name, str))
        columns[heading] = [_cell(row, name, written) for row in rows]
    if "source" in frame and not frame["source"].isna().all():
        numbers = _sources(rows)
        columns["from"] = [f"[{numbers[row['source']]}]" if row["source"] else "" for row in rows]
    return columns


def _cell(row: dict[str, Any], name: str, written: Callable[[Any], str]) -> str:
    if row[name] is None:
        return "?" if name in ("macs", "flops", "activations") else ""
    bound = "≥ " * (name in ("macs", "flops") and row.get("complete") is False)
    return bound + written(row[name])


def _sources(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """A number for each source, in order."""
    return {source: i for i, source in enumerate(dict.fromkeys(r["source"] for r in rows if r["source"]), 1)}


def notes(frame: pd.DataFrame) -> list[str]:
    """The lines below a table: where printed figures are from, and what was timed."""
    rows = rows_of(frame)
    if not rows or "source" not in rows[0]:
        return []
    devices = {row["source"]: row["device"] for row in rows if row["latency_ms"] is not None}
    return [
        f"[{i}] {source}" + (f"; latency on {devices[source]}" if devices.get(source) else "")
        for source, i in _sources(rows).items()
    ]


def table(frame: pd.DataFrame, width: int = 80) -> RenderableType:
    """Variants for people, `width` cells wide or less unless even the fewest columns need more."""
    columns = columns_of(frame)
    left_out = fit(columns, DROPPED, width)
    lines = [Text(line, style="dim") for line in notes(frame)]
    return Group(grid_of(columns, width), *left_out, *lines)


def markdown(frame: pd.DataFrame) -> str:
    """A Markdown table of exact counts, with the sources below."""
    rows = rows_of(frame)
    shown = [name for name in map(str, frame.columns) if name not in HIDDEN and not frame[name].isna().all()]
    headings = [
        "model bytes" if name == "params_bytes" else COUNTS.get(name, (name, str))[0] for name in shown
    ]
    body: list[list[object]] = [[_exact(row[name], name) for name in shown] for row in rows]
    if notes(frame):
        numbers = _sources(rows)
        headings.append("from")
        body = [[*cells, numbers.get(row["source"], "")] for cells, row in zip(body, rows, strict=True)]
    text = markdown_table(headings, body)
    return text + ("\n" + "".join(f"{note}  \n" for note in notes(frame)) if notes(frame) else "")


def _exact(value: Any, name: str) -> object:
    if name == "arithmetic_intensity" or (name in COUNTS and isinstance(value, int)):
        return value
    return "" if value is None else str(value)


def csv(frame: pd.DataFrame) -> str:
    """The frame's columns and nothing else; unknown is an empty cell."""
    return frame.to_csv(index=False, lineterminator="\n")


def json(frame: pd.DataFrame) -> str:
    """A list of rows, keyed by the names of options and totals; unknown is null."""
    return dump(rows_of(frame))


FORMATS: dict[str, Callable[[pd.DataFrame], str]] = {"markdown": markdown, "csv": csv, "json": json}

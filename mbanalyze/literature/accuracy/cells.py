"""The columns and cells of the user's table: options, metrics, and columns that mbanalyze writes."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import fields
from difflib import get_close_matches
from math import isfinite
from typing import Any

import numpy as np

from mbanalyze.archs import ARCHS
from mbanalyze.inputs.parsing import parse_option
from mbanalyze.profiles.predicted_time import TimeRange
from mbanalyze.report.network import TOTALS

PER_CENT = ("top1", "top5")
"""Metrics that are accuracies in per cent."""
KNOWN_METRICS = (*PER_CENT, "latency_ms")
REFERENCE_COLUMNS = ("model", "options")
"""Columns with a model reference, and with options as text, as `search` writes them."""
OPTIONS = frozenset({"batch", *(field.name for arch in ARCHS.values() for field in fields(arch))})
"""The options of all architectures."""
WRITTEN_COLUMNS = frozenset(
    {
        *TOTALS,
        *("published_macs", "published_params", "device", "label", "source", "accuracy_source"),
        *("complete", "fits", "front", *TimeRange._fields),
    }
)
"""Columns that mbanalyze writes, and that a table may contain without meaning."""
SYNONYMS = {
    **dict.fromkeys(("acc", "accuracy", "acc1", "top1acc", "top1accuracy"), "top1"),
    **dict.fromkeys(("res", "px", "imagesize", "imgsize", "inputsize"), "resolution"),
    **dict.fromkeys(("widthmultiplier", "widthmult"), "alpha"),
    **dict.fromkeys(("name", "network", "arch", "architecture"), "model"),
}
"""Headings that stand for another name, without case and punctuation."""


LOWER_IS_BETTER = re.compile(r".*(latency|error|loss|energy).*|.*_(ms|us|mj|mb|kb)", re.IGNORECASE)
"""Names of metrics that nobody wants to maximise."""


class AccuracyError(ValueError):
    """A table of accuracies that cannot be read, is malformed or contradicts itself."""


def metric_columns(names: Sequence[str], options: Collection[str]) -> list[str]:
    """Return the columns that are metrics.

    Args:
        names: all columns.
        options: names of options.

    Raises:
        AccuracyError: a column occurs twice, has no name, or is misspelled; or the table lacks columns.
    """
    for number, name in enumerate(names, 1):
        if not name:
            raise AccuracyError(f"column {number} has no name")
        if name in names[: number - 1]:
            raise AccuracyError(f"column {name} occurs twice")
    known = {*options, *REFERENCE_COLUMNS, *WRITTEN_COLUMNS, "rho"}
    if "rho" in names and "resolution" not in names:
        raise AccuracyError("give the column resolution, in pixels, instead of rho")
    metrics = [name for name in names if name not in known]
    for name in metrics:
        if meant := _misspelled(name, {*options, *REFERENCE_COLUMNS, *KNOWN_METRICS}):
            raise AccuracyError(f"unknown column {name!r}: did you mean {meant}?")
    if not metrics:
        raise AccuracyError("no column has a metric: give top1, in per cent, or another number")
    if not {*names} & {*options, *REFERENCE_COLUMNS}:
        raise AccuracyError("no column names the variants: give model, or options such as alpha")
    return metrics


def _misspelled(name: str, known: Collection[str]) -> str:
    """The known column that a heading seems to mean; "" if it has a name of its own."""
    if name in known:
        return ""
    plain = _plain(name)
    same = [other for other in known if _plain(other) == plain]
    near = get_close_matches(name, [other for other in known if len(other) > 4], n=1, cutoff=0.8)
    return next(iter([*same, *filter(None, [SYNONYMS.get(plain)]), *near]), "")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def option_value(name: str, cell: Any) -> Any:
    """Return the value of an option: text is read as on the command line.

    Raises:
        ParseError: the text is malformed.
    """
    return parse_option(f"{name}={cell}")[1] if isinstance(cell, str) else cell


def metric_value(name: str, cell: Any) -> float:
    """Return the number in a cell of a metric.

    Raises:
        AccuracyError: the cell is not a finite number, or a per cent beyond 0 to 100.
    """
    try:
        value = float("nan") if isinstance(cell, bool | np.bool_) else float(cell)
    except (TypeError, ValueError):
        value = float("nan")
    if not isfinite(value):
        raise AccuracyError(f"{name} is {cell!r}, not a number")
    if name in PER_CENT and not 0 <= value <= 100:
        raise AccuracyError(f"{name} is {value:g}, not a per cent from 0 to 100")
    return value

"""The predicted times of a comparison as rows, columns and sentences of its view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mbanalyze.comparison.comparison import Comparison
from mbanalyze.comparison.parts import PREDICTED_MS, Part
from mbanalyze.display.units import significant
from mbanalyze.display.views import Cell, Column
from mbanalyze.profiles.time_profile import INTERVAL_PERCENT

TIME_NAME = "predicted ms"
INTERVAL = f"{INTERVAL_PERCENT} interval"
CHANGE_NAME = f"{TIME_NAME} change"


def time_rows(comparison: Comparison) -> list[str]:
    """Return the names of the rows of predicted times in the table of totals; none without a profile."""
    return [TIME_NAME, INTERVAL] if comparison.predicted else []


def time_cells(comparison: Comparison, i: int) -> list[Cell]:
    """Return the cells of `time_rows` for report `i`."""
    if comparison.predicted is None:
        return []
    time = comparison.predicted.times[i].total
    bound = "" if comparison.known(PREDICTED_MS, i) else "≥ "
    low, high = significant(time.low_ms), significant(time.high_ms)
    texts = (f"{bound}{significant(time.predicted_ms)}", f"{low} to {high}")
    return [Cell(text, text) for text in texts]


def change_column(comparison: Comparison, parts: Sequence[Part]) -> list[Column]:
    """Return the column of the changes in predicted time between two reports; none without a profile."""
    if comparison.predicted is None:
        return []
    changes = [*(part.changes(PREDICTED_MS)[1] for part in parts), comparison.changes(PREDICTED_MS)[1]]
    return [Column(CHANGE_NAME, [_change(change) for change in changes])]


def _change(change: float | None) -> Cell:
    """A change with its sign and microseconds; '?' if unknown, a short zero is empty."""
    if change is None:
        return Cell("?", "?")
    text = f"{change:+,.3f}"
    return Cell(text, text) if float(change) else Cell("", "0")


def time_notes(comparison: Comparison) -> Iterator[str]:
    """Yield the verdict on each report beside the first, the machine, and the share of the time that is less sure."""
    if comparison.predicted is None:
        return
    for i in range(1, len(comparison.reports)):
        if comparison.speeds[i]:
            yield _verdict(comparison, i)
    yield f"predicted for eager PyTorch on {comparison.predicted.profile.name}"
    for label, time in zip(comparison.labels, comparison.predicted.times, strict=True):
        if time.coverage < 1:
            share = f"{100 * (1 - time.coverage):.2g} %"
            yield f"{label}: operators unlike those that were timed take {share} of the predicted time"


def _verdict(comparison: Comparison, i: int) -> str:
    """A sentence about the times of report `i` and of the first."""
    first, other, ratio = comparison.labels[0], comparison.labels[i], comparison.ratios[i][PREDICTED_MS]
    if comparison.speeds[i] == "too close to call" or not ratio:
        return f"{other} and {first} are too close to call: their intervals overlap"
    faster, slower = (other, first) if ratio < 1 else (first, other)
    return f"{faster} is {max(ratio, 1 / ratio):.2f} times as fast as {slower}"

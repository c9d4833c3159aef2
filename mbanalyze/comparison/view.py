"""The view of a comparison: totals, then the parts that change, the largest change first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import fsum
from typing import Any

from mbanalyze.comparison.comparison import Comparison
from mbanalyze.comparison.parts import PREDICTED_MS, Part
from mbanalyze.comparison.time_view import change_column, time_cells, time_notes, time_rows
from mbanalyze.display.records import one_line, shape
from mbanalyze.display.result import view
from mbanalyze.display.units import count_cell, si
from mbanalyze.display.views import Cell, Column, Section, View, filled, words
from mbanalyze.literature.accuracy.accuracy_notes import own_notes
from mbanalyze.ops.cost import Count
from mbanalyze.report.accounts import PEAKS
from mbanalyze.report.convention_rows import convention_note, macs_name
from mbanalyze.report.fused_rows import FUSED
from mbanalyze.report.rows import Group, group
from mbanalyze.report.summary import provenance

TOTAL_NAMES = {
    **{name: name for name in ("params", "macs", "flops", "activations", "reads", "writes")},
    "memory_access": "memory access",
    "arithmetic_intensity": "flops per byte",
    "peak_bytes": "peak bytes, ideal",
    "peak_bytes_deployed": "peak bytes, deployed",
    "peak_bytes_eager": "peak bytes, eager",
}
"""The totals that are shown, and their names."""
CHANGES = ("macs", "memory_access", "params")
"""The changes that a table of two reports shows."""
DROP_ORDER = ("status", "output", "kind", "params change", "memory access change", "was")
"""Columns of the layers to leave out, in this order, while their table is too wide."""


@view.register
def comparison_view(comparison: Comparison, top: int = 10, *, flags: bool = False) -> View:
    """Lay out a comparison.

    Args:
        comparison: the comparison.
        top: the number of kinds, stages and layers with a row of their own.
        flags: name the flags of the command line in notes, not the arguments of the function.
    """
    stage = "stage" if comparison.takes_images else "block"
    sections = [
        _totals(comparison),
        *_accuracy(comparison),
        _parts(comparison, "kind", comparison.by_kind, top),
        _parts(comparison, stage, comparison.by_stage, top),
    ]
    if comparison.layers is not None:
        sections.append(_layers(comparison, comparison.layers, top))
    flag = "--published" if flags else "published"
    flag = flag if any(accuracy.top1 is None for accuracy in comparison.accuracies) else ""
    merged = [f"note: {FUSED}"] if any(report.is_fused for report in comparison.reports) else []
    conventions = {report.convention: report.other_convention for report in comparison.reports}
    counted = [f"note: {convention_note(convention)}" for convention in conventions.values() if convention]
    notes = [*_uncounted(comparison), *_of_files(comparison), *merged, *counted]
    notes += own_notes(comparison.own, flag)
    return View(tuple(sections), tuple(notes), tuple(map(provenance, comparison.reports)))


def shown_totals(comparison: Comparison) -> list[str]:
    """Return the keys of `TOTAL_NAMES` without peaks that no report has."""
    known = {name for totals in comparison.totals for name, value in totals.items() if value is not None}
    return [name for name in TOTAL_NAMES if name not in PEAKS or name in known]


def _totals(comparison: Comparison) -> Section:
    """Exact totals of each report, each followed by its ratio to the first report's."""
    names = shown_totals(comparison)
    columns = [words("total", [*(_name(name, comparison) for name in names), *time_rows(comparison)])]
    for i, label in enumerate(comparison.labels):
        totals, ratios = comparison.totals[i], comparison.ratios[i]
        counts = [_exact(totals[name], comparison.known(name, i)) for name in names]
        counts += time_cells(comparison, i)
        beside = [_ratio(ratios[name]) for name in names]
        beside += [_ratio(ratios[PREDICTED_MS]), Cell("", "")] if comparison.predicted else []
        columns.append(Column(label, _paired(counts, beside) if i else counts))
    notes = tuple(time_notes(comparison))
    return Section("Totals, and their ratios to the first", tuple(columns), fixed=2, notes=notes)


def _accuracy(comparison: Comparison) -> list[Section]:
    """The accuracy of each report with its source, and a note if the sources differ; none if all are unknown."""
    found = comparison.accuracies
    known = [accuracy.source for accuracy in found if accuracy.source is not None]
    if not known and not any(value is not None for a in found for value in a.metrics.values()):
        return []
    numbers = {name: i for i, name in enumerate(dict.fromkeys(known), 1)}
    columns = [
        words("model", comparison.labels),
        Column("top-1 %", ["" if a.top1 is None else str(a.top1) for a in found]),
        Column("change", [_points(accuracy.top1, found[0].top1) for accuracy in found]),
        *(
            Column(name, ["" if (value := a.metrics[name]) is None else f"{value:g}" for a in found])
            for name in found[0].metrics
        ),
        words("ref", [f"[{numbers[a.source]}]" if a.source else "" for a in found]),
    ]
    differ = "the top-1 accuracies are of different sources, whose training recipes may differ"
    notes = [*([differ] if len(numbers) > 1 else ()), *(f"[{i}] {name}" for name, i in numbers.items())]
    return [Section("Accuracy", filled(columns), notes=tuple(notes))]


def _points(top1: float | None, first: float | None) -> str:
    """The difference of two accuracies in points; "" if either is unknown, or both are equal."""
    if top1 is None or first is None or top1 == first:
        return ""
    return f"{round(top1 - first, 3):+}"


def _exact(count: Any, complete: bool) -> Cell:
    """A total with all its digits; a rounded quotient with two decimals."""
    if isinstance(count, float):
        quotient = f"{'' if complete else '≥ '}{count:,.2f}"
        return Cell(quotient, quotient)
    digits = count_cell(count, complete=complete).exact
    return Cell(digits if count or not complete else "", digits)


def _ratio(ratio: float | None) -> Cell:
    shown = "?" if ratio is None else f"x {ratio:.3f}"
    return Cell(shown, shown)


def _paired(left: Sequence[Cell], right: Sequence[Cell]) -> list[Cell]:
    """Two columns of cells as one, each aligned on the right."""
    a, b = (max((len(cell.short) for cell in cells), default=0) for cells in (left, right))
    return [
        Cell(f"{x.short:>{a}}  {y.short:>{b}}", f"{x.exact} {y.exact}")
        for x, y in zip(left, right, strict=True)
    ]


def _split(parts: Sequence[Part], top: int) -> tuple[list[Part], list[Part]]:
    """The `top` parts that change most; then the other changed ones as one part, and the unchanged ones as one."""
    changed = [part for part in parts if not part.unchanged]
    same = [part for part in parts if part.unchanged]
    rest = {"more": changed[top:], "unchanged": same}
    return changed[:top], [_merged(f"({len(some)} {name})", some) for name, some in rest.items() if some]


def _merged(key: str, parts: Sequence[Part]) -> Part:
    sides = zip(*(part.groups for part in parts), strict=True)
    groups = tuple(group(key, [row for some in side for row in some.rows]) for side in sides)
    times = zip(*(part.milliseconds for part in parts), strict=True)
    return Part(key, groups, tuple(map(fsum, times)))


def _macs(comparison: Comparison, parts: Sequence[Part], i: int) -> list[Cell]:
    """The macs of each part in report `i`, and the total."""
    counts = [count_cell(part.counts("macs")[i], complete=part.groups[i].complete) for part in parts]
    return [*counts, count_cell(comparison.reports[i].totals.macs, complete=comparison.known("macs", i))]


def _changes(comparison: Comparison, parts: Sequence[Part], name: str, i: int) -> list[Cell]:
    """The change of each part in report `i`, and that of the total."""
    return [_change(change) for change in [*(p.changes(name)[i] for p in parts), comparison.changes(name)[i]]]


def _change(change: Count) -> Cell:
    """A change with its sign; '?' if unknown, a short zero is empty."""
    if not change:
        return Cell("?", "?") if change is None else Cell("", "0")
    sign = "+" if change > 0 else ""
    return Cell(f"{sign}{si(change)}", f"{sign}{change:,}")


def _change_columns(comparison: Comparison, parts: Sequence[Part]) -> list[Column]:
    counts = [
        Column(f"{_name(name, comparison)} change", _changes(comparison, parts, name, 1)) for name in CHANGES
    ]
    return [*counts, *change_column(comparison, parts)]


def _name(total: str, comparison: Comparison) -> str:
    """The name of a total; that of macs names the counter whose convention all reports follow."""
    return macs_name(total, comparison.other_convention) if total == "macs" else TOTAL_NAMES[total]


def _parts(comparison: Comparison, key: str, parts: Sequence[Part], top: int) -> Section:
    """Macs in each report with their change; for two reports also the change of other counts."""
    two = len(comparison.reports) == 2
    if not two:
        top = min(top, sum(any(count != 0 for count in part.counts("macs")) for part in parts))
    shown = [part for some in _split(parts, top) for part in some]
    columns = [words(key, [*(one_line(part.key) for part in shown), "total"])]
    for i, label in enumerate(comparison.labels):
        macs = _macs(comparison, shown, i)
        paired = i and not two
        columns.append(
            Column(label, _paired(macs, _changes(comparison, shown, "macs", i)) if paired else macs)
        )
    columns += _change_columns(comparison, shown) if two else []
    heading = f"{macs_name('Macs', comparison.other_convention)} by {key}"
    drop_order = ("params change", "memory access change") if comparison.predicted else ()
    return Section(heading, tuple(columns), drop_order, fixed=2, total=True)


def _layers(comparison: Comparison, layers: Sequence[Part], top: int) -> Section:
    """The layers of two reports that change most; `was` is the former path of a renamed layer."""
    shown, rest = _split(layers, top)
    every, blank = [*shown, *rest], [""] * (len(rest) + 1)

    def each(text: Callable[[Group], str]) -> list[str]:
        """Text of the layers before and after, written once if equal."""
        return [" → ".join(dict.fromkeys(text(g) for g in part.groups if g.rows)) for part in shown] + blank

    columns = [
        words("layer", [*(_path(part.key) for part in shown), *(part.key for part in rest), "total"]),
        words("was", [_path(p.groups[0].key) if p.status == "renamed" else "" for p in shown] + blank),
        words("kind", each(lambda group: " + ".join(group.kinds))),
        words("output", each(lambda group: " ".join(map(shape, group.output)))),
        Column(f"{_name('macs', comparison)} before", _macs(comparison, every, 0)),
        Column(f"{_name('macs', comparison)} after", _macs(comparison, every, 1)),
        *_change_columns(comparison, every),
        words("status", [*(part.status for part in shown), *blank]),
    ]
    return Section("Layers that change most", filled(columns), DROP_ORDER, total=True)


def _path(path: str) -> str:
    return one_line(path) or "(model)"


def _of_files(comparison: Comparison) -> Iterator[str]:
    """Yield what each file of ONNX has that its model had not, such as folded batch norms."""
    for label, report in zip(comparison.labels, comparison.reports, strict=True):
        if report.method == "file":
            yield from (f"note: {label}: {note}" for note in report.notes)


def _uncounted(comparison: Comparison) -> tuple[str, ...]:
    """A line for each report with uncounted operators."""
    return tuple(
        f"not counted in {label}, so its macs and flops are lower bounds: "
        + ", ".join(dict.fromkeys(uncounted.operator for uncounted in report.uncounted))
        for label, report in zip(comparison.labels, comparison.reports, strict=True)
        if report.uncounted
    )

"""The view of a prediction: a time for each group, where the time goes, and the total with its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from mbanalyze.display.result import Renderer, formats, view
from mbanalyze.display.units import milliseconds
from mbanalyze.display.views import Column, Section, View, words
from mbanalyze.profiles.class_fit import ROOFS
from mbanalyze.profiles.predicted_time import PredictedTime, TimeRange
from mbanalyze.profiles.time_profile import INTERVAL_PERCENT
from mbanalyze.report.network import share_of
from mbanalyze.report.selection import largest, others_name
from mbanalyze.report.summary import origin, subject
from mbanalyze.timing.prediction import Prediction, TimeGroup, TimeGroups
from mbanalyze.timing.selected_rows import selected_formats

INTERVAL = f"{INTERVAL_PERCENT} interval"
"""The name of the intervals."""

PARTS = {
    "compute": "for flops",
    "activations": "for bytes of activations",
    "weights": "for bytes of weights and buffers",
    "overhead": "for each operator",
}
"""The parts of a time, and the work that each is for."""


@view.register
def prediction_view(prediction: Prediction, top: int | None = None) -> View:
    """Lay out a prediction by module; options as for `time_groups_view`."""
    return time_groups_view(prediction.by("module"), top)


@view.register
def time_groups_view(groups: TimeGroups, top: int | None = None) -> View:
    """Lay out a prediction by the key of `groups`; options and errors as for `Prediction.to`."""
    prediction = groups.prediction
    shown, others = selected(groups, top)
    heading = f"{subject(prediction.report)}, on {prediction.profile.name}"
    rows = _section(heading, groups.key, [*shown, *others], prediction)
    kinds = sorted(prediction.by("kind"), key=lambda group: -group.time.total.predicted_ms)
    by_kind = [_section("by kind", "kind", kinds, prediction)] * (groups.key != "kind")
    notes = [f"incomplete: {reason}" for reason in prediction.report.unseen]
    return View(
        (rows, *by_kind, _parts(prediction.time), _totals(prediction)),
        (*notes, *(f"note: {note}" for note in prediction.notes)),
        (origin(prediction.report),),
    )


def selected(groups: TimeGroups, top: int | None) -> tuple[list[TimeGroup], list[TimeGroup]]:
    """Return the groups to show, and one group with those left out, if any.

    Args:
        groups: all groups.
        top: the number of groups to show, the slowest first; None for all, in order.

    Raises:
        SelectionError: `top` is below 1.
    """
    shown, left = largest(groups, lambda group: group.time.total.predicted_ms, top)
    members = [operator for group in left for operator in group.time.operators]
    return shown, [groups.prediction.group(others_name(len(left)), members)] if left else []


def _section(heading: str, key: str, groups: Sequence[TimeGroup], prediction: Prediction) -> Section:
    """A table with a row for each group, and the total."""
    rows = [*groups, TimeGroup("total", prediction.time)]
    ranges = [group.time.total for group in rows]
    whole = prediction.total.predicted_ms
    counts = [str(len(group.time.operators)) for group in rows]
    kinds = words("kind", [*map(_kind, groups), f"{counts[-1]} ops"])
    return Section(
        heading,
        (
            words(key, [*(group.key or "(model)" for group in groups), "total"]),
            kinds if key in ("op", "module") else Column("ops", counts),
            Column("predicted ms", [milliseconds(each.predicted_ms) for each in ranges]),
            Column("interval", list(map(_interval, ranges))),
            Column("share", [_per_cent(share_of(each.predicted_ms, whole)) for each in ranges]),
            words("roof", [group.time.parts.roof if group.time.operators else "" for group in rows]),
        ),
        drop_order=("ops", "interval", "roof", "kind"),
        total=True,
    )


def _kind(group: TimeGroup) -> str:
    """The kind and variant of a group's operators if they share it, else their number."""
    operators = group.time.operators
    kinds = {f"{each.op.kind} {each.op.variant or ''}".strip() for each in operators}
    if len(kinds) > 1:
        return f"{len(operators)} ops"
    return kinds.pop() + (f" x {len(operators)}" if len(operators) > 1 else "")


def _parts(time: PredictedTime) -> Section:
    """The parts of the time, and the number of operators whose largest part each is."""
    parts, roofs = time.parts._asdict(), Counter(each.parts.roof for each in time.operators)
    whole = sum(parts.values())
    return Section(
        "by part",
        (
            words("part", [f"{roof}, {PARTS[roof]}" for roof in ROOFS]),
            Column("ms", [milliseconds(parts[roof] / 1e6) for roof in ROOFS]),
            Column("share", [_per_cent(share_of(parts[roof], whole)) for roof in ROOFS]),
            Column("largest", [_in_operators(roofs[roof]) for roof in ROOFS]),
        ),
    )


def _in_operators(number: int) -> str:
    return f"in {number} operator{'' if number == 1 else 's'}"


def _totals(prediction: Prediction) -> Section:
    """The time of the network with its interval, and the coverage."""
    total = prediction.total
    return Section(
        "",
        (
            words("", ["predicted time", "coverage"]),
            Column("", [f"{milliseconds(total.predicted_ms)} ms", _per_cent(prediction.coverage)]),
            words(
                "",
                [f"{INTERVAL}: {_interval(total)} ms", "of the time is of classes and sizes that were timed"],
                wrap=True,
            ),
        ),
    )


def _interval(time: TimeRange) -> str:
    return f"{milliseconds(time.low_ms)} to {milliseconds(time.high_ms)}"


def _per_cent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


@formats.register(Prediction)
@formats.register(TimeGroups)
def prediction_formats(_: Prediction | TimeGroups) -> Mapping[str, Renderer]:
    """The formats of a prediction: data have the rows that `top` selects."""
    return selected_formats(lambda groups, top: selected(groups, top)[0])

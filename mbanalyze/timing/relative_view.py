"""The view of a relative time: its groups with their shares and roofs, and the total."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mbanalyze.display.result import Renderer, formats, view
from mbanalyze.display.units import ratio_cell
from mbanalyze.display.views import Column, Section, View, words
from mbanalyze.report.rows import Group, group
from mbanalyze.report.selection import largest, others_name
from mbanalyze.report.summary import kind_of, origin, subject
from mbanalyze.timing.relative_time import RelativeGroups, RelativeTime
from mbanalyze.timing.selected_rows import selected_formats


@view.register
def relative_time_view(network: RelativeTime, top: int | None = None) -> View:
    """Lay out a relative time by module; options as for `relative_groups_view`."""
    return relative_groups_view(network.by("module"), top)


@view.register
def relative_groups_view(groups: RelativeGroups, top: int | None = None) -> View:
    """Lay out a relative time by the key of `groups`.

    Args:
        groups: the groups.
        top: the number of groups to show, those that take longest first; the others are summed in one row.

    Raises:
        SelectionError: `top` is below 1.
    """
    network = groups.network
    shown, left = selected(groups, top)
    others = [group(others_name(len(left)), [row for each in left for row in each.rows])] if left else []
    heading = (
        f"{subject(network.report)}, {network.report.dtype} on {network.sheet.title}, {network.execution}"
    )
    unseen = [f"incomplete: {reason}" for reason in network.report.unseen]
    return View(
        (_section(heading, groups.key, [*shown, *others], network), _total(network)),
        (*unseen, *(f"note: {note}" for note in network.notes)),
        (origin(network.report),),
    )


def selected(groups: RelativeGroups, top: int | None) -> tuple[list[Group], list[Group]]:
    """Return the groups to show and those left out: all and none in order, or the `top` that take longest."""
    return largest(groups, lambda each: groups.network.of(each.rows), top)


def _section(heading: str, key: str, groups: Sequence[Group], network: RelativeTime) -> Section:
    """A table with a row for each group, and the total."""
    rows = [*groups, group("total", network.report.rows)] if groups else []
    summaries = [network.summary(each.rows) for each in rows]
    kinds = words("kind", [*map(kind_of, rows)])
    return Section(
        heading,
        (
            words(key, [each.key or "(model)" for each in rows]),
            kinds if key in ("op", "module") else Column("ops", [str(len(each.rows)) for each in rows]),
            Column("relative time", [ratio_cell(each["relative_time"]) for each in summaries]),
            Column("share", [f"{100 * (each['share'] or 0):.1f} %" for each in summaries]),
            words("roof", [each["roof"] or "" for each in summaries]),
        ),
        drop_order=("kind", "ops"),
        total=bool(rows),
    )


def _total(network: RelativeTime) -> Section:
    """The relative time of the network, and the share of its time at each roof."""
    roofs = [f"{roof} {100 * share:.1f} %" for roof, share in network.roofs(network.report.rows).items()]
    return Section(
        "",
        (
            words("", ["relative time", "roofs"]),
            Column("", [f"{network.relative_time:.2f}", ""]),
            words("", [f"times {network.reference}", ", ".join(roofs)], wrap=True),
        ),
    )


@formats.register(RelativeTime)
@formats.register(RelativeGroups)
def relative_time_formats(_: RelativeTime | RelativeGroups) -> Mapping[str, Renderer]:
    """The formats of a relative time: data have the rows that `top` selects."""
    return selected_formats(lambda groups, top: selected(groups, top)[0])

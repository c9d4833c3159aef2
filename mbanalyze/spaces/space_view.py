"""A search in a space as tables: the best networks, the stages of the best one, and its costs beside the limits."""

from __future__ import annotations

from collections.abc import Sequence

from mbanalyze.display.result import view
from mbanalyze.display.units import count_cell, milliseconds, si, si_bytes
from mbanalyze.display.views import Cell, Column, Section, View, words
from mbanalyze.spaces.candidate import COSTS
from mbanalyze.spaces.objective import PROXY
from mbanalyze.spaces.space_result import SpaceSearch
from mbanalyze.sweep.objectives import BYTES, LIMITS
from mbanalyze.sweep.predicted_columns import time_note

SHOWN = 5
"""The networks of the front that a table shows."""
TITLES = {**LIMITS, "params_bytes": "model size", "flops": "flops"}
"""Cost -> title."""
_BYTES = (*BYTES, "params_bytes")
_HEADINGS = {
    "resolution": "px",
    "params_bytes": "model size",
    "peak_bytes": "ideal peak",
    "peak_bytes_deployed": "deployed peak",
    "memory_access": "memory access",
    "predicted_ms": "predicted ms",
}


@view.register
def space_search_view(search: SpaceSearch, *, flags: bool = False) -> View:
    """Lay out a search in a space.

    Args:
        search: the search.
        flags: name the flags of the command line in notes, not the arguments of the function.
    """
    notes = [*_verdict(search), *_run_notes(search, flags)]
    if search.objective == "macs":
        notes.append(PROXY)
    if search.profile:
        notes.append(time_note(search.profile))
    best = search.best
    sections = (_stages(search), _costs(search), _front(search)) if best else ()
    return View(sections, tuple(notes), (search.space.source,), (best.command,) if best else ())


def _verdict(search: SpaceSearch) -> list[str]:
    """The best network, or the limits that exclude most networks."""
    considered = f"{len(search.tried):,} networks" if len(search.tried) != 1 else "1 network"
    if search.best is None:
        over = [f"{_amount(name, limit)} {TITLES[name]} excludes {search.exceeding[name]:,}" for name, limit in search.limits.items() if search.exceeding[name]]  # fmt: skip
        over.sort(key=lambda text: -int(text.rpartition(" ")[2].replace(",", "")))
        return [f"none of {considered} fits" + (f": {'; '.join(over)}" if over else "")]
    value = search.fitting[0].value
    assert value is not None
    said = (
        f"{si(int(value))} multiply-accumulates"
        if search.objective == "macs"
        else f"{search.objective} {value:g}"
    )
    return [f"best of {len(search.fitting):,} that fit, among {considered}: {search.best.reference} ({said})"]


def _run_notes(search: SpaceSearch, flags: bool) -> list[str]:
    """The extent of the search."""
    trials, seed = ("--trials", "--seed") if flags else ("trials", "seed")
    if search.is_exhaustive:
        return [f"these are all networks of the space {search.space.name}"]
    size = f"{search.space.size:.1e} networks of the space {search.space.name}"
    if search.is_interrupted:
        return [f"stopped after {search.trials:,} of {search.planned:,} trials, of {size}"]
    return [f"{search.trials:,} trials of {size}: more {trials} or another {seed} may find a better one"]


def _front(search: SpaceSearch) -> Section:
    """The best networks of the Pareto front."""
    rows = search.front[:SHOWN]
    against = " and ".join(f"lower {TITLES[name]}" for name in search.costs)
    more = f", {len(rows)} of {len(search.front)}" if len(search.front) > len(rows) else ""
    heading = f"Pareto front: higher {search.objective}, {against}{more}"
    shown = [
        "params",
        "macs",
        "params_bytes",
        *(name for name in search.limits if name not in ("params", "macs")),
    ]
    if "peak_bytes_deployed" not in shown:
        shown.append("peak_bytes_deployed")
    columns = [_column(name, [row.candidate.costs[name] for row in rows]) for name in shown]
    if search.objective != "macs":
        columns.insert(0, Column(search.objective, [f"{row.value:g}" for row in rows]))
    options = [name for name in search.space.options if len(search.space.options[name]) > 1]
    sizes = [
        Column(_HEADINGS.get(name, name), [str(row.candidate.options[name]) for row in rows])
        for name in options
    ]
    texts = words("stages", [str(row.candidate.options["stages"]) for row in rows])
    drop = ("stages", "model size", *(_HEADINGS.get(name, name) for name in reversed(options)))
    return Section(heading, (*sizes, *columns, texts), drop)


def _column(name: str, values: Sequence[int | float]) -> Column:
    return Column(_HEADINGS.get(name, name), [_cell(name, value) for value in values])


def _cell(name: str, value: float) -> Cell:
    if name == "predicted_ms":
        return Cell(milliseconds(value), f"{value:.6f}")
    if name in _BYTES:
        return Cell(si_bytes(int(value)), f"{value:,} B")
    return count_cell(int(value))


def _stages(search: SpaceSearch) -> Section:
    """The parts of the best network."""
    rows = search.stages
    choices = [
        Column(name, ["" if row[name] is None else str(row[name]) for row in rows])
        for name in ("kernel", "expansion", "depth", "channels", "output")
    ]
    counts = [Column(name, [count_cell(row[name]) for row in rows]) for name in ("params", "macs")]
    return Section("the best network", (words("stage", [row["stage"] for row in rows]), *choices, *counts))


def _costs(search: SpaceSearch) -> Section:
    """The costs of the best network, with the limits and the share of each that is used."""
    assert search.best is not None
    costs = search.best.costs
    names = [name for name in (*COSTS, "predicted_ms") if name in costs]
    limits = [search.limits.get(name) for name in names]
    used = [
        "" if limit is None else f"{costs[name] / limit:.1%}"
        for name, limit in zip(names, limits, strict=True)
    ]
    return Section(
        f"its costs ({search.dtype})",
        (
            words("cost", [TITLES[name] for name in names]),
            Column("amount", [_cell(name, costs[name]) for name in names]),
            Column("limit", ["" if limit is None else _cell(name, limit) for name, limit in zip(names, limits, strict=True)]),
            Column("used", used),
        ),
    )  # fmt: skip


def _amount(name: str, limit: float) -> str:
    """A limit as text with its unit."""
    if name == "predicted_ms":
        return f"{limit:g} ms"
    return si_bytes(int(limit)) if name in _BYTES else si(int(limit))

"""The view of a cost: one row for each count."""

from __future__ import annotations

from mbanalyze.display.result import view
from mbanalyze.display.units import count_cell
from mbanalyze.display.views import Cell, Column, Section, View, words
from mbanalyze.ops.cost import Cost

SHOWN = ("params", "macs", "flops", "activations", "reads", "writes", "memory_access")
"""The counts that are shown: exactly, everywhere."""


@view.register
def cost_view(cost: Cost) -> View:
    """Lay out a cost."""
    counts = [count_cell(getattr(cost, name)).exact for name in SHOWN]
    names = [name.replace("_", " ") for name in SHOWN]
    return View((Section("", (words("count", names), Column("elements", [Cell(n, n) for n in counts]))),))

"""The known architectures as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def models_table(known: Sequence[dict[str, Any]]) -> RenderableType:
    """The architectures for people: a heading each, and a line for each option."""
    parts: list[RenderableType] = []
    for model in known:
        grid = Table(box=None, padding=(0, 0, 0, 2), show_header=False)
        for option in model["options"]:
            choices = option["choices"] or (option["type"],)
            grid.add_row(option["name"], str(option["default"]), "|".join(map(str, choices)), option["help"])
        parts += [Text.assemble((model["name"], "bold"), f"  {model['paper']}"), grid, Text()]
    return Group(*parts[:-1])

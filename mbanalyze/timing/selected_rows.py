"""The rows of predicted times that `top` selects, in data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mbanalyze.display import records as texts
from mbanalyze.display.result import FORMATS, Renderer, ResultSequence


def selected_formats(shown: Callable[[Any, int | None], list[Any]]) -> Mapping[str, Renderer]:
    """Return every format, of which CSV and JSON have the rows of the groups that `top` selects.

    Args:
        shown: returns the groups to show, out of a sequence of groups and the number `top`.
    """

    def records(result: Any, top: int | None = None, **_: Any) -> list[dict[str, Any]]:
        """The records of the rows to show."""
        groups = result if isinstance(result, ResultSequence) else result.by("op")
        own = {id(group): record for group, record in zip(groups, result.records(), strict=True)}
        return [own[id(group)] for group in shown(groups, top)]

    def csv(result: Any, **options: Any) -> str:
        return texts.csv(records(result, **options), result.columns())

    def json(result: Any, **options: Any) -> str:
        return texts.json({**result.as_dict(), "rows": records(result, **options)})

    return {**FORMATS, "csv": csv, "json": json}

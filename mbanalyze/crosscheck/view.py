"""A cross-check as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import RenderableType

from mbanalyze.display.tables import grid_of, html_table, markdown_table

if TYPE_CHECKING:
    from mbanalyze.crosscheck.witnesses import Agreement


def agreement_table(agreement: Agreement, width: int = 80) -> RenderableType:
    """A check for people: a line for each comparison."""
    return grid_of(agreement_columns(agreement), width)


def agreement_markdown(agreement: Agreement) -> str:
    """A check as a Markdown table."""
    columns = agreement_columns(agreement)
    return markdown_table(list(columns), list(zip(*columns.values(), strict=True)))


def agreement_html(agreement: Agreement) -> str:
    """A check as an HTML table."""
    return html_table(agreement_columns(agreement))


def agreement_columns(agreement: Agreement) -> dict[str, list[str]]:
    """A check's columns by heading, a cell for each comparison."""

    def counts(values: Iterable[int | None]) -> list[str]:
        return ["" if value is None else f"{value:,}" for value in values]

    made = agreement.comparisons
    return {
        "what": [c.what for c in made],
        "ours": counts(c.ours for c in made),
        "theirs": counts(c.theirs for c in made),
        "agree": ["yes" if c.agree else "NO" for c in made],
        "reason": [c.reason or "" for c in made],
    }

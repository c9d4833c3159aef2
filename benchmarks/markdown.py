"""Markdown tables of the results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table with its first `left` columns aligned to the left."""
    rule = [*["---"] * left, *["---:"] * (len(header) - left)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def failed(errors: Mapping[str, str]) -> str:
    """Return a list of failed measurements, each with its error."""
    return "Failed:\n\n" + ("\n".join(f"- {who}: {why}" for who, why in errors.items()) or "- none")

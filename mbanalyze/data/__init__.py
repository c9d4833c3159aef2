"""Facts that others printed, as CSV files: figures, how to read them, and measured speeds."""

from __future__ import annotations

import csv
import io
from importlib import resources


def table(name: str) -> list[dict[str, str]]:
    """The rows of the file `name`, by column."""
    text = (resources.files(__name__) / name).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))

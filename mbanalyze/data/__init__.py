"""CSV files of published data: figures of the papers, their counting conventions, errata, and measured speeds."""

from __future__ import annotations

import csv
import io
from importlib import resources


def read_table(name: str) -> list[dict[str, str]]:
    """Return the rows of the file `name` as dicts by column."""
    text = (resources.files(__name__) / name).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))

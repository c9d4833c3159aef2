"""Flat records as CSV, documents as JSON, and names on one line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def comma_separated(columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> str:
    """CSV with a header; unknown is an empty cell."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame in Python's own types; what is not known is None."""
    columns = {
        str(name): [
            None if unknown else value for value, unknown in zip(column.tolist(), column.isna(), strict=True)
        ]
        for name, column in frame.items()
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def one_line(text: str) -> str:
    """`text` with what does not print, such as a line break, spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def dump(document: Any) -> str:
    """JSON text, ending in a newline; an option that JSON has no word for is spelled as Python does."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"

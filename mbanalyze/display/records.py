"""Lists of flat records as CSV, any document as JSON, and the words for options and names."""

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


def settings(options: Mapping[str, Any]) -> str:
    """Options as the command line takes them: 'alpha=0.75 shallow=true'."""
    return " ".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in options.items()
    )


def one_line(text: str) -> str:
    """`text` with what does not print, such as a line break, spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def dump(document: Any) -> str:
    """JSON text, ending in a newline; an option that JSON has no word for is spelled as Python does."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"

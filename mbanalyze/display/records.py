"""Flat records as CSV and as frames, and documents as JSON."""

from __future__ import annotations

import csv as csv_module
import io
import json as json_module
import re
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from mbanalyze.inputs.parsing import spell_options

if TYPE_CHECKING:
    import pandas as pd

NULLABLE = re.compile(r"((backward_)?(macs|flops)|activations)(_before|_after|_change)?|saved_bytes")
"""Counts that may be unknown: nullable integers in a frame."""


def csv(records: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """CSV with a header and one line for each record.

    Unknown is an empty cell, a shape '1x3x224x224', options 'alpha=0.75 shallow=true'.
    """
    out = io.StringIO()
    writer = csv_module.writer(out, lineterminator="\n")
    names = columns or (list(records[0]) if records else [])
    writer.writerow(map(one_line, names))
    writer.writerows([_cell(record[name]) for name in names] for record in records)
    return out.getvalue()


def csv_of(columns: Mapping[str, Any] | pd.DataFrame) -> str:
    """CSV of a frame, or of arrays by name: a header and one line for each row; unknown is an empty cell."""
    out = io.StringIO()
    writer = csv_module.writer(out, lineterminator="\n")
    writer.writerow(one_line(str(name)) for name in columns)
    writer.writerows(zip(*(_texts(column) for _, column in columns.items()), strict=True))
    return out.getvalue()


def _texts(column: Any) -> list[Any]:
    """The values of a column, with escapes for characters that do not print."""
    values = values_of(column)
    if column.dtype.kind in "biuf":  # numbers need none
        return values
    return [one_line(value) if isinstance(value, str) else value for value in values]


def _cell(value: Any) -> Any:
    if isinstance(value, Mapping):
        value = spell_options(value, " ")
    elif isinstance(value, list | tuple):
        value = " ".join(
            map(shape, value) if value and isinstance(value[0], list | tuple) else map(str, value)
        )
    return one_line(value) if isinstance(value, str) else value


def frame(records: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> pd.DataFrame:
    """A pandas DataFrame of records; counts that may be unknown are nullable integers where 64 bits hold them."""
    import pandas as pd

    made = pd.DataFrame(records, columns=list(columns) if columns else None)
    for name in filter(NULLABLE.fullmatch, map(str, made)):
        counts = [record[name] for record in records]
        made[name] = pd.Series(counts, made.index, "Int64" if _fits(counts) else object)
    return made


def _fits(counts: Iterable[Any]) -> bool:
    """True if all counts are unknown or integers of 64 bits."""
    return all(count is None or (isinstance(count, int) and abs(count) < 2**63) for count in counts)


def json(document: Any) -> str:
    """JSON text that ends in a newline; a value that JSON does not have is spelled as in Python.

    Characters that do not print are escaped, which every reader undoes.
    """
    text = json_module.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=str)
    return re.sub(r"[^\n -~]", _escaped, text) + "\n"


def _escaped(found: re.Match[str]) -> str:
    """A character if it prints, else its escape in JSON."""
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return found[0] if found[0].isprintable() else re.sub("....", r"\\u\g<0>", units)


def finite(value: Any) -> Any:
    """`value`, or its spelling if it is an infinity or NaN, which JSON does not have."""
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def rows_of(columns: Mapping[str, Any] | pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame, or of arrays by name, as Python values; missing values are None."""
    values = {str(name): values_of(column) for name, column in columns.items()}
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def values_of(column: Any) -> list[Any]:
    """The values of a column of a frame, or of an array, as Python values; missing values are None."""
    values: list[Any] = column.tolist()
    if hasattr(column, "isna"):
        return [None if unknown else value for value, unknown in zip(values, column.isna(), strict=True)]
    if column.dtype.kind in "fO":  # NaN differs from itself
        return [None if value != value else value for value in values]  # noqa: PLR0124
    return values


def shape(sizes: Sequence[int]) -> str:
    """`(1, 3, 224, 224)` -> '1x3x224x224'; 'scalar' for a tensor without dimensions."""
    return "x".join(map(str, sizes)) or "scalar"


def one_line(text: str) -> str:
    """`text` with characters that do not print, such as line breaks, escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable(value: Any) -> Any:
    """`value` with `one_line` of each text in it, except subclasses of `str`, such as markup."""
    if type(value) is str:
        return one_line(value)
    if isinstance(value, Mapping):
        return {printable(key): printable(each) for key, each in value.items()}
    return [printable(each) for each in value] if isinstance(value, list | tuple) else value

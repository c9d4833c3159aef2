"""CSV files of published data.

published.csv        printed counts, accuracy and speed; `sweep/published_rows.py` chooses between sources
interpretations.csv  counting conventions of the figures
errata.csv           figures that are wrong
guidelines.csv       speeds that ShuffleNet V2 measured
devices.csv          peaks and bandwidths of GPUs, from their data sheets
"""

from __future__ import annotations

import csv
import io
from importlib import resources


def read_table(name: str) -> list[dict[str, str]]:
    """Return the rows of the file `name` as dicts by column."""
    text = (resources.files(__name__) / name).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))

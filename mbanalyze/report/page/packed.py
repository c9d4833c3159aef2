"""The texts that a page carries compressed: its libraries, and the report to download."""

from __future__ import annotations

import base64
import gzip
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from mbanalyze.display.result import Result

DOWNLOADS = {"csv": "text/csv", "json": "application/json"}
"""The formats to download, and their media types."""


@cache
def libraries() -> dict[str, str]:
    """Return the JavaScript libraries by name, packed.

    itables is located without an import, because importing it imports pandas.
    """
    from plotly.offline import get_plotlyjs

    spec = find_spec("itables")
    assert spec is not None and spec.origin is not None, "its absence was reported before"  # noqa: PT018
    tables = Path(spec.origin).parent / "html" / "dt_bundle.js"
    return {"plotly": _packed(get_plotlyjs().encode()), "datatables": _packed(tables.read_bytes())}


def documents(result: Result) -> dict[str, str]:
    """Return a result in each format of `DOWNLOADS`, packed: the bytes that the command line writes."""
    return {name: _packed(result.to(name).encode("utf-8")) for name in DOWNLOADS}


def file_name(model: str) -> str:
    """Return a model's name with characters that every file system takes, without a suffix.

    >>> file_name("nets/tiny.py:build"), file_name("..")
    ('nets_tiny.py_build', 'report')
    """
    return re.sub(r"[^A-Za-z0-9.=@-]+", "_", model).strip("._-")[:100] or "report"


def _packed(text: bytes) -> str:
    """Bytes compressed and base64-encoded."""
    return base64.b64encode(gzip.compress(text, mtime=0)).decode()

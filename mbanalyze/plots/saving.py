"""Save a figure as a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mbanalyze.display.files import require_writable, write
from mbanalyze.inputs.typed import AnyPath
from mbanalyze.plots.drawing import PlotError, figure_of

METADATA: dict[str, dict[str, Any]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""The metadata for each suffix; without dates, so that a figure always gives the same bytes."""
DESCRIPTION_KEYS = {".png": "Description", ".svg": "Description", ".pdf": "Subject"}
"""The metadata key of the description for each suffix."""
PNG_DPI = 200
"""Pixels per inch of a .png."""


def save(drawn: Axes | Figure, path: AnyPath, description: str = "") -> None:
    """Write a figure as .png, .svg or .pdf, whole or not at all; the same figure gives the same bytes.

    Args:
        drawn: the figure, or its axes.
        path: the file.
        description: text for the metadata of the file.

    Raises:
        PlotError: the suffix is unknown.
        OutputError: the file cannot be written.
    """
    suffix, file = check_format(path), Path(path)
    require_writable(file)
    write(file, encode(drawn, suffix, description))


def encode(drawn: Axes | Figure, suffix: str, description: str = "", *, close: bool = False) -> bytes:
    """Return the content of a file with a figure; the arguments are those of `save`.

    With `close`, pyplot forgets the figure, also after an error.
    """
    content, figure = io.BytesIO(), figure_of(drawn)
    metadata = METADATA[suffix] | ({DESCRIPTION_KEYS[suffix]: description} if description else {})
    try:
        with mpl.rc_context({"svg.hashsalt": "mbanalyze"}):
            dpi = PNG_DPI if suffix == ".png" else None
            figure.savefig(content, format=suffix[1:], dpi=dpi, metadata=metadata)
    finally:
        if close:
            plt.close(figure)
    return content.getvalue()


def check_format(path: AnyPath) -> str:
    """Return the suffix of `path` in lower case.

    Raises:
        PlotError: figures cannot be saved with this suffix.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in METADATA:
        raise PlotError(f"cannot save a plot as {file.name!r}: choose one of {', '.join(METADATA)}")
    return suffix

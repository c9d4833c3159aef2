"""Paths as arguments of the commands that messages advise."""

from __future__ import annotations

import os
from pathlib import Path


def argument(path: Path) -> str:
    """Return a path for a command line, relative to the current directory, with forward slashes.

    Shells and git on Windows read forward slashes too. A path on another drive of Windows stays absolute.
    """
    try:
        return Path(os.path.relpath(path)).as_posix()
    except ValueError:
        return path.absolute().as_posix()

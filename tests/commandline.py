"""Running the command line in a test, in this process or in its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple


class Ran(NamedTuple):
    """The result of a command."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def process(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own."""
    command = [sys.executable, "-m", "mbanalyze", *args]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, check=False)

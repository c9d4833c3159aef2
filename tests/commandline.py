"""Running the command line in a test, in this process or in its own."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import pytest
from warm import warm_python


class Ran(NamedTuple):
    """The result of a command."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def in_terminal(columns: int, *args: str, messages: bool = False, **env: str) -> str:
    """Return what the command line prints on a terminal of this width, without colour; stderr only if `messages`."""
    fcntl, termios = map(pytest.importorskip, ("fcntl", "termios"))
    main, other = os.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [_python(env), "-m", "mbanalyze", *args]
    plain = {**kept, "TERM": "xterm-256color", "NO_COLOR": "1", **env}
    stderr = other if messages else subprocess.DEVNULL
    with subprocess.Popen(command, stdin=other, stdout=other, stderr=stderr, env=plain) as running:
        os.close(other)
        printed = b""
        with suppress(OSError):  # the end of a terminal is an error
            while part := os.read(main, 2**16):
                printed += part
        os.close(main)
        assert running.wait() == 0, printed
    return re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", printed.decode()).replace("\r", "")


def process(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own."""
    command = [_python(env), "-m", "mbanalyze", *args]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, check=False)


def _python(env: dict[str, str]) -> str:
    """Return a new Python if one of the variables is read while it starts, else a warm one."""
    fresh = any(name.startswith(("PYTHON", "MPL")) for name in env)
    return sys.executable if fresh else warm_python()

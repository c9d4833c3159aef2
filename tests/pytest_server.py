"""Run pytest in processes that have the slow packages imported already, but not this project.

`python tests/pytest_server.py SOCKET` serves until it is killed. `python tests/pytest_server.py SOCKET ARG...` asks
it to run pytest with some arguments, and exits with pytest's exit code.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from contextlib import suppress

_TIMEOUT_S = 300
_PACKAGES = ("torch", "torch.utils.flop_counter", "fvcore.nn", "matplotlib.pyplot", "pandas", "typer")


def ask(path: str, arguments: list[str]) -> int:
    """Let the server run pytest, and return the exit code."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(json.dumps(arguments).encode() + b"\n")
        return client.recv(1)[0]


def serve(path: str) -> None:
    """Answer each connection in a process of its own."""
    for package in _PACKAGES:
        with suppress(ImportError):
            __import__(package)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                _answer(connection)


def _answer(connection: socket.socket) -> None:
    """Run pytest in a process, and send its exit code; 1 if a signal ended it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection.makefile() as lines:
        arguments = json.loads(lines.readline())
    pid = os.fork()
    if pid == 0:
        _run(arguments)
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):  # the one who asked was killed
        connection.sendall(bytes([1 if os.waitstatus_to_exitcode(status) else 0]))
    os._exit(0)


def _run(arguments: list[str]) -> None:
    """Run pytest, in silence and at most for some minutes, and end this process."""
    import pytest  # not before the fork: its plugins keep state

    signal.alarm(_TIMEOUT_S)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os._exit(int(pytest.main(arguments)))


if __name__ == "__main__":
    if sys.argv[2:]:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
    serve(sys.argv[1])

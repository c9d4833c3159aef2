"""Processes that have this project and the slow packages imported already: copies of one server on Linux.

`python tests/warm.py SOCKET` serves until its stdin ends. `python tests/warm.py SOCKET -m MODULE ARG...` asks it for a
process with this environment, folder, stdin, stdout and stderr, and exits with its exit code. In such a process,
`sys.executable` asks the server too.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

_TIMEOUT_S = 300
_PACKAGES = (
    "torch",
    "torch.fx.experimental.symbolic_shapes",
    "torch.utils.flop_counter",
    "fvcore.nn",
    "matplotlib.pyplot",
    "pandas",
    "mbanalyze.cli.program",
    "mbanalyze.plots",
)


@functools.cache
def warm_python() -> str:
    """Return a program that works as `python`, but faster; beside it is `mbanalyze`.

    Signals and limits do not reach its processes, and variables that Python reads when it starts have no effect.
    """
    if sys.platform != "linux":
        return sys.executable
    folder = tempfile.TemporaryDirectory(prefix="warm")
    path, program, command = (Path(folder.name, name) for name in ("socket", "python", "mbanalyze"))
    fresh, ask = shlex.quote(sys.executable), shlex.join([sys.executable, "-IS", __file__, str(path)])
    _write(program, f'case "$1" in -m | -c | -P | [!-]*) exec {ask} "$@" ;; esac\nexec {fresh} "$@"')
    _write(command, f'exec {ask} -m mbanalyze "$@"')
    server = subprocess.Popen([sys.executable, __file__, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout
    server.stdout.readline()  # it is ready
    atexit.register(folder.cleanup)
    atexit.register(server.wait)
    atexit.register(server.kill)
    return str(program)


def _write(program: Path, shell: str) -> None:
    program.write_text(f"#!/bin/sh\n{shell}\n", encoding="utf-8")
    program.chmod(0o755)


def serve(path: str) -> None:
    """Start processes until stdin ends."""
    for package in _PACKAGES:
        __import__(package)
    sys.executable = str(Path(path).with_name("python"))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()  # a collection in a copy leaves the shared memory alone
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    answer(connection)


def answer(connection: socket.socket) -> NoReturn:
    """Start a process, and send its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, *_ = socket.recv_fds(connection, 2**20, 3)
    pid = os.fork()
    if pid == 0:
        connection.close()
        os.setsid()
        start(streams, **json.loads(message))
    for stream in streams:
        os.close(stream)
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):  # the one who asked was killed
        connection.sendall(bytes([os.waitstatus_to_exitcode(status) % 256]))
    os._exit(0)


def start(streams: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> NoReturn:
    """Run a module, a file or a code as `python` does, and end this process without taking the packages down."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.dup2(streams[number], number)
        os.close(streams[number])
        line, errors = (1, "backslashreplace") if name == "stderr" else (-1, "strict")
        text = os.fdopen(number, "w" if number else "r", line, errors=errors, closefd=False)
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)
    signal.alarm(_TIMEOUT_S)
    tempfile.tempdir = None
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    code: object = 0
    try:
        run(arguments)
    except SystemExit as left:
        code = left.code
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else code is not None)


def run(arguments: list[str]) -> None:
    """Run a module, a file or a code with arguments; its folder is left out of `sys.path` after -P."""
    safe = arguments[0] == "-P"
    first, *rest = arguments[safe:]
    is_file = not first.startswith("-")
    sys.argv = [first, *rest] if is_file else rest
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    folder = str(Path(first).parent if is_file else Path.cwd())
    sys.path[:1] = [*([] if safe else [folder]), *filter(None, paths)]
    if is_file:
        runpy.run_path(first, run_name="__main__")
    elif first == "-m":
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv[0], code = first, rest[0]
        exec(code, {"__name__": "__main__"})  # noqa: S102


def ask(path: str, arguments: list[str]) -> int:
    """Let the server start a process, and return the exit code."""
    asked = {"arguments": arguments, "folder": str(Path.cwd()), "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect(path)
        socket.send_fds(client, [json.dumps(asked).encode()], [0, 1, 2])
        return client.recv(1)[0]


if __name__ == "__main__":
    if sys.argv[2:]:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
    serve(sys.argv[1])

"""Paths, encodings and processes as users on Windows and macOS have them, on any system."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from functools import partial
from operator import add
from pathlib import Path

import pytest
from commandline import Run

from mbanalyze.cli import streams
from mbanalyze.guard import command_paths, initialization
from mbanalyze.inputs.parsing import split_reference
from mbanalyze.sources import processes
from mbanalyze.sources.definitions import split_factory

BOM = b"\xef\xbb\xbf"
SPAWNING = processes.SERVER.replace(
    "\nmain()",
    """
from types import SimpleNamespace
from mbanalyze.sources import job_process
job_process.sys = SimpleNamespace(**{**vars(sys), "platform": "darwin"})
main()""",
)
"""A server that starts processes as on macOS and Windows."""
WITHOUT_POSIX = """
import os, pkgutil, signal, sys
import filelock, fvcore.nn, matplotlib.pyplot, multiprocessing.connection, pandas, rich, torch, typer
for name in ("fcntl", "grp", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
for name in ("fork", "killpg", "mkfifo", "sched_getaffinity", "setsid", "O_NONBLOCK"):
    delattr(os, name)
for name in ("SIGALRM", "SIGCHLD", "SIGKILL", "SIGPIPE", "alarm"):
    delattr(signal, name)
import mbanalyze
for module in pkgutil.walk_packages(mbanalyze.__path__, "mbanalyze."):
    if module.name not in ("mbanalyze.__main__", "mbanalyze.explorer"):
        __import__(module.name)
sys.argv = ["mbanalyze", "report", "mobilenet_v1", "--by", "kind"]
mbanalyze.cli.main()
"""


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `sys.platform` be that of Windows."""
    monkeypatch.setattr(sys, "platform", "win32")


@pytest.mark.parametrize(
    ("reference", "place", "factory"),
    [
        (r"C:\models\net.py:build", r"C:\models\net.py", "build"),
        ("C:/models/net.py:build", "C:/models/net.py", "build"),
        (r"models\net.py:build", r"models\net.py", "build"),
        (r"C:\models\net.py", r"C:\models\net.py", ""),
        (r"C:\models\net.onnx", r"C:\models\net.onnx", ""),
        ("d:/net.pt2", "d:/net.pt2", ""),
        ("p:build", "p", "build"),
    ],
)
def test_the_letter_of_a_drive_is_part_of_a_path(reference: str, place: str, factory: str) -> None:
    """The colon after the letter of a drive does not separate a factory from its file."""
    assert split_factory(reference) == (place, factory)


def test_options_follow_a_path_of_windows() -> None:
    """The options of a model follow the `@` behind a path with a drive and backslashes."""
    name, options = split_reference(r"C:\net@v1\net.py:build@width=8,act=relu")

    assert (name, options) == (r"C:\net@v1\net.py:build", {"width": 8, "act": "relu"})


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (r"models\net.py:build", "models/net.py:build"),
        (r"C:\models\net.py:build", "C:/models/net.py:build"),
        (r"files\net.onnx", "files/net.onnx"),
        ("torchvision:resnet18", "torchvision:resnet18"),
        ("package.module:build", "package.module:build"),
    ],
)
@pytest.mark.usefixtures("windows")
def test_a_policy_stores_forward_slashes(given: str, stored: str) -> None:
    """A reference that a user of Windows adds to a policy can be read on every system."""
    assert stored == initialization._portable(given)


def test_elsewhere_a_backslash_is_part_of_a_name() -> None:
    """Only on Windows does a backslash separate folders."""
    assert initialization._portable(r"models\net.py:build") == r"models\net.py:build"


def test_backslashes_get_advice_elsewhere(run: Run) -> None:
    """A policy with backslashes gets advice on a system that does not separate folders by them."""
    ran = run("report", r"models\net.py:build", "--input", "1,3,8,8")

    assert "there is no file models\\net.py: write its path with forward slashes" in " ".join(ran.err.split())
    assert ran.code == 2


@pytest.mark.parametrize("mark", [b"", BOM], ids=["plain", "mark"])
def test_files_that_windows_wrote_are_read(mark: bytes, project: Path, run: Run) -> None:
    """A policy and a lock with CRLF, and with the mark of an editor before UTF-8, are those with LF."""
    for name in ("pyproject.toml", "mbanalyze.lock.json"):
        content = (project / name).read_bytes()
        (project / name).write_bytes(mark + content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    assert run("guard").code == 0


def test_models_are_added_behind_the_mark(project: Path, run: Run) -> None:
    """`guard init` keeps the mark and the line ends of a policy."""
    policy = project / "pyproject.toml"
    before = BOM + policy.read_bytes().replace(b"\n", b"\r\n")
    policy.write_bytes(before)

    assert run("guard", "init", "mobilenet_v1").code == 0
    after = policy.read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == after.count(b"\r\n")


def test_a_path_on_another_drive_stays_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Advice names a file on another drive, to which no relative path leads, by its absolute path."""
    monkeypatch.setattr(os.path, "relpath", lambda _: (_ for _ in ()).throw(ValueError("another mount")))

    place = Path("lock.json").absolute()

    assert command_paths.argument(place) == place.as_posix()


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("1x3 → 1x8, ≥ 5 M", "1x3 -> 1x8, >= 5 M"),
        ("é \N{MULTIPLICATION SIGN}", "é \N{MULTIPLICATION SIGN}"),
        ("网", r"\u7f51"),
    ],
)
def test_a_console_gets_the_characters_that_it_has(text: str, printed: str) -> None:
    """A console of code page 1252 gets ASCII characters for signs that it lacks, and escapes for letters."""
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    stream = streams._Stream(console)
    stream.write(text)
    stream.flush()

    assert console.buffer.getvalue().decode("cp1252") == printed


@pytest.mark.parametrize("arguments", ["report mobilenet_v1", "compare mobilenet_v1 mobilenet_v2"])
def test_reports_are_printed_on_a_console_of_windows(arguments: str) -> None:
    """A command prints no escape on a console of code page 1252."""
    command = [sys.executable, "-m", "mbanalyze", *arguments.split()]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    ran = subprocess.run(command, capture_output=True, env=environment, check=True)

    assert b"\\u" not in ran.stdout
    assert ran.stdout.decode("cp1252").startswith(("mobilenet_v1", "Totals"))


@pytest.mark.usefixtures("windows")
def test_a_reader_that_leaves_is_no_error_on_windows() -> None:
    """On Windows, a write to a pipe without a reader may fail as an invalid argument."""
    assert streams._reader_left(OSError(errno.EINVAL, "Invalid argument"))
    assert not streams._reader_left(OSError(errno.ENOSPC, "No space"))


def test_the_end_of_a_process_is_told_without_sigkill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no SIGKILL, and a process that is ended there has the code of SIGTERM."""
    monkeypatch.delattr(signal, "SIGKILL", raising=False)

    assert processes._answer(Path("0.json"), -15, None).problem == "its process was ended by SIGTERM"


@pytest.mark.slow
def test_jobs_run_in_spawned_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run in new processes on systems that cannot copy one, such as Windows and macOS."""
    monkeypatch.setattr(processes, "SERVER", SPAWNING)
    jobs = [partial(add, 1, 2), partial(os._exit, 3), partial(add, 3, 4)]
    found = dict(processes.answers(jobs, preload=["json"]))

    assert (found[0].value, found[2].value) == (3, 7)
    assert found[1].problem == "its code ended the process with exit code 3"


@pytest.mark.slow
def test_every_module_is_imported_without_posix() -> None:
    """The package imports no module, and reads no name when it is imported, that only POSIX has."""
    ran = subprocess.run([sys.executable, "-c", WITHOUT_POSIX], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("mobilenet_v1")

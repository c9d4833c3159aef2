"""Signs of work: on a terminal's stderr, and nowhere else."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import process
from guarded import write_project
from warm import warm_python

pytestmark = pytest.mark.posix

CHECK = ("check", "squeezenet1_1", "--resolution", "64")


def on_terminal(*arguments: str, folder: Path, **env: str) -> tuple[int, str, str]:
    """Return the exit code, stdout in a file, and stderr on a terminal."""
    ours, theirs = os.openpty()
    variables = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", **env}
    command = [warm_python(), "-m", "mbanalyze", *arguments]
    with (folder / "out").open("wb") as out:
        ran = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=theirs, env=variables
        )
    os.close(theirs)
    seen = b"".join(_read(ours)).decode()
    return ran.wait(), (folder / "out").read_text(), seen


def _read(descriptor: int) -> Iterator[bytes]:
    """Yield what a terminal shows until its program ends."""
    try:
        while part := os.read(descriptor, 4096):
            yield part
    except OSError:  # the other side is closed
        return
    finally:
        os.close(descriptor)


def project(folder: Path) -> Path:
    """Write a guarded project."""
    write_project(folder)
    return folder


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (CHECK, {"counting with fvcore"}),
        (("published", "vgg"), {"counting networks"}),
        (("guard",), {"counting"}),
        (("ablate", "net.py:build", "--set", "alpha=1,0.5", "--input", "1,3,64,64"), {"tracing"}),
        (("report", "net.py:build", "--input", "1,3,64,64"), {"counting"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_work_is_shown_on_a_terminal(command: tuple[str, ...], words: set[str], tmp_path: Path) -> None:
    """Stderr on a terminal shows the step, and stdout in a file has the result alone."""
    code, out, err = on_terminal(*command, folder=project(tmp_path), CI="")

    assert code == int(command[0] == "guard")  # its first run writes the lock
    assert [word for word in words if word not in err] == []
    assert "\x1b" not in out
    assert not any(word in out for word in words if word != "counting")


def test_without_a_terminal_nothing_is_shown() -> None:
    """In pipes, stderr stays empty, also if colours are forced."""
    ran = process(*CHECK, FORCE_COLOR="1", TERM="xterm-256color")

    assert (ran.returncode, ran.stderr) == (0, "")


def test_no_color_is_respected(tmp_path: Path) -> None:
    """With NO_COLOR, the sign of work has no colours."""
    coloured = re.compile(r"\x1b\[[\d;]*3[0-7]m")
    _, _, plain = on_terminal("published", "vgg", folder=tmp_path, NO_COLOR="1")
    _, _, usual = on_terminal("published", "vgg", folder=tmp_path)

    assert not coloured.search(plain)
    assert coloured.search(usual)
    assert "counting networks" in plain

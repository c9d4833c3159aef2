"""The command line with closed, full or broken streams, and with signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commandline import Run, process
from witness import DATA

from mbanalyze import count
from mbanalyze.archs.catalog import Catalog
from mbanalyze.cli import signals
from mbanalyze.cli.streams import reserve_descriptors

pytestmark = pytest.mark.posix

NETS = str(DATA / "nets.py")
MBANALYZE = f"{sys.executable} -m mbanalyze"
NO_SPACE = "mbanalyze: error: cannot write to stdout: No space left on device\n"


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell in a folder."""
    bash = ["bash", "-c", command]
    return subprocess.run(bash, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams(closed: str, tmp_path: Path) -> None:
    """With closed streams, files are written whole, and errors have their exit code and are never on stdout."""
    written = shell(f"{MBANALYZE} report mobilenet_v1 --format json --output r.json {closed}", tmp_path)
    printed = shell(f"{MBANALYZE} models {closed}", tmp_path)
    failed = shell(f"{MBANALYZE} report nope {closed}", tmp_path)

    assert (written.returncode, written.stdout, written.stderr) == (0, "", "")
    assert (tmp_path / "r.json").read_text() == count("mobilenet_v1").to("json")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert ("resnet50" in printed.stdout) == (">&-" not in closed.split())
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("mbanalyze: error: ") == ("2>&-" not in closed)


def test_a_child_process_does_not_write_to_a_file(tmp_path: Path) -> None:
    """A model that writes to descriptor 1 while stdout is closed writes to no file of the command."""
    (tmp_path / "net.py").write_text(
        "import os\nfrom torch import nn\n"
        "def build():\n    held = open('held', 'w')\n    os.system('echo talk')\n    os.write(1, b'talk')\n"
        "    return nn.Linear(2, 2)\n"
    )
    ran = shell(f"{MBANALYZE} report net.py:build --input 1,2 --output r.txt >&- 2>&-", tmp_path)

    assert ran.returncode == 0
    assert (tmp_path / "held").read_text() == ""
    assert "talk" not in (tmp_path / "r.txt").read_text()


def test_free_descriptors_become_the_null_device() -> None:
    """Each free descriptor from 0 to 2 is the null device, also for child processes."""
    saved = os.dup(0)
    os.close(0)
    try:
        reserve_descriptors()
        assert os.fstat(0).st_rdev == Path(os.devnull).stat().st_rdev
        assert os.get_inheritable(0)
    finally:
        os.dup2(saved, 0)
        os.close(saved)


def test_python_without_streams(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `sys.stdout` and `sys.stderr`, as in pythonw, files are written and errors exit with 2."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        patch.setattr(sys, "stderr", None)
        codes = [
            run("models", "--output", str(tmp_path / "models")).code,
            run("models").code,
            run("report", "nope").code,
        ]

    assert codes == [0, 0, 2]
    assert (tmp_path / "models").read_text() == Catalog().to("table")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["models", "models --format json", "--help", "--version"])
def test_a_full_stdout(arguments: str, unbuffered: str, tmp_path: Path) -> None:
    """A full stdout is one line on stderr and exit code 2."""
    ran = shell(f"PYTHONUNBUFFERED={unbuffered} {MBANALYZE} {arguments} >/dev/full", tmp_path)

    assert (ran.returncode, ran.stderr) == (2, NO_SPACE)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_full_stderr_changes_nothing(tmp_path: Path) -> None:
    """Messages that cannot be written are lost; results and exit codes are not."""
    assert shell(f"{MBANALYZE} report nope 2>/dev/full", tmp_path).returncode == 2
    ran = shell(f"{MBANALYZE} report {NETS}:small --input 1,3,8,8 2>/dev/full", tmp_path)
    assert (ran.returncode, "total" in ran.stdout) == (0, True)


def test_a_reader_that_leaves_does_not_change_the_exit_code(tmp_path: Path) -> None:
    """After the reader has left, the exit code is still that of the result."""
    ran = shell(f"{MBANALYZE} search all --max-macs 1k | true; exit ${{PIPESTATUS[0]}}", tmp_path)

    assert (ran.returncode, ran.stderr) == (1, "")


def interrupted(after: float, number: int, *arguments: str) -> tuple[int, str]:
    """Return the exit code and stderr of a command that gets a signal after some seconds."""
    command = [sys.executable, "-m", "mbanalyze", *arguments]
    started = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    time.sleep(after)
    os.killpg(started.pid, number)
    _, err = started.communicate(timeout=120)
    return started.returncode, err


@pytest.mark.parametrize("after", [0.2, 0.4, 0.8, 1.2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_without_a_traceback(after: float, number: int) -> None:
    """At any time, Ctrl-C exits with 130 and SIGTERM with 143, and neither prints anything."""
    arguments = (f"{NETS}:small", "--set", "width=4,8,12,16", "--input", "1,3,8,8", "--workers", "2")

    assert interrupted(after, number, "ablate", *arguments) == (128 + number, "")


def test_a_signal_before_the_commands_are_imported() -> None:
    """A signal ends the process at once while the commands are imported."""
    script = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from mbanalyze.cli import main\n"
        "assert 'typer' not in sys.modules\n"
        "main()"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


def test_an_ignored_signal_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was started with SIGINT ignored, as by nohup, keeps ignoring it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        signals.Stop()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("columns", ["0", "abc", "1"])
def test_a_terminal_of_any_width(columns: str) -> None:
    """A table is printed whatever COLUMNS is, and 0 is the same as unset."""
    assert "resnet50" in process("models", COLUMNS=columns, TERM="dumb").stdout


def test_forced_colours_are_no_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spinner is shown on terminals only, also if colours are forced."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    ran = run("report", f"{NETS}:small", "--input", "1,3,2,2")

    assert (ran.code, ran.err.count("\x1b")) == (2, 0)


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    """In a folder that was removed, `guard` and output files are refused in one line."""
    gone = tmp_path / "gone"
    for arguments in ("guard", "models --output models.txt"):
        ran = shell(f"mkdir {gone}; cd {gone}; rmdir {gone}; {MBANALYZE} {arguments}", tmp_path)
        assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
        assert "unexpected" not in ran.stderr

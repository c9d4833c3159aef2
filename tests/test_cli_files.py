"""Output files of the command line: all of them or none, and paths that cannot be written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from commandline import Run
from warm import warm_python

from mbanalyze import guard
from mbanalyze.display.files import OutputError, kept, require_writable, write, written

pytestmark = pytest.mark.posix

PROFILE = str(Path(__file__).parent / "data/time_profile.json")
COMMANDS = [
    ("report", "mobilenet_v1"),
    ("check", "mobilenet_v1"),
    ("ablate", "mobilenet_v1"),
    ("compare", "mobilenet_v1", "mobilenet_v2"),
    ("search", "mobilenet"),
    ("models",),
    ("published", "vgg"),
    ("guidelines",),
    ("memory", "mobilenet_v1"),
    ("predict", "mobilenet_v1", "--profile", PROFILE),
    ("fit", "squeezenet1_1", "--memory", "100MB"),
    ("calibrate",),
    ("measure", "mobilenet_v1"),
    ("guard", "explain"),
]


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, str]:
    """Paths that cannot be written, with the reason."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere/file")
    return {
        "loop": "Too many levels of symbolic links",
        "loop/file": "Too many levels of symbolic links",
        "x" * 300: "File name too long",
        "folder": "Is a directory",
        "file/child": "Not a directory",
        "nowhere/file": "no such folder",
        "dangling": "no such folder",
        "a\0b": "embedded null byte",
    }


def test_paths_that_cannot_be_written(
    paths: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the path and the reason, before work and at the write."""
    monkeypatch.chdir(tmp_path)
    for path, reason in paths.items():
        for refuse in (require_writable, lambda path: write(path, "")):
            with pytest.raises(OutputError) as raised:
                refuse(Path(path))
            told = str(raised.value).replace("No such file or directory", "no such folder")
            assert told == f"cannot write {path}: {reason}"
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder", "loop", "dangling"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(tmp_path: Path) -> None:
    """A file or folder without permission is refused."""
    (tmp_path / "file").touch(mode=0o400)
    (tmp_path / "folder").mkdir(mode=0o500)
    for path in (tmp_path / "file", tmp_path / "folder" / "file"):
        with pytest.raises(OutputError, match="Permission denied"):
            require_writable(path)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_refuses_them(
    command: tuple[str, ...], paths: dict[str, str], project: Path, run: Run
) -> None:
    """Every command with an output path refuses it in one line before its work."""
    for option in (
        ("--output", "--plot") if command[0] in ("report", "ablate", "search", "compare") else ("--output",)
    ):
        for path, reason in paths.items():
            if "\0" not in path:  # no system passes it as an argument
                expected = f"mbanalyze: error: cannot write {path}: {reason}\n"
                assert run(*command, option, path) == (2, "", expected)


def test_guard_refuses_them(paths: dict[str, str], project: Path, run: Run) -> None:
    """The files of `guard` and `guard diff` are checked too."""
    for path, reason in paths.items():
        for command in (("guard",), ("guard", "diff", "--base", "HEAD")):
            ran = run(*command, "--output", f"junit={path}")
            assert (ran.code, ran.out) == (2, "")
            assert ran.err.endswith(f": {reason}\n")


def test_a_long_name_is_written(tmp_path: Path) -> None:
    """A name as long as the file system allows is written: the temporary file has a shorter one."""
    file = tmp_path / ("x" * 255)
    require_writable(file)
    write(file, "text")

    assert [file] == list(tmp_path.iterdir())


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from mbanalyze.cli import main
main()
"""
"""The command line with a disk that is full after a number of bytes of a file, its first argument."""
PLOTTED = [
    ("report", "mobilenet_v1", "--plot", "p.svg"),
    ("report", "mobilenet_v1", "--plot", "p.png", "--output", "r.csv", "--format", "csv"),
    ("report", "mobilenet_v1", "--output", "r.html", "--format", "html"),
    ("ablate", "mobilenet_v1", "--alpha", "1,0.5", "--plot", "p.pdf"),
    ("ablate", "mobilenet_v1", "--alpha", "1,0.5", "--plot", "p.pdf", "--output", "a.txt"),
    ("search", "mobilenet", "--plot", "p.png"),
    ("compare", "mobilenet_v1", "mobilenet_v2", "--output", "c.md", "--format", "markdown"),
    ("compare", "mobilenet_v1", "mobilenet_v2", "--plot", "c.svg"),
    ("published", "vgg", "--output", "p.json", "--format", "json"),
    ("guidelines", "--output", "g.txt"),
    ("memory", "mobilenet_v1", "--plot", "m.png", "--output", "m.csv"),
    ("predict", "mobilenet_v1", "--profile", PROFILE, "--plot", "t.png", "--output", "t.csv"),
    ("models", "--output", "m.txt"),
    ("guard",),
    ("guard", "update"),
    ("guard", "--output", "junit=g.xml", "--output", "json=g.json"),
]


@pytest.mark.parametrize("command", PLOTTED, ids=" ".join)
def test_a_full_disk(command: tuple[str, ...], tmp_path: Path) -> None:
    """On a full disk, a command prints nothing, leaves no file, says so in one line and exits with 2."""
    policy = tmp_path / "mbanalyze.toml"
    policy.write_text('[models.small]\nsource = "mobilenet_v1"\n')
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    ran = subprocess.run(
        [warm_python(), "-c", LIMITED, "100", *command],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("mbanalyze: error: cannot write ")
    assert ran.stderr.endswith(": File too large\n")
    assert ran.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [policy]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
@pytest.mark.parametrize(
    "command",
    [
        ("report", "mobilenet_v1", "--plot", "p.svg"),
        ("ablate", "mobilenet_v1", "--alpha", "1,0.5", "--plot", "p.svg"),
        ("guard", "--output", "junit=p.svg"),
        ("guard", "update"),
    ],
    ids=" ".join,
)
def test_a_full_stdout_changes_no_file(command: tuple[str, ...], project: Path) -> None:
    """If stdout cannot be written, no file is new and none has changed, the guard's lock included."""
    (project / "net.py").write_text((project / "net.py").read_text().replace("8", "9"))
    (project / "p.svg").write_text("old")
    before = {path: path.read_bytes() for path in project.iterdir() if path.is_file()}
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123
        ran = subprocess.run(
            [warm_python(), "-m", "mbanalyze", *command], stdout=full, stderr=subprocess.PIPE, check=False
        )

    assert ran.returncode == 2
    assert ran.stderr.endswith(b"cannot write to stdout: No space left on device\n")
    assert {path: path.read_bytes() for path in project.iterdir() if path.is_file()} == before


def test_files_are_put_back_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a later file or the block fails, earlier files are as before, with links or copies as backups."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("old")

    def no_links(*_: object) -> None:
        raise PermissionError

    for patched in (False, True):
        if patched:
            monkeypatch.setattr(Path, "hardlink_to", no_links)
        with pytest.raises(ZeroDivisionError), written({old: "1", new: "2"}):
            print(old.read_text() == "1" and new.read_text() == "2" and 1 / 0)
        with pytest.raises(OutputError), written({old: "1", new: "2", tmp_path: "3"}):
            pass
        assert (list(tmp_path.iterdir()), old.read_text()) == ([old], "old")


def test_the_second_rename_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the second of two files cannot be put in place, the first is removed again."""
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if target.name == "second":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with (
        pytest.raises(OutputError, match="second: No space"),
        written({tmp_path / "first": "1", tmp_path / "second": "2"}),
    ):
        pass

    assert list(tmp_path.iterdir()) == []


def test_a_file_is_kept_if_the_block_fails(tmp_path: Path) -> None:
    """A file that the block replaces is put back, one that it makes is removed, and a device is left alone."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("old")
    with pytest.raises(ZeroDivisionError), kept(old), kept(new), kept(Path("/dev/null")):
        print(old.write_text("changed") and new.write_text("new") and 1 / 0)

    assert (old.read_text(), new.exists(), Path("/dev/null").exists()) == ("old", False, True)


SURROGATE = """
from torch import nn
class Net(nn.Module):
    def __init__(self, width=2):
        super().__init__()
        self.parts = nn.ModuleDict({"\\ud800\\u202e\\x1b[31m": nn.Linear(2, width)})
    def forward(self, x):
        for part in self.parts.values(): x = part(x)
        return x
"""


@pytest.mark.parametrize("format", ["table", "markdown", "csv", "json", "html"])
def test_names_that_utf_8_cannot_encode(format: str, tmp_path: Path, run: Run) -> None:
    """A lone surrogate in a name is escaped, on stdout as in a file."""
    (tmp_path / "net.py").write_text(SURROGATE)
    model, file = f"{tmp_path}/net.py:Net", tmp_path / "out"
    commands: list[tuple[str, ...]] = [("report", model)]
    if format != "html":
        commands += [("compare", model, f"{model}@width=3"), ("guidelines", model)]
        commands += [("ablate", model, "--set", "width=2,3")]
    for command in commands:
        options = (*command, "--input", "1,2", "--format", format)
        printed = run(*options)
        assert (printed.code, printed.err) == (0, "")
        assert run(*options, "--output", str(file)).code == 0
        assert file.read_text(encoding="utf-8") == printed.out
        assert {"\x1b", "\u202e", "\ud800"}.isdisjoint(printed.out)


def test_the_guard_takes_such_names(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard writes such a name to its lock and its files, and reads it again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    (tmp_path / "net.py").write_text(SURROGATE)
    policy = '[models.net]\nsource = "net.py:Net"\ninputs = ["1,2"]\n'
    (tmp_path / "mbanalyze.toml").write_text(policy)
    outputs = [f"--output={format}={format}" for format in ("junit", "sarif", "json", "csv", "markdown")]

    assert run("guard").code == 1
    assert run("guard", *outputs).code == 0
    (tmp_path / "mbanalyze.toml").write_text(f"{policy}options = {{ width = 3 }}\n")
    assert run("guard", *outputs).code == 1
    assert "parts.\\ud800\\u202e\\x1b[31m" in (tmp_path / "junit").read_text(encoding="utf-8")
    known = guard.lock.read(tmp_path / "mbanalyze.lock.json")
    assert known is not None
    assert [layer.path for layer in known.models["net"].layers] == ["parts.\ud800\u202e\x1b[31m"]


def test_error_lines_escape_what_they_quote(run: Run, tmp_path: Path) -> None:
    """Characters that do not print are escaped in error lines, from arguments and from files."""
    policy = tmp_path / "mbanalyze.toml"
    policy.write_text('[models."\\u001b[31m\\u202e"]\nsource = 1.5\n')
    ran = run("guard", "--config", str(policy))
    named = run("report", "\x1b[31m\u202e\u2028\ud800")

    assert (ran.code, named.code) == (2, 2)
    assert r"\x1b[31m" in ran.err
    for err in (ran.err, named.err):
        assert err.count("\n") == 1
        assert err[:-1].isprintable()


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "mobilenet_v2", "--set", "alpha=" + "[" * 50_000 + "]" * 50_000),
        ("report", "mobilenet_v2@alpha=" + "[" * 50_000 + "]" * 50_000),
        ("report", "mobilenet_v2", "--set", f"alpha={'9' * 10**5}"),
        ("report", "mobilenet_v2", "--resolution", "9" * 10**5),
        ("ablate", "mobilenet_v2", "--alpha", "1:1e999999999:1"),
        ("ablate", "mobilenet_v2", "--alpha", f"1,{'9' * 10**5}"),
        ("search", "mobilenet", "--max-macs", "9" * 10**5),
        ("search", "mobilenet", "--max-macs", "9" * 400),
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_huge_arguments(arguments: tuple[str, ...], run: Run) -> None:
    """Deep lists and long numbers are refused in one line."""
    ran = run(*arguments)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "unexpected" not in ran.err


def test_a_backend_that_does_not_load(tmp_path: Path) -> None:
    """If matplotlib does not start, --plot is refused before the work."""
    from commandline import process

    ran = process("report", "mobilenet_v1", "--plot", str(tmp_path / "p.png"), MPLBACKEND="nonsense")

    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert ran.stderr.startswith("mbanalyze: error: matplotlib does not start")

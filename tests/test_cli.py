"""The command line: errors, output files, help, completion and terminals."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import Run, in_terminal, process
from witness import DATA

from mbanalyze import count
from mbanalyze.display import files as output

NETS = str(DATA / "nets.py")
PROFILE = str(DATA / "time_profile.json")


CHATTER = ("a script may talk while it is imported", "and while it builds")
BAD = [
    (["report", "mobilenet_v9"], "unknown model 'mobilenet_v9': nearest are mobilenet_v2, mobilenet_v1"),
    (["report", "resnet"], "unknown model 'resnet'"),
    (["report"], "'mbanalyze report' needs MODEL: see 'mbanalyze report --help'"),
    (["reprot", "mobilenet_v2"], "no command 'reprot': did you mean report?"),
    (["report", "mobilenet_v2", "--alpha", "0"], "alpha must be a number above 0"),
    (["report", "mobilenet_v2", "--alpha", "-0.5"], "alpha must be a number above 0"),
    (["report", "mobilenet_v2", "--alpha", "nan"], "alpha must be a number above 0"),
    (["report", "mobilenet_v2", "--alpha", "inf"], "alpha must be a number above 0"),
    (["report", "mobilenet_v2", "--alpha", "wide"], "--alpha"),
    (["report", "mobilenet_v2", "--set", "alpha=wide"], "alpha must be a number above 0"),
    (["report", "mobilenet_v2", "--resolution", "0"], "resolution must be a whole number from 1"),
    (["report", "mobilenet_v2", "--resolution", "-3"], "resolution must be a whole number from 1"),
    (["report", "mobilenet_v2", "--resolution", "99.5"], "--resolution"),
    (["report", "mobilenet_v2", "--batch", "0"], "batch must be a whole number"),
    (["report", "mobilenet_v2", "--batch", "-1"], "batch must be a whole number"),
    (["report", "mobilenet_v2", "--set", "shallow=true"], "mobilenet_v2 has no option 'shallow'"),
    (["report", "mobilenet_v2", "--set", "alpha"], "malformed option 'alpha': give key=value"),
    (["report", "mobilenet_v2", "--set", "=1"], "malformed option '=1'"),
    (["report", "mobilenet_v2", "--input", "1,3,8,8"], "takes its input from resolution and batch"),
    (
        ["report", "mobilenet_v2", "--format", "yaml"],
        "unknown format 'yaml': choose one of table, markdown, csv, json, html",
    ),
    (
        ["report", "mobilenet_v2", "--by", "layer"],
        "unknown grouping 'layer': choose one of op, module, block, kind",
    ),
    (
        ["report", "mobilenet_v2", "--dtype", "int3"],
        "unknown dtype 'int3': choose one of float32, float16, bfloat16, int8, float64,",
    ),
    (["report", "mobilenet_v2", "--nonsense"], "no option --nonsense: see 'mbanalyze report --help'"),
    (
        ["report", "no.such.module:build", "--input", "1,3"],
        "cannot import no.such.module: ModuleNotFoundError",
    ),
    (["report", "no_such_file.py:build", "--input", "1,3"], "there is no file no_such_file.py"),
    (["report", f"{NETS}:absent", "--input", "1,3"], "has no 'absent'"),
    (["report", f"{NETS}:number", "--input", "1,3"], "is of type int, not a function, class or module"),
    (["report", f"{NETS}:broken", "--input", "1,3"], "broken raised KeyError"),
    (["report", f"{NETS}:leave", "--input", "1,3"], "leave raised SystemExit: 3"),
    (
        ["report", f"{NETS}:dictionary", "--input", "1,3"],
        "returned an object of type dict, not a torch.nn.Module",
    ),
    (
        ["report", f"{NETS}:small", "--set", "depth=2", "--input", "1,3"],
        "small has no argument 'depth': did you mean width? its arguments are width",
    ),
    (["report", f"{NETS}:small"], "needs the shape of its input"),
    (["report", f"{NETS}:small", "--input", "1,3,x,8"], "malformed input '1,3,x,8'"),
    (["report", f"{NETS}:small", "--input", "1,3,0,8"], "malformed input '1,3,0,8'"),
    (["report", f"{NETS}:small", "--input", "1,3,8,"], "malformed input '1,3,8,'"),
    (["report", f"{NETS}:small", "--input", ""], "RuntimeError in module '0'"),
    (["report", f"{NETS}:small", "--input", "size=[1"], "malformed input 'size=[1'"),
    (["report", f"{NETS}:small", "--input", "tensor:[[1],2]"], "no such input"),
    (["report", f"{NETS}:small"], "small needs the shape of its input, such as --input 1,3,224,224"),
    (["report", f"{NETS}:small", "--input", "1,3,2,2"], "RuntimeError in module '0'"),
    (["report", f"{NETS}:small", "--input", "99999999999,99999999999,8,8"], "no such input"),
    (["report", f"{NETS}:picky", "--input", "2,2", "--no-real"], "in module '1'"),
    (
        ["report", f"{NETS}:small", "--batch", "2", "--input", "1,3,8,8"],
        "the shape of its input states the size",
    ),
    (["report", f"{NETS}:small", "--set", "widht=2", "--input", "1,3"], "'widht': did you mean width?"),
    (["report", f"{NETS}::small", "--input", "1,3"], "nets.py::small': write "),
    (["report", f"{NETS}:small", "--input", "1,1,8,8"], "Invalid channel dimensions: it takes 3 channels"),
    (["report", "zzzz"], "unknown model 'zzzz': known are mobilenet_v1, "),
    (["ablate", "resnet34"], "error: resnet34 is not known in closed form"),
    (
        ["report", "mobilenet_v2", "--input", "8,1,96,128"],
        "write mobilenet_v2@resolution=96x128,in_channels=1,batch=8",
    ),
    (
        ["report", "mobilenet_v2", "--output", "/no/such/folder/r.json"],
        "cannot write /no/such/folder/r.json: no such folder",
    ),
    (["report", "alexnet", "--resolution", "32"], "features.12: a window of 3 does not fit its 1 x 1 input"),
    (["report", "vgg16", "--resolution", "16", "--trace"], "in module 'features.30'"),
    (["report", "shufflenet_v1", "--alpha", "0.5", "--set", "groups=4"], "groups=4 do not divide"),
    (
        ["report", "shufflenet_v2_x1_5", "--alpha", "1"],
        "shufflenet_v2_x1_5 implies alpha=1.5: leave alpha out",
    ),
    (["report", "mobilenet_v2", "--alpha", "1", "--set", "alpha=0.5"], "alpha is given twice"),
    (["report", "mobilenet_v2", "--set", "what=1"], "mobilenet_v2 has no option 'what'"),
    (
        ["report", "mobilenet_v2", "--set", "num_classes=1000000000", "--trace"],
        "mobilenet_v2 raised RuntimeError",
    ),
    (["report", "mobilenet_v2", "--set", "alpha=[1,[2"], "alpha must be"),
    (["report", "mobilenet_v2", "--set", "alpha=[1,[2]"], "malformed value '[1,[2]': write it as JSON"),
    (["report", "mobilenet_v2", "--batch", "99999999999999999999"], "batch must be a whole number"),
    (["report", f"{NETS}:small", "--input", "1,3,99999999999999999999,8"], "no such input"),
    (["report", f"{NETS}:exiting", "--input", "1,3"], "raised SystemExit in module '0'"),
    (["report", f"{NETS}:moody", "--input", "1,3"], "has no 'moody'"),
    (["check", "mobilenet_v9"], "unknown model"),
    (["check", f"{NETS}:small", "--input", "1,3,2,2"], "RuntimeError in module '0'"),
    (["models", "--format", "html"], "unknown format 'html': choose one of table, markdown, csv, json"),
]


@pytest.mark.parametrize(
    ("args", "problem"), BAD, ids=[" ".join(args).replace(NETS, "nets.py") for args, _ in BAD]
)
def test_bad_input_ends_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], problem: str
) -> None:
    """An error prints one line on stderr, exits with 2, and writes nothing to stdout or disk."""
    monkeypatch.chdir(tmp_path)
    output = [] if "--output" in args or args[0] != "report" else ["--output", "out.txt"]
    ran = run(*args, *output)
    said = [line for line in ran.err.splitlines() if line not in CHATTER]

    assert ran.code == 2
    assert ran.out == ""
    assert len(said) == 1
    assert said[0].startswith("mbanalyze: error: ")
    assert problem in said[0]
    assert list(tmp_path.iterdir()) == []


def test_no_traceback_from_a_process() -> None:
    """A process prints one line on stderr and exits with 2, as the tests in this process do."""
    ran = process("report", "mobilenet_v9")

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1


def test_output_is_written_whole(run: Run, tmp_path: Path) -> None:
    """--output writes the text of stdout with the usual permissions, and leaves no other file."""
    target = tmp_path / "report.json"
    target.write_text("old")
    ran = run("report", "mobilenet_v1", "--format", "json", "--output", str(target))
    mode = stat.S_IMODE(target.stat().st_mode)
    other = tmp_path / "other"
    other.touch()

    assert ran == (0, "", "")
    assert target.read_text() == count("mobilenet_v1").to("json")
    assert mode == stat.S_IMODE(other.stat().st_mode)
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "other"}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed write keeps the old file and leaves no temporary one."""
    target = tmp_path / "report.json"
    target.write_text("old")

    def full(_: Path, __: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(output.OutputError, match=r"cannot write .*report.json: No space left"):
        output.write(target, "new")

    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_output_keeps_the_files_permissions(run: Run, tmp_path: Path) -> None:
    """A file keeps its permissions, and `-` is stdout."""
    target = tmp_path / "private"
    target.touch(mode=0o600)
    run("report", "mobilenet_v1", "--output", str(target))

    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert run("report", "mobilenet_v1", "--output", "-").out == target.read_text()


def test_an_unexpected_exception_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception exits with 2, and MBANALYZE_TRACEBACK=1 shows its traceback."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("odd")

    monkeypatch.setattr("mbanalyze.sources.resolve.resolve", fail)
    ran = run("report", "mobilenet_v1")
    monkeypatch.setenv("MBANALYZE_TRACEBACK", "1")

    assert ran.code == 2
    assert (
        ran.err == "mbanalyze: error: unexpected ZeroDivisionError: odd (MBANALYZE_TRACEBACK=1 shows where)\n"
    )
    assert "Traceback" in run("report", "mobilenet_v1").err


@pytest.mark.posix
def test_output_to_a_device(run: Run) -> None:
    """A device is written to, not replaced."""
    assert run("report", "mobilenet_v1", "--output", "/dev/null").code == 0
    assert not Path("/dev/null").is_file()


def test_help_has_examples(run: Run) -> None:
    """Help has examples, and running without arguments prints help and exits with 0."""
    lines = [line.strip() for line in run("report", "--help").out.splitlines()]

    assert "mbanalyze report mobilenet_v2 --alpha 0.75 --resolution 192" in lines
    assert "mbanalyze check mobilenet_v2" in run("check", "-h").out
    assert run() == run("--help")
    assert run().code == 0
    assert run("--version").out.startswith("mbanalyze 0.")


def test_a_reader_that_leaves_is_no_error() -> None:
    """A reader that closes the pipe causes no error message."""
    shell = f"{sys.executable} -m mbanalyze report mobilenet_v2 --format json | head -c 10"
    ran = subprocess.run(shell, shell=True, capture_output=True, text=True, check=False)  # noqa: S602

    assert (ran.stdout, ran.stderr) == ('{\n  "schem', "")


@pytest.mark.posix
def test_a_terminal_without_unicode_gets_a_report(tmp_path: Path) -> None:
    """Characters that stdout cannot encode are replaced; a file keeps them."""
    command = ("report", "mobilenet_v1", "--by", "kind")
    ran = process(*command, PYTHONIOENCODING="ascii")

    assert ran.returncode == 0
    assert "568,740,352" in ran.stdout
    assert "######" in ran.stdout
    process(*command, "--output", str(tmp_path / "report.txt"), PYTHONIOENCODING="ascii")
    assert "██████" in (tmp_path / "report.txt").read_text()
    shown = in_terminal(133, *command, PYTHONIOENCODING="ascii")
    assert "######" in shown
    assert "-" * 60 in shown
    assert "\\u" not in shown


@pytest.mark.posix
def test_only_a_terminal_has_a_width(tmp_path: Path) -> None:
    """A table fits a terminal or COLUMNS in one; a pipe and a file have every column unless --width is given."""
    command, file = ("report", "alexnet", "--by", "kind"), tmp_path / "report.txt"
    narrow, wide = (in_terminal(columns, *command).splitlines() for columns in (60, 120))
    process(*command, "--output", str(file))

    assert max(map(len, narrow)) <= 60
    assert "hidden at this width" in "".join(narrow)
    assert "hidden at this width" not in "".join(wide)
    assert max(map(len, in_terminal(120, *command, COLUMNS="60").splitlines())) <= 60
    assert "hidden" not in (piped := process(*command, COLUMNS="40").stdout)
    assert file.read_text() == piped
    assert max(map(len, process(*command, "--width", "60").stdout.splitlines())) <= 60


def test_every_command_with_tables_takes_a_width(run: Run, project: Path) -> None:
    """--width limits the tables of each command, and is refused with other formats and below 1."""
    commands = (
        "check squeezenet1_1 --resolution 64",
        "compare mobilenet_v1 mobilenet_v2",
        "ablate mobilenet_v1 --alpha 1,0.5",
        "search mobilenet_v1 --max-macs 100M",
        "published mobilenet_v1",
        "guidelines mobilenet_v1 --top 2",
        "guidelines",
        "memory mobilenet_v1",
        "fit squeezenet1_1 --memory 100MB --resolution 32",
        f"predict mobilenet_v1 --profile {PROFILE}",
        "models",
        "guard",
        "guard update",
        "guard explain small",
    )
    for command in commands:
        ran = run(*command.split(), "--width", "72")
        assert (ran.code, ran.err) == (0, ""), command
        assert all(len(line) <= 72 or "@" in line for line in ran.out.splitlines()), command

    refused = "mbanalyze: error: --width is for tables, not for csv: leave it out\n"
    assert run("models", "--format", "csv", "--width", "80") == (2, "", refused)
    assert run("models", "--width", "0").code == 2


def test_colour_follows_the_environment() -> None:
    """There is no colour without a terminal or with NO_COLOR."""
    wide = process("report", "mobilenet_v1")
    forced = process("report", "mobilenet_v1", "--by", "kind", FORCE_COLOR="1", TERM="xterm-256color")
    plain = process(
        "report", "mobilenet_v1", "--by", "kind", FORCE_COLOR="1", NO_COLOR="1", TERM="xterm-256color"
    )

    assert "\x1b[" not in wide.stdout
    assert "\x1b[36m" in forced.stdout
    assert "\x1b[36m" not in plain.stdout

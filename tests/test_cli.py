"""The command line, as a user and as a script meet it."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import Run, process
from witness import DATA

from mbanalyze import count
from mbanalyze.archs import ARCHS
from mbanalyze.display import files as output
from mbanalyze.literature.verdicts import published
from mbanalyze.literature.view import summary
from mbanalyze.memory_access.analysis import guidelines
from mbanalyze.memory_access.experiments import TITLES, series

NETS = str(DATA / "nets.py")


def test_a_report_is_what_the_library_says(run: Run) -> None:
    """The command is a few lines over `count`."""
    ran = run("report", "mobilenet_v2", "--alpha", "0.75", "--resolution", "192")

    assert ran == (0, count("mobilenet_v2", alpha=0.75, resolution=192).to("table"), "")


@pytest.mark.parametrize("format", ["markdown", "csv", "json", "html"])
@pytest.mark.parametrize("by", [None, "block"])
def test_formats(run: Run, format: str, by: str | None) -> None:
    """Every format, with and without a grouping, is the library's text."""
    grouping = ["--by", by] if by else []
    ran = run("report", "mobilenet_v1", "--set", "shallow=true", "--format", format, *grouping)

    assert ran == (0, count("mobilenet_v1", shallow=True).to(format, by), "")


@pytest.mark.parametrize("name", ARCHS)
def test_every_network_in_every_format(run: Run, name: str) -> None:
    """Reports of all networks, by all groupings."""
    for format in ("table", "markdown", "csv", "json"):
        for by in ("op", "module", "block", "kind"):
            ran = run("report", name, "--format", format, "--by", by)
            assert (ran.code, ran.err) == (0, "")
            assert ran.out


def test_options_reach_the_report(run: Run) -> None:
    """Batch, dtype and settings are in the document."""
    ran = run(
        *("report", "mobilenet_v2", "--batch", "2", "--dtype", "int8", "--set", "num_classes=10"),
        *("--format", "json"),
    )
    document = json.loads(ran.out)

    assert document["input"] == [[2, 3, 224, 224]]
    assert document["options"] == {"alpha": 1.0, "resolution": 224, "num_classes": 10, "round_nearest": 8}
    assert document["totals"]["memory_access_bytes"] == document["totals"]["memory_access"]


def test_trace_and_closed_form_print_the_same_rows(run: Run) -> None:
    """Only the method, the versions and what was free differ."""
    one, other = (
        json.loads(run("report", "mobilenet_v2", "--alpha", "0.35", "--format", "json", *extra).out)
        for extra in ([], ["--trace"])
    )

    assert one["rows"] == other["rows"]
    assert one["totals"] == other["totals"]
    assert (one["method"], other["method"]) == ("closed-form", "trace")
    assert other["free"] == {"flatten": 1, "dropout": 1}


def test_a_factory_in_a_file(run: Run) -> None:
    """Its chatter goes to stderr, its arguments come from --set, its input from --input."""
    ran = run("report", f"{NETS}:small", "--input", "1,3,8,8", "--set", "width=4", "--format", "json")
    document = json.loads(ran.out)

    assert ran.code == 0
    assert document["method"] == "trace"
    assert document["options"] == {"width": 4}
    # 4 filters of 3 x 3 x 3 over 6 x 6
    assert document["totals"]["macs"] == 4 * 36 * 27
    assert "talk while it is imported" in ran.err


def test_a_factory_in_a_package(run: Run) -> None:
    """package.module:factory, a class here; and --alpha is an argument like any other."""
    ran = run(
        *("report", "mbanalyze.models:MobileNetV1", "--alpha", "0.25"),
        *("--input", "1,3,224,224", "--format", "json"),
    )

    assert json.loads(ran.out)["totals"]["macs"] == 41_030_272


def test_a_factory_beside_the_user(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules in the current directory are found, and can import their neighbours."""
    (tmp_path / "neighbour_net.py").write_text("from torch.nn import ReLU\n")
    (tmp_path / "own_net.py").write_text("from neighbour_net import ReLU\n")
    monkeypatch.chdir(tmp_path)

    assert run("report", "own_net:ReLU", "--input", "2,2").code == 0
    assert run("report", "own_net.py:ReLU", "--input", "2,2").code == 0
    assert str(tmp_path) not in sys.path


def test_a_module_that_is_already_built(run: Run) -> None:
    """A name that holds a module is as good as a factory."""
    assert "conv standard" in run("report", f"{NETS}:ready", "--input", "1,3,8,8").out


def test_an_ordinary_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dataclasses with postponed annotations, and imports of neighbours while the model is built."""
    (tmp_path / "late_neighbour.py").write_text("width = 3\n")
    (tmp_path / "ordinary.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "from torch import nn\n"
        "@dataclass\n"
        "class Config:\n"
        "    kind: ClassVar[str] = 'x'\n"
        "    width: int = 2\n"
        "def build():\n"
        "    from late_neighbour import width\n"
        "    return nn.Linear(width, Config().width)\n"
    )
    monkeypatch.chdir(tmp_path.parent)

    assert "linear" in run("report", f"{tmp_path}/ordinary.py:build", "--input", "1,3").out


def test_lists_and_words_reach_a_factory(run: Run) -> None:
    """Settings are typed: JSON lists, lists of words, booleans, numbers, and words that look like nothing else."""
    settings = ["a=[1,[2,3]]", "b=[x,y]", "c=true", "d=.5", "e=nan", "f=none", "g=-3"]
    ran = run(
        *("report", f"{NETS}:anything", "--input", "1,2", "--format", "json"),
        *(word for setting in settings for word in ("--set", setting)),
    )

    assert json.loads(ran.out)["options"] == {
        "a": [1, [2, 3]],
        "b": ["x", "y"],
        "c": True,
        "d": 0.5,
        "e": "nan",
        "f": "none",
        "g": -3,
    }


def test_two_inputs(run: Run) -> None:
    """--input is given once for each, in order."""
    ran = run("report", f"{NETS}:two", "--input", "2,3", "--input", "1,3", "--format", "json")

    assert json.loads(ran.out)["input"] == [[2, 3], [1, 3]]


def test_what_is_not_counted_is_said(run: Run) -> None:
    """An unknown operator makes the report incomplete, not the command fail."""
    ran = run("report", f"{NETS}:strange", "--input", "2,3", "--format", "json")
    document = json.loads(ran.out)

    assert ran.code == 0
    assert document["complete"] is False
    assert document["uncounted"] == [{"operator": "aten::special_bessel_j0", "path": "0", "times": 1}]
    assert document["rows"][0]["macs"] is None


CHATTER = ("a script may talk while it is imported", "and while it builds")
BAD = [
    (["report", "mobilenet_v9"], "unknown model 'mobilenet_v9': nearest are mobilenet_v2, mobilenet_v1"),
    (["report", "resnet"], "unknown model 'resnet'"),
    (["report"], "Missing argument"),
    (["reprot", "mobilenet_v2"], "No such command 'reprot'"),
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
    (["report", "mobilenet_v2", "--format", "yaml"], "'yaml' is not one of"),
    (["report", "mobilenet_v2", "--by", "layer"], "'layer' is not one of"),
    (["report", "mobilenet_v2", "--dtype", "int3"], "'int3' is not one of"),
    (["report", "mobilenet_v2", "--nonsense"], "No such option: --nonsense"),
    (
        ["report", "no.such.module:build", "--input", "1,3"],
        "cannot import no.such.module: ModuleNotFoundError",
    ),
    (["report", "no_such_file.py:build", "--input", "1,3"], "there is no file no_such_file.py"),
    (["report", f"{NETS}:absent", "--input", "1,3"], "has no 'absent'"),
    (["report", f"{NETS}:number", "--input", "1,3"], "is a int, not a function, class or module"),
    (["report", f"{NETS}:broken", "--input", "1,3"], "broken raised KeyError"),
    (["report", f"{NETS}:leave", "--input", "1,3"], "leave raised SystemExit: 3"),
    (["report", f"{NETS}:dictionary", "--input", "1,3"], "returned a dict, not a torch.nn.Module"),
    (["report", f"{NETS}:small", "--set", "depth=2", "--input", "1,3"], "raised TypeError"),
    (["report", f"{NETS}:small"], "needs the shape of its input"),
    (["report", f"{NETS}:small", "--input", "1,3,x,8"], "malformed input '1,3,x,8'"),
    (["report", f"{NETS}:small", "--input", "1,3,0,8"], "malformed input '1,3,0,8'"),
    (["report", f"{NETS}:small", "--input", ""], "malformed input ''"),
    (["report", f"{NETS}:small", "--input", "1,3,2,2"], "RuntimeError in module '0'"),
    (["report", f"{NETS}:small", "--input", "99999999999,99999999999,8,8"], "no such input"),
    (["report", f"{NETS}:picky", "--input", "2,2"], "in module '1'"),
    (["report", f"{NETS}:small", "--batch", "2", "--input", "1,3,8,8"], "raised TypeError"),
    (
        ["report", "mobilenet_v2", "--output", "/no/such/folder/r.json"],
        "cannot write /no/such/folder/r.json: No such",
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
    (["report", f"{NETS}:build", "--input", "1,3,8,8"], "3.weight has no shape yet"),
    (["report", f"{NETS}:exiting", "--input", "1,3"], "raised SystemExit in module '0'"),
    (["report", f"{NETS}:moody", "--input", "1,3"], "has no 'moody'"),
    (["check", "mobilenet_v2", "--batch", "99999"], "fvcore could not run it"),
    (["check", "mobilenet_v9"], "unknown model"),
    (["check", f"{NETS}:small", "--input", "1,3,2,2"], "RuntimeError in module '0'"),
    (["models", "--format", "csv"], "'csv' is not one of"),
]


@pytest.mark.parametrize(
    ("args", "problem"), BAD, ids=[" ".join(args).replace(NETS, "nets.py") for args, _ in BAD]
)
def test_bad_input_ends_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], problem: str
) -> None:
    """Exit code 2, the problem on stderr after whatever the user's code said, and nothing on stdout or disk."""
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
    """What the tests above see in one process is what a shell sees."""
    ran = process("report", "mobilenet_v9")

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1


def test_output_is_written_whole(run: Run, tmp_path: Path) -> None:
    """The file holds what stdout would, with the user's usual permissions, and nothing else is left."""
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
    """Nothing half-written, no temporary file."""
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
    """A file that others may not read stays so; `-` is stdout."""
    target = tmp_path / "private"
    target.touch(mode=0o600)
    run("report", "mobilenet_v1", "--output", str(target))

    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert run("report", "mobilenet_v1", "--output", "-").out == target.read_text()


def test_what_nobody_foresaw_is_one_line_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of no kind that is expected ends in exit code 2, and shows its traceback when asked to."""

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


def test_output_to_a_device(run: Run) -> None:
    """What is no regular file is written to, not replaced."""
    assert run("report", "mobilenet_v1", "--output", "/dev/null").code == 0
    assert not Path("/dev/null").is_file()


def test_check_agrees(run: Run) -> None:
    """Closed form, trace, fvcore and parameters; the JSON has the documented keys."""
    ran = run("check", "mobilenet_v2", "--alpha", "0.35", "--resolution", "96", "--format", "json")
    document = json.loads(ran.out)
    conv = next(c for c in document["comparisons"] if c["what"] == "fvcore/conv")

    assert ran.code == 0
    assert document["agree"] is True
    assert list(conv) == ["what", "ours", "theirs", "agree", "reason"]
    assert conv["ours"] == conv["theirs"] > 0
    assert "fvcore/conv" in run("check", "mobilenet_v1", "--alpha", "0.25", "--resolution", "32").out


def test_check_says_no(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disagreement is exit code 1, with the result on stdout."""
    monkeypatch.chdir(tmp_path)
    options = (f"{NETS}:sampled", "--input", "1,1,5,5", "--input", "1,3,3,2")
    ran = run("check", *options, "--format", "json")
    reported = run("report", *options, "--check")

    assert ran.code == 1
    assert json.loads(ran.out)["agree"] is False
    assert reported.code == 1
    assert "NO" in reported.out  # fvcore's count of grid sampling rests on other neighbours


@pytest.mark.parametrize("format", ["table", "markdown", "csv", "json"])
def test_report_with_check(run: Run, tmp_path: Path, format: str) -> None:
    """The agreement comes after the report, inside the JSON document, and beside a CSV."""
    options = (
        "report",
        "mobilenet_v1",
        "--alpha",
        "0.25",
        "--resolution",
        "32",
        "--format",
        format,
        "--check",
    )
    ran = run(*options)
    written = run(*options, "--output", str(tmp_path / "out"))

    assert ran.code == written.code == 0
    assert ran.out == (tmp_path / "out").read_text()
    assert "fvcore/conv" in (ran.err if format == "csv" else ran.out)
    if format == "json":
        assert json.loads(ran.out)["check"]["agree"] is True


def test_models_lists_names_options_and_papers(run: Run) -> None:
    """For people and for programs."""
    known = json.loads(run("models", "--format", "json").out)
    table = run("models").out

    assert [model["name"] for model in known] == list(ARCHS)
    for model in known:
        assert model["name"] in table
        assert "arXiv:" in model["paper"]
        for option in model["options"]:
            assert list(option) == ["name", "type", "default", "choices", "help"]
            assert option["name"] in table


def test_help_has_examples(run: Run) -> None:
    """Every command explains itself; no arguments at all is a question, not an error."""
    lines = [line.strip() for line in run("report", "--help").out.splitlines()]

    assert "mbanalyze report mobilenet_v2 --alpha 0.75 --resolution 192" in lines
    assert "mbanalyze check mobilenet_v2" in run("check", "-h").out
    assert run() == run("--help")
    assert run().code == 0
    assert run("--version").out.startswith("mbanalyze 0.")


def test_names_complete() -> None:
    """The shell is offered the architectures that begin as typed."""
    typed = {
        "_MBANALYZE_COMPLETE": "complete_bash",
        "COMP_WORDS": "mbanalyze report mobilenet_",
        "COMP_CWORD": "2",
    }

    assert process(**typed).stdout.split() == [
        "mobilenet_v1",
        "mobilenet_v2",
        "mobilenet_v3_large",
        "mobilenet_v3_small",
    ]


def test_a_reader_that_leaves_is_no_error() -> None:
    """`mbanalyze report ... | head -1` says nothing of a broken pipe."""
    shell = f"{sys.executable} -m mbanalyze report mobilenet_v2 --format json | head -c 10"
    ran = subprocess.run(shell, shell=True, capture_output=True, text=True, check=False)  # noqa: S602

    assert (ran.stdout, ran.stderr) == ('{\n  "schem', "")


def test_a_terminal_without_unicode_gets_a_report() -> None:
    """What cannot be encoded is replaced; the numbers are there."""
    ran = process("report", "mobilenet_v1", "--by", "kind", PYTHONIOENCODING="ascii")

    assert ran.returncode == 0
    assert "568,740,352" in ran.stdout
    assert "######" in ran.stdout


def test_width_and_colour_follow_the_environment() -> None:
    """COLUMNS widens a table; no colour without a terminal, or with NO_COLOR."""
    wide = process("report", "mobilenet_v1", COLUMNS="150")
    forced = process("report", "mobilenet_v1", "--by", "kind", FORCE_COLOR="1", TERM="xterm-256color")
    plain = process(
        "report", "mobilenet_v1", "--by", "kind", FORCE_COLOR="1", NO_COLOR="1", TERM="xterm-256color"
    )

    assert "flops" in wide.stdout.splitlines()[0] + wide.stdout.splitlines()[1]
    assert "\x1b[" not in wide.stdout
    assert "\x1b[36m" in forced.stdout
    assert "\x1b[36m" not in plain.stdout


def test_verdicts_of_a_family(run: Run) -> None:
    """Every format is the text of the library; the last line of the table is the summary."""
    found = published("vgg16")

    for format in ("json", "csv", "markdown", "table"):
        assert run("published", "vgg16", "--format", format) == (0, found.to(format), "")
    assert run("published", "vgg").out.endswith(f"{summary(found)}\n")


def test_verdicts_of_an_unknown_family(run: Run) -> None:
    """One line with the known ones, nothing on stdout."""
    ran = run("published", "lenet")

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("mbanalyze: error: no figure of 'lenet' is known: ")


def test_guidelines_of_a_model(run: Run, tmp_path: Path) -> None:
    """A known architecture, or the model of a factory; `--top` limits the convolutions and blocks."""
    analysis = guidelines("mobilenet_v2", alpha=1.4)
    ran = run("guidelines", "mobilenet_v2", "--alpha", "1.4", "--format", "json")
    traced = run("guidelines", f"{NETS}:small", "--input", "1,3,32,32", "--format", "json")

    assert json.loads(ran.out) == analysis.as_dict()
    assert json.loads(traced.out)["convolutions"]
    table = run("guidelines", "mobilenet_v2", "--top", "1").out
    assert "G4: element-wise operators cause 29.7 % of memory access" in table
    assert table.count("depthwise") == 1
    out = tmp_path / "guidelines.md"
    assert run("guidelines", "mobilenet_v2", "--format", "markdown", "--output", str(out)).out == ""
    assert out.read_text().startswith("## G1: ")


def test_guidelines_without_a_model(run: Run) -> None:
    """The experiments of the paper, in every format of the library."""
    for format in ("json", "csv", "markdown", "table"):
        assert run("guidelines", "--format", format) == (0, guidelines().to(format), "")
    assert [line.split()[1] for line in run("guidelines").out.splitlines() if line.startswith("1:12")] == [
        "-5.1"
    ]


@pytest.mark.slow
def test_measuring(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting gets a time, the first of each experiment the speed 1; nothing else is printed."""
    monkeypatch.setattr("mbanalyze.memory_access.timing.MIN_ROUNDS", 2)
    ran = run("guidelines", "--measure", "--seconds", "0", "--format", "json")
    measured = json.loads(ran.out)["measured"]
    speeds = {(s["guideline"], s["setting"]): s["relative_speed"] for s in measured["settings"]}

    assert (ran.code, ran.err, measured["rounds"]) == (0, "", 2)
    assert set(speeds) == {(g, trial.setting) for g in TITLES for trial in series(g, "GPU", 1)}
    assert all(s["seconds"] > 0 for s in measured["settings"])
    assert all(speeds[g, series(g, "GPU", 1)[0].setting] == 1.0 for g in TITLES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vgg16", "--measure"), "leave the model out"),
        (("--measure", "--device", "nowhere", "--seconds", "0"), "cannot measure on 'nowhere'"),
        (("--measure", "--device", "meta", "--seconds", "0"), "cannot measure on 'meta'"),
        (("--measure", "--output", "/nowhere/at/all"), "cannot write /nowhere/at/all"),
        (("--alpha", "0"), "--alpha, --resolution, --set, --batch and --input are about a model"),
        (("--top", "0", "vgg16"), "Invalid value for '--top'"),
    ],
)
def test_guidelines_that_cannot_be(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """One line on stderr, exit code 2."""
    ran = run("guidelines", *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1

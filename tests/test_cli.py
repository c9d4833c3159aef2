"""The command line: `report`, `check`, `models`, `published` and `guidelines`, for users and scripts."""

from __future__ import annotations

import csv
import io
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import Run, process
from witness import DATA

from mbanalyze import check, count
from mbanalyze.archs import ARCHS
from mbanalyze.display import files as output
from mbanalyze.display.result import FORMATS
from mbanalyze.literature.verdicts import published
from mbanalyze.literature.view import summary
from mbanalyze.memory_access.analysis import guidelines
from mbanalyze.memory_access.experiments import TITLES, series
from mbanalyze.ops.cost import ITEM_SIZES

NETS = str(DATA / "nets.py")


def test_a_report_is_the_table_of_the_library(run: Run) -> None:
    """`report` prints the table of `count`."""
    ran = run("report", "mobilenet_v2", "--alpha", "0.75", "--resolution", "192")

    assert ran == (0, count("mobilenet_v2", alpha=0.75, resolution=192).to("table"), "")


@pytest.mark.parametrize("format", ["markdown", "csv", "json", "html"])
@pytest.mark.parametrize("by", [None, "block"])
def test_formats(run: Run, format: str, by: str | None) -> None:
    """Each format, with and without a grouping, prints the text of the library."""
    grouping = ["--by", by] if by else []
    ran = run("report", "mobilenet_v1", "--set", "shallow=true", "--format", format, *grouping)

    assert ran == (0, count("mobilenet_v1", shallow=True).to(format, by), "")


@pytest.mark.parametrize("name", ARCHS)
def test_every_network_in_every_format(run: Run, name: str) -> None:
    """Every network has a report in every format and grouping."""
    for format in ("table", "markdown", "csv", "json"):
        for by in ("op", "module", "block", "kind"):
            ran = run("report", name, "--format", format, "--by", by)
            assert (ran.code, ran.err) == (0, "")
            assert ran.out


def test_options_reach_the_report(run: Run) -> None:
    """--batch, --dtype and --set change the JSON document."""
    ran = run(
        *("report", "mobilenet_v2", "--batch", "2", "--dtype", "int8", "--set", "num_classes=10"),
        *("--format", "json"),
    )
    document = json.loads(ran.out)

    assert document["input"] == [[2, 3, 224, 224]]
    assert document["options"] == {"alpha": 1.0, "resolution": 224, "num_classes": 10, "round_nearest": 8}
    assert document["totals"]["memory_access_bytes"] == document["totals"]["memory_access"]


def test_trace_and_closed_form_print_the_same_rows(run: Run) -> None:
    """A trace and a closed form print equal rows and totals."""
    one, other = (
        json.loads(run("report", "mobilenet_v2", "--alpha", "0.35", "--format", "json", *extra).out)
        for extra in ([], ["--trace"])
    )

    assert one["rows"] == other["rows"]
    assert one["totals"] == other["totals"]
    assert (one["method"], other["method"]) == ("closed-form", "trace")
    assert other["free"] == {"flatten": 1, "dropout": 1}


def test_a_factory_in_a_file(run: Run) -> None:
    """A factory takes --set and --input, and its own output goes to stderr."""
    ran = run("report", f"{NETS}:small", "--input", "1,3,8,8", "--set", "width=4", "--format", "json")
    document = json.loads(ran.out)

    assert ran.code == 0
    assert document["method"] == "trace"
    assert document["options"] == {"width": 4}
    # 4 filters of 3 x 3 x 3 over 6 x 6
    assert document["totals"]["macs"] == 4 * 36 * 27
    assert "talk while it is imported" in ran.err


def test_a_factory_in_a_package(run: Run) -> None:
    """A class in a package is a factory, and --alpha is one of its arguments."""
    ran = run(
        *("report", "mbanalyze.models:MobileNetV1", "--alpha", "0.25"),
        *("--input", "1,3,224,224", "--format", "json"),
    )

    assert json.loads(ran.out)["totals"]["macs"] == 41_030_272


def test_a_factory_beside_the_user(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules in the current directory are found and can import each other."""
    (tmp_path / "neighbour_net.py").write_text("from torch.nn import ReLU\n")
    (tmp_path / "own_net.py").write_text("from neighbour_net import ReLU\n")
    monkeypatch.chdir(tmp_path)

    assert run("report", "own_net:ReLU", "--input", "2,2").code == 0
    assert run("report", "own_net.py:ReLU", "--input", "2,2").code == 0
    assert str(tmp_path) not in sys.path


def test_a_module_that_is_already_built(run: Run) -> None:
    """A reference may name a module instead of a factory."""
    assert "conv standard" in run("report", f"{NETS}:ready", "--input", "1,3,8,8").out


def test_an_ordinary_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may use postponed annotations, and import from its own folder while the model is built."""
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
    """--set parses lists, booleans and numbers, and takes anything else as a string."""
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
    """Each --input is a positional input, in order."""
    ran = run("report", f"{NETS}:two", "--input", "2,3", "--input", "1,3", "--format", "json")

    assert json.loads(ran.out)["input"] == [[2, 3], [1, 3]]


def test_uncounted_operators_are_listed(run: Run) -> None:
    """An unknown operator makes the report incomplete; the command succeeds."""
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
    (["report", f"{NETS}:build", "--input", "1,3,8,8"], "3.weight has no shape yet"),
    (["report", f"{NETS}:exiting", "--input", "1,3"], "raised SystemExit in module '0'"),
    (["report", f"{NETS}:moody", "--input", "1,3"], "has no 'moody'"),
    (["check", "mobilenet_v2", "--batch", "99999"], "fvcore could not run it"),
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


def test_output_to_a_device(run: Run) -> None:
    """A device is written to, not replaced."""
    assert run("report", "mobilenet_v1", "--output", "/dev/null").code == 0
    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize("dtype", ITEM_SIZES)
def test_every_dtype_is_a_choice(run: Run, dtype: str) -> None:
    """--dtype takes every element type of the library."""
    ran = run("report", "mobilenet_v1", "--dtype", dtype, "--format", "json")

    assert json.loads(ran.out)["totals"]["params_bytes"] == 4_231_976 * ITEM_SIZES[dtype]


@pytest.mark.parametrize(
    "command", [["report"], ["report", "--trace"], ["check"], ["guidelines"], ["compare", "mobilenet_v1"]]
)
def test_commands_take_options_behind_an_at_sign(run: Run, command: list[str]) -> None:
    """A reference with options is the same model as the options given one by one."""
    reference = "mobilenet_v2@alpha=0.35,resolution=96"
    ran = run(*command, reference, "--format", "json")

    assert (ran.code, ran.err) == (0, "")
    if command[0] == "compare":
        assert json.loads(ran.out)["models"][1]["options"]["alpha"] == 0.35
    else:
        assert ran == run(
            *command, "mobilenet_v2", "--alpha", "0.35", "--resolution", "96", "--format", "json"
        )


def test_an_option_behind_the_at_sign_and_as_an_argument(run: Run) -> None:
    """An option that is given twice is an error."""
    ran = run("report", "mobilenet_v2@alpha=0.35", "--alpha", "0.35")

    assert (ran.code, ran.err) == (2, "mbanalyze: error: alpha is given twice\n")


def test_the_headline_of_a_report_is_a_reference(run: Run) -> None:
    """`report` prints the reference of its model, and `report` of that prints the same."""
    ran = run("report", "mnasnet0_5", "--set", "num_classes=10", "--format", "markdown")
    reference = ran.out.splitlines()[-1].removeprefix("- ").split(" ")[0]

    assert reference.startswith("mnasnet0_5@alpha=0.5,")
    assert run("report", reference, "--format", "markdown") == ran


def test_a_report_is_plotted(run: Run, tmp_path: Path) -> None:
    """--plot draws the profile of a report beside the table."""
    ran = run("report", "mobilenet_v1", "--plot", str(tmp_path / "profile.svg"))

    assert ran == run("report", "mobilenet_v1")
    assert 'id="memory_access"' in (tmp_path / "profile.svg").read_text()


def test_check_agrees(run: Run) -> None:
    """`check` agrees for a network, and its JSON document has the documented keys."""
    ran = run("check", "mobilenet_v2", "--alpha", "0.35", "--resolution", "96", "--format", "json")
    document = json.loads(ran.out)
    conv = next(c for c in document["comparisons"] if c["what"] == "fvcore/conv")

    assert ran.code == 0
    assert document["agree"] is True
    assert list(conv) == ["what", "ours", "theirs", "agree", "reason"]
    assert conv["ours"] == conv["theirs"] > 0


@pytest.mark.parametrize("format", FORMATS)
def test_check_in_every_format(run: Run, tmp_path: Path, format: str) -> None:
    """`check` prints the text of the library in every format, on stdout or in a file."""
    command = ("check", "mobilenet_v1", "--alpha", "0.25", "--resolution", "32", "--format", format)
    expected = check("mobilenet_v1", alpha=0.25, resolution=32).to(format)

    assert run(*command) == (0, expected, "")
    assert run(*command, "--output", str(tmp_path / "check")) == (0, "", "")
    assert (tmp_path / "check").read_text() == expected


def test_check_on_values(run: Run) -> None:
    """--real checks a model whose control flow depends on values."""
    assert run("check", f"{NETS}:picky", "--input", "2,2").code == 2
    assert run("check", f"{NETS}:picky", "--input", "2,2", "--real").code == 0


def test_a_check_that_disagrees(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disagreement exits with 1 and prints the result."""
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
    """--check adds the check to the report; with CSV it goes to stderr."""
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
    """`models` lists every architecture with its options and paper."""
    known = json.loads(run("models", "--format", "json").out)
    table = run("models").out
    rows = list(csv.DictReader(io.StringIO(run("models", "--format", "csv").out)))

    assert [(row["model"], row["option"], row["default"]) for row in rows] == [
        (model["name"], option["name"], str(option["default"]))
        for model in known
        for option in model["options"]
    ]
    assert run("models", "--format", "markdown").out.count("| option |") == len(ARCHS)

    assert [model["name"] for model in known] == list(ARCHS)
    for model in known:
        assert model["name"] in table
        assert "arXiv:" in model["paper"]
        for option in model["options"]:
            assert list(option) == ["name", "type", "default", "choices", "help"]
            assert option["name"] in table


def test_help_has_examples(run: Run) -> None:
    """Help has examples, and running without arguments prints help and exits with 0."""
    lines = [line.strip() for line in run("report", "--help").out.splitlines()]

    assert "mbanalyze report mobilenet_v2 --alpha 0.75 --resolution 192" in lines
    assert "mbanalyze check mobilenet_v2" in run("check", "-h").out
    assert run() == run("--help")
    assert run().code == 0
    assert run("--version").out.startswith("mbanalyze 0.")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (
            ["report", "mobilenet_v"],
            [f"mobilenet_v{version}" for version in ("1", "2", "3_large", "3_small")],
        ),
        (["report", "mobilenet_v2", "--by", "k"], ["kind"]),
        (["published", "mobilenet_v3_"], ["mobilenet_v3_large", "mobilenet_v3_small"]),
    ],
)
def test_arguments_complete(words: list[str], offered: list[str]) -> None:
    """Completion offers the names and choices that start with the text."""
    typed = {
        "_MBANALYZE_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["mbanalyze", *words]),
        "COMP_CWORD": str(len(words)),
    }

    assert process(**typed).stdout.split() == offered


def test_a_reader_that_leaves_is_no_error() -> None:
    """A reader that closes the pipe causes no error message."""
    shell = f"{sys.executable} -m mbanalyze report mobilenet_v2 --format json | head -c 10"
    ran = subprocess.run(shell, shell=True, capture_output=True, text=True, check=False)  # noqa: S602

    assert (ran.stdout, ran.stderr) == ('{\n  "schem', "")


def test_a_terminal_without_unicode_gets_a_report() -> None:
    """Characters that stdout cannot encode are replaced."""
    ran = process("report", "mobilenet_v1", "--by", "kind", PYTHONIOENCODING="ascii")

    assert ran.returncode == 0
    assert "568,740,352" in ran.stdout
    assert "######" in ran.stdout


def test_width_and_colour_follow_the_environment() -> None:
    """COLUMNS sets the width; there is no colour without a terminal or with NO_COLOR."""
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
    """`published` prints the text of the library in every format; its last line is the summary."""
    found = published("vgg16")

    for format in ("json", "csv", "markdown", "table"):
        assert run("published", "vgg16", "--format", format) == (0, found.to(format), "")
    assert run("published", "vgg").out.endswith(f"{summary(found)}\n")


def test_verdicts_of_an_unknown_family(run: Run) -> None:
    """An unknown family prints one line with the known ones."""
    ran = run("published", "lenet")

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("mbanalyze: error: no figure of 'lenet' is known: ")


def test_guidelines_of_a_model(run: Run, tmp_path: Path) -> None:
    """`guidelines` takes an architecture or a factory, and --top limits the rows."""
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
    """Without a model, `guidelines` prints the paper's experiments in every format."""
    for format in ("json", "csv", "markdown", "table"):
        assert run("guidelines", "--format", format) == (0, guidelines().to(format), "")
    assert [line.split()[1] for line in run("guidelines").out.splitlines() if line.startswith("1:12")] == [
        "-5.1"
    ]


@pytest.mark.slow
def test_measuring(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """--measure times every setting; the first of each experiment has the relative speed 1."""
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
        (("vgg16", "--measure"), "leave out the model"),
        (("--measure", "--device", "nowhere", "--seconds", "0"), "cannot measure on 'nowhere'"),
        (("--measure", "--device", "meta", "--seconds", "0"), "cannot measure on 'meta'"),
        (("--measure", "--output", "/nowhere/at/all"), "cannot write /nowhere/at/all"),
        (("--alpha", "0"), "--alpha, --resolution, --set, --batch and --input need a model"),
        (("--top", "0", "vgg16"), "Invalid value for '--top'"),
    ],
)
def test_guidelines_that_cannot_be(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """Contradictory arguments print one line on stderr and exit with 2."""
    ran = run("guidelines", *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1

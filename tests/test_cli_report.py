"""The command line: `report` and `check`, for users and scripts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from commandline import Run
from witness import DATA

from mbanalyze import check, count
from mbanalyze.archs import ARCHS
from mbanalyze.display.result import FORMATS
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
    """A trace and a closed form print equal rows, and equal totals except the memory that PyTorch holds."""
    one, other = (
        json.loads(run("report", "mobilenet_v2", "--alpha", "0.35", "--format", "json", *extra).out)
        for extra in ([], ["--trace"])
    )

    assert one["rows"] == other["rows"]
    assert one["totals"] == {**other["totals"], "peak_bytes_eager": None}
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


@pytest.mark.parametrize("dtype", ITEM_SIZES)
def test_every_dtype_is_a_choice(run: Run, dtype: str) -> None:
    """--dtype takes every element type of the library."""
    ran = run("report", "mobilenet_v1", "--dtype", dtype, "--format", "json")

    assert json.loads(ran.out)["totals"]["params_bytes"] == 4_231_976 * ITEM_SIZES[dtype]


@pytest.mark.parametrize(
    "command",
    [["report"], ["report", "--trace"], ["check"], ["guidelines"], ["memory"], ["compare", "mobilenet_v1"]],
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
    reference = ran.out.splitlines()[0].removeprefix("## ").split(", ")[0]

    assert reference == "mnasnet0_5@num_classes=10"
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
    assert list(conv) == ["what", "ours", "theirs", "agree", "reason", "quantity"]
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
    """A model whose control flow depends on values is checked on values, unless --no-real forbids it."""
    assert run("check", f"{NETS}:picky", "--input", "2,2", "--no-real").code == 2
    for real in ([], ["--real"]):
        ran = run("check", f"{NETS}:picky", "--input", "2,2", *real)
        assert ran.code == 1  # fvcore counts none of its kinds
        assert "no operator could be compared, only parameters" in ran.out


def test_a_check_that_disagrees(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disagreement exits with 1 and prints the result."""
    monkeypatch.chdir(tmp_path)
    options = (f"{NETS}:transposed", "--input", "3,4")
    ran = run("check", *options, "--format", "json")
    reported = run("report", *options, "--check")

    assert ran.code == 1
    assert json.loads(ran.out)["agree"] is False
    assert reported.code == 1
    assert "NO" in reported.out  # fvcore counts a view as an Einstein sum


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

"""The command line: `ablate`, `compare` and `search`, for users and scripts."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from commandline import Run, process
from witness import DATA

from mbanalyze import ablate, compare, count, search

NETS = str(DATA / "nets.py")


def test_ablate_prints_the_records_of_the_library(run: Run) -> None:
    """The JSON document has the records of the library."""
    ran = run(
        *("ablate", "mobilenet_v1", "--alpha", "1,0.75,0.5,0.25", "--rho", "1,0.857,0.714,0.571"),
        *("--format", "json"),
    )
    ablation = ablate("mobilenet_v1", alpha=[1, 0.75, 0.5, 0.25], rho=[1, 0.857, 0.714, 0.571])

    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == ablation.records()
    assert len(ablation) == 16


def test_csv_has_the_same_rows(run: Run) -> None:
    """The CSV has a header, and an empty cell for each unknown value."""
    ran = run(
        "ablate", "mobilenet_v2", "--alpha", "0.35:1.4:0.35", "--set", "num_classes=10", "--format", "csv"
    )
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    ablation = ablate("mobilenet_v2", alpha=[0.35, 0.7, 1.05, 1.4], num_classes=10)

    assert [str(row["macs"]) for row in ablation.records()] == [row["macs"] for row in rows]
    assert {row["top1"] for row in rows} == {""}
    assert {row["num_classes"] for row in rows} == {"10"}


def test_tables_name_sources(run: Run) -> None:
    """Tables show published figures with numbered sources."""
    ran = run("ablate", "mobilenet_v1", "--alpha", "1,0.5", "--width", "80")

    assert "569 M" in ran.out
    assert "[1] tensorflow/models@02c04f49 research/slim/nets/mobilenet_v1.md" in ran.out
    markdown = run("ablate", "mobilenet_v1", "--alpha", "1,0.5", "--format", "markdown").out
    assert "| 0.5 | 224 | 1,331,592 | 149,497,088 |" in markdown


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["mobilenet_v2", "--alpha", ""], "malformed values '': give values with commas between"),
        (["mobilenet_v2", "--alpha", "1,,2"], "malformed values '1,,2'"),
        (["mobilenet_v2", "--alpha", "1.5:0.25:0.05"], "a step of 0.05 does not lead from 1.5 to 0.25"),
        (["mobilenet_v2", "--alpha", "0.25:1.5:0"], "give start:stop:step"),
        (["mobilenet_v2", "--alpha", "0.25:1.5"], "malformed range '0.25:1.5': give start:stop:step"),
        (["mobilenet_v2", "--alpha", "0:1:1e-9"], "it has more than 1,000,000 values"),
        (["mobilenet_v2", "--alpha", "1,0.5,1"], "alpha has 1 twice"),
        (["mobilenet_v2", "--alpha", "1", "--set", "alpha=1"], "alpha is given twice"),
        (
            ["mobilenet_v2", "--rho", "1", "--resolution", "224"],
            "--rho and --resolution both set the input size",
        ),
        (["mobilenet_v2", "--set", "alpha"], "malformed option 'alpha': give key=values"),
        (
            ["mobilenet_v2", "--alpha", "0.001:1:0.001", "--resolution", "1:1000:1"],
            "1,000,000 variants are too many",
        ),
        (["mobilenet_v2", "--input", "1,3,4,4"], "takes its input from resolution and batch"),
        (["mobilenet_v2", "--plot", "x.gif"], "x.gif"),
        (["mobilenet_v2", "--alpha", "1,0.3", "--output", "/no/such/place"], "cannot write /no/such/place"),
        (["shufflenet_v1", "--alpha", "1,0.31"], "shufflenet_v1@alpha=0.31,resolution=224: "),
        (["torchvision:resnet18", "--set", "dtype=1"], "--set dtype is an argument of the command"),
        (["mobilenet_v2", "--batch", "2", "--set", "batch=3"], "batch is given twice"),
        ([f"{NETS}:small", "--input", "x=1,3,8,8", "--input", "x=1,3,4,4"], "x is given twice"),
        ([f"{NETS}:small", "--set", "width=[4],[4]", "--input", "1,3,8,8"], "width has [4] twice"),
        (
            [f"{NETS}:small", "--input", "1,3,8,8", "--source", "arXiv"],
            "source selects published figures",
        ),
        (
            ["mobilenet_v2", "--workers", "2"],
            "--workers is for the variants of a factory: mobilenet_v2 is counted in",
        ),
        (["mobilenet_v2", "--plot", "-"], "cannot save a plot as '-'"),
        (["mobilenet_v2", "--plot", "x.svg", "--plot-size", "8"], "malformed size '8': give width x height"),
        (
            ["mobilenet_v2", "--plot", "x.svg", "--plot-size", "1x1"],
            "1x1 inches is out of range: give 3x2.5 to",
        ),
        (["mobilenet_v2", "--plot-size", "8x5"], "--plot-size is the size of a plot: give --plot FILE too"),
        (["mobilenet_v2", "--output", "x.svg", "--plot", "./x.svg"], "--output and --plot are both x.svg"),
        (
            ["mobilenet_v2", "--alpha", "0.00001:1:0.00001", "--resolution", "1:100000:1", "--format", "csv"],
            "10,000,000,000 variants exceed the limit of 10,000,000",
        ),
    ],
)
def test_bad_grids_get_one_line(arguments: list[str], problem: str, run: Run) -> None:
    """An error prints one line on stderr and exits with 2."""
    ran = run("ablate", *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert problem in ran.err
    assert ran.err.startswith("mbanalyze: error: ")
    assert ran.err.count("\n") == 1


def test_nothing_is_written_when_something_is_wrong(tmp_path: Path, run: Run) -> None:
    """An error writes neither the table nor the plot."""
    files = tmp_path / "table.csv", tmp_path / "plot.svg"
    arguments = ("--alpha", "1,-1", "--format", "csv", "--output", str(files[0]), "--plot", str(files[1]))

    assert run("ablate", "mobilenet_v2", *arguments).code == 2
    assert not list(tmp_path.iterdir())


def test_invalid_variants_can_be_skipped(run: Run) -> None:
    """--skip-invalid leaves out invalid values of an option, and variants of a factory that fail."""
    ran = run("ablate", "shufflenet_v2", "--alpha", "1:2:0.1", "--skip-invalid", "--format", "json")
    assert [row["alpha"] for row in json.loads(ran.out)] == [1, 1.5, 2]
    options = ("--set", "width=4,-1,8", "--input", "1,3,8,8", "--workers", "1", "--format", "json")
    ran = run("ablate", f"{NETS}:small", *options, "--skip-invalid")
    assert [row["width"] for row in json.loads(ran.out)] == [4, 8]


def test_many_variants_go_into_a_file(tmp_path: Path, run: Run) -> None:
    """A file takes more variants than a terminal."""
    file = tmp_path / "grid.csv"
    arguments = (
        "--alpha",
        "0.01:1:0.01",
        "--resolution",
        "1:200:1",
        "--format",
        "csv",
        "--output",
        str(file),
    )

    assert run("ablate", "mobilenet_v2", *arguments).code == 0
    assert len(file.read_text().splitlines()) == 20_001


def test_factories_are_traced_by_processes() -> None:
    """Several processes print what one does, and the output of the factory's file stays off stdout."""
    arguments = (
        "ablate",
        f"{NETS}:small",
        "--set",
        "width=4,8",
        "--input",
        "1,3,8,8",
        "--resolution",
        "8,16",
    )
    alone = process(*arguments, "--workers", "1", "--format", "json")
    together = process(*arguments, "--workers", "2", "--format", "json")

    assert (alone.returncode, together.returncode) == (0, 0)
    assert alone.stdout == together.stdout
    assert [row["width"] for row in json.loads(alone.stdout)] == [4, 4, 8, 8]


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["ablate", "mobilenet_v1", "--alpha", "1,0.5", "--resolution", "224,160"],
        ["ablate", "resnet50", "--resolution", "96:224:32"],
        ["search", "mobilenet", "--max-macs", "300M"],
        ["compare", "mobilenet_v1", "mobilenet_v2"],
        ["ablate", f"{NETS}:small", "--set", "width=4,8", "--input", "1,3,8,8", "--workers", "1"],
    ],
)
def test_plots_are_written(suffix: str, arguments: list[str], tmp_path: Path, run: Run) -> None:
    """--plot writes a file of each format."""
    file = tmp_path / f"plot.{suffix}"

    ran = run(*arguments, "--plot", str(file))
    # only 224 px has a published accuracy of the five sizes of resnet50
    missing = {"resnet50": "4 of 5 variants", "mobilenet": "18 of 83 fitting variants"}.get(arguments[1])
    said = [line for line in ran.err.splitlines() if line.startswith("mbanalyze: ")]
    assert (ran.code, said) == (0, [f"mbanalyze: not drawn: {missing} (no accuracy)"] if missing else [])
    assert SIGNATURES[suffix] == file.read_bytes()[: len(SIGNATURES[suffix])]
    assert [file] == list(tmp_path.iterdir())


SIGNATURES = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def test_a_plot_shows_the_rows_of_the_table(tmp_path: Path, run: Run) -> None:
    """A plot has one point for each row, and a search marks the front of the limited total."""
    file = tmp_path / "plot.svg"
    run("ablate", "mobilenet_v1", "--alpha", "1,0.5", "--resolution", "224,160", "--plot", str(file))
    assert [points(file, f"resolution-{side}") for side in (224, 160)] == [2, 2]

    ran = run("search", "mobilenet", "--max-params", "3M", "--plot", str(file), "--format", "json")
    known = [row for row in json.loads(ran.out)["variants"] if row["top1"] is not None]
    rows = [row for row in known if row["model"] == "mobilenet_v2"]
    on = sum(row["front"] for row in rows)
    assert [on, len(rows) - on] == [points(file, f"mobilenet_v2-{part}") for part in ("front", "behind")]
    assert "multiply-accumulates" not in drawn(file)
    assert "params" in drawn(file)


def drawn(file: Path) -> str:
    """Return the text of an SVG, which its comments repeat."""
    return " ".join(re.findall("<!-- (.*?) -->", file.read_text(encoding="utf-8")))


def points(file: Path, gid: str) -> int:
    """Return the number of markers in a group of an SVG."""
    group = file.read_text(encoding="utf-8").split(f'<g id="{gid}">')[1]
    marks = group.split('<g id="')[0]
    return marks.count("<use ") or marks.count("<path ")  # few markers are drawn one by one


def test_a_plot_that_cannot_be_drawn_is_an_error(tmp_path: Path, run: Run) -> None:
    """A plot that is asked for and impossible ends the command: nothing is printed or written."""
    ran = run(
        *("ablate", "mnasnet", "--plot", str(tmp_path / "plot.svg"), "--output", str(tmp_path / "rows.txt"))
    )

    expected = "mbanalyze: error: a plot needs an accuracy, or several values of an option\n"
    assert (2, "", expected) == (ran.code, ran.out, ran.err)
    assert not list(tmp_path.iterdir())


def test_a_search_in_which_nothing_fits_is_plotted(tmp_path: Path, run: Run) -> None:
    """The plot shows the variants nearest to the limit; the exit code says that none fits."""
    file = tmp_path / "plot.svg"
    ran = run("search", "mobilenet", "--max-macs", "1M", "--plot", str(file))

    assert (ran.code, ran.err) == (1, "")
    assert "nothing fits within 1 M" in ran.out
    assert points(file, "over")


def test_a_plot_has_its_size(tmp_path: Path, run: Run) -> None:
    """--plot-size is in inches, of which an SVG has 72 points each."""
    file = tmp_path / "plot.svg"
    ran = run("report", "mobilenet_v1", "--plot", str(file), "--plot-size", "8x5")

    assert (ran.code, ran.err) == (0, "")
    assert 'width="576pt" height="360pt"' in file.read_text()
    assert "mobilenet_v1, 1x3x224x224" in drawn(file)


def test_a_search_without_accuracy_plots_macs(tmp_path: Path, run: Run) -> None:
    """Without published accuracy, a search plots macs against params."""
    file = tmp_path / "plot.svg"
    ran = run("search", "mobilenet_v2", "--alpha", "0.33", "--max-macs", "300M", "--plot", str(file))

    assert (ran.code, ran.err) == (0, "")
    assert points(file, "mobilenet_v2-front") == 1


def test_a_command_closes_its_figures(tmp_path: Path, run: Run) -> None:
    """After a plot, pyplot holds the figures that it held before."""
    before = plt.get_fignums()

    assert run("report", "mobilenet_v1", "--plot", str(tmp_path / "plot.png")).code == 0
    assert plt.get_fignums() == before


def test_compare_prints_the_document_of_the_library(run: Run) -> None:
    """`compare` takes options behind an @."""
    ran = run("compare", "mobilenet_v2", "mobilenet_v2@alpha=0.75,resolution=192", "--format", "json")
    expected = compare(count("mobilenet_v2"), count("mobilenet_v2", alpha=0.75, resolution=192)).as_dict()

    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == json.loads(json.dumps(expected))


@pytest.mark.parametrize("format", ["table", "markdown", "csv"])
def test_compare_in_every_format(format: str, run: Run) -> None:
    """Every format compares architectures with factories."""
    ran = run("compare", "squeezenet1_0", f"{NETS}:small@width=4", "--input", "1,3,32,32", "--format", format)

    assert ran.code == 0
    assert "squeezenet1_0" in ran.out
    assert str(count("squeezenet1_0").totals.macs) in ran.out.replace(",", "")


@pytest.mark.parametrize(
    ("models", "problem"),
    [
        (["mobilenet_v2"], "compare two models or more, not 1"),
        (["mobilenet_v2", "mobilenet_v3"], "mobilenet_v3"),
        (
            ["mobilenet_v2", "mobilenet_v1@alpha"],
            "malformed reference 'mobilenet_v1@alpha': write options as mobilenet_v1@key=value",
        ),
        (["mobilenet_v2", "mobilenet_v1@"], "malformed reference 'mobilenet_v1@'"),
    ],
)
def test_bad_comparisons_get_one_line(models: list[str], problem: str, run: Run) -> None:
    """An error prints one line on stderr and exits with 2."""
    ran = run("compare", *models)

    assert (ran.code, ran.out) == (2, "")
    assert problem in ran.err


def test_search_prints_the_document_of_the_library(run: Run) -> None:
    """Limits may have prefixes, or powers of ten."""
    ran = run("search", "all", "--max-macs", "150e6", "--max-params", "3 M", "--format", "json")
    expected = search("all", max_macs=150_000_000, max_params=3_000_000).as_dict()

    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == json.loads(json.dumps(expected))


@pytest.mark.parametrize("format", ["table", "markdown", "csv", "json"])
def test_nothing_fits_is_exit_code_1(format: str, run: Run) -> None:
    """If nothing fits, the exit code is 1, and tables name the smallest variant."""
    ran = run("search", "mobilenet_v2", "--max-macs", "1k", "--format", format)

    assert (ran.code, ran.err) == (1, "")
    if format in ("table", "markdown"):
        assert "nothing fits within 1 k multiply-accumulates" in ran.out
        assert "mobilenet_v2@alpha=0.15,resolution=96" in " ".join(ran.out.split())


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["mobilnet"], "no family 'mobilnet': nearest are mobilenet, "),
        (["all", "--max-macs", "150.5"], "malformed count '150.5'"),
        (["all", "--max-macs", "1e-3"], "malformed count '1e-3'"),
        (["all", "--objective", "f1"], "unknown objective 'f1': choose one of top1, params, macs"),
        (["all", "--max-params", "0"], "malformed count '0'"),
        (["mobilenet_v2", "--set", "groups=2"], "mobilenet_v2 has no option 'groups'"),
        (["shufflenet_v2", "--alpha", "0.6"], "no variant of shufflenet_v2 has the given values of alpha"),
        (
            ["all", "--set", "max_macs=3"],
            "--set max_macs is an argument of the command, not an option of the model",
        ),
    ],
)
def test_bad_searches_get_one_line(arguments: list[str], problem: str, run: Run) -> None:
    """An error prints one line on stderr and exits with 2."""
    ran = run("search", *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert problem in ran.err


@pytest.mark.parametrize("command", ["ablate", "compare", "search"])
def test_help_has_examples(command: str, run: Run) -> None:
    """The help of each command has examples."""
    ran = run(command, "--help")

    assert ran.code == 0
    assert f"mbanalyze {command} " in ran.out.split("Usage:")[1].split("\n", 1)[1]


def test_a_terminal_takes_a_thousand_rows(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """A terminal takes at most a thousand rows in any format."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    ran = run("ablate", "mobilenet_v2", "--alpha", "0.001:1.001:0.001", "--format", "csv")

    assert ran.code == 2
    assert "1,001 variants are too many to read" in ran.err
    ran = run(
        "search", "mobilenet_v2", "--alpha", "0.001:1.001:0.001", "--resolution", "224", "--format", "csv"
    )
    assert ran.code == 2
    assert "1,001 variants are too many to read" in ran.err
    assert ran.out == ""


def test_no_torch_is_loaded() -> None:
    """Grids and searches of architectures do not import torch, matplotlib or fvcore."""
    script = (
        "import sys; from mbanalyze import cli; sys.argv = ['mbanalyze', *{}]\n"
        "try: cli.main()\n"
        "except SystemExit as left: assert not left.code\n"
        "print([name for name in ('torch', 'matplotlib', 'fvcore') if name in sys.modules])"
    )
    import subprocess

    for arguments in (
        ["ablate", "mobilenet_v2", "--alpha", "1,0.5"],
        ["search", "mobilenet", "--max-macs", "300M"],
    ):
        ran = subprocess.run(
            [sys.executable, "-c", script.format(arguments)], capture_output=True, text=True, check=True
        )
        assert ran.stdout.splitlines()[-1] == "[]"


def test_a_pipe_gets_no_colour() -> None:
    """A pipe gets text without colour."""
    ran = process("search", "mobilenet_v1", "--max-macs", "100M", NO_COLOR="1")

    assert ran.returncode == 0
    assert "\x1b" not in ran.stdout


def test_ablate_takes_options_behind_an_at_sign(run: Run) -> None:
    """An option of the reference is fixed for all variants."""
    arguments = ("--alpha", "1,0.5", "--format", "csv")
    ran = run("ablate", "mobilenet_v1@shallow=true", *arguments)

    assert (ran.code, ran.err) == (0, "")
    assert ran == run("ablate", "mobilenet_v1", "--set", "shallow=true", *arguments)


def test_search_takes_a_dtype_and_a_batch(run: Run) -> None:
    """--dtype and --batch are arguments of the library's function."""
    ran = run(
        "search", "mobilenet_v1", "--max-macs", "1G", "--dtype", "int8", "--batch", "2", "--format", "json"
    )
    expected = search("mobilenet_v1", max_macs=10**9, dtype="int8", batch=2).as_dict()

    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == json.loads(json.dumps(expected))

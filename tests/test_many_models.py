"""Many models by wildcard: each in a process of its own, named if it fails, and kept in a file that resumes."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from commandline import Run
from pages import keys
from rich.console import Console
from warm import warm_python

from mbanalyze import ablate, count, search
from mbanalyze.cli import wildcards
from mbanalyze.display.files import OutputError
from mbanalyze.literature.accuracy.cells import AccuracyError
from mbanalyze.report.accounts import PEAKS
from mbanalyze.sources import patterns, processes
from mbanalyze.sources.patterns import is_pattern, matching_models
from mbanalyze.sources.references import PACKAGES, SourceError
from mbanalyze.sweep.best_variants import Search
from mbanalyze.sweep.candidates import SearchError
from mbanalyze.sweep.grid import GridError
from mbanalyze.sweep.model_jobs import ModelsDone
from mbanalyze.sweep.resumed import ResumeError

PACKAGE = '''
"""A stand-in for timm, with models that fail in every way."""
import os, signal, time
from pathlib import Path
from types import SimpleNamespace
import torch
from torch import nn

__version__ = "9.1"

class Bessel(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)

def conv(width=2, stem=3):
    return nn.Sequential(nn.Conv2d(3, width, stem, bias=False))

def raises():
    raise RuntimeError("it is broken")

MODELS = {
    "conv_2": conv,
    "conv_10": lambda **o: conv(**{"width": 10, **o}),
    "dies_hard": lambda **_: os.kill(os.getpid(), signal.SIGKILL),
    "dies_soon": lambda **_: os._exit(3),
    "hangs": lambda **_: time.sleep(600),
    "lacks": lambda **_: Bessel(),
    "raises": lambda **_: raises(),
    "steps_1": conv,
    "steps_2": lambda **_: (Path(os.environ["STEP"]).exists() and conv()) or time.sleep(600),
}

def list_models():
    return list(MODELS)

def list_pretrained():
    return [f"{name}.in1k" for name in MODELS]

def is_model(name):
    return name in MODELS

def get_pretrained_cfg(name, allow_unregistered=True):
    return SimpleNamespace(input_size=(3, 8, 8))

def create_model(name, pretrained=False, **options):
    return MODELS[name.partition(".")[0]](**options)
'''
# a 3x3 convolution of 3 channels without padding, on 8x8 pixels: 6x6 outputs of 27 products for each channel
CONV_2, CONV_10 = 36 * 27 * 2, 36 * 27 * 10


@pytest.fixture(scope="module", autouse=True)
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Put the stand-in for timm in the place of timm, in this process and in those of models."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "timm.py").write_text(PACKAGE)
    saved = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "timm"}
    with pytest.MonkeyPatch.context() as patch:
        for name in saved:
            patch.delitem(sys.modules, name)
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        yield folder
        sys.modules.pop("timm", None)
    server = processes._servers.pop((os.getpid(), ("timm",)), None)
    if server:
        processes._stop(server)


def here(pattern: str, **options: Any) -> Any:
    """Count a pattern in a thread of this process."""
    with ThreadPoolExecutor(1) as pool:
        return ablate(pattern, executor=pool, **options)


def rows(file: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("timm:mobilenet*", True),
        ("torchvision:resnet?8", True),
        ("transformers:[AB]*Config", True),
        ("mobilenet_v?", True),
        ("mobilenet_v*@alpha=0.5", True),
        ("timm:resnet18", False),
        ("net.py:build@widths=[8,16]", False),
        ("nets/*.py:build", False),
        ("other:x*", False),
        ("[draft]/net.py:build", False),
    ],
)
def test_names_with_wildcards_are_patterns(reference: str, expected: bool) -> None:
    """A wildcard makes a pattern in the name of a package's model or an architecture, and nowhere else."""
    assert is_pattern(reference) == expected


def test_a_pattern_stands_for_the_matching_models() -> None:
    """The order is that of the package; a pattern with a dot matches names with the tag of their weights."""
    assert matching_models("timm:conv*") == ["timm:conv_2", "timm:conv_10"]
    assert matching_models("timm:*s_[12]") == ["timm:steps_1", "timm:steps_2"]
    assert matching_models("timm:conv_2.*") == ["timm:conv_2.in1k"]
    assert matching_models("mobilenet_v?") == ["mobilenet_v1", "mobilenet_v2"]


def test_an_architecture_stands_before_its_aliases() -> None:
    """Aliases match if no architecture does, so that no network is counted twice."""
    assert matching_models("mnasnet*") == ["mnasnet"]
    assert matching_models("mnasnet?_5") == ["mnasnet0_5"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("timm:canv*", r"no model matches timm:canv\*: nearest are timm:conv\*"),
        ("resnot*", r"no model matches resnot\*: nearest are resnet\*"),
        ("timm:§*", r"no model matches timm:§\*$"),
    ],
)
def test_a_pattern_without_models_names_the_nearest(pattern: str, message: str) -> None:
    """The error names beginnings of names with a similar spelling."""
    with pytest.raises(SourceError, match=message):
        ablate(pattern)


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a package that is not installed says how to get it."""
    monkeypatch.setitem(sys.modules, "transformers", None)

    with pytest.raises(SourceError, match="transformers"):
        matching_models("transformers:*")


def test_every_package_has_patterns() -> None:
    """Every package that a reference can name lists its models."""
    assert patterns._MODELS.keys() == PACKAGES.keys()


def test_options_cross_the_models() -> None:
    """There is a row for each model and combination of options, with the counts of `count`."""
    found = here("timm:conv_*@stem=1", resolution=[8, 4]).records()

    # 8x8 or 4x4 outputs of 3 products, for 2 or 10 channels
    assert [(row["model"], row["stem"], row["resolution"], row["macs"]) for row in found] == [
        ("timm:conv_2", 1, 8, 64 * 3 * 2),
        ("timm:conv_2", 1, 4, 16 * 3 * 2),
        ("timm:conv_10", 1, 8, 64 * 3 * 10),
        ("timm:conv_10", 1, 4, 16 * 3 * 10),
    ]
    assert [row["input"] for row in found[:2]] == ["1x3x8x8", "1x3x4x4"]
    for row in found:
        report = count(row["model"], stem=1, resolution=row["resolution"])
        assert row.items() >= report.totals.as_dict(report.itemsize).items()


def test_an_input_is_resized() -> None:
    """A given input replaces the published one, and a resolution resizes it."""
    with ThreadPoolExecutor(1) as pool:
        found = ablate("timm:conv_2*", (2, 3, 16, 16), executor=pool, resolution=[5, 3]).records()

    assert [row["input"] for row in found] == ["2x3x5x5", "2x3x3x3"]
    # one 3x3 output of 27 products for 2 channels and 2 images
    assert found[1]["macs"] == 27 * 2 * 2


def test_images_that_are_not_square(tmp_path: Path) -> None:
    """A resolution is height x width, as text, a tuple or an integer, and spelled as text."""
    file = tmp_path / "zoo.csv"
    found = here("timm:conv_2*", resolution=[(3, 5), "4x3", 8], resume=file).records()

    assert [row["resolution"] for row in found] == ["3x5", "4x3", 8]
    # 1x3, 2x1 and 6x6 outputs of 27 products for 2 channels
    assert [row["macs"] for row in found] == [3 * 54, 2 * 54, 36 * 54]
    assert [row["resolution"] for row in rows(file)] == ["3x5", "4x3", "8"]
    assert here("timm:conv_2*", resolution=["3x5", (4, 3), 8], resume=file).records() == found


ACCURACY = "model,resolution,top1,map\ntimm:conv_2,8,60,0.4\ntimm:conv_10,8,70,\ntimm:other,8,80,\n"


def test_accuracy_of_your_own(tmp_path: Path) -> None:
    """A row of the user's table is about the model that it names, and `search` ranks by it."""
    file = tmp_path / "mine.csv"
    file.write_text(ACCURACY)
    ablation = here("timm:conv*", resolution=[8, 4], accuracy=file)
    found = search("timm:conv*", resolution=[8, 4], accuracy=file)

    assert [row["top1"] for row in ablation.records()] == [60, None, 70, None]
    assert [row["map"] for row in ablation.records()] == [0.4, None, None, None]
    assert ablation.records()[0]["accuracy_source"] == "yours (mine.csv)"
    assert found.best is not None
    assert (found.ranked_by, found.best["model"], found.best["top1"]) == ("top1", "timm:conv_10", 70)
    assert found.reference == "timm:conv_10@resolution=8"
    assert [row.model for row in found.own.unmatched] == ["timm:other"] if found.own else False
    assert "yours" in found.to("table", width=200)
    assert "published accuracy is left out" not in found.to("table", width=200)
    assert search("timm:conv*", resolution=8, accuracy=file, objective="map").ranked_by == "map"


def test_accuracy_needs_models(tmp_path: Path) -> None:
    """Each row of the user's table names its model if a pattern stands for several models."""
    file = tmp_path / "mine.csv"
    file.write_text("resolution,top1\n8,60\n")
    for pattern in ("timm:conv*", "mobilenet_v?"):
        with pytest.raises(AccuracyError, match="names no model"):
            ablate(pattern, accuracy=file)


def test_accuracy_of_matching_architectures(tmp_path: Path) -> None:
    """The accuracy of each architecture stands in its rows, and the table's rows are used if any matches."""
    file = tmp_path / "mine.csv"
    file.write_text("model,top1\nmobilenet_v1,60\nmobilenet_v2,61\nalexnet,50\n")
    ablation = ablate("mobilenet_v?", accuracy=file)

    assert [row["top1"] for row in ablation.records()] == [60, 61]
    assert [source.source for source in ablation.sources] == ["yours (mine.csv)"] * 2
    assert [row.model for row in ablation.own.unmatched] == ["alexnet"] if ablation.own else False


def test_bits_and_dtype_are_settings() -> None:
    """Bits and dtype set the sizes in bytes, and are recorded with the versions."""
    (row,) = here("timm:conv_2*", bits=6, dtype="int8", batch=3).records()

    # 54 weights: 6 bits each are 40.5 bytes
    assert (row["params_bytes"], row["memory_access"]) == (41, row["memory_access_bytes"])
    assert row["batch"] == 3
    assert row["counted_with"].endswith(" timm=9.1 dtype=int8 bits=6")


FAILURES = {
    "timm:dies_hard": "its process was ended by SIGKILL, perhaps because it needs too much memory",
    "timm:dies_soon": "its code ended the process with exit code 3",
    "timm:lacks": "operators without a formula: aten::special_bessel_j0",
    "timm:raises": "raises raised RuntimeError: it is broken",
}
"""The models that cannot be counted completely, and a part of the reason."""


def test_a_failure_is_named_and_harms_no_other(run: Run, tmp_path: Path) -> None:
    """Crashes, errors and missing formulas have a reason in the column `error`; the others are counted."""
    file = tmp_path / "zoo.csv"
    ran = run("ablate", "timm:[!hs]*", "--workers", "3", "--resume", str(file), "--strict")
    found = {row["model"]: row for row in rows(file)}

    assert (ran.code, ran.out) == (1, "")
    assert f"mbanalyze: {file} has 6 rows of this command" in ran.err
    assert list(found) == ["timm:conv_2", "timm:conv_10", *FAILURES]  # 10 follows 2
    for model, reason in FAILURES.items():
        assert reason in found[model]["error"], model
        assert f"mbanalyze: {model}: " in ran.err or model in found[model]["error"], model
    assert [found[name]["macs"] for name in list(found)[:2]] == [str(CONV_2), str(CONV_10)]
    assert found["timm:dies_soon"]["params"] == found["timm:dies_hard"]["macs"] == ""
    assert (found["timm:lacks"]["params"], found["timm:lacks"]["complete"]) == ("0", "False")


def test_a_model_is_given_up_after_the_time_limit() -> None:
    """A model that takes longer than the time limit fails, and its process is ended."""
    (row,) = ablate("timm:hang*", time_limit=0.5).records()

    assert (row["params"], row["error"]) == (None, "it took longer than 0.5 s")


def test_exit_codes(run: Run) -> None:
    """The exit code is 0 if any model is counted, and 1 if none is, or with --strict if one is not."""
    some = run("ablate", "timm:[cr]*", "--format", "csv")
    none = run("ablate", "timm:raise*")

    assert (some.code, none.code) == (0, 1)
    assert "raises raised RuntimeError: it is broken" in some.out
    assert "1 count is not complete:" in none.out
    assert run("ablate", "timm:conv*", "--strict").code == 0
    assert run("ablate", "timm:[cr]*", "--strict").code == 1
    assert run("ablate", "timm:[cr]*", "--strict", "--skip-invalid").code == 0


def test_counts_are_integers_beside_failures() -> None:
    """A row without counts makes no count a float."""
    frame = here("timm:[cr]*").frame()

    assert frame["macs"].dropna().tolist() == [CONV_2, CONV_10]
    assert {str(frame[name].dtype) for name in ("params", "reads", "params_bytes")} == {"Int64"}
    assert frame["params"].isna().tolist() == [False, False, True]
    assert here("timm:[cr]*").records()[2]["params"] is None


def test_architectures_match_too() -> None:
    """A pattern of architectures has their published figures, and an error for one without the options."""
    frame = ablate("mobilenet_v?", alpha=[1, 0.5], round_nearest=8).frame()

    assert frame["model"].tolist() == ["mobilenet_v2", "mobilenet_v2", "mobilenet_v1"]
    assert frame["resolution"].tolist()[:2] == [224, 224]
    assert frame["macs"].tolist()[:2] == ablate("mobilenet_v2", alpha=[1, 0.5]).frame()["macs"].tolist()
    assert "mobilenet_v1 has no option 'round_nearest'" in frame["error"][2]
    assert ablate("mobilenet_v?").frame()["error"].isna().all()


@pytest.mark.parametrize(
    ("pattern", "options", "message"),
    [
        ("timm:conv*", {"rho": [1, 0.5]}, "give resolution for many models"),
        ("timm:conv*", {"mode": ["eval", "train"]}, "mode takes one value for many models"),
        ("timm:conv*", {"input": [1]}, "input is a column of the result"),
        ("timm:conv*", {"source": "arXiv"}, "source selects published figures"),
        ("timm:conv*", {"workers": 0}, "workers must be a whole number above 0"),
        ("timm:conv*", {"time_limit": 0}, "time_limit must be a number of seconds above 0"),
        (
            "mobilenet_v*",
            {"resume": "zoo.csv"},
            r"resume is for the models of a package.* not for mobilenet_v\*",
        ),
        ("mobilenet_v2", {"workers": 2}, "workers is for the models of a package"),
        ("timm:conv_2", {"time_limit": 2}, "time_limit is for the models of a package"),
    ],
)
def test_options_that_many_models_do_not_have(pattern: str, options: dict[str, Any], message: str) -> None:
    """An option that has no meaning for many models, or only for them, is an error."""
    with pytest.raises(GridError, match=message):
        ablate(pattern, **options)


def test_progress_counts_models_and_failures() -> None:
    """The progress says how many are done, how many failed, and a model that is being counted."""
    seen: list[Any] = []
    here("timm:[cr]*", progress=seen.append)

    assert [float(done) for done in seen] == [0, 1 / 3, 2 / 3, 1]
    assert [(done.done, done.total, done.failed) for done in seen[2:]] == [(2, 3, 0), (3, 3, 1)]
    assert seen[-1].model == ""


def test_the_bar_shows_the_model_and_the_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar has the count, the failures, the time left and the model, with escapes for control characters."""
    console = Console(force_terminal=True, width=100, record=True, file=io.StringIO())
    monkeypatch.setattr(wildcards, "Console", lambda **_: console)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with wildcards.models_bar() as show:
        show(ModelsDone(3, 8, 2, "timm:\x1bconv_2"))
    printed = console.export_text()

    assert "3/8" in printed
    assert "2 failed" in printed
    assert r"timm:\x1bconv_2" in printed


def test_a_file_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the file are not counted again, failed ones are, and the frame equals that of one run."""
    file = tmp_path / "zoo.csv"
    fresh = here("timm:[cr]*")
    here("timm:conv_10*", resume=file)
    before = file.read_text()
    seen: list[Any] = []
    resumed = here("timm:[cr]*", resume=str(file), progress=seen.append)

    assert resumed.records() == fresh.records()
    assert [done.done for done in seen] == [1, 2, 3]
    assert before.splitlines()[1] in file.read_text().splitlines()
    again: list[Any] = []
    here("timm:[cr]*", resume=file, progress=again.append)
    assert [done.done for done in again] == [2, 3]
    assert [row["model"] for row in rows(file)] == ["timm:conv_2", "timm:conv_10", "timm:raises"]


def test_the_file_equals_the_csv(tmp_path: Path) -> None:
    """The file has the text of `--format csv`."""
    found = here("timm:conv*", resume=tmp_path / "zoo.csv")

    assert found.to("csv") == (tmp_path / "zoo.csv").read_text()


def test_the_columns_are_documented() -> None:
    """The page on output lists the columns of many models, besides those of a factory."""
    own = {"model", "input", "error", "counted_with"}
    shared = {"params", "macs", "memory_access_bytes", "complete"}

    assert keys("output.md", "### Many models") == own
    assert set(here("timm:conv*").frame()) >= own | shared | {*PEAKS}


@pytest.mark.parametrize("kept", [0, 1, 20, -5])
def test_a_torn_line_is_mended(kept: int, tmp_path: Path) -> None:
    """A file cut at any place, in its header too, continues with its whole lines."""
    file = tmp_path / "zoo.csv"
    here("timm:conv*", resume=file)
    whole = file.read_text()
    file.write_text(whole[:kept])
    here("timm:conv*", resume=file)

    assert file.read_text() == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: "my notes\n", "does not hold the counts of models: give another file"),
        (lambda _: "my notes", "does not hold the counts of models"),
        (lambda _: "\n", "does not hold the counts of models"),
        (lambda text: text.replace("model,input", "model,width,input"), r"other columns \(the file: width\)"),
        (
            lambda text: text.replace("peak_bytes_eager,", ""),
            r"other columns \(this run: peak_bytes_eager\): give another file, or remove this one to count again",
        ),
        (
            lambda text: text.replace("timm=9.1", "timm=9.0"),
            r"\(the file: timm=9.0; this run: timm=9.1\): give",
        ),
        (lambda text: text.replace("timm=9.1", "timm=9.1 dtype=int8"), r"\(the file: dtype=int8\)"),
        (lambda text: text.replace(f"{CONV_2},", "many,"), "malformed count of timm:conv_2"),
        (lambda text: text + "timm:conv_10,1\n", "line 4 of .*zoo.csv is not whole"),
    ],
)
def test_another_file_is_left_unchanged(change: Any, message: str, tmp_path: Path) -> None:
    """A file that is something else, or of other options or versions, is an error and stays the same."""
    file = tmp_path / "zoo.csv"
    here("timm:conv*", resume=file)
    text = change(file.read_text())
    file.write_text(text)

    with pytest.raises(ResumeError, match=message):
        here("timm:conv*", resume=file)
    assert file.read_text() == text


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder or a missing folder is an error before any count."""
    with pytest.raises(OutputError, match="cannot write"):
        here("timm:conv*", resume=tmp_path)
    with pytest.raises(OutputError, match="no such folder"):
        here("timm:conv*", resume=tmp_path / "missing" / "zoo.csv")


@pytest.mark.posix
def test_an_interrupted_command_resumes(package: Path, tmp_path: Path) -> None:
    """Ctrl-C leaves a valid file with the counts so far, and the same command completes it."""
    file, step = tmp_path / "zoo.csv", tmp_path / "step"
    arguments = ("ablate", "timm:steps*", "--workers", "1", "--resume", str(file))
    command = [sys.executable, "-m", "mbanalyze", *arguments]
    environ = {**os.environ, "STEP": str(step)}
    started = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    while started.poll() is None and not (file.exists() and rows(file)):
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)

    assert (started.returncode, said) == (130, "")
    assert [row["model"] for row in rows(file)] == ["timm:steps_1"]
    step.touch()
    resumed = [warm_python(), *command[1:]]
    assert subprocess.run(resumed, env=environ, capture_output=True, check=False).returncode == 0
    assert [row["macs"] for row in rows(file)] == [str(CONV_2), str(CONV_2)]


def test_the_best_of_many_models() -> None:
    """A search considers the models that are counted completely, and names the others."""
    found = search("timm:[clr]*", max_macs=CONV_10 - 1, objective="macs", resolution=8, workers=2)

    assert found.best is not None
    assert (found.best["model"], found.best["resolution"], found.best["macs"]) == ("timm:conv_2", 8, CONV_2)
    assert (found.blocking_limits[0].variant["model"], len(found.considered)) == ("timm:conv_10", 2)
    assert [name for name, _ in found.uncounted] == ["timm:lacks@resolution=8", "timm:raises@resolution=8"]
    assert list(found.as_dict()["uncounted"]) == [name for name, _ in found.uncounted]
    text = found.to("table", width=200)
    assert "best within" in text
    assert "2 counts are not complete:" in text
    assert "timm:lacks@resolution=8: operators without a formula" in text


def test_a_search_resumes_the_file_of_ablate(tmp_path: Path) -> None:
    """`search` and `ablate` share the file of counts."""
    file = tmp_path / "zoo.csv"
    here("timm:conv*", width=[4, 6], resume=file)
    before = file.read_text()
    seen: list[Any] = []
    found = search("timm:conv*", width=[4, 6], resume=file, progress=seen.append)

    assert [done.done for done in seen] == [4]
    assert file.read_text() == before
    assert isinstance(found, Search)
    assert found.best is not None
    assert (found.ranked_by, found.best["options"]) == ("macs", "width=6")


def test_a_search_without_models() -> None:
    """A search that counts no model says why, and one that no model fits names the lowest."""
    with pytest.raises(
        SearchError, match=r"no model of timm:raise\* is counted: timm:raises: .*it is broken"
    ):
        search("timm:raise*")
    none = search("timm:conv*", max_macs=1)
    assert none.best is None
    assert "lowest multiply-accumulates of 2 variants" in none.to("table")


def test_a_search_among_matching_architectures() -> None:
    """A pattern of architectures searches among those that match."""
    found = search("mobilenet_v?", max_macs=300_000_000)

    assert set(found.considered["model"]) == {"mobilenet_v1", "mobilenet_v2"}
    with pytest.raises(GridError, match="workers is for the models of a package"):
        search("mobilenet_v?", workers=2)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["ablate", "timm:conv*", "--plot", "x.svg"], "--plot draws the variants of one network"),
        (
            ["ablate", "timm:conv*", "--resume", "x.csv", "-o", "./x.csv"],
            "--output and --resume are both x.csv",
        ),
        (["ablate", "timm:conv*", "--time-limit", "0"], "time_limit must be a number of seconds above 0"),
        (["ablate", "timm:conv*", "--workers", "0"], "--workers must be a whole number from 1"),
        (["ablate", "mobilenet_v*", "--workers", "2"], "--workers is for the variants of a factory"),
        (["search", "mobilenet_v*", "--resume", "x.csv"], "resume is for the models of a package"),
        (["search", "timm:canv*"], "no model matches timm:canv*"),
    ],
)
def test_bad_commands_get_one_line(arguments: list[str], problem: str, run: Run) -> None:
    """An error prints one line on stderr and exits with 2."""
    ran = run(*arguments)

    assert (ran.code, ran.out) == (2, "")
    assert problem in ran.err
    assert ran.err.count("\n") == 1


def test_a_kept_result_is_printed_on_demand(run: Run, tmp_path: Path) -> None:
    """With --format, the rows of a resumed file are printed as well."""
    file = str(tmp_path / "zoo.csv")
    quiet = run("ablate", "timm:conv*", "--resume", file)
    printed = run("ablate", "timm:conv*", "--resume", file, "--format", "json")

    assert (quiet.code, quiet.out) == (0, "")
    assert [row["macs"] for row in json.loads(printed.out)] == [CONV_2, CONV_10]

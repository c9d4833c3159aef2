"""The benchmark has a row with each target, and reports what fails; no test measures a time."""

from __future__ import annotations

import ast
import csv
import importlib
import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from pages import pages
from torch import nn

import mbanalyze
from benchmarks import (
    __main__,
    commands,
    floor,
    grids,
    growth,
    order,
    peers_table,
    phones,
    predicted_times,
    profiled_files,
    targets,
    times_table,
    timing,
    trace_profile,
    whole_processes,
    zoo,
)
from benchmarks.commands import Command, CommandError, Ran, script
from benchmarks.peers import PEERS
from benchmarks.phones import PhoneTime
from benchmarks.times_table import Unseen
from benchmarks.timing import Timed
from mbanalyze import count
from mbanalyze.profiles.predicted_time import TimeRange
from mbanalyze.profiles.profile_file import read_profile
from mbanalyze.timing.anchors import NETWORKS
from mbanalyze.timing.steadiness import UnsteadyError

MEBIBYTE = 2**20


def cells(text: str, *columns: str) -> dict[str, tuple[str, ...]]:
    """Return the named columns of every row, by the first cell, of the tables that have them."""
    found: dict[str, tuple[str, ...]] = {}
    for part in text.split("\n\n"):
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines()]
        if part.startswith("|") and set(columns) <= set(lines[0]):
            places = [lines[0].index(column) for column in columns]
            found |= {line[0]: tuple(line[place] for place in places) for line in lines[2:]}
    return found


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every command take 3 s and 2 CPU seconds, with a peak of 100 MiB."""

    def measured(command: Command) -> Ran:
        if "--output" in command.arguments:
            with Path(command.arguments[-1]).open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([["model", "complete"], ["a", "True"], ["b", "False"]])
        return Ran(3.0, 2.0, 100 * MEBIBYTE)

    def output(command: Command) -> str:
        if "published" in command.arguments:
            number = {"squeezenet": 10, "mobilenet": 50}.get(command.arguments[3], 100)
            return json.dumps([{}] * number)
        if command.arguments[1] == grids.STAGES:
            return "100000 0.5 0.25 1.0"
        return f"0.25\n{120 * MEBIBYTE}\n0.1 0.1 0.1\n1.5" if command.arguments[1] == grids.MILLION else ""

    monkeypatch.setattr(commands, "measured", measured)
    monkeypatch.setattr(commands, "output", output)


@pytest.mark.usefixtures("no_processes")
def test_each_process_has_its_target() -> None:
    """A ratio of 1 reaches the targets above it; that of a family grows with the figures that it prints."""
    text = whole_processes.measure(2)

    assert cells(text, "ratio", "target", "reached") == {
        'python -c "import torch"': ("**1.00**", "-", "-"),
        "mbanalyze --help": ("**1.00**", "≤ 0.2", "**no**"),
        "mbanalyze report mobilenet_v2": ("**1.00**", "-", "-"),
        "mbanalyze report torchvision:mobilenet_v2": ("**1.00**", "≤ 1.5", "yes"),
        "mbanalyze report timm:mobilenetv3_large_100": ("**1.00**", "≤ 2", "yes"),
        "mbanalyze report mobilenet_v2 --trace": ("**1.00**", "≤ 1.3", "yes"),
        "mbanalyze ablate mobilenet_v2": ("**1.00**", "≤ 0.5", "**no**"),
        "mbanalyze search all": ("**1.00**", "≤ 0.6", "**no**"),
        "mbanalyze published": ("**1.00**", "≤ 0.5", "**no**"),
        # 0.2 + (0.5 - 0.2) * 10 / 100, and 50 / 100
        "mbanalyze published squeezenet": ("**1.00**", "≤ 0.23", "**no**"),
        "mbanalyze published mobilenet": ("**1.00**", "≤ 0.35", "**no**"),
        "completion of a model's name": ("**1.00**", "≤ 0.2", "**no**"),
        "import torch and construct the ten": ("**1.00**", "-", "-"),
        "mbanalyze guard, ten models": ("**1.00**", "≤ 1.3", "yes"),
    }


@pytest.mark.usefixtures("no_processes")
def test_a_process_that_fails_has_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is listed with its error, and the others keep their rows; without `import torch` they have no ratio."""
    measured = commands.measured

    def failing(command: Command) -> Ran:
        if command.arguments == ("-c", "import torch"):
            raise CommandError("no torch")
        return measured(command)

    monkeypatch.setattr(commands, "measured", failing)
    text = whole_processes.measure(2)

    assert 'Failed:\n\n- python -c "import torch": CommandError: no torch' in text
    assert cells(text, "ratio", "reached")["mbanalyze --help"] == ("-", "-")
    assert cells(text, "ratio", "reached")["mbanalyze guard, ten models"] == ("**1.00**", "yes")


def test_each_network_has_its_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ratio is to the fastest peer, and has to be twice as large at 512 px; a peer that fails has a dash."""
    peers = {name: Timed((1.0, 1.0)) for name in PEERS}
    timed = {
        "mbanalyze": Timed((0.05, 0.05)),
        **peers,
        "thop": Timed((0.5, 0.5)),
        "fvcore": Timed(error="broken"),
    }
    monkeypatch.setattr(peers_table, "network", lambda name, side: nn.Identity())
    monkeypatch.setattr(timing, "counters", lambda *_: timed)
    text = peers_table.measure(2)

    # the fastest peer takes 0.5 s, ours 0.05 s
    assert cells(text, "fastest peer / ours", "target", "reached", "fvcore / ours", "thop") == {
        "mobilenet_v2, 224 px": ("**10.0**", "≥ 7", "yes", "-", "500"),
        "mobilenet_v3_large, 224 px": ("**10.0**", "≥ 6", "yes", "-", "500"),
        "shufflenet_v2_x1_0, 224 px": ("**10.0**", "≥ 4.5", "yes", "-", "500"),
        "squeezenet1_0, 224 px": ("**10.0**", "≥ 12", "**no**", "-", "500"),
        "resnet50, 224 px": ("**10.0**", "≥ 17", "**no**", "-", "500"),
        "vit_b_16, 224 px": ("**10.0**", "≥ 32", "**no**", "-", "500"),
        "swin_t, 224 px": ("**10.0**", "≥ 6", "yes", "-", "500"),
        "convnext_tiny, 224 px": ("**10.0**", "≥ 13", "**no**", "-", "500"),
        "mobilenet_v2, 512 px": ("**10.0**", "≥ 14", "**no**", "-", "500"),
        "mobilenet_v3_large, 512 px": ("**10.0**", "≥ 12", "**no**", "-", "500"),
        "shufflenet_v2_x1_0, 512 px": ("**10.0**", "≥ 9", "yes", "-", "500"),
        "squeezenet1_0, 512 px": ("**10.0**", "≥ 24", "**no**", "-", "500"),
        "resnet50, 512 px": ("**10.0**", "≥ 34", "**no**", "-", "500"),
        "vit_b_16, 512 px": ("**10.0**", "≥ 64", "**no**", "-", "500"),
        "swin_t, 512 px": ("**10.0**", "≥ 12", "**no**", "-", "500"),
        "convnext_tiny, 512 px": ("**10.0**", "≥ 26", "**no**", "-", "500"),
    }
    assert "- fvcore on swin_t, 512 px: broken" in text


@pytest.mark.usefixtures("no_processes")
def test_the_zoo_has_its_targets() -> None:
    """The run over all models has three numbers, and names the models that it does not count completely."""
    text = zoo.measure(2)

    assert cells(text, "measured", "target", "reached") == {
        "CPU seconds": ("2", "≤ 150", "yes"),
        "GB, the peak of the largest process": ("0.105", "≤ 1", "yes"),  # 100 * 2**20 / 1e9
        "seconds": ("3", "-", "-"),
    }
    assert "2 models; not counted completely: b." in text
    assert set(zoo.WORK) == set(cells(text, "two / one"))
    assert {("**1.00**", "≤ 1", "yes")} == set(cells(text, "two / one", "target", "reached").values())


@pytest.mark.usefixtures("no_processes")
def test_the_grids_have_their_targets() -> None:
    """A million variants have a target of time and one of memory; the command of 100,000 variants has one of time."""
    found = cells(grids.measure(2), "measured", "target", "reached")

    assert found["a million variants, s"] == ("0.100", "≤ 0.12", "yes")
    assert found["peak after the first call, MiB"] == ("120", "≤ 130", "yes")
    assert found["100,000 variants: the command, written as CSV, s"] == ("3.00", "≤ 3", "yes")
    assert found["100,000 variants in Python: its CSV, written, s"] == ("1.00", "-", "-")


def test_the_grid_has_a_hundred_thousand_variants() -> None:
    """It has 400 alphas and 250 resolutions."""
    _, _, _, alphas, _, sides = grids.GRID
    numbers = [[float(number) for number in values.split(":")] for values in (alphas, sides)]

    # (1.2475 - 0.25) / 0.0025 + 1, and (281 - 32) / 1 + 1
    assert [round((last - first) / step) + 1 for first, last, step in numbers] == [400, 250]


def test_chains_have_their_targets() -> None:
    """Each length has the target of 30 us an operator, and the longest is compared with the shortest."""
    rows = growth.chain_rows("modules", {1000: [10.0, 10.0], 5000: [31.0, 31.0], 20_000: [14.0, 14.0]})

    assert [row[:4] for row in rows] == [
        ["1,000 modules", "10.0", "≤ 30", "yes"],
        ["5,000 modules", "31.0", "≤ 30", "**no**"],
        ["20,000 modules", "14.0", "≤ 30", "yes"],
        ["20,000 modules / 1,000", "1.40", "≤ 1.3", "**no**"],
    ]
    assert growth.CHAINS == (1_000, 10_000, 100_000)
    assert growth.MODULES == (1_000, 5_000, 20_000)


def test_chains_have_their_operators() -> None:
    """A loop of ten operators is one module, and six modules have one operator each."""
    loop, six = growth.Chain(10), growth.modules(6)

    assert [len(count(module, (1, 4, 8, 8)).rows) for module in (loop, six)] == [10, 6]
    assert [len(list(module.modules())) for module in (loop, six)] == [2, 7]


def test_nesting_has_its_target() -> None:
    """The depth that runs has to be counted; a depth that does not run by itself has no verdict."""
    text = growth.nesting_table("250 160\n100 True True\n200 True False\n300 False False\n")

    assert cells(text, "runs", "counts", "reached") == {
        "deepest that works, with Python's default recursion limit": ("250", "160", "**no**"),
        "100 deep": ("yes", "yes", "yes"),
        "200 deep": ("yes", "no", "**no**"),
        "300 deep": ("no", "no", "-"),
    }
    assert growth.DEPTHS == (100, 300, 900)


@pytest.mark.parametrize("code", [grids.MILLION, grids.STAGES, growth.NESTING, growth.BILLION])
def test_scripts_import_names_that_exist(code: str) -> None:
    """Each name that a script imports from mbanalyze is there."""
    imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    named = [(node.module or "", each.name) for node in imports for each in node.names]

    assert "mbanalyze" in code
    assert [(place, name) for place, name in named if not hasattr(importlib.import_module(place), name)] == []


def test_every_phase_of_a_trace_is_found() -> None:
    """A count runs every function whose time is shown, and takes time in every phase."""
    with trace_profile.phases_timed() as clock:
        count(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), (1, 3, 8, 8))

    assert set(trace_profile.PHASES) == {phase for phase, seconds in clock.seconds.items() if seconds > 0}


def test_phases_do_not_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reading of the clock is a second later; a phase inside another is not in the time of the outer one."""
    readings: Iterator[int] = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(readings)))
    clock = trace_profile.Clock()
    with clock.phase("outer"), clock.phase("inner"):
        pass

    # read at 0 (start), 1 (outer begins), 2 (inner begins), 3 (inner ends), 4 (outer ends)
    assert clock.seconds == {"the rest": 1, "outer": 1 + 1, "inner": 1}


def test_the_floor_runs_no_innermost_module() -> None:
    """Modules that call no other give the results of their calls in turn; one that is called twice has two."""
    relu = nn.ReLU()
    net = nn.Sequential(nn.Conv2d(3, 4, 1), relu, nn.MaxPool2d(2), relu)
    kept = floor.kept_results(net.to("meta"), torch.empty(1, 3, 8, 8, device="meta"))

    assert {net[0]: 1, relu: 2, net[2]: 1} == {module: len(results) for module, results in kept.items()}
    assert [tuple(result.shape) for result in kept[relu]] == [(1, 4, 8, 8), (1, 4, 4, 4)]
    out = floor.floor(net, 224)()
    assert isinstance(out, torch.Tensor)
    assert tuple(out.shape) == (1, 4, 112, 112)


def test_files_of_a_profile_are_named_by_package() -> None:
    """A file of this package has its path, and one of torch or Python the name of the package."""
    files = (mbanalyze.__file__, nn.__file__, json.__file__)

    assert list(map(profiled_files.place, map(str, files))) == [
        "mbanalyze/__init__.py",
        "torch, in Python",
        "Python's library",
    ]


def test_shares_of_files_sum_to_the_whole() -> None:
    """The table has the files of a count, whose shares sum to 100 %, each rounded to a tenth."""
    text = profiled_files.files(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), (1, 3, 8, 8), 1)
    shares = {
        name: float(share.split()[0])
        for name, (share,) in cells(text, "share of the profiler's time").items()
    }

    assert {"torch, in Python", "mbanalyze/trace/tracer.py"} < set(shares)
    assert abs(sum(shares.values()) - 100) < len(shares) * 0.05 + 1e-9


def test_the_peak_of_a_process_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of this process is not in the peak of a command; that of a process that the command starts is."""
    monkeypatch.setattr(commands, "search_path", lambda: "")
    large = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'bytearray(150_000_000)'])"

    assert 150_000_000 > commands.measured(script("pass")).peak > 0
    assert commands.measured(script(large)).peak > 150_000_000


def test_a_command_that_fails_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is the last line that the command prints on stderr, or its exit code."""
    monkeypatch.setattr(commands, "search_path", lambda: "")

    with pytest.raises(CommandError, match=r"^SystemExit2$"):
        commands.output(script("import sys; print('SystemExit2', file=sys.stderr); sys.exit(2)"))
    with pytest.raises(CommandError, match=r"^exit code 1$"):
        commands.measured(script("import sys; sys.exit(3)"))


def test_the_import_hook_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that does not import torchvision does not import torch because of the hook."""
    monkeypatch.setattr(commands, "search_path", lambda: str(commands.HERE / "without_extension"))
    code = "import sys; print('sitecustomize' in sys.modules, 'torch' in sys.modules)"

    assert commands.output(script(code)) == "True False\n"


@pytest.fixture
def sections(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Replace the sections by one that works and one that fails, and return the folder that files go to."""

    def fails(_: int) -> str:
        raise ValueError("no such thing")

    known = {"good": ("Good", lambda rounds: f"{rounds} rounds"), "bad": ("Bad", fails)}
    monkeypatch.setattr(__main__, "SECTIONS", known)
    monkeypatch.setattr(__main__, "HERE", tmp_path)
    monkeypatch.setattr(__main__, "versions", lambda: {"python": "3"})
    return tmp_path


def test_chosen_sections_are_printed(sections: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A part of the sections is printed in the order of the command line, and no file is written."""
    assert __main__.main(["good", "--rounds", "3"]) == 0

    assert capsys.readouterr().out.endswith("\n## Good\n\n3 rounds\n")
    assert list(sections.iterdir()) == []


def test_a_section_that_fails_is_reported(sections: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All sections are written; the one that fails has its error, and the exit code is 1."""
    assert __main__.main([]) == 1

    (file,) = sections.iterdir()
    text = file.read_text()
    assert f"`make benchmark` wrote this file on {os.cpu_count()} CPUs" in text
    assert "\n## Good\n\n5 rounds\n\n## Bad\n\n**This section failed:** ValueError: no such thing\n" in text
    assert "wrote" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["ugly"], ["good", "ugly"], ["--rounds", "1"], ["--rounds", "x"]])
def test_wrong_arguments_are_refused(
    arguments: list[str], sections: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown section and fewer than two rounds end with one line and exit code 2."""
    with pytest.raises(SystemExit, match="2"):
        __main__.main(arguments)

    assert "error: " in capsys.readouterr().err.splitlines()[-1]
    assert list(sections.iterdir()) == []


def test_a_target_is_a_bound() -> None:
    """A number on the bound reaches the target from both sides."""
    most, least = targets.Target(1.5), targets.Target(7, least=True)

    assert [most.verdict(number) for number in (1.5, 1.51)] == ["yes", "**no**"]
    assert [least.verdict(number) for number in (7, 6.9)] == ["yes", "**no**"]


def test_errors_are_relative_to_measured_times() -> None:
    """A prediction of 12 ms for 10 ms has an error of 20 %; the 90th percentile is between the largest two."""
    # errors 0.2, 0.1 and 0; 0.1 + 0.8 * (0.2 - 0.1), as 0.9 * (3 - 1) = 1.8
    assert order.errors([12, 9, 10], [10, 10, 10]) == pytest.approx((0.1, 0.18))


def test_counts_are_scaled_by_the_median_ratio() -> None:
    """The ratios of time to count are 2, 3 and 5, so that counts are multiplied by 3."""
    assert order.scaled([1, 2, 3], [2, 6, 15]) == [3, 6, 9]


def test_the_rank_correlation_is_spearmans() -> None:
    """Ranks 1, 3, 2 against 1, 2, 3 have differences 0, 1 and 1."""
    # the correlation is 1 - 6 * (0 + 1 + 1) / (3 * (9 - 1))
    assert order.rank_correlation([10, 300, 200], [1.0, 2.0, 3.0]) == pytest.approx(0.5)


def test_equal_macs_pairs_have_different_times() -> None:
    """Macs of 100 and 125 are a pair, and of 100 and 126 are none; times of 10 and 11 ms are too close."""
    assert order.equal_macs_pairs([100, 125], [10, 12]) == [(0, 1)]
    assert order.equal_macs_pairs([100, 126], [10, 12]) == []
    assert order.equal_macs_pairs([100, 100], [10, 11]) == []


def test_a_tie_does_not_order_a_pair() -> None:
    """The slower network of a pair has to have more; with as much, the order is not known."""
    measured = [10.0, 20.0, 30.0]
    pairs = [(0, 1), (0, 2), (1, 2)]

    assert list(order.in_order(pairs, [1, 1, 2], measured)) == [(0, 2), (1, 2)]
    assert list(order.in_order(pairs, [3, 2, 1], measured)) == []


UNSEEN = (
    Unseen("a", 10.0, TimeRange(10.5, 10.0, 12.1), 1.0, 100, 30),
    Unseen("b", 20.0, TimeRange(20.0, 19.0, 21.0), 0.9, 110, 20),
    Unseen("c", 40.0, TimeRange(30.0, 28.0, 32.0), 0.5, 400, 90),
)


def test_predicted_times_have_their_targets() -> None:
    """The page has each target, the order by each quantity, and a row for each network and each failure."""
    profile = read_profile(commands.ROOT / "tests/data/time_profile.json")
    text = times_table.page(profile, UNSEEN, {"d": "no times"}, 9, {"torch": "2"}, (0.1, 1.0), 1.012)
    names = ("measured", "target", "reached")

    # errors 0.05, 0 and 0.25; 0.05 + 0.8 * (0.25 - 0.05) = 0.21; the interval of c is below its time
    assert cells(text, *names) == {
        "networks": ("3", "≥ 20", "**no**"),
        "median error": ("0.05", "≤ 0.1", "yes"),
        "90th percentile of the error": ("0.21", "≤ 0.2", "**no**"),
        "Spearman": ("1", "≥ 0.97", "yes"),
        "equal-macs pairs in the right order": ("1", "≥ 0.93", "yes"),
        "at least inside the 80 % interval": ("0.667", "≥ 0.7", "**no**"),
        "at most inside the 80 % interval": ("0.667", "≤ 0.9", "yes"),
    }
    assert cells(text, "Spearman", "in the right order") == {
        "predicted time": ("1.000", "1 of 1"),
        "macs": ("1.000", "1 of 1"),
        "memory access": ("0.500", "0 of 1"),
    }
    assert cells(text, "measured ms", "interval", "inside", "coverage", "macs") == {
        "a": ("10.00", "10.00 to 12.10", "yes", "100 %", "100"),
        "b": ("20.00", "19.00 to 21.00", "yes", "90 %", "110"),
        "c": ("40.00", "28.00 to 32.00", "**no**", "50 %", "400"),
    }
    assert "Failed:\n\n- d: no times" in text


def test_no_predicted_network_is_an_anchor() -> None:
    """The networks are at least 24, each once, and no name of them is that of an anchor."""
    names = {reference.partition(":")[2] for reference in predicted_times.NETWORKS}

    assert len(names) == len(predicted_times.NETWORKS) >= 24
    assert (
        names & {*NETWORKS, "mobilenet_v3_large", "mnasnet1_0", "shufflenet_v2_x1_0", "mobilenetv2_100"}
        == set()
    )


def test_a_busy_machine_writes_no_predicted_times(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason is one line, the exit code is 1, and there is no file; a quiet machine writes one."""

    def busy(_: object) -> str:
        raise UnsteadyError("other programs took the processor")

    monkeypatch.setattr(predicted_times, "FOLDER", tmp_path / "time")
    monkeypatch.setattr(predicted_times, "measure", busy)
    assert predicted_times.main([]) == 1
    assert capsys.readouterr().err == "other programs took the processor\n"
    assert list(tmp_path.iterdir()) == []

    monkeypatch.setattr(predicted_times, "measure", lambda _: "# Times\n")
    assert predicted_times.main([]) == 0
    (file,) = (tmp_path / "time").iterdir()
    assert file.read_text() == "# Times\n"
    assert predicted_times.main(["torchvision:resnet34"]) == 0
    assert capsys.readouterr().out == "# Times\n"


def test_a_fit_to_phones_finds_the_constants() -> None:
    """Times of 2 ms for each flop and 3 ms for each operator give these constants."""
    work = np.array([[1.0, 5.0, 1.0], [4.0, 1.0, 2.0], [2.0, 2.0, 5.0]])
    milliseconds = np.array([2.0 + 3, 8 + 6, 4 + 15])

    assert list(phones.fit(work, milliseconds)) == pytest.approx([2, 0, 3], abs=1e-9)


def test_an_architecture_is_predicted_from_the_others() -> None:
    """Each of two networks has the milliseconds for each multiply-accumulate of the other."""
    one, two = (count(nn.Conv2d(1, channels, 1, bias=False), (1, 1, 1, 1)) for channels in (1, 2))
    networks = [PhoneTime("one", one, 10.0), PhoneTime("two", two, 40.0)]

    # 1 macs at 40 / 2 ms, and 2 macs at 10 / 1 ms
    assert phones.predicted(networks, phones.macs) == pytest.approx([20, 20])


def test_phones_have_printed_times_of_float_networks() -> None:
    """MobileNetV2 has three times on a Pixel 1, and quantized networks have none."""
    found = [(entry, ms) for entry, ms in phones.printed("Pixel 1") if entry.variant == "mobilenet_v2"]

    assert [ms for entry, ms in found if entry.options == {"alpha": 1.0, "resolution": 224}] == [75, 73.8, 64]
    assert all("8 bit" not in entry.label for phone in phones.PHONES for entry, _ in phones.printed(phone))


def test_the_page_on_time_shows_the_phones() -> None:
    """It has the table of all phones, letter by letter."""
    assert f"\n\n{phones.phones()}\n\n" in pages()["time.md"]

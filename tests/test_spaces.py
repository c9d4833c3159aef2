"""Searches in a space of networks: exact costs, the best network, studies that go on, and functions of the user."""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from commandline import Run

from mbanalyze import count, search_space
from mbanalyze.spaces.boards import find_board
from mbanalyze.spaces.candidate import COSTS, Candidate, costed
from mbanalyze.spaces.known_spaces import MOBILENET_V2, SPACES
from mbanalyze.spaces.space import Space, SpaceError, StageChoices
from mbanalyze.spaces.space_result import SpaceSearch
from mbanalyze.spaces.study import StudyError

SMALL = Space(
    "small",
    "mobilenet_v2",
    (
        StageChoices((3,), (1,), (1,), (16,)),
        StageChoices((3, 5), (3, 6), (1, 2), (24,)),
        *(StageChoices((3,), (3,), (1,), (width,)) for width in (32, 64, 96)),
        StageChoices((3, 7), (3, 6), (1,), (160,)),
        StageChoices((3,), (3,), (1,), (320,)),
    ),
    {"alpha": (0.25, 0.5), "resolution": (32, 64, 96), "num_classes": (10,)},
)
"""2 x 2 x 2 choices of the second stage, 2 x 2 of the sixth, 2 widths and 3 resolutions: 192 networks."""
LIMITS: dict[str, Any] = {"max_peak_deployed": 30_000, "max_params": "400k", "dtype": "int8"}


def brute_force(space: Space) -> list[tuple[int, str]]:
    """Count each network of a space by its reference, and return the macs of those within `LIMITS`."""
    found = []
    for choices in space.every():
        report = count(space.architecture, dtype="int8", **space.options_of(choices))
        if report.peak_bytes("deployed") <= 30_000 and report.totals.params <= 400_000:  # type: ignore[operator]
            found.append((report.totals.macs or 0, report.reference))
    return sorted(found, reverse=True)


@pytest.fixture(scope="module")
def best() -> list[tuple[int, str]]:
    """The networks of `SMALL` within `LIMITS`, the best first."""
    return brute_force(SMALL)


def test_a_small_space_is_tried_completely(best: list[tuple[int, str]]) -> None:
    """A space with no more networks than trials is tried completely: the best network is that of brute force."""
    found = search_space(SMALL, **LIMITS)

    assert (SMALL.size, len(found.tried), found.is_exhaustive) == (192, 192, True)
    assert 0 < len(best) < 192
    assert found.best is not None
    assert (found.best.costs["macs"], found.best.reference) == best[0]
    assert sorted(each.candidate.reference for each in found.fitting) == sorted(name for _, name in best)


def test_proposals_find_the_best(best: list[tuple[int, str]]) -> None:
    """NSGA-II finds the best network of a small space in fewer trials than it has networks."""
    found = search_space(SMALL, trials=150, seed=1, **LIMITS)

    assert not found.is_exhaustive
    assert found.best is not None
    assert found.best.costs["macs"] == best[0][0]


@pytest.mark.parametrize("name", SPACES)
def test_the_command_reports_the_same_costs(name: str, run: Run) -> None:
    """The command that a search prints reports the costs that the search states, and so does the module."""
    found = search_space(name, board="stm32f746", trials=40, seed=2, num_classes=10)
    best = found.best
    assert best is not None
    program, *words = shlex.split(best.command)
    ran = run(*words, "--format", "json")
    totals = json.loads(ran.out)["totals"]

    assert (program, ran.code) == ("mbanalyze", 0)
    assert {cost: totals[cost] for cost in COSTS} == best.costs
    assert sum(weight.numel() for weight in best.build().parameters()) == best.costs["params"]
    assert sum(row["params"] for row in found.stages) == best.costs["params"]
    assert sum(row["macs"] for row in found.stages) == best.costs["macs"]
    assert all(best.costs[cost] <= limit for cost, limit in found.limits.items())


def test_the_papers_network_is_in_the_space() -> None:
    """The space of MobileNetV2 has the paper's own network, at width 1 and 224 pixels."""
    paper = "k3e1d1c16-k3e6d2c24-k3e6d3c32-k3e6d4c64-k3e6d3c96-k3e6d3c160-k3e6d1c320"
    for part, choices in zip(paper.split("-"), MOBILENET_V2.stages, strict=True):
        numbers = [
            int(number) for number in part[1:].replace("e", " ").replace("d", " ").replace("c", " ").split()
        ]
        assert all(number in among for number, among in zip(numbers, choices, strict=True)), part
    assert {1.0} < set(MOBILENET_V2.options["alpha"])
    assert 1280 in MOBILENET_V2.options["head"]


@pytest.mark.parametrize("name", SPACES)
def test_every_choice_makes_a_network(name: str) -> None:
    """The first and the last choice on every axis of a space make a network."""
    space = SPACES[name]
    for at in (0, -1):
        options = space.options_of({axis: choices[at] for axis, choices in space.axes.items()})
        assert (count(space.architecture, **options).totals.macs or 0) > 0


def test_no_network_is_costed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is proposed again has the costs of the first time."""
    times: Counter[str] = Counter()

    def counted(model: str, options: Any, *rest: Any) -> Candidate:
        """Note the network, and cost it."""
        times[repr(options)] += 1
        return costed(model, options, *rest)

    monkeypatch.setattr("mbanalyze.spaces.space_search.costed", counted)
    found = search_space(SMALL, trials=120, **LIMITS)

    assert set(times.values()) == {1}
    assert len(found.tried) == len(times) < found.trials == 120


def facts(found: SpaceSearch) -> list[tuple[str, float | None]]:
    """The networks of a search in order, with their values."""
    return [(each.candidate.reference, each.value) for each in found.tried]


def test_a_study_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A search of 25 trials that goes on to 45 has the networks of one of 45, with the same seed alone."""
    file = tmp_path / "study.db"
    whole = search_space("mobilenet_v2", trials=45, seed=3, board="stm32f412")
    part = search_space("mobilenet_v2", trials=25, seed=3, board="stm32f412", study=file)
    rest = search_space("mobilenet_v2", trials=45, seed=3, board="stm32f412", study=file)
    again = search_space("mobilenet_v2", trials=45, seed=3, board="stm32f412", study=file)

    assert facts(part) == facts(whole)[: len(part.tried)]
    assert facts(whole) == facts(rest) == facts(again)
    assert facts(whole) != facts(search_space("mobilenet_v2", trials=45, seed=4, board="stm32f412"))


class Stopper:
    """A callback that stops the search at a trial."""

    def __init__(self, trials: int) -> None:
        self.left = trials

    def __call__(self, done: float) -> None:
        """Count down, and stop as Ctrl-C does."""
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("alphas", [(0.25,), (0.25, 0.5)])
def test_a_stopped_search_has_what_was_found(alphas: tuple[float, ...], tmp_path: Path) -> None:
    """After Ctrl-C, the result has the networks until then, and the study goes on to the same networks.

    Of one width and resolution there are 32 networks, which are tried completely, and of two widths 64.
    """
    settings: dict[str, Any] = {"trials": 32, "seed": 5, "alpha": list(alphas), "resolution": 32, **LIMITS}
    file = tmp_path / "study.db"
    stopped = search_space(SMALL, study=file, progress=Stopper(25), **settings)
    whole = search_space(SMALL, study=file, **settings)

    assert (stopped.trials, stopped.is_interrupted) == (25, True)
    assert "stopped after 25 of 32 trials" in stopped.to("table")
    assert whole.is_exhaustive == (len(alphas) == 1)
    assert facts(whole) == facts(search_space(SMALL, **settings))


def test_a_study_is_checked(tmp_path: Path, run: Run) -> None:
    """A file of another kind, of another search, and a missing folder are one line each, and no file changes."""
    foreign, file = tmp_path / "notes.db", tmp_path / "study.db"
    foreign.write_text("no study\n" * 500)
    search_space(SMALL, trials=5, study=file, **LIMITS)
    before = file.read_bytes()
    with pytest.raises(StudyError, match="another objective, limits: give another file"):
        search_space(SMALL, trials=5, study=file, max_macs="1M", objective=lambda _: 1.0, dtype="int8")
    with pytest.raises(StudyError, match="is no study of a search"):
        search_space(SMALL, trials=5, study=tmp_path / "none" / "study.db")
    failed = run("search", "--space", "mobilenet_v2", "--study", str(foreign), "--trials", "3")

    assert (failed.code, failed.out, failed.err.count("\n")) == (2, "", 1)
    assert f"{foreign} is no study of a search" in failed.err
    assert (foreign.read_text(), file.read_bytes()) == ("no study\n" * 500, before)


def test_a_function_ranks_the_networks(tmp_path: Path, run: Run) -> None:
    """A function of the user gets each network within the limits once, and its value ranks them."""
    file = tmp_path / "own.py"
    file.write_text(
        "from pathlib import Path\n"
        "def small(candidate):\n"
        "    with open(Path(__file__).with_name('seen.txt'), 'a') as seen:\n"
        "        print(candidate.reference, file=seen)\n"
        "    return 1 / sum(weight.numel() for weight in candidate.build().parameters())\n"
    )
    options = ["--alpha", "0.2,0.3", "--resolution", "64", "--set", "num_classes=10", "--set", "head=320"]
    ran = run("search", "--space", "mobilenet_v2", *options, "--objective", f"{file}:small", "--max-macs", "9M", "--trials", "12", "-f", "json")  # fmt: skip
    found = json.loads(ran.out)
    seen = (tmp_path / "seen.txt").read_text().split()

    assert (ran.code, ran.err) == (0, "")
    assert sorted(seen) == sorted(set(seen))
    assert len(seen) == found["fitting"] < found["looked_at"]
    assert found["best"]["value"] == pytest.approx(1 / found["best"]["params"])
    assert found["best"]["alpha"] in (0.2, 0.3)


def test_macs_are_said_to_be_a_proxy(run: Run) -> None:
    """A search that maximises macs says that they are no accuracy, in its table and its help; Optuna logs nothing."""
    ran = run("search", "--space", "mobilenet_v2", "--trials", "3", "--board", "256KB,9MB")

    assert "a proxy, and no accuracy" in ran.out
    assert ran.err == ""
    assert "a proxy of accuracy and no accuracy" in " ".join(run("search", "--help").out.split())


def test_nothing_fits(run: Run) -> None:
    """If no network fits, the exit code is 1, and the limit that excludes most is named first."""
    ran = run(
        "search",
        "--space",
        "mobilenet_v3",
        "--trials",
        "20",
        "--max-params",
        "700k",
        "--max-peak-deployed",
        "2KB",
    )

    assert ran.code == 1
    assert ran.out.startswith(
        "none of 20 networks fits: 2.000 kB deployed peak memory excludes 20; 700.0 k params"
    )


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            "mobilenet --space mobilenet_v2",
            "--space mobilenet_v2 names the network to search: leave mobilenet out",
        ),
        ("--space resnet18", "unknown space 'resnet18': choose one of mobilenet_v2, mobilenet_v3"),
        ("mobilenet_v2 --trials 5", "--trials is about the blocks of a network: give --space too"),
        ("--tune-space", "--tune-space is about the blocks of a network: give --space too"),
        ("--space mobilenet_v2 --batch 2", "--space and --batch do not go together"),
        ("--space mobilenet_v2 --convention thop", "--space and --convention do not go together"),
        ("--space mobilenet_v2 --rho 0.5", "give resolution instead of rho"),
        ("--space mobilenet_v2 --set stages=k3e6d2c24", "a space chooses the stages"),
        ("--space mobilenet_v2 --set width_rule=paper", "mobilenet_v2 has no option 'width_rule'"),
        (
            "--space mobilenet_v2 --objective top1",
            "no objective 'top1' in a space: give macs or your function",
        ),
        ("--space mobilenet_v2 --objective none.py:f", "none.py"),
        ("--space mobilenet_v2 --max-ms 5", "max_ms needs a profile"),
        ("--space mobilenet_v2 --board stm32f7", "no board 'stm32f7': nearest are"),
        ("--space mobilenet_v2 --trials 0", "trials must be a whole number from 1"),
        ("--space mobilenet_v2 --samples 5", "--samples is about --tune-space"),
        ("--space mobilenet_v2 --tune-space --max-macs 5M", "--tune-space and --max-macs do not go together"),
    ],
)
def test_contradictions_are_one_line(words: str, problem: str, run: Run) -> None:
    """Options that contradict a space, or lack one, end in one line."""
    failed = run("search", *words.split())

    assert (failed.code, failed.out, failed.err.count("\n")) == (2, "", 1)
    assert problem in failed.err


@pytest.mark.parametrize(
    ("objective", "problem"),
    [
        (lambda _: "good", "must return a finite number, not 'good'"),
        (lambda _: float("nan"), "must return a finite number, not nan"),
        (lambda candidate: candidate.no, "AttributeError"),
    ],
)
def test_a_function_that_fails(objective: Any, problem: str) -> None:
    """A function that fails, or returns no number, is one line with the network."""
    with pytest.raises(SpaceError, match=problem) as raised:
        search_space(SMALL, trials=3, objective=objective)
    assert "mobilenet_v2@" in str(raised.value)


def test_without_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Optuna, one line names the extra, and a small space is still searched."""
    monkeypatch.setitem(sys.modules, "optuna", None)

    with pytest.raises(SpaceError, match=r"pip install 'mbanalyze\[search\]'"):
        search_space(SMALL, trials=5)
    assert search_space(SMALL, trials=192, **LIMITS).is_exhaustive


def test_a_board_limits_the_peak_and_the_params() -> None:
    """A board of 256 KiB and 1 MiB limits the deployed peak and the int8 params; a limit of the user precedes it."""
    found = search_space(SMALL, trials=2, board="256KiB,1MiB", max_params="9k")

    # 256 x 1,024 = 262,144; 9 k precede 1,024 x 1,024
    assert found.limits == {"params": 9_000, "peak_bytes_deployed": 262_144}
    assert found.dtype == "int8"
    assert search_space(SMALL, trials=2, board="256KiB,1MiB", dtype="float16").limits["params"] == 2**19
    assert find_board("stm32h743").sram_bytes == 512 * 1024


def test_the_front_has_no_dominated_network() -> None:
    """Each network within the limits is at most as good as one on the front, and none on the front beats another."""
    found = search_space(SMALL, **LIMITS)

    def no_worse(one: dict[str, Any], other: dict[str, Any]) -> bool:
        """True if a network has at least the value of the other, and at most its limited costs."""
        costs = ("peak_bytes_deployed", "params")
        return one["value"] >= other["value"] and all(one[cost] <= other[cost] for cost in costs)

    front = found.records("front")
    assert [each for each in found.records() if each["front"]] == front
    assert all(any(no_worse(best, each) for best in front) for each in found.records())
    assert [(a, b) for a in front for b in front if a is not b and no_worse(a, b)] == []

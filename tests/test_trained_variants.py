"""Ablations whose variants are trained: measured accuracy beside exact cost."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from commandline import Run
from training_nets import TINY, Tiny

import mbanalyze
from mbanalyze import TrainingPlan
from mbanalyze.plots import ablation as plot_ablation
from mbanalyze.sweep.ablation_result import Ablation
from mbanalyze.sweep.grid import GridError
from mbanalyze.sweep.traced import VariantError
from mbanalyze.training.loop import TrainingError
from mbanalyze.training.recipes import RecipeError
from mbanalyze.training.variant_runs import LONGEST_NAME, folder_name

GRID: Mapping[str, Any] = {"channels": [2, 4], "resolution": [8]}


def plan(runs: Path | None = None, **given: Any) -> TrainingPlan:
    """Return a plan of one epoch."""
    return TrainingPlan(**{"data": "digits", "runs": runs, "epochs": 1, "batch": 512, **given})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for runs."""
    return tmp_path_factory.mktemp("trained") / "runs"


@pytest.fixture(scope="module")
def trained(runs: Path) -> Ablation:
    """Two variants, each with two seeds."""
    return mbanalyze.ablate(TINY, train=plan(runs, seeds=2), **GRID)


def test_accuracy_is_the_mean_over_seeds(trained: Ablation, runs: Path) -> None:
    """`top1` is in per cent, the spread is the sample standard deviation, and there is a folder for each run."""
    names = [
        f"training_nets.py-Tiny-channels={c}-num_classes=10-resolution=8-seed={s}"
        for c in (2, 4)
        for s in (0, 1)
    ]
    assert sorted(each.name for each in runs.iterdir()) == names
    epochs = [json.loads((runs / name / "history.json").read_text())["epochs"] for name in names]
    measured = [100 * each[0]["test_accuracy"] for each in epochs]

    rows = trained.records()
    for row, pair in zip(rows, (measured[:2], measured[2:]), strict=True):
        assert row["top1"] == pytest.approx(sum(pair) / 2)
        assert row["top1_spread"] == pytest.approx(statistics.stdev(pair))
        assert (row["seeds"], row["accuracy_source"]) == (2, "yours (runs)")


def test_cost_is_that_of_count(trained: Ablation) -> None:
    """The costs are those of the trained networks: 3 x 3 pixels from windows of 27, and 10 classes."""
    assert [row["macs"] for row in trained.records()] == [9 * c * 27 + 10 * c for c in (2, 4)]


def test_finished_runs_are_not_trained_again(trained: Ablation, runs: Path, tmp_path: Path) -> None:
    """The same call reads finished runs, and trains the missing one to the same numbers."""
    folder = tmp_path / "runs"
    shutil.copytree(runs, folder)
    first, *others = sorted(folder.iterdir())
    shutil.rmtree(first)
    before = [(each / "history.json").stat().st_mtime_ns for each in others]

    again = mbanalyze.ablate(TINY, train=plan(folder, seeds=2), **GRID)

    assert again.records() == trained.records()
    assert [(each / "history.json").stat().st_mtime_ns for each in others] == before


def test_an_executor_gives_the_same_numbers(trained: Ablation) -> None:
    """Runs in threads take turns; without a folder, no file is written."""
    with ThreadPoolExecutor(2) as executor:
        found = mbanalyze.ablate(TINY, train=plan(seeds=2), executor=executor, **GRID)

    assert [row["top1"] for row in found.records()] == [row["top1"] for row in trained.records()]


@pytest.mark.slow
@pytest.mark.posix
def test_processes_give_the_same_numbers(trained: Ablation) -> None:
    """Runs in processes of their own have the numbers of runs in this process."""
    found = mbanalyze.ablate(TINY, train=plan(seeds=2), workers=2, **GRID)

    assert [row["top1"] for row in found.records()] == [row["top1"] for row in trained.records()]


def test_a_known_architecture_has_the_size_of_the_data() -> None:
    """Without a resolution, rho is a fraction of 32 pixels, and the costs are those of ten classes."""
    told: list[float] = []
    found = mbanalyze.ablate("mobilenet_v1", alpha=[0.05], rho=[0.5], train=plan(), progress=told.append)

    (row,) = found.records()
    count = mbanalyze.count("mobilenet_v1", alpha=0.05, resolution=16, num_classes=10)
    assert (row["rho"], row["resolution"], row["macs"]) == (0.5, 16, count.totals.macs)
    assert row["top1"] > 0
    assert told == sorted(told)
    assert told[-1] == 1


def test_a_python_class_is_ablated() -> None:
    """The variants of a class, which has no reference, get their accuracy too."""
    found = mbanalyze.ablate(Tiny, train=plan(), channels=[2, 3], rho=[0.25])

    assert found.frame()["resolution"].tolist() == [8, 8]
    assert found.frame()["top1"].notna().all()


def test_means_have_bars_of_their_spread(trained: Ablation) -> None:
    """The plot draws accuracy against cost, with a bar for each mean over seeds."""
    axes = plot_ablation(trained)

    (bars,) = [each for each in axes.collections if each.get_gid() == "spread"]
    assert len(bars.get_paths()) == 2


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"what": "timm:mobilenet*"}, GridError, "train is for the variants of one network"),
        ({"accuracy": "own.csv"}, GridError, "train gives the accuracy: leave yours out"),
        ({"num_classes": [5]}, TrainingError, "num_classes is 5, and the data has 10 classes"),
        ({"resolution": [1]}, VariantError, "the forward raised RuntimeError in module '0'"),
        (
            {"train": plan(lr=1e30)},
            VariantError,
            "channels=2,num_classes=10,resolution=8,seed=0: the loss is nan",
        ),
    ],
)
def test_ablations_that_cannot_be_trained(
    given: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Each reason is one line."""
    arguments = {"what": TINY, "train": plan(), **GRID, **given}
    with pytest.raises(error) as raised:
        mbanalyze.ablate(arguments.pop("what"), **arguments)

    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_plan_is_checked_at_once() -> None:
    """A number of seeds below one, and settings out of range, are refused before anything is trained."""
    with pytest.raises(RecipeError, match="seeds must be a whole number from 1, not 0"):
        TrainingPlan(seeds=0)
    with pytest.raises(RecipeError, match="epochs must be a whole number from 1, not 0"):
        TrainingPlan(epochs=0)


def test_folders_have_plain_names() -> None:
    """Names have no character that a shell reads, and a limited length."""
    assert folder_name("a/net.py:build@widths=[8,16],seed=0") == "net.py-build-widths=-8-16-seed=0"
    long = [folder_name(f"net@label={'x' * 300}{n},seed=0") for n in (1, 2)]
    assert len(set(long)) == 2
    assert max(map(len, long)) == LONGEST_NAME


def test_the_command_trains_variants(run: Run, tmp_path: Path) -> None:
    """`--output` is the folder of the runs, and the table says how accuracy was measured."""
    command = ("ablate", TINY, "--set", "channels=2,4", "--resolution", "8", "--workers", "1")
    ran = run(*command, "--train", "digits", "--epochs", "1", "-o", str(tmp_path / "runs"))

    assert (ran.code, ran.err) == (0, "")
    assert "top-1" in ran.out
    assert "top-1 is that of the best epoch of each run, on the test images that chose it" in ran.out
    assert len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--epochs", "3"), "--epochs is about training: give --train DATA too"),
        (("--train", "digits", "-o", "table.csv"), "--output is the folder of the runs, not table.csv"),
        (("--train", "digit"), "unknown data 'digit': did you mean digits?"),
    ],
)
def test_contradicting_options(given: tuple[str, ...], message: str, run: Run) -> None:
    """An error ends with 2 and one line."""
    ran = run("ablate", "mobilenet_v1", "--alpha", "1,0.5", *given)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert message in ran.err


@pytest.mark.slow
def test_the_widest_beats_the_narrowest() -> None:
    """Over three seeds, MobileNetV1 with alpha 1 at 32 pixels is more accurate than with alpha 0.25 at 16."""
    top1 = [
        mbanalyze.ablate("mobilenet_v1", alpha=alpha, resolution=side, train=TrainingPlan(seeds=3, epochs=2))
        for alpha, side in ((1, 32), (0.25, 16))
    ]

    wide, narrow = (each.records()[0]["top1"] for each in top1)
    assert wide > narrow

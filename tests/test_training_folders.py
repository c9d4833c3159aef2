"""The folder of a run: kills at any moment, resumed runs, and folders that are torn or foreign."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_training_runs import timeless
from training_nets import TINY, Tiny

import mbanalyze
from mbanalyze.training.loop import TrainingError
from mbanalyze.training.run_record import RunError
from mbanalyze.training.trained_run import TrainingRun, read_run

EPOCHS = 3
KILLED = """
import os, signal, sys
from pathlib import Path
import mbanalyze

net, folder = sys.argv[1:]
mbanalyze.train(net, epochs=1, batch=512, resolution=8)  # the packages are imported once, before the forks

def killing(call, moment, after):
    calls = []
    def called(*args, **kwargs):
        calls.append(args)
        if len(calls) == moment and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*args, **kwargs)
        if len(calls) == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return called

def killed(moment, after):
    Path.replace = killing(Path.replace, moment, after)
    mbanalyze.train(net, epochs=EPOCHS, batch=512, resolution=8, output=f"{folder}/{moment}-{after}")

for moment in range(1, 12):
    for after in (False, True):
        child = os.fork()
        if not child:
            killed(moment, after)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(moment, after, os.waitstatus_to_exitcode(status))
""".replace("EPOCHS", str(EPOCHS))
"""Kills a run before and after each rename of a file: one of the record at the start, then up to three an epoch."""


def trained(folder: Path, *, epochs: int = EPOCHS, resume: bool = False) -> TrainingRun:
    """Train the small network in a folder."""
    return mbanalyze.train(TINY, epochs=epochs, batch=512, resolution=8, output=folder, resume=resume)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    """An uninterrupted run."""
    return trained(tmp_path_factory.mktemp("runs") / "whole")


@pytest.mark.slow
@pytest.mark.posix
def test_a_killed_run_goes_on_to_the_same_numbers(tmp_path: Path, whole: TrainingRun) -> None:
    """A process that is killed at any rename loses at most the running epoch, and the resumed run equals a whole one."""
    command = [sys.executable, "-c", KILLED, TINY, str(tmp_path)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout.split("\n")

    codes = [line.split() for line in said if line]
    # Epoch 1 replaces three files, as every epoch that is the best; the last has no checkpoint, others no weights.
    kills = [(int(moment), after) for moment, after, code in codes if code == "-9"]
    assert len(kills) >= 2 * 6
    weights = whole.module().state_dict()
    for moment, after in kills:
        folder = tmp_path / f"{moment}-{after}"
        resumed = trained(folder, resume=True)
        assert timeless(resumed) == timeless(whole), (moment, after)
        found = resumed.module().state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in found.items())
        assert sorted(each.name for each in folder.iterdir()) == files(whole)


def files(run: TrainingRun) -> list[str]:
    """The names of the files of a finished run."""
    return ["history.json", f"weights-{run.best.epoch}.pt"]


def interrupted(folder: Path) -> None:
    """Leave a run after its first epoch, by an interrupt in the second."""

    def stop(at: object) -> None:
        if getattr(at, "epoch", 0) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mbanalyze.train(TINY, epochs=EPOCHS, batch=512, resolution=8, output=folder, progress=stop)


def test_an_interrupted_run_goes_on_to_the_same_numbers(tmp_path: Path, whole: TrainingRun) -> None:
    """An interrupted run has the epochs before, and a checkpoint; resumed, it equals a whole run and has none."""
    folder = tmp_path / "run"
    interrupted(folder)

    assert timeless(read_run(folder)) == timeless(whole)[:1]
    assert sorted(each.name for each in folder.iterdir()) == [
        "checkpoint-1.pt",
        "history.json",
        "weights-1.pt",
    ]
    assert timeless(trained(folder, resume=True)) == timeless(whole)
    assert sorted(each.name for each in folder.iterdir()) == files(whole)


def test_a_finished_run_is_read(whole: TrainingRun) -> None:
    """Resumed, a finished run is read and not trained; in another process, its folder has the same record."""
    assert whole.folder is not None
    before = (whole.folder / "history.json").read_bytes()

    assert trained(whole.folder, resume=True).record == read_run(whole.folder).record == whole.record
    assert (whole.folder / "history.json").read_bytes() == before


def test_resume_without_a_run_starts_one(tmp_path: Path) -> None:
    """A folder that is missing or empty gets a run."""
    assert len(trained(tmp_path, epochs=1, resume=True).epochs) == 1


def test_a_python_object_is_given_again(tmp_path: Path) -> None:
    """The run of a class has no reference, and its weights are loaded with the class."""
    mbanalyze.train(Tiny, epochs=1, batch=512, resolution=8, output=tmp_path / "run")

    assert isinstance(read_run(tmp_path / "run", Tiny).module(), Tiny)


def _edit(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change the record."""
    document = json.loads((folder / "history.json").read_text())
    change(document)
    (folder / "history.json").write_text(json.dumps(document))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "another file": (
        lambda folder: (folder / "history.json").rename(folder / "notes"),
        "is no run: it has no history.json",
    ),
    "no JSON": (lambda folder: (folder / "history.json").write_text("{"), "is no record of a run"),
    "another schema": (
        lambda folder: _edit(folder, lambda it: it.update(schema="mbanalyze.lock/1")),
        "its schema is",
    ),
    "a newer schema": (
        lambda folder: _edit(folder, lambda it: it.update(schema="mbanalyze.run/9")),
        "upgrade mbanalyze",
    ),
    "no epochs": (lambda folder: _edit(folder, lambda it: it.pop("epochs")), "key 'epochs' is missing"),
    "a path": (
        lambda folder: _edit(
            folder, lambda it: it.update(checkpoint={"name": "checkpoint-/x", "bytes": 1, "sha256": ""})
        ),
        "checkpoint is in 'checkpoint-/x'",
    ),
    "no checkpoint": (lambda folder: (folder / "checkpoint-1.pt").unlink(), "checkpoint-1.pt is missing"),
    "half a checkpoint": (
        lambda folder: (folder / "checkpoint-1.pt").write_bytes(
            (folder / "checkpoint-1.pt").read_bytes()[:99]
        ),
        "checkpoint-1.pt differs from its digest",
    ),
    "another seed": (
        lambda folder: _edit(folder, lambda it: it.update(seed=1)),
        "has a run with seed 1, not 0",
    ),
}
"""Ways to damage a folder, and a part of the error of a run that goes on in it."""


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an interrupted run."""
    folder = tmp_path_factory.mktemp("runs") / "stopped"
    interrupted(folder)
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_folders_are_named(damage: str, stopped: Path, tmp_path: Path) -> None:
    """A torn or foreign folder is refused in one line, and is left unchanged."""
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    change, message = DAMAGES[damage]
    change(folder)
    before = {each.name: each.read_bytes() for each in folder.iterdir()}

    with pytest.raises(RunError) as raised:
        trained(folder, resume=True)

    assert message in str(raised.value)
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


def test_a_run_without_epochs_starts_again(tmp_path: Path) -> None:
    """A run that failed in its first epoch keeps nothing, and its folder takes another run."""
    with pytest.raises(TrainingError):
        mbanalyze.train(TINY, epochs=1, lr=1e30, batch=512, resolution=8, output=tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["history.json"]

    assert len(trained(tmp_path, epochs=1).epochs) == 1


def test_a_run_is_not_overwritten(stopped: Path, tmp_path: Path) -> None:
    """Without `resume`, a folder with a run or other files is refused, and so is a file."""
    (tmp_path / "notes").write_text("mine")
    before = sorted(each.name for each in stopped.iterdir())

    for folder, message in (
        (stopped, "has a run: --resume goes on with it"),
        (tmp_path, "is no run: it has no history.json"),
        (tmp_path / "notes", "is a file"),
    ):
        with pytest.raises(RunError, match=message):
            trained(folder)
    assert sorted(each.name for each in stopped.iterdir()) == before


def test_files_of_the_user_stay(tmp_path: Path) -> None:
    """Weights that a run did not write are neither removed nor taken for a run's, also with names like a run's."""
    mine, run = tmp_path / "mine", tmp_path / "run"
    mine.mkdir()
    (mine / "weights-1.pt").write_bytes(b"mine")
    with pytest.raises(RunError, match=r"is no run: it has no history.json"):
        trained(mine)
    assert (mine / "weights-1.pt").read_bytes() == b"mine"

    interrupted(run)
    (run / "weights-best.pt").write_bytes(b"mine")
    (run / "weights-9.pt").write_bytes(b"left from a kill")
    trained(run, resume=True)
    assert (run / "weights-best.pt").read_bytes() == b"mine"
    assert not (run / "weights-9.pt").exists()

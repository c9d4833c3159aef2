"""The command `mbanalyze train`."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from commandline import Run
from training_nets import TINY

from mbanalyze.cli.progress import training_bar
from mbanalyze.training.loop import Loop

SMALL = ("--epochs", "2", "--batch", "512", "--resolution", "8")


def test_the_table_has_a_row_for_each_epoch(run: Run, tmp_path: Path) -> None:
    """The command prints the epochs, the data, the best epoch and the folder of the run."""
    ran = run("train", TINY, *SMALL, "--output", str(tmp_path / "run"))

    assert (ran.code, ran.err) == (0, "")
    assert "epoch    loss   train" in " ".join(ran.out.split("\n"))
    assert "digits: 1,438 training images and 359 test images of 10 classes, 3x8x8" in ran.out
    assert f"weights and record are in {tmp_path / 'run'}" in ran.out.replace("\n", " ")


def test_formats_have_the_same_epochs(run: Run) -> None:
    """CSV and JSON have the epochs of the record, with accuracy as fractions."""
    table = run("train", TINY, *SMALL, "--format", "csv").out.splitlines()
    document = json.loads(run("train", TINY, *SMALL, "--format", "json").out)

    assert table[0] == "epoch,loss,train_accuracy,test_accuracy,learning_rate,seconds,macs"
    assert [row.split(",")[:5] for row in table[1:]] == [
        [str(each[name]) for name in ("epoch", "loss", "train_accuracy", "test_accuracy", "learning_rate")]
        for each in document["epochs"]
    ]
    assert (document["schema"], document["recipe"]["epochs"]) == ("mbanalyze.run/1", 2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_keeps_its_epochs(
    number: int, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the second epoch leaves the first, and a line that says how to go on; --resume does."""
    epoch = Loop.epoch

    def stopped(loop: Loop, count: int) -> tuple[float, float, float]:
        if count == 2:
            signal.raise_signal(number)
        return epoch(loop, count)

    with monkeypatch.context() as patched:
        patched.setattr(Loop, "epoch", stopped)
        ran = run("train", TINY, *SMALL, "-o", str(tmp_path / "run"))
    assert (ran.code, ran.out) == (128 + number, "")
    assert ran.err.startswith("mbanalyze: stopped: the same command with --resume goes on")
    assert len(json.loads((tmp_path / "run/history.json").read_text())["epochs"]) == 1

    assert run("train", TINY, *SMALL, "-o", str(tmp_path / "run"), "--resume").code == 0
    assert len(json.loads((tmp_path / "run/history.json").read_text())["epochs"]) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--resume",), "--resume goes on with the run in a folder: give --output RUN too"),
        (("--set", "epochs=3"), "--set epochs is an argument of the command, not an option of the model"),
        (("--data", "digit"), "unknown data 'digit': did you mean digits?"),
        (("--recipe", "fast"), "unknown recipe 'fast': choose one of default, cifar10-224"),
        (("--epochs", "0"), "epochs must be a whole number from 1, not 0"),
        (("--lr", "0"), "lr must be a number above 0, not 0.0"),
        (("--device", "tpu"), "cannot train on 'tpu': give cpu or cuda"),
    ],
)
def test_errors_are_one_line(given: tuple[str, ...], message: str, run: Run) -> None:
    """An error ends with 2 and one line."""
    ran = run("train", TINY, *given)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert message in ran.err


def test_no_bar_without_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    """Without a terminal on stderr, nothing is drawn."""
    with training_bar() as progress:
        progress(None)  # type: ignore[arg-type]
    assert capfd.readouterr() == ("", "")

"""A folder of runs as the user's accuracy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import mbanalyze
from mbanalyze.literature.accuracy.cells import AccuracyError
from mbanalyze.literature.accuracy.own_table import read_accuracy


def write_run(folder: Path, seed: int, accuracies: list[float], **changed: Any) -> None:
    """Write the record of a run of MobileNetV1 with two epochs."""
    document = {
        "schema": "mbanalyze.run/1",
        "model": "mobilenet_v1",
        "options": {"alpha": 0.5, "num_classes": 10},
        "size": [32, 32],
        "data": "digits",
        "recipe": {"name": "default", "epochs": 2},
        "seed": seed,
        "epochs": [{"test_accuracy": each} for each in accuracies],
    }
    folder.mkdir(parents=True)
    (folder / "history.json").write_text(json.dumps({**document, **changed}))


def test_runs_are_rows(tmp_path: Path) -> None:
    """The best epoch of each run counts; several seeds give mean and standard deviation, in per cent."""
    write_run(tmp_path / "a", 0, [0.5, 0.9])
    write_run(tmp_path / "b", 1, [0.7, 0.6])
    write_run(tmp_path / "c", 0, [0.25, 0.5], options={"alpha": 0.25, "num_classes": 10})
    (tmp_path / "notes").mkdir()

    own = read_accuracy(tmp_path)

    # means of 90 and 70; the deviation of two values is their difference over the root of two
    wide, narrow = own.rows
    assert wide.metrics == {"top1": 80.0, "top1_spread": pytest.approx(20 / 2**0.5), "seeds": 2}
    assert narrow.metrics == {"top1": 50.0, "seeds": 1}
    assert (str(wide), own.of_runs) == (
        "a and 1 more (mobilenet_v1@alpha=0.5,num_classes=10,resolution=32)",
        True,
    )


def test_a_run_is_a_table_of_one_row(tmp_path: Path) -> None:
    """The folder of a run itself can be given."""
    write_run(tmp_path / "a", 0, [0.5, 0.9])

    assert read_accuracy(tmp_path / "a").rows[0].metrics == {"top1": 90.0, "seeds": 1}


def test_every_command_takes_runs(tmp_path: Path) -> None:
    """`ablate`, `compare` and `search` show the accuracy of runs with the options of a variant."""
    write_run(tmp_path / "a", 0, [0.5, 0.9])
    same: dict[str, Any] = {"resolution": 32, "num_classes": 10}

    ablation = mbanalyze.ablate("mobilenet_v1", alpha=[1, 0.5], accuracy=tmp_path, **same)
    assert [row["top1"] for row in ablation.records()] == [None, 90.0]
    search = mbanalyze.search("mobilenet_v1", alpha=[1, 0.5], accuracy=tmp_path, **same)
    assert search.reference == "mobilenet_v1@alpha=0.5,resolution=32,num_classes=10"
    comparison = mbanalyze.compare(
        "mobilenet_v1@alpha=1", "mobilenet_v1@alpha=0.5", accuracy=tmp_path, **same
    )
    assert "90.0" in str(comparison.to("markdown"))


def test_unfinished_runs_do_not_count(tmp_path: Path) -> None:
    """A run with epochs left has no accuracy; a folder without others is an error."""
    write_run(tmp_path / "a", 0, [0.9])
    with pytest.raises(AccuracyError, match="it has no finished run: --resume goes on with one"):
        read_accuracy(tmp_path)

    write_run(tmp_path / "b", 1, [0.5, 0.7])
    assert [row.metrics["top1"] for row in read_accuracy(tmp_path).rows] == [70.0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 0}, "a and b train one network with seed 0"),
        (
            {"data": "cifar10"},
            "a and b train one network with data digits, name default, epochs 2, and data cifar10",
        ),
        (
            {"schema": "mbanalyze.run/9"},
            r"b/history.json is no record of a run \(its schema is 'mbanalyze.run/9'",
        ),
        ({"epochs": [{}, {}]}, r"b/history.json is no record of a run \(key 'test_accuracy' is missing"),
        ({"model": "mobilenet_v"}, "unknown model 'mobilenet_v': did you mean mobilenet_v1?"),
    ],
)
def test_runs_that_contradict_each_other(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    """Runs that differ in more than the seed, and damaged records, are named."""
    write_run(tmp_path / "a", 0, [0.5, 0.9])
    write_run(tmp_path / "b", 1, [0.5, 0.7])
    document = json.loads((tmp_path / "b/history.json").read_text())
    (tmp_path / "b/history.json").write_text(json.dumps({**document, **changed}))

    with pytest.raises(AccuracyError, match=message) as raised:
        read_accuracy(tmp_path)
    assert str(raised.value).startswith(str(tmp_path))


def test_a_folder_without_runs(tmp_path: Path) -> None:
    """The error says what writes runs."""
    with pytest.raises(AccuracyError, match="it has no runs: 'mbanalyze train --output'"):
        read_accuracy(tmp_path)

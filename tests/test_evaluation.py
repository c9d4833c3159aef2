"""The evaluation of trained networks: counts of a confusion matrix, tables, pictures, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from commandline import Run
from matplotlib.figure import Figure
from torch import nn
from witness import torchvision

import mbanalyze
from mbanalyze import count, plots
from mbanalyze.plots import PlotError
from mbanalyze.training.data_names import DataError
from mbanalyze.training.datasets import load
from mbanalyze.training.depthwise_layers import depthwise_layers
from mbanalyze.training.evaluation import DepthwiseLayer, Evaluation
from mbanalyze.training.run_record import RunError
from mbanalyze.training.trained_run import read_run

TARGETS = (0, 0, 0, 1, 1, 2, 2, 2)
PREDICTED = (0, 0, 1, 1, 2, 2, 2, 1)
CONFIDENCE = (0.9, 0.8, 0.6, 0.7, 0.95, 0.9, 0.5, 0.4)


def evaluation(**changes: Any) -> Evaluation:
    """Return an evaluation of eight images of three classes, with five correct."""
    values: dict[str, Any] = {
        "reference": "net@width=2",
        "run": "runs/net",
        "trained_on": "digits",
        "data": "digits",
        "classes": ("cat", "dog", "fox"),
        "targets": TARGETS,
        "predicted": PREDICTED,
        "confidence": CONFIDENCE,
        "depthwise": (DepthwiseLayer("features.0", np.arange(18, dtype=np.float32).reshape(2, 3, 3) - 9),),
        "read": lambda indices: [np.full((4, 4, 3), i / 10, np.float32) for i in indices],
    }
    return Evaluation(**(values | changes))


def test_a_confusion_matrix_counts_each_image_once() -> None:
    """Rows are true classes and columns are predicted ones; the diagonal has the correct images."""
    found = evaluation()

    assert found.confusion == ((2, 1, 0), (0, 1, 1), (0, 1, 2))
    assert (found.images, found.correct, found.mistakes, found.accuracy) == (8, 5, 3, 5 / 8)


def test_a_record_for_each_class() -> None:
    """A class without images has no accuracy, instead of 0."""
    found = evaluation(classes=("cat", "dog", "fox", "owl"))
    first, *_, last = found.records()

    assert first == {"class": "cat", "images": 3, "correct": 2, "accuracy": 2 / 3, "predicted": 2}
    assert last == {"class": "owl", "images": 0, "correct": 0, "accuracy": None, "predicted": 0}


def test_the_most_frequent_mistakes_come_first() -> None:
    """Pairs of equal frequency are in the order of the classes."""
    found = evaluation(targets=(2, 2, 2, 0, 1), predicted=(0, 0, 2, 1, 0), confidence=(0.5,) * 5)

    assert [tuple(each) for each in found.confused] == [(2, 0, 2), (0, 1, 1), (1, 0, 1)]


def test_the_document_has_the_matrix() -> None:
    """JSON has the counts and the fraction; the table shows per cent."""
    found = evaluation()
    document = json.loads(found.to("json"))

    assert document["schema"] == "mbanalyze.evaluation/1"
    assert (document["correct"], document["accuracy"]) == (5, 0.625)
    assert document["confusion"] == [[2, 1, 0], [0, 1, 1], [0, 1, 2]]
    assert "62.50 % (5 of 8 images)" in found.to("table")


def test_a_run_without_a_folder_names_none() -> None:
    """The line of the provenance has the data, and the folder only if there is one."""
    assert "trained on digits: runs/net, mbanalyze" in evaluation().to("table")
    assert "trained on digits, mbanalyze" in evaluation(run="").to("table")


def test_many_classes_are_listed() -> None:
    """More classes than a table has room for have a row each, and the mistakes name pairs."""
    names = tuple(f"class{i}" for i in range(13))
    table = evaluation(classes=names).to("table")

    assert "class12" in table
    assert "true    predicted  images" in table


def test_depthwise_layers_are_found() -> None:
    """A convolution with one input channel for each group is depthwise, also with several filters for each."""
    depthwise = nn.Conv2d(4, 8, 5, groups=4)
    others = nn.Conv2d(3, 4, 3), nn.Conv2d(8, 8, 1, groups=2), nn.Conv2d(1, 2, 3)
    (layer,) = depthwise_layers(nn.Sequential(others[0], depthwise, *others[1:]))

    assert layer.path == "1"
    assert layer.filters.shape == (8, 5, 5)
    assert np.array_equal(layer.filters, depthwise.weight.detach().numpy()[:, 0])


def texts(figure: Figure) -> list[str]:
    """Return the text of each title and cell of a figure."""
    return [text.get_text() for ax in figure.axes for text in (*ax.texts, ax.title)]


def test_the_picture_shows_mistakes_first() -> None:
    """The most confident mistake is first, and correct images follow."""
    figure = plots.evaluation(evaluation())
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    plt.close(figure)

    assert titles[:4] == ["dog, not fox", "cat, not dog", "fox, not dog", "cat"]


def test_a_matrix_of_many_classes_has_no_numbers() -> None:
    """The numbers of more than 20 classes would not be legible."""
    few, many = (
        plots.evaluation(evaluation(classes=tuple(f"c{i}" for i in range(classes)))) for classes in (20, 21)
    )

    assert "2" in texts(few)
    assert "2" not in texts(many)
    plt.close("all")


def test_the_picture_of_filters_has_every_weight() -> None:
    """A row has the filters of a layer beside each other; the scale ends at its largest weight."""
    figure = plots.filters(evaluation())
    image = figure.axes[0].images[0]
    drawn = np.asarray(image.get_array())
    plt.close(figure)

    assert np.array_equal(drawn[:, :3], np.arange(9).reshape(3, 3) - 9)
    assert np.array_equal(drawn[:, 4:7], np.arange(9).reshape(3, 3))
    assert image.get_clim() == (-9, 9)


@pytest.mark.parametrize("draw", [plots.evaluation, plots.filters])
def test_other_results_are_refused(draw: Callable[..., Any]) -> None:
    """Only an evaluation has predictions and filters."""
    with pytest.raises(PlotError, match=r"evaluate\(\.\.\.\)"):
        draw(count("mobilenet_v2"))


def test_a_network_without_depthwise_layers_has_no_filters() -> None:
    """The message names the network."""
    with pytest.raises(PlotError, match="net@width=2 has no depthwise layer"):
        plots.filters(evaluation(depthwise=()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one epoch."""
    folder = tmp_path_factory.mktemp("runs") / "narrow"
    mbanalyze.train(
        "mobilenet_v1", alpha=0.0625, shallow=True, resolution=8, epochs=1, batch=512, output=folder
    )
    return folder


def test_the_accuracy_is_that_of_the_best_epoch(folder: Path) -> None:
    """The test images of the run's own data, classified again, give the accuracy in its record."""
    found = mbanalyze.evaluate(folder)
    record = json.loads((folder / "history.json").read_text())

    assert found.accuracy == record["epochs"][0]["test_accuracy"]
    assert found.images == record["test_images"]
    assert [layer.path for layer in found.depthwise][:2] == [
        "features.1.depthwise.0",
        "features.2.depthwise.0",
    ]
    assert all(0.1 <= each <= 1 for each in found.confidence)  # the largest of ten probabilities
    assert found.read([0])[0].shape == (8, 8, 3)


def test_the_command_evaluates(run: Run, folder: Path, tmp_path: Path) -> None:
    """The command prints what the function returns, and writes both pictures."""
    pictures = tmp_path / "mistakes.png", tmp_path / "filters.svg"
    found = mbanalyze.evaluate(folder)

    assert run("evaluate", str(folder), "--format", "json") == (0, found.to("json"), "")
    ran = run("evaluate", str(folder), "--plot", str(pictures[0]), "--plot-filters", str(pictures[1]))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == found.to("table")
    assert pictures[0].read_bytes().startswith(b"\x89PNG")
    assert b"features.1.depthwise.0" in pictures[1].read_bytes()


def test_other_data_needs_known_classes(folder: Path, tmp_path: Path) -> None:
    """Images of a class that the network was not trained on cannot be classified correctly."""
    torchvision()
    image = pytest.importorskip("PIL.Image")
    for name in ("3", "cat"):
        (tmp_path / name).mkdir()
        for i in range(5):
            image.new("RGB", (8, 8), (i, i, i)).save(tmp_path / name / f"{i}.png")

    with pytest.raises(DataError, match="does not know the class 'cat'"):
        mbanalyze.evaluate(folder, data=f"folder:{tmp_path}")
    (tmp_path / "cat").rename(tmp_path / "7")
    found = mbanalyze.evaluate(folder, data=f"folder:{tmp_path}")
    assert set(found.targets) == {3, 7}
    # the network has learned from images normalised as digits
    assert read_run(folder).images(f"folder:{tmp_path}").mean == load("digits", (8, 8)).mean


def test_a_folder_that_is_no_run(run: Run, tmp_path: Path) -> None:
    """Another folder is named in one line, and no picture is written."""
    picture = tmp_path / "mistakes.png"
    ran = run("evaluate", str(tmp_path), "--plot", str(picture))

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "is no run: it has no history.json" in ran.err
    assert not picture.exists()
    with pytest.raises(RunError):
        mbanalyze.evaluate(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--plot a.png --plot-filters a.png", "--plot and --plot-filters are both a.png: give two files"),
        ("--plot-filters a.gif", "cannot save a plot as 'a.gif'"),
        ("--plot-size 5x5", "--plot-size is the size of a plot: give --plot FILE too"),
        ("--data fruit", "unknown data 'fruit'"),
    ],
)
def test_wrong_arguments(run: Run, folder: Path, arguments: str, message: str) -> None:
    """A wrong argument is one line on stderr and exit code 2."""
    ran = run("evaluate", str(folder), *arguments.split())

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert message in ran.err

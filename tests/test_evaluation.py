"""The evaluation of trained networks: counts of a confusion matrix, tables, pictures, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from torch import nn

from mbanalyze import count, plots
from mbanalyze.plots import PlotError
from mbanalyze.training.depthwise_layers import depthwise_layers
from mbanalyze.training.evaluation import DepthwiseLayer, Evaluation

TARGETS = (0, 0, 0, 1, 1, 2, 2, 2)
PREDICTED = (0, 0, 1, 1, 2, 2, 2, 1)
CONFIDENCE = (0.9, 0.8, 0.6, 0.7, 0.95, 0.9, 0.5, 0.4)


def evaluation(**changes: Any) -> Evaluation:
    """Return an evaluation of eight images of three classes, with five correct."""
    values = {
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


def test_many_classes_are_listed() -> None:
    """More classes than a table has room for have a row each, and the mistakes name pairs."""
    names = tuple(f"class{i}" for i in range(13))
    table = evaluation(classes=names).to("table")

    assert "class12" in table
    assert "true    predicted  images" in table


def test_depthwise_layers_are_found() -> None:
    """A convolution with one input channel for each group is depthwise, also with several filters for each."""
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Conv2d(4, 8, 5, groups=4), nn.Conv2d(8, 8, 1, groups=2), nn.Conv2d(1, 2, 3)
    )
    (layer,) = depthwise_layers(net)

    assert layer.path == "1"
    assert layer.filters.shape == (8, 5, 5)
    assert np.array_equal(layer.filters, net[1].weight.detach().numpy()[:, 0])


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

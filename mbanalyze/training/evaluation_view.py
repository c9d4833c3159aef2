"""The view of an evaluation: the accuracy, each class, and the classes that are confused most often."""

from __future__ import annotations

from mbanalyze.display.records import one_line
from mbanalyze.display.result import view
from mbanalyze.display.views import Cell, Column, Section, View, words
from mbanalyze.training.evaluation import Evaluation

MOST_COLUMNS = 12
"""The most classes whose confusion matrix is shown as a table."""
MOST_PAIRS = 10
"""The most pairs of confused classes."""


@view.register
def evaluation_view(evaluation: Evaluation) -> View:
    """Lay out an evaluation: the confusion matrix of few classes, or the accuracy of each class."""
    small = len(evaluation.classes) <= MOST_COLUMNS
    first = _matrix(evaluation) if small else _by_class(evaluation)
    sections = (first, _pairs(evaluation)) if evaluation.mistakes else (first,)
    folder = f": {evaluation.run}" if evaluation.run else ""
    installed = ", ".join(f"{name} {version}" for name, version in evaluation.as_dict()["versions"].items())
    return View(sections, (), (f"trained on {evaluation.trained_on}{folder}, {installed}",))


def _heading(evaluation: Evaluation) -> str:
    """The model, the data and the accuracy."""
    share = f"{100 * evaluation.accuracy:.2f} %"
    counts = f"{evaluation.correct:,} of {evaluation.images:,} images"
    return f"{evaluation.reference} on {evaluation.data}: {share} ({counts})"


def _matrix(evaluation: Evaluation) -> Section:
    """A row for each true class and a column for each predicted class."""
    matrix = evaluation.confusion
    names = [one_line(name) for name in evaluation.classes]
    columns = [
        Column(name, [_count(row[i], correct=i == true) for true, row in enumerate(matrix)])
        for i, name in enumerate(names)
    ]
    return Section(
        f"{_heading(evaluation)}; rows are true classes, columns are predicted ones",
        (words("true", names), *columns, Column("correct", [_share(row[i], sum(row)) for i, row in enumerate(matrix)])),
        fixed=1,
    )  # fmt: skip


def _count(images: int, *, correct: bool) -> Cell:
    """A number of images; a dot for none."""
    text = f"{images:,}" if images else "·"
    return Cell(text, f"{images:,}", "" if correct or not images else "red")


def _by_class(evaluation: Evaluation) -> Section:
    """A row for each class."""
    found = evaluation.records()
    return Section(
        _heading(evaluation),
        (
            words("class", [one_line(each["class"]) for each in found]),
            Column("images", [f"{each['images']:,}" for each in found]),
            Column("correct", [_share(each["correct"], each["images"]) for each in found]),
            Column("predicted", [f"{each['predicted']:,}" for each in found]),
        ),
    )


def _share(part: int, whole: int) -> str:
    """A part as per cent of a whole, or "" if the whole is 0."""
    return f"{100 * part / whole:.1f} %" if whole else ""


def _pairs(evaluation: Evaluation) -> Section:
    """The most frequent mistakes."""
    shown = evaluation.confused[:MOST_PAIRS]
    names = [one_line(name) for name in evaluation.classes]
    others = sum(each.images for each in evaluation.confused[MOST_PAIRS:])
    return Section(
        f"mistakes: {evaluation.mistakes:,}",
        (
            words("true", [names[each.true] for each in shown]),
            words("predicted", [names[each.predicted] for each in shown]),
            Column("images", [f"{each.images:,}" for each in shown]),
        ),
        notes=(f"{others:,} more mistakes are of other pairs of classes",) if others else (),
    )

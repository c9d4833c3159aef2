"""The view of a training run: a row for each epoch."""

from __future__ import annotations

from mbanalyze.display.records import shape
from mbanalyze.display.result import view
from mbanalyze.display.units import si
from mbanalyze.display.views import Cell, Column, Section, View, words
from mbanalyze.training.epochs import Epoch
from mbanalyze.training.trained_run import TrainingRun

GUESSING = 1.5
"""An accuracy below this multiple of one class among all is about that of guessing."""


@view.register
def run_view(run: TrainingRun) -> View:
    """Lay out a run: its epochs, the best of which is marked."""
    record = run.record
    recipe, (train, test) = record.recipe, record.images
    settings = (
        f"{record.data}: {train:,} training images and {test:,} test images of {len(record.classes)} classes, "
        f"{shape((record.channels, *record.size))}; {recipe.optimizer}, batch {recipe.batch}, "
        f"learning rate {recipe.lr:g} ({recipe.schedule}), seed {record.seed}, {record.device}"
    )
    notes = [settings]
    if record.best:
        notes.append(
            f"best epoch: {record.best.epoch}, test accuracy {percent(record.best.test_accuracy)}, on the images that chose it"
        )
        if record.best.test_accuracy < GUESSING / len(record.classes):
            notes.append(
                "the accuracy is about that of guessing: give a smaller learning rate, or more epochs"
            )
    if not record.is_finished:
        notes.append(f"{len(run.epochs)} of {recipe.epochs} epochs are finished")
    if run.folder is not None:
        notes.append(f"weights and record are in {run.folder}")
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return View((_epochs(run),), tuple(notes), (f"trained with {versions}",))


def _epochs(run: TrainingRun) -> Section:
    """The epochs, with a mark at the best."""
    epochs, best = run.epochs, run.record.best
    columns = (
        Column("epoch", [str(each.epoch) for each in epochs]),
        Column("loss", [f"{each.loss:.4f}" for each in epochs]),
        Column("train", [percent(each.train_accuracy) for each in epochs]),
        Column("test", [percent(each.test_accuracy) for each in epochs]),
        words("", ["best" if each == best else "" for each in epochs]),
        Column("learning rate", [f"{each.learning_rate:.2g}" for each in epochs]),
        Column("seconds", [f"{each.seconds:.1f}" for each in epochs]),
        Column("macs", [_macs(each) for each in epochs]),
    )
    return Section(run.record.reference, columns, drop_order=("learning rate", "macs", "seconds"))


def _macs(epoch: Epoch) -> str | Cell:
    return "unknown" if epoch.macs is None else Cell(si(epoch.macs), f"{epoch.macs:,}")


def percent(fraction: float) -> str:
    """Return a fraction in per cent: 0.975 -> '97.5 %'."""
    return f"{100 * fraction:.1f} %"

"""A training run as a result, with its best weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from mbanalyze.display.result import Result
from mbanalyze.inputs.typed import AnyPath
from mbanalyze.sources.resolve import Countable
from mbanalyze.training.datasets import load, scale
from mbanalyze.training.epochs import Epoch
from mbanalyze.training.image_set import ImageSet
from mbanalyze.training.random_state import plain_process, seeded
from mbanalyze.training.run_folder import open_folder
from mbanalyze.training.run_record import RunError, RunRecord
from mbanalyze.training.trained_network import TrainedNetwork


@dataclass(frozen=True, slots=True, repr=False)
class TrainingRun(Result):
    """A network that was trained, or whose training was interrupted after some epoch.

    Attributes:
        record: the network, the data, the settings and the epochs.
        network: the network.
        weights: returns the state dict of the best epoch.
        folder: the folder of the run; None if it has none.
    """

    record: RunRecord
    network: TrainedNetwork = field(compare=False)
    weights: Callable[[], Mapping[str, Any]] = field(compare=False)
    folder: Path | None = field(default=None, compare=False)

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """The finished epochs."""
        return self.record.epochs

    @property
    def best(self) -> Epoch:
        """The epoch with the highest test accuracy, the earliest of several.

        Raises:
            RunError: no epoch is finished.
        """
        if self.record.best is None:
            raise RunError(f"{self.folder or 'the run'} has no finished epoch")
        return self.record.best

    @property
    def test_accuracy(self) -> float:
        """The fraction of test images that the best weights classify correctly."""
        return self.best.test_accuracy

    def module(self) -> nn.Module:
        """Return the network with the best weights, in eval mode, on the CPU.

        Raises:
            RunError: no epoch is finished, or the weights are missing or damaged, or those of another network.
        """
        state = self.weights()
        with plain_process(), seeded(self.record.seed, "weights", "cpu"):
            made = self.network.module()
        try:
            made.load_state_dict(dict(state))
        except RuntimeError as error:
            problem = str(error).splitlines()[-1].strip()
            raise RunError(
                f"the weights are those of another network than {self.record.reference}: {problem}"
            ) from error
        return made.eval()

    def images(self, data: str | None = None, *, download: bool = False) -> ImageSet:
        """Return the data of the run, or another data set, at the size of the run's images and normalised like them.

        Raises:
            DataError: the data cannot be read.
        """
        record = self.record
        loaded = load(data or record.data, record.size, record.channels, download=download)
        mean, deviation = scale(record.data)
        return replace(loaded, mean=mean, deviation=deviation)

    def as_dict(self) -> dict[str, Any]:
        """Return the record of the run as a JSON document of schema `RUN_SCHEMA`."""
        return {**self.record.as_dict(), "folder": None if self.folder is None else str(self.folder)}

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each epoch."""
        return [each._asdict() for each in self.epochs]

    def columns(self) -> list[str]:
        """Return the keys of each record."""
        return list(Epoch._fields)


def read_run(folder: AnyPath, what: Countable | None = None) -> TrainingRun:
    """Return the run in a folder.

    Args:
        folder: the folder that `train` wrote.
        what: the factory or module, for a run that was trained from a Python object; by default the recorded name.

    Raises:
        RunError: the folder is no run, or its record is malformed.
    """
    path = Path(folder)
    opened = open_folder(path)
    record = opened.history.record
    network = TrainedNetwork(
        record.model if what is None else what, record.options, record.size, record.channels
    )
    return TrainingRun(record, network, opened.weights, path)

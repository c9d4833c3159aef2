"""`evaluate`: the predictions of a trained network on test images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mbanalyze.clock.machine import require_device
from mbanalyze.inputs.typed import AnyPath
from mbanalyze.training.data_names import DataError
from mbanalyze.training.depthwise_layers import depthwise_layers
from mbanalyze.training.evaluation import Evaluation
from mbanalyze.training.image_set import ImageSet
from mbanalyze.training.loop import logits
from mbanalyze.training.random_state import plain_process
from mbanalyze.training.trained_run import TrainingRun, read_run


def evaluate(
    run: AnyPath | TrainingRun,
    /,
    *,
    data: str | None = None,
    device: str = "cpu",
    download: bool = False,
    progress: Callable[[float], object] | None = None,
) -> Evaluation:
    """Classify test images with the best weights of a training run.

    Args:
        run: the folder of the run, or the result of `mbanalyze.train`.
        data: the data whose test images are classified, as for `train`; by default those of the run.
            Its classes are among the classes of the run.
        device: `cpu`, or a GPU such as `cuda`.
        download: fetch CIFAR-10 if its folder does not have it.
        progress: called with the finished fraction of the images, from 0 to 1.

    Raises:
        RunError: the folder is no run, or is damaged, or no epoch is finished.
        DataError: the data cannot be read, or has a class that the run does not have.
        DeviceError: torch does not have the device.
        SourceError, OptionError: the network cannot be built.
    """
    require_device(device)
    trained = run if isinstance(run, TrainingRun) else read_run(run)
    classes = trained.record.classes
    with plain_process():
        module = trained.module().to(device)
        images = trained.images(data, download=download)
        labels = _labels(images, classes)
        found = list[tuple[int, float]]()
        for _, scores in logits(module, images, images.test, device):
            confidence, predicted = scores.softmax(1).max(1)
            found += zip(predicted.tolist(), confidence.tolist(), strict=True)
            if progress:
                progress(len(found) / len(images.test))
    return Evaluation(
        reference=trained.record.reference,
        run=str(trained.folder or ""),
        trained_on=trained.record.data,
        data=images.name,
        classes=classes,
        targets=tuple(labels[label] for label in images.test.labels.tolist()),
        predicted=tuple(predicted for predicted, _ in found),
        confidence=tuple(confidence for _, confidence in found),
        depthwise=depthwise_layers(module),
        read=lambda indices: _read(images, indices),
    )


def _labels(images: ImageSet, classes: Sequence[str]) -> list[int]:
    """The index among `classes` of each class of some images; `DataError` for a class that is not among them."""
    if other := [name for name in images.classes if name not in classes]:
        raise DataError(f"the network does not know the class {other[0]!r} of {images.name}")
    return [classes.index(name) for name in images.classes]


def _read(images: ImageSet, indices: Sequence[int]) -> list[NDArray[np.float32]]:
    """Some test images, as `Evaluation.read` returns them."""
    pixels = images.test.pixels(torch.tensor(list(indices), dtype=torch.int64))
    return [each.permute(1, 2, 0).numpy() for each in pixels]

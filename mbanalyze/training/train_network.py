"""`train`: the training of a network, epoch by epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mbanalyze.clock.machine import require_device
from mbanalyze.inputs.resolution import as_resolution, sides
from mbanalyze.inputs.typed import AnyPath, is_whole
from mbanalyze.report.network import versions
from mbanalyze.sources.resolve import Countable
from mbanalyze.training.data_names import default_side
from mbanalyze.training.datasets import load
from mbanalyze.training.epoch_macs import epoch_macs
from mbanalyze.training.epochs import Epoch, Position
from mbanalyze.training.image_set import ImageSet
from mbanalyze.training.loop import TEST_BATCH, Loop, TrainingError, accuracy, batches
from mbanalyze.training.optimizers import make_optimizer
from mbanalyze.training.random_state import plain_process, seeded
from mbanalyze.training.recipes import RECIPES, Recipe, chosen_recipe
from mbanalyze.training.run_folder import RunFolder, start_folder
from mbanalyze.training.run_record import RunRecord
from mbanalyze.training.trained_network import TrainedNetwork, named_options, require_logits, trained_network
from mbanalyze.training.trained_run import TrainingRun


def train(
    what: Countable,
    /,
    *,
    data: str | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    optimizer: str | None = None,
    recipe: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    output: AnyPath | None = None,
    resume: bool = False,
    download: bool = False,
    progress: Callable[[Position], object] | None = None,
    **options: Any,
) -> TrainingRun:
    """Train a network to classify images.

    The same seed gives the same numbers on one machine, with the same number of threads. The random state, the
    default dtype, the default device and the gradient mode of the process are left as they were.

    Args:
        what: a model as for `count`, except for files. Its `num_classes` is set to the classes of the data.
        data: `digits`, `cifar10`, `cifar10:PATH` or `folder:PATH`; by default the data of the recipe.
        epochs: the number of times that each training image is seen.
        batch: the largest number of images in a step.
        lr: the largest learning rate.
        optimizer: `adamw`, `adam`, `momentum` or `sgd`.
        recipe: the settings that the arguments above vary: `default` or `cifar10-224`.
        seed: the seed of the initial weights, the order of the images and the random numbers.
        device: `cpu`, or a GPU such as `cuda`.
        output: the folder of the run, which is made: the record, the best weights, and while the run lasts, the
            state after the last epoch.
        resume: go on with the run in `output`; without a run there, start one.
        download: fetch CIFAR-10 if its folder does not have it.
        progress: called after each step with its `Position`.
        options: options of the model; `resolution` is the size of the images, by default that of the data.

    Raises:
        DataError: the data cannot be read.
        TrainingError: the network cannot be trained on it, or the loss is not finite.
        RecipeError: a setting is out of range.
        RunError: the folder has other files, or a run that cannot be continued.
        OutputError: the folder cannot be written.
        ChoiceError: the recipe or the optimizer is unknown.
        DeviceError: torch does not have the device.
        SourceError, OptionError, ParseError, ShapeError: as for `count`.
    """
    settings = chosen_recipe(recipe, epochs=epochs, batch=batch, lr=lr, optimizer=optimizer)
    preset = RECIPES[settings.name]
    require_device(device, "train")
    if not is_whole(seed) or seed < 0:
        raise TrainingError(f"seed must be a whole number from 0, not {seed!r}")
    name, given = named_options(what, options)
    data = preset.data if data is None else data
    side = given.pop("resolution", None) or preset.side or default_side(data)
    size, channels = sides(as_resolution(side)), given.get("in_channels", 3)
    with plain_process():
        images = load(data, size, channels, download=download)
        network = trained_network(name, given, size, channels, len(images.classes))
        record = _record(network, images, settings, seed, device)
        module = _initial(network, images, record)
        folder = start_folder(Path(output), record, resume=resume) if output is not None else None
        return _run(network, module, images, record, folder, progress or (lambda _: None))


def _record(network: TrainedNetwork, images: ImageSet, recipe: Recipe, seed: int, device: str) -> RunRecord:
    """The record of a run before its first epoch."""
    return RunRecord(
        network.name,
        network.options,
        network.size,
        network.channels,
        images.name,
        images.classes,
        (len(images.train), len(images.test)),
        recipe,
        int(seed),
        device,
        versions("torch"),
    )


def _initial(network: TrainedNetwork, images: ImageSet, record: RunRecord) -> nn.Module:
    """The network with its initial weights, on the device; `TrainingError` unless it fits the data."""
    with seeded(record.seed, "weights", record.device):
        module = network.module().to(record.device)
        require_logits(network.name, module, images, record.device)
    return module


def _run(
    network: TrainedNetwork,
    module: nn.Module,
    images: ImageSet,
    record: RunRecord,
    folder: RunFolder | None,
    progress: Callable[[Position], object],
) -> TrainingRun:
    """Train all epochs that are left."""
    best = dict[str, Any]()
    optimizer = make_optimizer(record.recipe.optimizer, module.parameters(), record.recipe.weight_decay)
    if folder and folder.history.record.epochs:
        record = folder.history.record
        if not record.is_finished:
            state = folder.checkpoint()
            module.load_state_dict(state["module"])
            optimizer.load_state_dict(state["optimizer"])
    loop = Loop(module, optimizer, images, record.recipe, record.seed, record.device, progress)
    macs = None if record.is_finished else _macs(network, images, record.recipe)
    while not record.is_finished:
        record = record.with_epoch(_epoch(loop, len(record.epochs) + 1, macs))
        is_best = record.best == record.epochs[-1]
        best = _on_cpu(module.state_dict()) if is_best else best
        if folder:
            checkpoint = {"module": module.state_dict(), "optimizer": optimizer.state_dict()}
            folder.commit(record, best if is_best else None, None if record.is_finished else checkpoint)
    if folder:
        return TrainingRun(record, network, folder.weights, folder.path)
    return TrainingRun(record, network, lambda: best)


def _epoch(loop: Loop, number: int, macs: int | None) -> Epoch:
    """The record of an epoch, after it has run."""
    start = time.perf_counter()
    loss, train_accuracy, rate = loop.epoch(number)
    test_accuracy = accuracy(loop.module, loop.data, loop.data.test, loop.device)
    return Epoch(number, loss, train_accuracy, test_accuracy, rate, time.perf_counter() - start, macs)


def _macs(network: TrainedNetwork, images: ImageSet, recipe: Recipe) -> int | None:
    """The multiply-accumulates of an epoch."""
    train, test = (torch.arange(len(part)) for part in (images.train, images.test))
    return epoch_macs(network, batches(train, recipe.batch), batches(test, TEST_BATCH))


def _on_cpu(state: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a state dict on the CPU."""
    return {
        name: value.detach().cpu().clone() if isinstance(value, torch.Tensor) else value
        for name, value in state.items()
    }

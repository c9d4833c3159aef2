"""An epoch of training, and the accuracy on images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from mbanalyze.sources.references import summarize
from mbanalyze.training.epochs import Position
from mbanalyze.training.image_set import Images, ImageSet
from mbanalyze.training.norm_statistics import NormStatistics
from mbanalyze.training.random_state import seed_of, seeded
from mbanalyze.training.recipes import Recipe

AUXILIARY_WEIGHT = 0.3
"""The weight of the loss of an auxiliary classifier: GoogLeNet, arXiv:1409.4842, section 5."""
TEST_BATCH = 256
"""The largest number of images that are classified at once."""


class TrainingError(ValueError):
    """A network that cannot be trained on the data with these settings."""


def batches(indices: Tensor, most: int) -> tuple[Tensor, ...]:
    """Split indices into as few parts as possible of at most `most`, whose sizes differ by at most one."""
    return indices.tensor_split(ceil(len(indices) / most))


@dataclass(frozen=True, slots=True)
class Loop:
    """The parts of a training run.

    Attributes:
        module: the network, on the device.
        optimizer: the optimizer of its parameters.
        data: the images.
        recipe: the settings.
        seed: the seed of the run.
        device: the device, as torch names it.
        progress: called after each step.
    """

    module: nn.Module
    optimizer: Optimizer
    data: ImageSet
    recipe: Recipe
    seed: int
    device: str
    progress: Callable[[Position], object]

    def epoch(self, number: int) -> tuple[float, float, float]:
        """Train for an epoch, counted from 1; return the loss, the training accuracy and the last learning rate.

        Order and random numbers depend on the seed and the number alone.

        Raises:
            TrainingError: the loss is not finite.
        """
        with seeded(self.seed, number, self.device):
            return self._epoch(number)

    def _epoch(self, number: int) -> tuple[float, float, float]:
        images, loss, right, seen, rate = self.data.train, 0.0, 0, 0, 0.0
        order = torch.randperm(
            len(images), generator=torch.Generator().manual_seed(seed_of(self.seed, f"order {number}"))
        )
        parts = batches(order, self.recipe.batch)
        norms = NormStatistics(self.module)
        self.module.train()
        for step, part in enumerate(parts, 1):
            done = (number - 1) * len(parts) + step - 1
            rate = self.recipe.rate(done, self.recipe.epochs * len(parts))
            norms.set_momentum(done, len(parts))
            labels = images.labels[part].to(self.device)
            outputs, mean = self._step(part, labels, rate)
            loss += mean * len(part)
            seen += len(part)
            right += int((outputs.argmax(1) == labels).sum())
            if not loss < float("inf"):
                raise TrainingError(
                    f"the loss is {loss} in epoch {number}: give a smaller learning rate than {self.recipe.lr:g}"
                )
            self.progress(Position(number, self.recipe.epochs, step, len(parts), loss / seen))
        return loss / seen, right / seen, rate

    def _step(self, part: Tensor, labels: Tensor, rate: float) -> tuple[Tensor, float]:
        """The logits of a batch and its mean loss, after a step with a learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        images = inputs(self.data, self.data.train, part, self.device)
        try:
            outputs, *auxiliary = _outputs(self.module(images))
            loss = functional.cross_entropy(outputs, labels)
            for each in auxiliary:
                loss = loss + AUXILIARY_WEIGHT * functional.cross_entropy(each, labels)
            loss.backward()  # type: ignore[no-untyped-call]
        except Exception as error:
            raise TrainingError(f"a step on {len(part)} images failed: {summarize(error)}") from error
        self.optimizer.step()
        return outputs.detach(), float(loss.detach())


def _outputs(found: Any) -> tuple[Tensor, ...]:
    """The logits of a network in training, and those of its auxiliary classifiers if it has them."""
    if isinstance(found, tuple) and hasattr(found, "logits"):
        return (found.logits, *(each for each in found[1:] if each is not None))
    return (found,)


def inputs(data: ImageSet, images: Images, part: Tensor, device: str) -> Tensor:
    """Return some images of a data set as its networks take them, on a device."""
    return data.normalised(images.pixels(part).to(device))


def logits(module: nn.Module, data: ImageSet, images: Images, device: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the indices of each batch of images, and the logits of the network in eval mode: `[k, classes]`, on the CPU."""
    module.eval()
    for part in batches(torch.arange(len(images)), TEST_BATCH):
        with torch.no_grad():
            yield part, module(inputs(data, images, part, device)).cpu()


def accuracy(module: nn.Module, data: ImageSet, images: Images, device: str) -> float:
    """Return the fraction of images that a network classifies correctly in eval mode."""
    right = sum(
        int((found.argmax(1) == images.labels[part]).sum())
        for part, found in logits(module, data, images, device)
    )
    return right / len(images)

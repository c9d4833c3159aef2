"""Training: the record of each epoch, the same numbers for the same seed, and the process as it was."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from training_nets import Tiny

import mbanalyze
from mbanalyze.archs import MobileNetV1
from mbanalyze.training.epochs import Epoch, Position
from mbanalyze.training.loop import TrainingError, logits
from mbanalyze.training.norm_statistics import NormStatistics
from mbanalyze.training.random_state import seed_of
from mbanalyze.training.recipes import Recipe, chosen_recipe
from mbanalyze.training.trained_run import TrainingRun

SMALL: dict[str, Any] = {"batch": 512, "resolution": 8}


def timeless(run: TrainingRun) -> list[Epoch]:
    """The epochs of a run without their times."""
    return [epoch._replace(seconds=0.0) for epoch in run.epochs]


def test_a_seed_gives_the_same_numbers() -> None:
    """Two runs with one seed have the same epochs and weights, and another seed has others."""
    one, two = (mbanalyze.train(Tiny, epochs=2, seed=3, **SMALL) for _ in range(2))
    other = mbanalyze.train(Tiny, epochs=2, seed=4, **SMALL)

    assert timeless(one) == timeless(two) != timeless(other)
    weights = two.module().state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in one.module().state_dict().items())


def test_the_best_weights_have_the_accuracy_of_the_record() -> None:
    """The fraction of test images that the returned network classifies correctly is `test_accuracy`."""
    run = mbanalyze.train(Tiny, epochs=3, **SMALL)

    module, images, right = run.module(), run.images(), 0
    for part, found in logits(module, images, images.test, "cpu"):
        right += int((found.argmax(1) == images.test.labels[part]).sum())
    assert run.test_accuracy == right / 359 == max(epoch.test_accuracy for epoch in run.epochs)
    assert all(0 <= each <= 1 for epoch in run.epochs for each in (epoch.train_accuracy, epoch.test_accuracy))


def test_the_best_epoch_is_the_earliest_of_the_most_accurate() -> None:
    """Of two epochs with the highest test accuracy, the first is the best."""
    run = mbanalyze.train(Tiny, epochs=1, **SMALL)
    first = run.epochs[0]._replace(test_accuracy=0.5)
    record = run.record.with_epoch(first._replace(epoch=2)).with_epoch(first._replace(epoch=3))

    assert record.best is not None
    assert record.best.epoch == 2


def test_guessing_is_said() -> None:
    """A note says that an accuracy near one class in ten is that of guessing; without finished epochs, none is said."""
    run = mbanalyze.train(Tiny, epochs=1, **SMALL)
    notes = []
    for epochs in ((), *((run.epochs[0]._replace(test_accuracy=each),) for each in (0.1, 0.5))):
        shown = replace(run, record=replace(run.record, epochs=epochs)).to("table", width=200)
        notes.append("about that of guessing: give a smaller learning rate" in shown)

    assert notes == [False, True, False]


def test_the_macs_of_an_epoch() -> None:
    """They are those of three passes for training images, less the gradient of the images, and one for test images."""
    run = mbanalyze.train(Tiny, epochs=1, **SMALL)

    # The convolution makes 3 x 3 pixels of 4 channels from 3 x 3 windows of 3 channels; the linear layer is 4 x 10.
    conv, linear = 3 * 3 * 4 * 27, 4 * 10
    assert run.epochs[0].macs == 1438 * (2 * conv + 3 * linear) + 359 * (conv + linear)


def test_macs_are_those_of_count() -> None:
    """The macs of an epoch of a known network are those that `count` reports for a batch, in proportion."""
    run = mbanalyze.train("mobilenet_v1", alpha=0.05, epochs=1, resolution=16, batch=719)

    report = mbanalyze.count(run.record.reference, batch=2, train=True)
    assert report.training is not None
    backward, forward = report.training.totals()["backward_macs"], report.totals.macs
    assert backward is not None
    assert forward is not None
    assert run.epochs[0].macs == 719 * (forward + backward) + 359 * forward // 2


def _settings() -> tuple[object, ...]:
    """The settings of this process that a run could change."""
    flags = (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype())
    return (*flags, torch.get_default_device(), torch.get_num_threads(), random.getstate())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_process_is_left_as_it_was(mode: Callable[[], Any]) -> None:
    """A run gives the same numbers in any mode, default dtype and random state, and changes none of them."""
    expected = timeless(mbanalyze.train(Tiny, epochs=1, **SMALL))
    torch.set_default_dtype(torch.float64)
    try:
        with mode(), torch.random.fork_rng(), torch.device("meta"):
            torch.default_generator.manual_seed(5)
            before, state = _settings(), torch.default_generator.get_state()
            found = timeless(mbanalyze.train(Tiny, epochs=1, **SMALL))
            after = _settings()
            same = bool((state.cpu().numpy() == torch.default_generator.get_state().cpu().numpy()).all())
    finally:
        torch.set_default_dtype(torch.float32)

    assert (found, after, same) == (expected, before, True)


def test_a_module_is_copied() -> None:
    """A module of the user keeps its weights and its mode; the run has weights of its own."""
    module = Tiny().eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}

    run = mbanalyze.train(module, epochs=1, **SMALL)

    assert not module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not torch.equal(run.module().state_dict()["6.weight"], before["6.weight"])


def test_progress_is_told_after_each_step() -> None:
    """Each step has its place in the run; 1,438 images in steps of at most 512 are three steps."""
    told: list[Position] = []
    mbanalyze.train(Tiny, epochs=2, progress=told.append, **SMALL)

    assert [(each.epoch, each.step, each.steps) for each in told] == [
        (e, s, 3) for e in (1, 2) for s in (1, 2, 3)
    ]
    assert told[-1].fraction == 1


def test_an_architecture_gets_the_classes_of_the_data() -> None:
    """The options that an architecture does not state are those of the data."""
    run = mbanalyze.train(MobileNetV1(alpha=0.05), epochs=1, batch=512, resolution=16)

    assert run.record.reference == "mobilenet_v1@alpha=0.05,resolution=16,num_classes=10"


def test_a_grey_network_takes_grey_digits() -> None:
    """With `in_channels=1`, digits have one channel."""
    run = mbanalyze.train("mobilenet_v1", alpha=0.05, epochs=1, batch=512, resolution=8, in_channels=1)

    assert run.record.channels == run.images().train.pixels(torch.arange(2)).shape[1] == 1


def _classifiers() -> nn.Module:
    class Outputs(NamedTuple):
        logits: torch.Tensor
        auxiliary: torch.Tensor | None

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.other = Tiny(), Tiny()

        def forward(self, x: torch.Tensor) -> Any:
            return Outputs(self.main(x), self.other(x)) if self.training else self.main(x)

    return Two()


def test_auxiliary_classifiers_are_trained() -> None:
    """A network that returns several logits in training, as GoogLeNet does, adds 0.3 of the loss of the others."""
    run = mbanalyze.train(_classifiers, epochs=1, batch=1438, resolution=8, lr=1e-9)

    # the loss of ten classes that are equally likely is ln 10 = 2.303
    assert run.epochs[0].loss == pytest.approx(1.3 * 2.303, abs=0.2)


def _five() -> nn.Module:
    return Tiny(5)


def _no_training() -> nn.Module:
    class Broken(Tiny):
        def forward(self, x: torch.Tensor) -> Any:
            return super().forward(x[:, :2] if self.training else x)  # type: ignore[no-untyped-call]

    return Broken()


def _pair() -> nn.Module:
    class Pair(Tiny):
        def forward(self, x: torch.Tensor) -> Any:
            return self[0](x), x

    return Pair()


@pytest.mark.parametrize(
    ("what", "given", "message"),
    [
        (
            "mobilenet_v1",
            {"num_classes": 5},
            "num_classes is 5, and the data has 10 classes: leave num_classes out",
        ),
        (_five, {}, "_five returns 2x5 for 2 images, and the data has 10 classes"),
        (_pair, {}, "_pair returns an object of type tuple, not a tensor of logits"),
        (Tiny, {"resolution": 1}, r"Tiny does not run on images of \(2, 3, 1, 1\): RuntimeError"),
        (Tiny, {"lr": 1e30}, "the loss is nan in epoch 1: give a smaller learning rate than 1e"),
        (_no_training, {}, "a step on 480 images failed: RuntimeError: Given groups=1"),
        (Tiny, {"seed": -1}, "seed must be a whole number from 0, not -1"),
        ("net.onnx", {}, "net.onnx is an exported file"),
    ],
)
def test_networks_that_cannot_be_trained(what: Any, given: dict[str, Any], message: str) -> None:
    """Each reason is one line."""
    with pytest.raises(TrainingError, match=message) as raised:
        mbanalyze.train(what, **{"epochs": 1, **SMALL, **given})

    assert "\n" not in str(raised.value)


def test_the_learning_rate_of_one_cycle() -> None:
    """It rises for a fifth of the steps, and falls to nearly zero as a cosine."""
    recipe = Recipe(lr=1.0)
    rates = [recipe.rate(step, 10) for step in range(10)]

    # two rising steps; of nine intervals from the top to zero, each step has done one more: (1 + cos(pi k / 9)) / 2
    assert rates[:2] == [0.5, 1.0]
    assert rates[2] == pytest.approx(0.9698463)
    assert rates[9] == pytest.approx(0.0301537)
    assert {Recipe(lr=1.0, schedule="constant").rate(step, 10) for step in range(10)} == {1.0}


def test_the_recipe_of_the_tutorials() -> None:
    """It trains 10 epochs in batches of 16 with Adam at a constant rate of 1e-4; another optimizer has its own rate."""
    recipe = chosen_recipe("cifar10-224")

    assert (recipe.epochs, recipe.batch, recipe.optimizer, recipe.lr) == (10, 16, "adam", 1e-4)
    assert recipe.rate(0, 100) == recipe.rate(99, 100) == 1e-4
    assert chosen_recipe("cifar10-224", optimizer="sgd").lr == 0.1


def test_norms_follow_short_runs() -> None:
    """The statistics of a batch norm are first a plain mean, then over a third of an epoch, or its own if shorter."""
    slow, own = nn.BatchNorm2d(1, momentum=0.001), nn.BatchNorm2d(1, momentum=0.5)
    norms = NormStatistics(nn.Sequential(slow, own))
    found = []
    for step in (0, 1, 200):
        norms.set_momentum(step, 30)
        found.append((slow.momentum, own.momentum))

    assert found == [(1.0, 1.0), (0.5, 0.5), (0.1, 0.5)]


@pytest.mark.slow
def test_a_narrow_mobilenet_learns_digits() -> None:
    """MobileNetV1 with alpha 0.25 at 32 pixels has over 95 % test accuracy on digits with the usual settings."""
    run = mbanalyze.train("mobilenet_v1", alpha=0.25)

    assert run.record.size == (32, 32)
    assert run.test_accuracy > 0.95


def test_each_epoch_has_random_numbers_of_its_own() -> None:
    """The seeds of the weights, of epochs and of their orders differ, and so do those of two runs."""
    seeds = [seed_of(run, part) for run in (0, 1) for part in ("weights", 1, 2, "order 1", "order 2")]

    assert len({*seeds}) == len(seeds)

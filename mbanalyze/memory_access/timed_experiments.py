"""Timing of the experiments on this machine, with torch."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mbanalyze.clock.machine import is_cuda, require_device
from mbanalyze.clock.rounds import Progress, alternate
from mbanalyze.clock.timed_module import TimedModule, on_device
from mbanalyze.memory_access import experiments
from mbanalyze.memory_access.experiments import TITLES, Timings, Trial, series


def time_experiments(seconds: float = 60.0, device: str = "cpu", progress: Progress | None = None) -> Timings:
    """Time the four experiments at batch 1 and the paper's smallest GPU widths.

    Each round times every network once, so that a slow moment affects all of them.

    Args:
        seconds: the time to spend; there are at least five rounds.
        device: the name of the device in torch, such as "cpu" or "cuda".
        progress: a callback that receives the completed fraction, up to 1.

    Raises:
        DeviceError: torch cannot use the device.
    """
    require_device(device)
    trials = [trial for guideline in TITLES for trial in series(guideline, "GPU", 1)]
    networks = [_timed_network(trial, device) for trial in trials]
    rounds = alternate([network.time_whole for network in networks], seconds, progress=progress)
    settings = [(trial.guideline, trial.setting) for trial in trials]
    medians = [statistics.median(network.whole) / 1e9 for network in networks]
    return Timings(dict(zip(settings, medians, strict=True)), rounds, _device_name(device))


def _timed_network(trial: Trial, device: str) -> TimedModule:
    net, image = trial_network(trial)
    return on_device(f"{trial.guideline} {trial.setting}", net, (image,), {}, device)


def _device_name(device: str) -> str:
    return (
        torch.cuda.get_device_name(device)
        if is_cuda(device)
        else f"{device}, {torch.get_num_threads()} threads"
    )


def trial_network(trial: Trial) -> tuple[nn.Module, Tensor]:
    """Return the ten blocks of `trial` as a module, and an image `[1, c, 56, 56]` for it."""
    c1, c2 = trial.channels
    if trial.guideline == "G3":
        c1 = experiments.fragment_channels(c1, trial.options["fragments"])
    factories: dict[str, Callable[[], nn.Module]] = {
        "G1": lambda: nn.Sequential(_conv(c1, c2), _conv(c2, c1)),
        "G2": lambda: _conv(c1, c2, groups=trial.options["groups"]),
        "G3": lambda: FragmentedBlock(c1, **trial.options),
        "G4": lambda: BottleneckBlock(c1, **trial.options),
    }
    blocks = [factories[trial.guideline]() for _ in range(experiments.BLOCKS_PER_NETWORK)]
    return nn.Sequential(*blocks).eval(), torch.randn(1, c1, experiments.SIZE, experiments.SIZE)


def _conv(c1: int, c2: int, kernel: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c1, c2, kernel, padding=kernel // 2, groups=groups, bias=False)


class FragmentedBlock(nn.Module):
    """1x1 convolutions of `c` channels, in series, or in parallel and added: Table 3."""

    def __init__(self, c: int, fragments: int, parallel: bool) -> None:
        super().__init__()
        self.parallel = parallel
        self.fragments = nn.ModuleList(_conv(c, c) for _ in range(fragments))

    def forward(self, x: Tensor) -> Tensor:
        """`[n, c, h, w]` -> the same shape."""
        if not self.parallel:
            for fragment in self.fragments:
                x = fragment(x)
            return x
        y: Tensor = self.fragments[0](x)
        for fragment in self.fragments[1:]:
            y = y + fragment(x)
        return y


class BottleneckBlock(nn.Module):
    """A bottleneck of ResNet, with or without ReLU and shortcut: Table 4."""

    def __init__(self, c: int, relu: bool, shortcut: bool) -> None:
        super().__init__()
        convs = [_conv(c, c // 4), _conv(c // 4, c // 4, 3), _conv(c // 4, c)]
        layers = [layer for conv in convs for layer in ([conv, nn.ReLU()] if relu else [conv])]
        self.layers = nn.Sequential(*layers)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """`[n, c, h, w]` -> the same shape."""
        y: Tensor = self.layers(x)
        return x + y if self.shortcut else y

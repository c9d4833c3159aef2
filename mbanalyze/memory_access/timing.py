"""Times the experiments behind ShuffleNet V2's guidelines on this machine, with torch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from mbanalyze.memory_access.experiments import BLOCKS, SIZE, TITLES, Run, fragment_channels, series

LEAST_ROUNDS = 5


class MeasureError(ValueError):
    """A device that torch has not got, or that computes nothing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The four experiments on this machine.

    Attributes:
        seconds: the median time of a forward pass, by guideline and setting.
        rounds: how often each was timed.
        device: what it ran on.
    """

    seconds: Mapping[tuple[str, str], float]
    rounds: int
    device: str

    def relative_speed(self, guideline: str, setting: str) -> float:
        """Relative to the first setting of the experiment."""
        first = series(guideline, "GPU", 1)[0].setting
        return self.seconds[guideline, first] / self.seconds[guideline, setting]

    def _repr_html_(self) -> str:
        from mbanalyze.memory_access.view import experiments_html

        return experiments_html(self)


def measure(
    seconds: float = 60.0, device: str = "cpu", progress: Callable[[float], None] | None = None
) -> Measured:
    """Time the four experiments at batch 1 and the paper's smallest GPU widths.

    All settings are timed once, then all of them again, so that a slower moment slows them all.

    Args:
        seconds: how long to go on; there are at least `LEAST_ROUNDS` rounds.
        device: what torch calls it: "cpu", "cuda".
        progress: told the share that is done, up to 1.

    Raises:
        MeasureError: torch cannot use the device.
    """
    try:
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        problem = str(error).splitlines()[0][:120]
        raise MeasureError(f"cannot measure on {device!r} (cpu is always there): {problem}") from error
    keys = [(guideline, run.setting) for guideline in TITLES for run in series(guideline, "GPU", 1)]
    with torch.inference_mode():
        timers = [_timer(run, device) for guideline in TITLES for run in series(guideline, "GPU", 1)]
        for timer in timers:  # the first call of each warms up
            timer.timeit(1)
        rounds: list[list[float]] = []
        began = time.monotonic()
        while len(rounds) < LEAST_ROUNDS or time.monotonic() - began < seconds:
            rounds.append([timer.timeit(1).mean for timer in timers])
            if progress is not None:
                share = (time.monotonic() - began) / seconds if seconds else 1.0
                progress(min(share, len(rounds) / LEAST_ROUNDS, 1.0))
    medians = map(statistics.median, zip(*rounds, strict=True))
    return Measured(dict(zip(keys, medians, strict=True)), len(rounds), _name(device))


def _timer(run: Run, device: str) -> Timer:
    net, image = network(run)
    variables = {"net": net.to(device), "image": image.to(device)}
    return Timer("net(image)", globals=variables, num_threads=torch.get_num_threads())


def _name(device: str) -> str:
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device}, {torch.get_num_threads()} threads"


def network(run: Run) -> tuple[nn.Module, Tensor]:
    """The ten blocks of `run` as a module, and an image `[1, c, 56, 56]` for it."""
    c1, c2 = run.channels
    if run.guideline == "G3":
        c1 = fragment_channels(c1, run.options["fragments"])
    made: dict[str, Callable[[], nn.Module]] = {
        "G1": lambda: nn.Sequential(_conv(c1, c2), _conv(c2, c1)),
        "G2": lambda: _conv(c1, c2, groups=run.options["groups"]),
        "G3": lambda: Fragments(c1, **run.options),
        "G4": lambda: Bottleneck(c1, **run.options),
    }
    blocks = [made[run.guideline]() for _ in range(BLOCKS)]
    return nn.Sequential(*blocks).eval(), torch.randn(1, c1, SIZE, SIZE)


def _conv(c1: int, c2: int, kernel: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c1, c2, kernel, padding=kernel // 2, groups=groups, bias=False)


class Fragments(nn.Module):
    """1x1 convolutions of `c` channels, one after the other, or side by side and added: Table 3."""

    def __init__(self, c: int, fragments: int, parallel: bool) -> None:
        super().__init__()
        self.parallel = parallel
        self.fragments = nn.ModuleList(_conv(c, c) for _ in range(fragments))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> the same shape."""
        if not self.parallel:
            for fragment in self.fragments:
                x = fragment(x)
            return x
        y: Tensor = self.fragments[0](x)
        for fragment in self.fragments[1:]:
            y = y + fragment(x)
        return y


class Bottleneck(nn.Module):
    """A ResNet bottleneck, with ReLU and shortcut or without: Table 4."""

    def __init__(self, c: int, relu: bool, shortcut: bool) -> None:
        super().__init__()
        convs = [_conv(c, c // 4), _conv(c // 4, c // 4, 3), _conv(c // 4, c)]
        layers = [layer for conv in convs for layer in ([conv, nn.ReLU()] if relu else [conv])]
        self.layers = nn.Sequential(*layers)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> the same shape."""
        y: Tensor = self.layers(x)
        return x + y if self.shortcut else y

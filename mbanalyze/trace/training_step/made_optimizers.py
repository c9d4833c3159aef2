"""The optimizers of a training step, by name, as PyTorch runs them by default on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from torch import nn, optim
from torch.optim import Optimizer

MAKERS: Mapping[str, Callable[[Sequence[nn.Parameter]], Optimizer] | None] = {
    "none": None,
    "sgd": partial(optim.SGD, lr=0.01),
    "momentum": partial(optim.SGD, lr=0.01, momentum=0.9),
    "adam": optim.Adam,
}
"""Name -> a function that makes the optimizer of some parameters; None makes no optimizer."""

STATELESS = frozenset({"none", "sgd"})
"""The optimizers that keep nothing from step to step."""

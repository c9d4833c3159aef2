"""The optimizers of a training run by name, as PyTorch has them."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn, optim
from torch.optim import Optimizer


def make_optimizer(name: str, params: Iterable[nn.Parameter], decay: float) -> Optimizer:
    """Return an optimizer; its learning rate is set before each step.

    Args:
        name: a key of `OPTIMIZER_RATES`.
        params: the parameters to train.
        decay: the weight decay.
    """
    if name == "adamw":
        return optim.AdamW(params, weight_decay=decay, fused=True)
    if name == "adam":
        return optim.Adam(params, weight_decay=decay, fused=True)
    return optim.SGD(params, momentum=0.9 if name == "momentum" else 0, weight_decay=decay, fused=True)

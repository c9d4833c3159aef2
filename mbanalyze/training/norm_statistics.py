"""The running statistics of batch norms in short runs.

A batch norm averages its statistics over about `1 / momentum` steps. Networks for millions of images have a momentum
of 0.01 or less. After a few hundred steps, their averages would still hold the initial weights.
"""

from __future__ import annotations

from torch import nn

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
EPOCH_SHARE = 1 / 3
"""The longest time that statistics are averaged over, as a share of an epoch."""


class NormStatistics:
    """The batch norms of a network, whose momentum depends on the step.

    The momentum is the network's own, or that of an average over the steps so far, or over `EPOCH_SHARE` of an
    epoch, whichever is largest.
    """

    def __init__(self, module: nn.Module) -> None:
        norms = [each for each in module.modules() if isinstance(each, NORMS)]
        self._own = [(norm, norm.momentum) for norm in norms if norm.momentum is not None]

    def set_momentum(self, step: int, steps: int) -> None:
        """Set the momentum of each batch norm for a step of the run, counted from 0; an epoch has `steps`."""
        least = max(1 / (step + 1), min(1.0, 1 / (EPOCH_SHARE * steps)))
        for norm, own in self._own:
            norm.momentum = max(own, least)

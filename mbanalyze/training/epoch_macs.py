"""The multiply-accumulates of an epoch of training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from torch import Tensor

from mbanalyze.ops.cost import Count
from mbanalyze.trace.forward_errors import TraceError
from mbanalyze.training.trained_network import TrainedNetwork


def epoch_macs(network: TrainedNetwork, training: Sequence[Tensor], test: Sequence[Tensor]) -> Count:
    """Return the multiply-accumulates of an epoch; None if an operator is not counted.

    Args:
        network: the network.
        training: the batches of a forward and a backward pass.
        test: the batches of a forward pass.
    """
    total = 0
    for train, batches in ((True, training), (False, test)):
        for size, times in Counter(map(len, batches)).items():
            macs = _macs(network, size, train=train)
            if macs is None:
                return None
            total += times * macs
    return total


def _macs(network: TrainedNetwork, size: int, *, train: bool) -> Count:
    """The multiply-accumulates of a batch; None if they are unknown."""
    try:
        report = network.on(size).report(train=train, optimizer="none" if train else None)
    except TraceError:
        return None
    if not report.complete:
        return None
    if report.training is None:
        return report.totals.macs
    backward = report.training.of().backward_macs
    if not report.training.complete("backward_macs") or backward is None or report.totals.macs is None:
        return None
    return report.totals.macs + backward

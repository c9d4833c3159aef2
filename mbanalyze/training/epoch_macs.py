"""The multiply-accumulates of an epoch of training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from torch import Tensor

from mbanalyze.ops.cost import Count
from mbanalyze.report.network import Report
from mbanalyze.report.rows import rows
from mbanalyze.sources.resolved_model import ResolvedModel
from mbanalyze.sources.training_report import with_trained_graph
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
        report = _training_report(network.on(size)) if train else network.on(size).report()
    except TraceError:
        return None
    if not report.complete or report.training is None:
        return report.totals.macs if report.complete else None
    backward = report.training.of().backward_macs
    if not report.training.complete("backward_macs") or backward is None or report.totals.macs is None:
        return None
    return report.totals.macs + backward


def _training_report(model: ResolvedModel) -> Report:
    """The cost of a training step by rules alone: no step runs to measure its memory."""
    if model.spec is None:
        return with_trained_graph(model.report(mode="train"), "none")
    counted = rows(model.spec.ops(model.inputs[0][0], training=True))
    return with_trained_graph(Report(model.name, model.options, model.inputs, "closed-form", counted), "none")

"""The columns of a report: the value of each for a group of operators."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from mbanalyze.ops.record import Op
from mbanalyze.report.network import Report, share_of
from mbanalyze.report.rows import Group
from mbanalyze.report.training import TRAINING_COLUMNS

Number = int | float | None
"""A value to sort by; None is unknown."""


def _training_count(name: str, group: Group, report: Report) -> Number:
    """A count of training; None without training."""
    return report.training_counts(group.rows).get(name)


COUNTS: dict[str, Callable[[Group, Report], Number]] = {
    "ops": lambda group, _: len(group.rows),
    "params": lambda group, _: group.cost.params,
    "trainable_params": lambda group, _: group.trainable_params,
    "macs": lambda group, _: group.cost.macs,
    "macs_share": lambda group, report: share_of(group.cost.macs, report.totals.macs),
    "flops": lambda group, _: group.cost.flops,
    "activations": lambda group, _: group.cost.activations,
    "reads": lambda group, _: group.cost.reads,
    "writes": lambda group, _: group.cost.writes,
    "memory_access": lambda group, _: group.cost.memory_access,
    "memory_access_bytes": lambda group, report: group.cost.memory_access_bytes(report.itemsize),
    "live_bytes": lambda group, report: report.live_bytes(group.rows),
    **{name: partial(_training_count, name) for name in TRAINING_COLUMNS},
    "arithmetic_intensity": lambda group, report: group.cost.arithmetic_intensity(report.itemsize),
    "params_bytes": lambda group, report: group.cost.params_bytes(report.itemsize),
}
"""The columns of numbers, which rows can be sorted by."""

SHAPES: dict[str, Callable[[Group], Iterable[Any]]] = {
    "inputs": lambda group: [v.shape for row in group.rows[:1] for v in row.op.inputs],
    "weights": lambda group: [v.shape for row in group.rows for v in row.op.weights],
    "buffers": lambda group: [v.shape for row in group.rows for v in row.op.buffers],
    "output": lambda group: group.output,
    "kernel": lambda group: _different(group, _kernel),
    "stride": lambda group: _different(group, lambda op: op.attribute("stride")),
    "dilation": lambda group: _different(group, lambda op: op.attribute("dilation")),
    "groups": lambda group: _different(group, lambda op: op.groups if op.kind == "conv" else None),
}
"""The columns of shapes and settings.

The inputs are those of the first operator, the output is that of the last one, weights and buffers are those of all.
Settings are the different ones of convolutions and poolings.
"""

WORDS: dict[str, Callable[[Group], Any]] = {
    "path": lambda group: group.key,
    "key": lambda group: group.key,
    "kind": lambda group: " ".join(dict.fromkeys(row.op.kind for row in group.rows)),
    "variant": lambda group: " ".join(dict.fromkeys(row.op.variant or "" for row in group.rows)).strip(),
    "merged": lambda group: " ".join(dict.fromkeys(kind for row in group.rows for kind in row.merged)),
}
"""The columns of words."""

COLUMNS = (*WORDS, *SHAPES, *COUNTS)
"""The names of all columns."""
BOUNDS = ("macs", "flops", "activations")
"""The counts of the forward pass that are lower bounds where an operator is not counted."""


def value(name: str, group: Group, report: Report) -> Any:
    """Return the value of a column for a group: a number, a word, or a list of shapes or sizes."""
    if name in COUNTS:
        return COUNTS[name](group, report)
    return list(SHAPES[name](group)) if name in SHAPES else WORDS[name](group)


def complete(name: str, group: Group, report: Report) -> bool:
    """Return False if a column is unknown of an operator of a group, so that its sum is a lower bound."""
    if name in TRAINING_COLUMNS:
        return report.training is None or report.training.complete(name, group.rows)
    return group.complete or name not in BOUNDS


def complete_total(name: str, report: Report) -> bool:
    """Return False if the total of a column is a lower bound."""
    if name in TRAINING_COLUMNS:
        known = report.training is None or report.training.complete(name, report.rows)
        return known and not report.unseen and not report.omitted
    return report.complete or name not in BOUNDS


def _different(group: Group, setting: Callable[[Op], Any]) -> Iterable[Any]:
    """The values of a setting, each once."""
    found = dict.fromkeys(setting(row.op) for row in group.rows)
    return [each for each in found if each is not None]


def _kernel(op: Op) -> Any:
    """The size of the windows: that of a convolution is in the shape of its weight."""
    return op.operands[1].shape[2:] if op.kind == "conv" else op.attribute("kernel")

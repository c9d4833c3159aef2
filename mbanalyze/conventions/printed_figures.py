"""Ways of counting behind the figures that papers and repositories print."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mbanalyze.conventions.convention import Record
from mbanalyze.ops.cost import PRODUCTS
from mbanalyze.ops.record import Op


@dataclass(frozen=True, slots=True)
class PrintedConvention:
    """A way of counting.

    Attributes:
        name: the wording in verdicts and in `data/interpretations.csv`.
        count: a function that returns the count of a network's record.
        options: options that replace those of the network.
    """

    name: str
    count: Callable[[Record], int]
    options: Mapping[str, Any] = field(default_factory=dict)


def _macs(record: Record) -> int:
    return sum(record.macs)


def _macs_of(record: Record, kinds: Collection[str]) -> list[int]:
    """The multiply-accumulates of each operator of these kinds; the last of the products is the classifier."""
    return [macs for op, macs in zip(record.ops, record.macs, strict=True) if op.kind in kinds]


def _only(record: Record, kinds: Collection[str]) -> list[Op]:
    return [op for op in record.ops if op.kind in kinds]


def _params(record: Record) -> int:
    return sum(op.params for op in record.ops)


def _without_batch_norm(record: Record) -> int:
    return sum(op.params for op in record.ops if op.kind != "batch_norm")


def _without_biases(record: Record) -> int:
    biases = sum(bias.size for op in _only(record, PRODUCTS) for bias in op.weights[1:])
    return _without_batch_norm(record) - biases


def _statistics(record: Record) -> int:
    """The number of moving means and variances."""
    return sum(buffer.size for op in record.ops for buffer in op.buffers)


def _absent_biases(record: Record) -> int:
    """The biases that convolutions without one would have."""
    return sum(op.output[0].shape[1] for op in _only(record, ("conv",)) if not op.weights[1:])


def _padded_classifier(record: Record) -> int:
    """Multiply-accumulates if the last convolution, 1x1, pads its input by one pixel."""
    last = _only(record, PRODUCTS)[-1]
    h, w = last.output[0].shape[2:]
    return _macs(record) + last.weights[0].size * ((h + 2) * (w + 2) - h * w)


AS_COUNTED = {
    "macs": PrintedConvention("as counted", _macs),
    "params": PrintedConvention("as counted", _params),
}
"""The convention of this package, by quantity."""
NO_CLASSIFIER = {
    "macs": PrintedConvention(
        "without the classifier", lambda record: _macs(record) - sum(_macs_of(record, PRODUCTS)[-1:])
    ),
    "params": PrintedConvention(
        "without the classifier",
        lambda record: _params(record) - sum(op.params for op in _only(record, PRODUCTS)[-1:]),
    ),
}
NO_FIRST_CONV = PrintedConvention(
    "without the first convolution", lambda record: sum(_macs_of(record, PRODUCTS)[1:])
)
CONVOLUTIONS = PrintedConvention("convolutions only", lambda record: sum(_macs_of(record, ("conv",))))
TWO_FLOPS = PrintedConvention("two FLOPs per multiply-accumulate", lambda record: 2 * _macs(record))
CAFFE_FLOPS = PrintedConvention(
    "two FLOPs per multiply-accumulate, last convolution padded",
    lambda record: 2 * _padded_classifier(record),
)
FULL_CLASSIFIER = PrintedConvention("with 1000 classes", _macs, {"num_classes": 1000})
_SLIM_CLASSES = {
    "num_classes": 1001,
    "resolution": 224,
}  # params are equal at every resolution: one network for all
NO_BATCH_NORM = PrintedConvention("without batch norm", _without_batch_norm)
NO_BATCH_NORM_1001 = replace(NO_BATCH_NORM, name="without batch norm, 1001 classes", options=_SLIM_CLASSES)
WEIGHTS = PrintedConvention("weights only, without batch norm and biases", _without_biases)
STATISTICS = PrintedConvention("with moving statistics", lambda record: _params(record) + _statistics(record))
UNSCALED = PrintedConvention(
    "with moving statistics, batch norm without scale",
    lambda record: _params(record) + _statistics(record) // 2,
)
UNSCALED_1001 = replace(UNSCALED, name=f"1001 classes, {UNSCALED.name}", options=_SLIM_CLASSES)
BIASED = PrintedConvention(
    "with moving statistics and a bias in every convolution",
    lambda record: _params(record) + _statistics(record) + _absent_biases(record),
)
# conv 768 -> 128, 1x1, and 128 -> 768, 5x5, both with batch norm; linear 768 -> 1000
AUXILIARY_HEAD = PrintedConvention(
    "with the auxiliary head",
    lambda record: _params(record) + (768 * 128 + 2 * 128) + (128 * 768 * 25 + 2 * 768) + (768 + 1) * 1000,
)
COMMON: dict[str, tuple[PrintedConvention, ...]] = {
    "macs": (AS_COUNTED["macs"], NO_CLASSIFIER["macs"], NO_FIRST_CONV, CONVOLUTIONS, TWO_FLOPS),
    "params": (
        *(AS_COUNTED["params"], NO_CLASSIFIER["params"], NO_BATCH_NORM, NO_BATCH_NORM_1001),
        *(WEIGHTS, STATISTICS, UNSCALED_1001),
    ),
}
"""Conventions that every unresolved figure is compared with, by quantity."""

PRINTED: dict[tuple[str, str], PrintedConvention] = {
    (quantity, convention.name): convention
    for quantity, conventions in {
        "macs": (*COMMON["macs"], CAFFE_FLOPS, FULL_CLASSIFIER),
        "params": (*COMMON["params"], UNSCALED, BIASED, AUXILIARY_HEAD),
    }.items()
    for convention in conventions
}
"""All conventions, by quantity and name."""

"""Ways of counting that papers and repositories use for the figures they print."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from mbanalyze.archs.options import Architecture
from mbanalyze.literature.figures import Quantity
from mbanalyze.ops.cost import PRODUCTS
from mbanalyze.report.rows import Row, rows

Rows = tuple[Row, ...]


@functools.cache
def _rows(spec: Hashable) -> Rows:
    return rows(cast("Architecture", spec).ops())


@functools.cache
def _count(how: Callable[[Rows], int], spec: Hashable) -> int:
    return how(_rows(spec))


def _macs(found: Iterable[Row]) -> int:
    return sum(row.cost.macs or 0 for row in found)


def _params(found: Iterable[Row]) -> int:
    return sum(row.cost.params for row in found)


def _products(found: Rows) -> list[Row]:
    """Convolutions and linear layers in order; the last is the classifier."""
    return [row for row in found if row.op.kind in PRODUCTS]


def _batch_norms(found: Rows) -> list[Row]:
    return [row for row in found if row.op.kind == "batch_norm"]


def _statistics(found: Rows) -> int:
    """The number of moving means and variances."""
    return sum(buffer.size for row in found for buffer in row.op.buffers)


def _without_biases(found: Rows) -> int:
    biases = sum(bias.size for row in _products(found) for bias in row.op.weights[1:])
    return _params(found) - _params(_batch_norms(found)) - biases


def _padded_classifier(found: Rows) -> int:
    """Multiply-accumulates if the last convolution, 1x1, pads its input by one pixel."""
    last = _products(found)[-1].op
    h, w = last.output[0].shape[2:]
    return _macs(found) + last.weights[0].size * ((h + 2) * (w + 2) - h * w)


@dataclass(frozen=True, slots=True)
class FigureConvention:
    """A way of counting.

    Attributes:
        name: the wording in verdicts and in `data/interpretations.csv`.
        count: a function that returns the count of a network's rows.
        options: options that replace those of the network.
    """

    name: str
    count: Callable[[Rows], int]
    options: Mapping[str, Any] = field(default_factory=dict)

    def apply(self, spec: Architecture) -> int:
        """Return the count of `spec` by this convention."""
        counted = replace(spec, **self.options) if self.options else spec
        return _count(self.count, cast("Hashable", counted))


def _without_classifier(count: Callable[[Iterable[Row]], int]) -> FigureConvention:
    return FigureConvention(
        "without the classifier", lambda found: count(found) - count(_products(found)[-1:])
    )


DEFAULT_CONVENTION = {
    "macs": FigureConvention("as counted", _macs),
    "params": FigureConvention("as counted", _params),
}
"""The convention of this package, by quantity."""
NO_CLASSIFIER = {"macs": _without_classifier(_macs), "params": _without_classifier(_params)}
NO_FIRST_CONV = FigureConvention("without the first convolution", lambda found: _macs(_products(found)[1:]))
CONVOLUTIONS = FigureConvention(
    "convolutions only", lambda found: _macs(r for r in found if r.op.kind == "conv")
)
TWO_FLOPS = FigureConvention("two FLOPs per multiply-accumulate", lambda found: 2 * _macs(found))
CAFFE_FLOPS = FigureConvention(
    "two FLOPs per multiply-accumulate, last convolution padded", lambda found: 2 * _padded_classifier(found)
)
FULL_CLASSIFIER = FigureConvention("with 1000 classes", _macs, {"num_classes": 1000})
_SLIM_CLASSES = {
    "num_classes": 1001,
    "resolution": 224,
}  # params are equal at every resolution: one network for all
NO_BATCH_NORM = FigureConvention(
    "without batch norm", lambda found: _params(found) - _params(_batch_norms(found))
)
NO_BATCH_NORM_1001 = replace(NO_BATCH_NORM, name="without batch norm, 1001 classes", options=_SLIM_CLASSES)
WEIGHTS = FigureConvention("weights only, without batch norm and biases", _without_biases)
STATISTICS = FigureConvention("with moving statistics", lambda found: _params(found) + _statistics(found))
UNSCALED = FigureConvention(
    "with moving statistics, batch norm without scale", lambda found: _params(found) + _statistics(found) // 2
)
UNSCALED_1001 = replace(UNSCALED, name=f"1001 classes, {UNSCALED.name}", options=_SLIM_CLASSES)
BIASED = FigureConvention(
    "with moving statistics and a bias in every convolution",
    lambda found: (
        _params(found)
        + _statistics(found)
        + sum(r.op.output[0].shape[1] for r in found if r.op.kind == "conv" and not r.op.weights[1:])
    ),
)
# conv 768 -> 128, 1x1, and 128 -> 768, 5x5, both with batch norm; linear 768 -> 1000
AUXILIARY_HEAD = FigureConvention(
    "with the auxiliary head",
    lambda found: _params(found) + (768 * 128 + 2 * 128) + (128 * 768 * 25 + 2 * 768) + (768 + 1) * 1000,
)
COMMON_CONVENTIONS: dict[Quantity, tuple[FigureConvention, ...]] = {
    "macs": (DEFAULT_CONVENTION["macs"], NO_CLASSIFIER["macs"], NO_FIRST_CONV, CONVOLUTIONS, TWO_FLOPS),
    "params": (
        *(DEFAULT_CONVENTION["params"], NO_CLASSIFIER["params"], NO_BATCH_NORM, NO_BATCH_NORM_1001),
        *(WEIGHTS, STATISTICS, UNSCALED_1001),
    ),
}
"""Conventions that every unresolved figure is compared with, by quantity."""

CONVENTIONS: dict[tuple[str, str], FigureConvention] = {
    (quantity, convention.name): convention
    for quantity, conventions in {
        "macs": (*COMMON_CONVENTIONS["macs"], CAFFE_FLOPS, FULL_CLASSIFIER),
        "params": (*COMMON_CONVENTIONS["params"], UNSCALED, BIASED, AUXILIARY_HEAD),
    }.items()
    for convention in conventions
}
"""All conventions, by quantity and name."""

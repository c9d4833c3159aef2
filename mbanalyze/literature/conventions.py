"""Ways of counting a network that its authors, or a repository, used for what they printed."""

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


def _macs(found: Iterable[Row]) -> int:
    return sum(row.cost.macs or 0 for row in found)


def _params(found: Iterable[Row]) -> int:
    return sum(row.cost.params for row in found)


def _products(found: Rows) -> list[Row]:
    """Convolutions and linear layers, first to last; the last is the classifier."""
    return [row for row in found if row.op.kind in PRODUCTS]


def _normalised(found: Rows) -> list[Row]:
    return [row for row in found if row.op.kind == "batch_norm"]


def _statistics(found: Rows) -> int:
    """Moving means and variances."""
    return sum(buffer.size for row in found for buffer in row.op.buffers)


def _without_biases(found: Rows) -> int:
    biases = sum(bias.size for row in _products(found) for bias in row.op.weights[1:])
    return _params(found) - _params(_normalised(found)) - biases


def _padded_classifier(found: Rows) -> int:
    """Multiply-accumulates when the last convolution, 1x1, sees its image with a border of one pixel."""
    last = _products(found)[-1].op
    h, w = last.output[0].shape[2:]
    return _macs(found) + last.weights[0].size * ((h + 2) * (w + 2) - h * w)


@dataclass(frozen=True, slots=True)
class Rule:
    """A way of counting: `count` of the operators of the network with `options` in place of its own."""

    name: str
    count: Callable[[Rows], int]
    options: Mapping[str, Any] = field(default_factory=dict)

    def of(self, spec: Architecture) -> int:
        """What `spec` counts to by this rule."""
        other = replace(spec, **self.options) if self.options else spec
        return self.count(_rows(cast("Hashable", other)))


OURS = {"macs": Rule("as counted", _macs), "params": Rule("as counted", _params)}
NO_CLASSIFIER = {
    "macs": Rule("without the classifier", lambda found: _macs(found) - _macs(_products(found)[-1:])),
    "params": Rule("without the classifier", lambda found: _params(found) - _params(_products(found)[-1:])),
}
NO_FIRST_CONV = Rule("without the first convolution", lambda found: _macs(_products(found)[1:]))
CONVOLUTIONS = Rule("convolutions alone", lambda found: _macs(r for r in found if r.op.kind == "conv"))
TWO_FLOPS = Rule("two flops a multiply-accumulate", lambda found: 2 * _macs(found))
CAFFE_FLOPS = Rule(
    "two flops a multiply-accumulate, the last convolution padded",
    lambda found: 2 * _padded_classifier(found),
)
FULL_CLASSIFIER = Rule("of the network with 1000 classes", _macs, {"num_classes": 1000})
NO_BATCH_NORM = Rule("without batch norm", lambda found: _params(found) - _params(_normalised(found)))
NO_BATCH_NORM_1001 = replace(
    NO_BATCH_NORM, name="without batch norm, 1001 classes", options={"num_classes": 1001}
)
WEIGHTS = Rule("weights alone, no batch norm and no biases", _without_biases)
STATISTICS = Rule("with the moving statistics", lambda found: _params(found) + _statistics(found))
UNSCALED = Rule(
    "with the moving statistics, batch norm without its scale",
    lambda found: _params(found) + _statistics(found) // 2,
)
UNSCALED_1001 = replace(
    UNSCALED,
    name="1001 classes, with the moving statistics, batch norm without its scale",
    options={"num_classes": 1001},
)
BIASED = Rule(
    "with the moving statistics and a bias in every convolution",
    lambda found: (
        _params(found)
        + _statistics(found)
        + sum(r.op.output[0].shape[1] for r in found if r.op.kind == "conv" and not r.op.weights[1:])
    ),
)
# conv 768 -> 128, 1x1, and 128 -> 768, 5x5, both with batch norm; linear 768 -> 1000
AUXILIARY = Rule(
    "with the auxiliary head",
    lambda found: _params(found) + (768 * 128 + 2 * 128) + (128 * 768 * 25 + 2 * 768) + (768 + 1) * 1000,
)
TRIED: dict[Quantity, tuple[Rule, ...]] = {
    "macs": (OURS["macs"], NO_CLASSIFIER["macs"], NO_FIRST_CONV, CONVOLUTIONS, TWO_FLOPS),
    "params": (
        OURS["params"],
        NO_CLASSIFIER["params"],
        NO_BATCH_NORM,
        NO_BATCH_NORM_1001,
        WEIGHTS,
        STATISTICS,
        UNSCALED_1001,
    ),
}
"""What an unresolved figure was held against."""

RULES: dict[tuple[str, str], Rule] = {
    (quantity, rule.name): rule
    for quantity, named in {
        "macs": (*TRIED["macs"], CAFFE_FLOPS, FULL_CLASSIFIER),
        "params": (*TRIED["params"], UNSCALED, BIASED, AUXILIARY),
    }.items()
    for rule in named
}
"""Quantity and name -> rule."""

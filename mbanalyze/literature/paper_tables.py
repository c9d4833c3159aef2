"""Small tables of the MobileNet papers, each printed cell with the computed one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mbanalyze import layers
from mbanalyze.archs import MobileNetV1, MobileNetV2, MobileNetV3Large, ShuffleNetV1
from mbanalyze.archs.options import Architecture
from mbanalyze.display.result import Result
from mbanalyze.ops.cost import total
from mbanalyze.report.rows import Row, block, rows

Cells = Mapping[str, Any]


@dataclass(frozen=True, repr=False)
class PaperTable(Result):
    """A printed table, cell by cell.

    Attributes:
        title, source: the subject, and the paper and table.
        variants: the networks that it describes.
        rows: cells by heading; headings of printed cells begin with "printed".
        note: the disagreements and their causes.
    """

    title: str
    source: str
    variants: tuple[str, ...]
    rows: tuple[Cells, ...]
    note: str

    def as_dict(self) -> dict[str, Any]:
        """Return the table as a JSON document."""
        return {"title": self.title, "source": self.source, "rows": self.records(), "note": self.note}

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each row."""
        return [dict(row) for row in self.rows]


def paper_tables(variants: Collection[str] | None = None) -> tuple[PaperTable, ...]:
    """Return the small tables of the papers, or those that describe one of `variants`."""
    return tuple(
        PaperTable(each.title, each.source, each.variants, tuple(each.rows()), each.note)
        for each in _contents()
        if variants is None or not set(each.variants).isdisjoint(variants)
    )


class _Content(NamedTuple):
    """A table whose cells are not yet computed; the fields are those of `PaperTable`."""

    title: str
    source: str
    variants: tuple[str, ...]
    rows: Callable[[], Iterator[Cells]]
    note: str


def _contents() -> tuple[_Content, ...]:
    return (
        _Content(
            "MobileNetV1: shares of multiply-accumulates and weights by layer type",
            "arXiv:1704.04861 Table 2",
            ("mobilenet_v1",),
            _layer_types,
            "The 1.19 % of the 3x3 convolution is a transposition of 1.91 %: "
            "the printed column adds up to 99.29 %. Parameters are weights without biases and batch norm.",
        ),
        _Content(
            "MobileNetV1: one layer of 3x3x512x512 at 14x14, reduced step by step",
            "arXiv:1704.04861 Table 3",
            ("mobilenet_v1",),
            _one_layer,
            "Every cell agrees.",
        ),
        _Content(
            "Widest tensor between blocks at each resolution, with 16 bits per element",
            "arXiv:1801.04381 Table 3",
            ("mobilenet_v1", "mobilenet_v2", "shufflenet_v1"),
            _widest_tensors,
            "MobileNetV1 at 7x7 needs 100 kB, not 199. MobileNetV2's printed channels at 56, 28 and 14 px are "
            "those of the stage that reads this resolution, not of the stage that writes it. "
            "The heading of the ShuffleNet column says g=3, but its cells are those of g=2, "
            "with stages of 400, 800 and 1600 channels; the first convolution has 48 channels at 2x, not 32.",
        ),
        _Content(
            "MobileNetV3-Large: savings of the efficient last stage",
            "arXiv:1905.02244 Figure 5",
            ("mobilenet_v3_large",),
            _last_stage,
            "Section 5.1 prints the saving as 30 million multiply-adds, to one digit.",
        ),
    )


def _layer_types() -> Iterator[Cells]:
    found = [row for row in rows(MobileNetV1().ops()) if row.op.kind in ("conv", "linear")]
    all_macs, all_weights = _macs_and_weights(found)
    for name, variant, printed_macs, printed_params in (
        ("Conv 1x1", "pointwise", "94.86", "74.59"),
        ("Conv DW 3x3", "depthwise", "3.06", "1.06"),
        ("Conv 3x3", "standard", "1.19", "0.02"),
        ("Fully connected", None, "0.18", "24.33"),
    ):
        macs, weights = _macs_and_weights([row for row in found if row.op.variant == variant])
        of_macs = {"printed macs %": printed_macs, "macs %": f"{100 * macs / all_macs:.2f}"}
        of_params = {"printed params %": printed_params, "params %": f"{100 * weights / all_weights:.2f}"}
        yield {"layer": name, **of_macs, **of_params}


def _macs_and_weights(found: Sequence[Row]) -> tuple[int, int]:
    return sum(row.cost.macs or 0 for row in found), sum(row.op.weights[0].size for row in found)


def _one_layer() -> Iterator[Cells]:
    def separable(size: int, channels: int) -> Any:
        return layers.depthwise_separable(size, channels, channels, 3, padding=1, normalised=False)

    for name, cost, macs, params in (
        ("convolution", layers.conv(14, 512, 512, 3, padding=1, bias=False), "462", "2.36"),
        ("depthwise separable", separable(14, 512), "52.3", "0.27"),
        ("alpha = 0.75", separable(14, 384), "29.6", "0.15"),
        ("rho = 0.714", separable(10, 384), "15.1", "0.15"),
    ):
        of_macs = {"printed M macs": macs, "macs": cost.macs}
        yield {"layer": name, **of_macs, "printed M params": params, "params": cost.params}


PRINTED_WIDEST = {
    112: ("64/1600", "16/400", "32/800"),
    56: ("128/800", "32/200", "48/300"),
    28: ("256/400", "64/100", "400/600"),
    14: ("512/200", "160/62", "800/310"),
    7: ("1024/199", "320/32", "1600/156"),
}
"""Printed channels and kB of MobileNetV1, MobileNetV2 and ShuffleNet 2x, by height and width."""


def _widest_tensors() -> Iterator[Cells]:
    networks: dict[str, tuple[Architecture, str]] = {
        "MobileNetV1": (MobileNetV1(), "features."),
        "MobileNetV2": (MobileNetV2(), "features."),
        "ShuffleNet 2x g=3": (ShuffleNetV1(alpha=2.0, groups=3), ""),
        "ShuffleNet 2x g=2": (ShuffleNetV1(alpha=2.0, groups=2), ""),
    }
    channels = {name: _outputs(*network) for name, network in networks.items()}
    for side, printed in PRINTED_WIDEST.items():
        cells: dict[str, Any] = {"size": f"{side}x{side}"}
        for name, text in zip(channels, (*printed, ""), strict=True):
            if text:
                cells[f"printed {name}"] = text
            widest = channels[name][side]
            cells[name] = f"{widest}/{round(2 * widest * side * side / 1000)}"
        yield cells


def _outputs(spec: Architecture, prefix: str) -> dict[int, int]:
    """The largest number of output channels of a block, by height and width.

    MobileNetV2 computes its first and last convolution together with the adjacent bottleneck, so neither
    output is stored between blocks.
    """
    ends: dict[str, Row] = {}
    for row in rows(spec.ops()):
        if row.op.path.startswith(prefix) and len(row.op.output[0].shape) == 4:
            ends[block(row.op.path)] = row
    outputs = [row.op.output[0].shape for row in ends.values()]
    if isinstance(spec, MobileNetV2):
        outputs = outputs[1:-1]
    sides = {shape[-1] for shape in outputs}
    return {side: max(shape[1] for shape in outputs if shape[-1] == side) for side in sides}


def _last_stage() -> Iterator[Cells]:
    stages = [rows(MobileNetV3Large(tail=tail).ops()) for tail in ("original", "efficient")]
    original, efficient = (total([row.cost for row in found]) for found in stages)
    saved_macs = (original.macs or 0) - (efficient.macs or 0)
    for name, printed, macs, params in (
        ("original", "", original.macs, original.params),
        ("efficient", "", efficient.macs, efficient.params),
        ("saved", "30", saved_macs, original.params - efficient.params),
    ):
        yield {"last stage": name, "printed M macs": printed, "macs": macs, "params": params}

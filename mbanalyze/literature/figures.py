"""What papers and repositories print about these networks: figures, accuracy and speed, as data."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal
from typing import Any, Literal

from mbanalyze import data
from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import Architecture, make
from mbanalyze.inputs.parsing import parse_option

Quantity = Literal["macs", "params"]
Way = Literal["rounded", "cut off", "rounded up"]
WAYS: dict[Way, str] = {"rounded": ROUND_HALF_UP, "cut off": ROUND_DOWN, "rounded up": ROUND_UP}
"""How a count becomes a printed figure."""
UNITS = {"K": 3, "M": 6, "G": 9}
"""Units of printed figures -> their power of ten."""
MEASURED = ("top1", "top5", "latency_ms", "pixel2_ms", "pixel3_ms", "gpu_batches_per_s", "arm_images_per_s")
"""What is printed beside the figures."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """One printed row.

    Attributes:
        family, variant: `mobilenet`, `mobilenet_v2`; a variant that `archs.ARCHS` does not know has no `spec`.
        options: the hyper-parameters of the network that the row is about.
        label: what else tells it from other rows of its table ("8 bit").
        macs, params: the figures with their unit, as printed ("569 M"); "" where there is none.
        top1, top5: ImageNet accuracies, in per cent.
        latency_ms, device: milliseconds for an image, and on what.
        pixel2_ms, pixel3_ms: the same on those phones.
        gpu_batches_per_s, arm_images_per_s: speeds in ShuffleNet V2's Table 8, on a GTX 1080 Ti (batch 8)
            and a Snapdragon 810.
        source: paper and table, or repository, commit and path.
        note: another accuracy that the row prints.
        remark: what the source says of its figures.
        undefined: why no network can be built from what the source says; "" where one can.
    """

    family: str
    variant: str
    options: Mapping[str, Any]
    label: str
    macs: str
    params: str
    top1: float | None
    top5: float | None
    latency_ms: float | None
    device: str
    pixel2_ms: float | None
    pixel3_ms: float | None
    gpu_batches_per_s: float | None
    arm_images_per_s: float | None
    source: str
    note: str
    remark: str
    undefined: str

    @property
    def spec(self) -> Architecture | None:
        """The network in closed form, or None where the source does not define one."""
        return None if self.undefined else _spec(self)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The printed counts."""
        printed: dict[Quantity, str] = {"macs": self.macs, "params": self.params}
        return tuple(Figure(self, which, *text.split()) for which, text in printed.items() if text)


@functools.cache
def _spec(entry: Entry) -> Architecture:
    return make(entry.variant, ARCHS[entry.variant], entry.options)


@dataclass(frozen=True, slots=True)
class Figure:
    """A printed count.

    Attributes:
        quantity: `macs` or `params`.
        printed: its digits, as printed.
        unit: `K`, `M` or `G`.
    """

    entry: Entry
    quantity: Quantity
    printed: str
    unit: str

    @property
    def table(self) -> tuple[str, Quantity]:
        """What this figure should be consistent with: the same quantity in the same table."""
        return self.entry.source, self.quantity

    def fits(self, count: int, way: Way = "rounded", digits: int | None = None) -> bool:
        """Whether `count` is printed so; arguments as in `of`."""
        return Decimal(self.printed) == self.of(count, way, digits)

    def of(self, count: int, way: Way = "rounded", digits: int | None = None) -> Decimal:
        """`count` in this figure's unit and at its precision.

        Args:
            way: to the nearest, down or up.
            digits: significant digits, where the printed zeros after them say nothing.
        """
        printed = Decimal(self.printed)
        step = printed.as_tuple().exponent if digits is None else printed.adjusted() + 1 - digits
        value = Decimal(count).scaleb(-UNITS[self.unit])
        return value.quantize(Decimal(1).scaleb(int(step)), WAYS[way])


@functools.cache
def entries() -> tuple[Entry, ...]:
    """Every printed row, table by table."""
    return tuple(map(_entry, data.read_table("published.csv")))


def _entry(row: dict[str, str]) -> Entry:
    values: dict[str, Any] = dict(row)
    values |= {name: float(row[name]) if row[name] else None for name in MEASURED}
    return Entry(**values | {"options": dict(map(parse_option, row["options"].split()))})

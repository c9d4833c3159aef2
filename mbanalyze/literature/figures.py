"""The rows that papers and repositories print about these networks: figures, accuracy and speed."""

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
TableKey = tuple[str, Quantity]
"""The figures of one quantity in one source."""
Rounding = Literal["rounded", "truncated", "rounded up"]
ROUNDINGS: dict[Rounding, str] = {"rounded": ROUND_HALF_UP, "truncated": ROUND_DOWN, "rounded up": ROUND_UP}
"""Rounding modes of `decimal`, by name."""
UNITS = {"K": 3, "M": 6, "G": 9}
"""Powers of ten, by the unit of a figure."""
MEASUREMENTS = (
    *("top1", "top5", "latency_ms", "pixel2_ms", "pixel3_ms"),
    *("gpu_batches_per_s", "arm_images_per_s"),
)
"""Columns of numbers that are measured, not counted."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """One printed row.

    Attributes:
        family, variant: such as `mobilenet` and `mobilenet_v2`; `spec` is None if `archs.ARCHS` has no such variant.
        options: hyper-parameters of the network that the row is about.
        label: text that distinguishes the row from others about the same network ("8 bit").
        macs, params: the figures with their unit, as printed ("569 M"); "" if not printed.
        top1, top5: ImageNet accuracies, in per cent.
        latency_ms, device: milliseconds per image, and the device.
        pixel2_ms, pixel3_ms: milliseconds per image on these phones.
        gpu_batches_per_s, arm_images_per_s: speeds in ShuffleNet V2's Table 8, on a GTX 1080 Ti (batch 8)
            and a Snapdragon 810.
        source: paper and table, or repository, commit and path.
        note: another accuracy that the row prints.
        remark: a statement of the source about its figures.
        undefined: the reason that the source defines no network to count; "" if it defines one.
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
        """The network in closed form, or None if the source does not define one."""
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
        entry: the row that prints it.
        quantity: `macs` or `params`.
        printed: the digits, as printed.
        unit: `K`, `M` or `G`.
    """

    entry: Entry
    quantity: Quantity
    printed: str
    unit: str

    def __str__(self) -> str:
        return f"{self.printed} {self.unit}"

    @property
    def table(self) -> TableKey:
        """The table and quantity; figures that share them are rounded alike."""
        return self.entry.source, self.quantity

    def matches(self, count: int, rounding: Rounding = "rounded", digits: int | None = None) -> bool:
        """Return True if `count` is printed as this figure; arguments as for `round`."""
        return Decimal(self.printed) == self.round(count, rounding, digits)

    def round(self, count: int, rounding: Rounding = "rounded", digits: int | None = None) -> Decimal:
        """Return `count` in this figure's unit and at its precision.

        Args:
            count: the exact count.
            rounding: to nearest, down or up.
            digits: significant digits, if printed trailing zeros are not significant.
        """
        printed = Decimal(self.printed)
        step = printed.as_tuple().exponent if digits is None else printed.adjusted() + 1 - digits
        value = Decimal(count).scaleb(-UNITS[self.unit])
        return value.quantize(Decimal(1).scaleb(int(step)), ROUNDINGS[rounding])


@functools.cache
def entries() -> tuple[Entry, ...]:
    """Return every printed row, table by table."""
    return tuple(map(_entry, data.read_table("published.csv")))


def families() -> dict[str, list[str]]:
    """Return each family with published figures, and its architectures."""
    found: dict[str, list[str]] = {}
    for family, name in dict.fromkeys((entry.family, entry.variant) for entry in entries()):
        if name in ARCHS:
            found.setdefault(family, []).append(name)
    return found


def _entry(row: dict[str, str]) -> Entry:
    values: dict[str, Any] = dict(row)
    values |= {name: float(row[name]) if row[name] else None for name in MEASUREMENTS}
    return Entry(**values | {"options": settings_of(row["options"])})


def settings_of(text: str) -> dict[str, Any]:
    """Parse settings: 'alpha=0.75 shallow=true' -> {"alpha": 0.75, "shallow": True}."""
    return dict(map(parse_option, text.split()))


@functools.cache
def figures_by_table() -> dict[TableKey, tuple[Figure, ...]]:
    """Return all figures, by table and quantity."""
    tables: dict[TableKey, tuple[Figure, ...]] = {}
    for figure in (figure for entry in entries() for figure in entry.figures):
        tables[figure.table] = (*tables.get(figure.table, ()), figure)
    return tables

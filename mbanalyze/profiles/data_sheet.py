"""The data sheet of a GPU, and the time of an operator on it by the roofline model."""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

from mbanalyze import data
from mbanalyze.inputs.choices import choose

SheetRoof = Literal["compute", "memory", "overhead"]
SHEET_ROOFS: tuple[SheetRoof, ...] = ("compute", "memory", "overhead")
"""The limits of a time by a data sheet."""


class RooflineTime(NamedTuple):
    """The time of an operator by the roofline model, in nanoseconds.

    Attributes:
        compute: the time of its flops at the peak of the GPU.
        memory: the time of its bytes at the full bandwidth.
        overhead: the time to start it.
    """

    compute: float
    memory: float
    overhead: float

    @property
    def ns(self) -> float:
        """The longer of compute and memory, which overlap, and the overhead."""
        return max(self.compute, self.memory) + self.overhead

    @property
    def roof(self) -> SheetRoof:
        """The name of the longest part; the first of equal parts."""
        return SHEET_ROOFS[self.index(max(self))]


class DataSheet(NamedTuple):
    """The constants of a GPU.

    Attributes:
        device: its name in commands.
        title: its name on the sheet.
        teraflops: 10^12 flops a second by element type: dense float16 on tensor cores with sums in float32, and
            float32 without tensor cores.
        bandwidth_gb_s: 10^9 bytes a second from and to its memory.
        launch_ns: nanoseconds to start an operator. No sheet has it: 4000 is assumed for every GPU.
        source: the document of the numbers.
    """

    device: str
    title: str
    teraflops: dict[str, float]
    bandwidth_gb_s: float
    launch_ns: float
    source: str

    def time_of(self, flops: int, moved_bytes: int, dtype: str) -> RooflineTime:
        """Return the time of an operator that computes in `dtype`, a key of `teraflops`."""
        return RooflineTime(
            flops / self.teraflops[dtype] / 1000, moved_bytes / self.bandwidth_gb_s, self.launch_ns
        )


@functools.cache
def data_sheets() -> dict[str, DataSheet]:
    """Return every data sheet by the name of its device."""
    return {row["device"]: _sheet(row) for row in data.read_table("devices.csv")}


def data_sheet(device: str) -> DataSheet:
    """Return the data sheet of a device.

    Raises:
        ChoiceError: unknown device.
    """
    known = data_sheets()
    return known[choose("device", device, known)]


def _sheet(row: dict[str, str]) -> DataSheet:
    return DataSheet(
        row["device"],
        row["title"],
        {dtype: float(row[f"{dtype}_tflops"]) for dtype in ("float16", "float32")},
        float(row["bandwidth_gb_s"]),
        float(row["launch_ns"]),
        row["source"],
    )

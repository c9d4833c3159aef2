"""The stage of each operator: the factor by which images are smaller than the network's input there."""

from __future__ import annotations

from math import log2, prod, sqrt

from mbanalyze.report.network import Report
from mbanalyze.report.rows import block

IMAGES = frozenset({"conv", "max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool", "interpolate"})
"""The kinds that determine the size of the image they write, with height and width last."""


def takes_images(report: Report) -> bool:
    """Return True if the network's first input has the shape of images, `n c h w`."""
    return bool(report.input) and len(report.input[0]) == 4


def stages(report: Report) -> list[str]:
    """Return the stage of each row.

    '/16' means that a pixel or token stands for about 16 x 16 pixels of the input, rounded to a power of two.
    'x2' means that the image grew. Convolutions, poolings and linear layers set the size. Every other operator
    has the size of the largest value that it reads. An operator without an image, or with a single position,
    belongs to the stage before it, as in squeeze-and-excitation. After the last image, it belongs to the
    'head'. If the first input is not an image, the stage is the block.
    """
    if not takes_images(report):
        return blocks(report)
    pixels = prod(report.input[0][2:])
    sizes = _positions(report)
    last = max((i for i, size in enumerate(sizes) if size > 1), default=-1)
    names: list[str] = []
    for size in sizes[: last + 1]:
        before = names[-1] if names else "/1"
        names.append(_stage(pixels, size) if size > 1 else before)
    return names + ["head"] * (len(sizes) - last - 1)


def blocks(report: Report) -> list[str]:
    """Return the block of each row."""
    return [block(row.op.path) or "(model)" for row in report.rows]


def _stage(pixels: int, positions: float) -> str:
    halved = round(log2(sqrt(pixels / positions)))
    return f"/{2**halved}" if halved >= 0 else f"x{2**-halved}"


def _positions(report: Report) -> list[float]:
    """The number of pixels or tokens that each row writes."""
    batch, _, *image = report.input[0]
    written: dict[int, float] = {}
    found = []
    for row in report.rows:
        shape = row.op.output[0].shape if row.op.output else ()
        if row.op.kind in IMAGES:
            size: float = prod(shape[2:])
        elif row.op.kind == "linear":
            size = prod(shape[:-1]) / batch
        elif row.op.kind == "global_avg_pool":
            size = 1
        else:
            size = max((written.get(v.number, prod(image)) for v in row.op.inputs), default=1)
        written |= {value.number: size for value in row.op.output}
        found.append(size)
    return found

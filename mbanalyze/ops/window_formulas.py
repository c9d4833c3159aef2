"""The formulas of pooling, interpolation and sampling."""

from __future__ import annotations

from math import prod

from mbanalyze.ops.record import Op


def max_pool(op: Op) -> tuple[int, int]:
    """A window of `a` elements takes `a - 1` comparisons."""
    # [n, c, *out] = max_pool([n, c, *in])
    window = op.attribute("kernel")
    assert isinstance(window, tuple)
    return 0, op.output[0].size * (prod(window) - 1)


def avg_pool(op: Op) -> tuple[int, int]:
    """A window of `a` elements takes `a - 1` additions and one division."""
    # [n, c, *out] = avg_pool([n, c, *in])
    window = op.attribute("kernel")
    assert isinstance(window, tuple)
    return 0, op.output[0].size * prod(window)


def _adaptive_window_elements(op: Op) -> int:
    """The number of elements in all windows of an adaptive pooling."""
    dims = op.attribute("dims")
    assert isinstance(dims, int)
    image, out = op.operands[0].shape, op.output[0].shape
    elements = prod(out[:-dims])
    for h, o in zip(image[-dims:], out[-dims:], strict=True):
        elements *= sum(-((i + 1) * h // -o) - i * h // o for i in range(o))
    return elements


def adaptive_avg_pool(op: Op) -> tuple[int, int]:
    """A window of `a` elements takes `a - 1` additions and one division.

    Windows may overlap: output `i` of `o` averages inputs `floor(i h / o)` up to `ceil((i + 1) h / o)`.
    """
    # [*, *out] = adaptive([*, *in])
    return 0, _adaptive_window_elements(op)


def adaptive_max_pool(op: Op) -> tuple[int, int]:
    """A window of `a` elements takes `a - 1` comparisons; the windows are those of `adaptive_avg_pool`."""
    # [*, *out] = adaptive([*, *in])
    return 0, max(_adaptive_window_elements(op) - op.output[0].size, 0)


def interpolate(op: Op) -> tuple[int, int]:
    """A weighted sum of `t` neighbours takes `t` multiplications and `t - 1` additions; copying the nearest takes none.

    Linear interpolation has 2 neighbours, bilinear 4, trilinear 8 and bicubic 16.
    Antialiasing multiplies them by the factor by which each side shrinks.
    `roi_align` has 4 for each sampling point.
    """
    taps = op.attribute("taps")
    assert isinstance(taps, int)
    return 0, op.output[0].size * (2 * taps - 1 if taps > 1 else 0)

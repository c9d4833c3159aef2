"""Matchers of operators that combine the elements of a window: pooling, interpolation and sampling."""

from __future__ import annotations

from math import prod

from mbanalyze.trace.matching.match import Match
from mbanalyze.trace.schema import Arguments, per_dimension


def max_pool(args: Arguments, *, dims: int, image: str = "self") -> Match:
    """Match the maximum of each window; `image` is the argument that holds the image."""
    return Match("max_pool", (args[image],), _window(args, dims))


def avg_pool(args: Arguments, *, dims: int) -> Match:
    """Match the mean of each window. One window of the size of the image is global pooling."""
    image = args["self"]
    window = _window(args, dims)
    if window["kernel"] == tuple(image.shape[-dims:]) and not any(args["padding"]):
        return Match("global_avg_pool", (image,))
    return Match("avg_pool", (image,), window)


def _window(args: Arguments, dims: int) -> dict[str, tuple[int, ...]]:
    """The size of the windows, and the step between them unless it is random; it defaults to the size."""
    kernel = per_dimension(args["kernel_size"], dims)
    return {"kernel": kernel} | (
        {"stride": per_dimension(args["stride"] or kernel, dims)} if "stride" in args else {}
    )


def adaptive_avg_pool(args: Arguments, *, dims: int) -> Match:
    """Match the mean of windows that partition the image. A single window is global pooling."""
    if set(args["output_size"]) == {1}:
        return Match("global_avg_pool", (args["self"],))
    return Match("adaptive_avg_pool", (args["self"],), {"dims": dims})


def adaptive_max_pool(args: Arguments, *, dims: int) -> Match:
    """Match the maximum of windows that partition the image."""
    return Match("adaptive_max_pool", (args["self"],), {"dims": dims})


def interpolate(args: Arguments, *, taps: int) -> Match:
    """Match an interpolation: each output is a weighted sum of `taps` neighbours."""
    image = args["self"] if "self" in args else args["input"]
    return Match("interpolate", (image,), {"taps": taps})


def antialiased(args: Arguments, *, support: int) -> Match:
    """Match an antialiased interpolation, whose window reaches `support` times the shrink ratio each way.

    The output has a given size, or that of the image times given factors, rounded down.
    """
    image = args["self"] if "self" in args else args["input"]
    sizes = image.shape[-2:]
    given = args["output_size"] or [int(n * f) for n, f in zip(sizes, args["scale_factors"], strict=True)]
    taps = prod(-(-2 * support * max(n, m) // m) for n, m in zip(sizes, given, strict=True))
    return Match("interpolate", (image,), {"taps": taps})


def grid_sample(args: Arguments) -> Match:
    """Match sampling at the points of a grid. Modes: 0 linear, 1 nearest, 2 cubic."""
    image = args["input"]
    taps = {0: 2, 1: 1, 2: 4}[args["interpolation_mode"]] ** (image.dim() - 2)
    return Match("grid_sample", (image, args["grid"]), {"taps": taps})


def roi_align(args: Arguments) -> Match | None:
    """Match samples of four neighbours each, if their number per bin does not depend on the region's size."""
    samples = args["sampling_ratio"]
    match = Match("roi_align", (args["input"], args["rois"]), {"taps": 4 * samples**2}, 1)
    return match if samples > 0 else None

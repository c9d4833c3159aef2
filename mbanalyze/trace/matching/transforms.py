"""Matchers of Fourier transforms."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor

from mbanalyze.trace.matching.match import Match
from mbanalyze.trace.schema import Arguments


def fft(args: Arguments, *, real: bool, inverse: bool = False) -> Match:
    """Match a Fourier transform along some dimensions.

    Args:
        args: the arguments; without `dim`, the last or the last two dimensions, or all of them.
        real: True if the input or the output is real.
        inverse: True if the output is real, so that the input has half of its last dimension.
    """
    values: Tensor = args["self"]
    sizes = _sequence(args.get("n", args.get("s")))
    dims = _sequence(args["dim"]) or range(-len(sizes or values.shape), 0)
    before = [values.shape[d] for d in dims]
    after = [n if m == -1 else m for n, m in zip(before, sizes, strict=True)] if sizes else list(before)
    if inverse and (not sizes or sizes[-1] == -1):
        after[-1] = max(2 * (before[-1] - 1), 0)
    return _transform(values, before, after, real=real)


def fft_kernel(args: Arguments, *, real: bool) -> Match:
    """Match an implementation of Fourier transforms, whose output is as long as its input unless it is real."""
    values: Tensor = args["self"]
    before = [values.shape[d] for d in args["dim"]]
    last = args.get("last_dim_size")
    return _transform(values, before, before if last is None else [*before[:-1], last], real=real)


def _transform(values: Tensor, before: Sequence[int], after: Sequence[int], *, real: bool) -> Match:
    """The match of transforms from `before` to `after` elements along each dimension."""
    times = values.numel() // max(prod(before), 1)
    return Match("fft", (values,), {"times": times, "length": prod(after), "real": real})


def _sequence(given: int | Sequence[int] | None) -> Sequence[int]:
    """One or several numbers as a sequence, which is empty if there are none."""
    return [given] if isinstance(given, int) else given or []

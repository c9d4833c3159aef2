"""Matchers of normalisations, reductions and operators that work along a dimension."""

from __future__ import annotations

from math import prod

from mbanalyze.trace.matching.match import Match
from mbanalyze.trace.schema import Arguments, flat_tensors


def norm(args: Arguments, *, kind: str) -> Match:
    """Match a normalisation by statistics of its input, with an optional scale and shift."""
    affine = flat_tensors([args.get("weight"), args.get("bias")])
    return Match(kind, (args["input"], *affine), {"affine": len(affine)})


def instance_norm(args: Arguments) -> Match:
    """Match an instance norm. With running statistics it does the work of a batch norm."""
    if args["use_input_stats"]:
        return norm(args, kind="instance_norm")
    return batch_norm({**args, "training": False})


def batch_norm(args: Arguments) -> Match:
    """Match a batch norm by running statistics, or in training by those of the batch."""
    names = ("input", "weight", "bias", "running_mean", "running_var")
    operands = flat_tensors([args[name] for name in names])
    if not args["training"]:
        return Match("batch_norm", operands)
    affine = flat_tensors([args["weight"], args["bias"]])
    return Match("batch_norm_training", operands, {"affine": len(affine)})


def matrix_norm(args: Arguments) -> Match | None:
    """Match the Frobenius norm; other matrix norms have no formula."""
    return Match("norm", (args["self"],)) if args.get("ord") is None else None


def mean(args: Arguments) -> Match:
    """Match a mean. Over every pixel of an image it is global pooling."""
    image = args["self"]
    dims = sorted(d % max(image.dim(), 1) for d in args.get("dim") or ())
    whole_image = image.dim() in (4, 5) and dims == list(range(2, image.dim()))
    return Match("global_avg_pool" if whole_image else "mean", (image,))


def sort(args: Arguments) -> Match:
    """Match a sort along `dim`, or of all elements if `dim` is None."""
    values = args["self"]
    dim = args.get("dim")
    length = values.numel() if dim is None else values.shape[dim] if values.dim() else 1
    return Match("sort", (values,), {"length": length})


def fft(args: Arguments, *, real: bool, inverse: bool = False) -> Match:
    """Match a Fourier transform of complex or real values along one or more dimensions."""
    values = args["self"]
    dims = args["dim"] if isinstance(args.get("dim"), list | tuple) else [args.get("dim", -1)]
    given = args.get("n", args.get("s"))
    sizes = (given if isinstance(given, list | tuple) else [given] * len(dims)) or [None] * len(dims)
    length = prod(values.shape[d] if n is None else n for d, n in zip(dims, sizes, strict=True))
    if real and inverse and not given:
        length = length // values.shape[dims[-1]] * 2 * (values.shape[dims[-1]] - 1)
    times = values.numel() // max(prod(values.shape[d] for d in dims), 1)
    return Match("fft", (values,), {"times": times, "length": length, "real": real})

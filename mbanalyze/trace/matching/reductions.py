"""Matchers of normalisations, reductions and operators that work along a dimension."""

from __future__ import annotations

from typing import Any

from mbanalyze.trace.matching.match import Match
from mbanalyze.trace.schema import Arguments, flat_tensors


def norm(args: Arguments, *, kind: str) -> Match:
    """Match a normalisation by statistics of its input, which some operators return for a backward pass."""
    affine = flat_tensors([args.get("weight"), args.get("bias")])
    attributes = {"affine": len(affine)}
    if groups := args.get("num_groups", args.get("group")):
        attributes["groups"] = groups
    return Match(kind, (args["input"], *affine), attributes, 1)


def instance_norm(args: Arguments) -> Match:
    """Match an instance norm. With running statistics it does the work of a batch norm."""
    if args["use_input_stats"]:
        return norm(args, kind="instance_norm")
    return batch_norm({**args, "training": False})


def batch_norm(args: Arguments, *, training: bool | None = None) -> Match:
    """Match a batch norm by running statistics, or in training by those of the batch.

    By default the argument `training` of the call decides.
    """
    names = ("input", "weight", "bias", "running_mean", "running_var")
    operands = flat_tensors([args.get(name) for name in names])
    if not (args["training"] if training is None else training):
        return Match("batch_norm", operands, {}, 1)
    affine = flat_tensors([args["weight"], args["bias"]])
    return Match("batch_norm_training", operands, {"affine": len(affine)}, 1)


def mean(args: Arguments) -> Match:
    """Match a mean. Over every pixel of an image it is global pooling."""
    image = args["self"]
    dims = sorted(_place(image, d) % max(image.dim(), 1) for d in args.get("dim") or ())
    whole_image = image.dim() in (4, 5) and dims == list(range(2, image.dim()))
    return Match("global_avg_pool" if whole_image else "mean", (image,))


def _place(values: Any, dim: int | str) -> int:
    """The number of a dimension, which may have a name before PyTorch 2.13."""
    return tuple(values.names).index(dim) if isinstance(dim, str) else dim


def sort(args: Arguments) -> Match:
    """Match a sort along `dim`, or of all elements if `dim` is None."""
    values = args["self"]
    dim = None if args.get("dim") is None else _place(values, args["dim"])
    length = values.numel() if dim is None else values.shape[dim] if values.dim() else 1
    return Match("sort", (values,), {"length": length})


def product(args: Arguments, *, kind: str) -> Match:
    """Match a product of many elements; a complex one takes more flops than a sum."""
    values = args["self"]
    return Match(kind, (values,), {"product": True} if values.is_complex() else {})

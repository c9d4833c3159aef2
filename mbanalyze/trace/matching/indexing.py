"""Matchers of lookups, gathers and scatters."""

from __future__ import annotations

from itertools import zip_longest
from math import prod

import torch

from mbanalyze.trace.matching.match import Match
from mbanalyze.trace.schema import Arguments, flat_tensors


def embedding_bag(args: Arguments) -> Match:
    """Match a lookup of table rows that are reduced by bags."""
    operands = flat_tensors([args["weight"], args["indices"], args["per_sample_weights"]])
    return Match("embedding_bag", operands, {"mode": ("sum", "mean", "max")[args["mode"]]}, 1)


def where(args: Arguments) -> Match:
    """Match a choice between two operands, or with one operand the positions of its true elements."""
    return Match("where" if "self" in args else "nonzero", flat_tensors(args.values()))


def pad(args: Arguments) -> Match:
    """Match a padding by a constant, or by the elements of the image."""
    mode = args["mode"]
    return Match("pad", (args["self"],), {} if mode == "constant" else {"mode": mode})


def scatter(args: Arguments) -> Match:
    """Match a scatter that overwrites or combines; every way to combine takes one operation per element."""
    reduce = args.get("reduce")
    if reduce is None:
        return Match("scatter", flat_tensors(args.values()))
    operands = [args["self"], args["index"], args.get("src", args.get("source"))]
    if not isinstance(args.get("value", operands[-1]), torch.Tensor):
        return Match("scatter_add", flat_tensors(operands), {"added": args["index"].numel()})
    return Match("scatter_add", flat_tensors(operands), {"mean": True} if reduce == "mean" else {})


def put(args: Arguments) -> Match:
    """Match elements that overwrite others, or are added to them."""
    return Match("scatter_add" if args["accumulate"] else "scatter", flat_tensors(args.values()))


def segment_reduce(args: Arguments) -> Match:
    """Match a reduction of consecutive segments."""
    names = ("data", "lengths", "indices", "offsets")
    return Match("segment_reduce", flat_tensors([args[name] for name in names]))


def unique(args: Arguments, *, is_sorted: bool = True) -> Match:
    """Match distinct elements, or slices along `dim`, of a sorted or a consecutive run."""
    values, dim = args["self"], args.get("dim")
    items = values.numel() if dim is None else values.shape[dim]
    return Match("unique", (values,), {"items": items, "sorted": is_sorted})


def histogram(args: Arguments) -> Match:
    """Match a histogram of equal bins, or of bins with given edges."""
    edges = args.get("bins")
    operands = flat_tensors([args["self"], edges, args.get("weight")])
    return Match("histogram" if isinstance(edges, torch.Tensor) else "fixed_histogram", operands)


def multinomial(args: Arguments) -> Match:
    """Match draws from rows of probabilities."""
    attributes = {"draws": args["num_samples"], "replacement": args["replacement"]}
    return Match("multinomial", (args["self"],), attributes)


def index_put(args: Arguments) -> Match:
    """Match values that overwrite the elements at some indices, or are added to them."""
    operands = flat_tensors([args["self"], args["indices"], args["values"]])
    if not args.get("accumulate"):
        return Match("scatter", operands)
    indices = [index for index in args["indices"] if index is not None]
    if any(index.dtype == torch.bool for index in indices):  # a mask's count depends on its values
        return Match("scatter_add", operands)
    whole = [n for n, index in zip_longest(args["self"].shape, args["indices"]) if index is None]
    selected = torch.broadcast_shapes(*(index.shape for index in indices))  # type: ignore[no-untyped-call]
    return Match("scatter_add", operands, {"added": prod(selected) * prod(whole)})

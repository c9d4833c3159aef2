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
    return Match("embedding_bag", operands, {"mode": ("sum", "mean", "max")[args["mode"]]})


def where(args: Arguments) -> Match:
    """Match a choice between two operands, or with one operand the positions of its true elements."""
    return Match("where" if "self" in args else "nonzero", flat_tensors(args.values()))


def scatter(args: Arguments) -> Match | None:
    """Match a scatter that overwrites or adds; other reductions have no formula."""
    kind = {None: "scatter", "add": "scatter_add"}.get(args.get("reduce"))
    return Match(kind, flat_tensors(args.values())) if kind else None


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

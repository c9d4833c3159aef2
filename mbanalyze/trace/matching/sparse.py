"""Matchers of products with a sparse matrix, whose operands are its stored elements and their indices."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mbanalyze.ops.record import Attribute
from mbanalyze.trace.matching.match import Match
from mbanalyze.trace.schema import Arguments
from mbanalyze.trace.torch_internals import sparse_indices, sparse_values


def is_sparse(tensor: Tensor) -> bool:
    """Return True if a tensor stores only some of its elements."""
    return tensor.layout is not torch.strided


def stored(tensor: Tensor) -> tuple[Tensor, ...]:
    """Return the stored elements of a tensor and the tensors of their indices, or a dense tensor itself."""
    if tensor.layout is torch.strided:
        return (tensor,)
    if tensor.layout is torch.sparse_coo:
        return sparse_values(tensor), sparse_indices(tensor)
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return tensor.values(), tensor.crow_indices(), tensor.col_indices()
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return tensor.values(), tensor.ccol_indices(), tensor.row_indices()
    return (tensor,)


def sparse_product(
    left: Tensor, right: Tensor, added: Tensor | None, attributes: Mapping[str, Attribute]
) -> Match | None:
    """Match a product of a sparse and a dense matrix; the work of two sparse ones depends on their indices."""
    if is_sparse(left) and is_sparse(right):
        return None
    sparse, dense = (left, right) if is_sparse(left) else (right, left)
    vectors = 1 if dense.dim() == 1 else dense.shape[-1] if sparse is left else dense.shape[-2]
    more = stored(added) if added is not None else ()
    settings = {**attributes, "vectors": vectors, "added": len(more[:1])}
    return Match("sparse_matmul", (*stored(sparse), dense, *more), settings)


def sparse_addmm(args: Arguments) -> Match | None:
    """Match `_sparse_addmm`: a sparse by a dense matrix, added to a scaled one."""
    alpha, beta = args["alpha"], args["beta"]
    scales = {"scales": (alpha != 1) + (beta not in (0, 1))}
    return sparse_product(args["mat1"], args["mat2"], args["self"] if beta else None, scales)


def sparse_mm(args: Arguments) -> Match | None:
    """Match a sparse by a dense matrix; a reduction other than a sum has no formula."""
    if args.get("reduce") is not None:
        return None
    return sparse_product(args["sparse"], args["dense"], None, {})


def hybrid_mm(args: Arguments) -> Match | None:
    """Match a sparse by a dense matrix, whose result is sparse in its rows."""
    return sparse_product(args["mat1"], args["mat2"], None, {})


def sampled_addmm(args: Arguments) -> Match:
    """Match a product of dense matrices, computed where a sparse matrix has elements."""
    alpha, beta = args["alpha"], args["beta"]
    scales = (alpha != 1) + (beta not in (0, 1))
    settings = {"length": args["mat1"].shape[-1], "added": int(beta != 0), "scales": scales}
    return Match("sampled_matmul", (*stored(args["self"]), args["mat1"], args["mat2"]), settings)

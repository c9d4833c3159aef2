"""Matchers of convolutions, matrix products, Einstein sums and distances."""

from __future__ import annotations

import torch
from torch import Tensor

from mbanalyze.ops.einsum import full_equation
from mbanalyze.trace.matching.match import Match
from mbanalyze.trace.matching.sparse import is_sparse, sparse_product
from mbanalyze.trace.schema import Arguments, flat_tensors, per_dimension


def conv(args: Arguments, *, transposed: bool | None = None) -> Match:
    """Match a convolution. By default the argument `transposed` of the call decides its direction."""
    if transposed is None:
        transposed = args["transposed"]
    operands = flat_tensors([args["input"], args["weight"], args["bias"]])
    dims = args["weight"].dim() - 2
    steps = {name: per_dimension(args[name], dims) for name in ("stride", "dilation")}
    return Match("conv", operands, {**steps, "transposed": True} if transposed else steps)


def conv_tbc(args: Arguments) -> Match:
    """Match a convolution whose image has the order time, batch, channels."""
    weight = args["weight"].permute(2, 1, 0)
    return Match("conv", (args["self"].permute(1, 2, 0), weight, args["bias"]))


def deform_conv(args: Arguments) -> Match:
    """Match a deformable convolution. The operator always has a mask and a bias, but may not use them."""
    used = [args[name] for name in ("input", "weight", "offset")]
    used += [args["mask"]] if args["use_mask"] else []
    return Match("deform_conv", (*used, args["bias"]), {"bias": 1, "mask": int(args["use_mask"])})


def matmul(args: Arguments, *, names: tuple[str, str] = ("self", "mat2")) -> Match | None:
    """Match a product of two matrices, either of which may be sparse; `names` are their arguments."""
    left, right = [args[name] for name in names]
    if is_sparse(left) or is_sparse(right):
        return sparse_product(left, right, None, {})
    return Match("matmul", (left, right))


def scaled_sum(args: Arguments, *, factors: tuple[str, str], activation: bool = False) -> Match | None:
    """Match `beta * self + alpha * (a @ b)`, where `factors` are the names of a and b.

    With `activation`, a ReLU or GELU follows.
    """
    alpha, beta = args.get("alpha", 1), args.get("beta", 1)
    left, right, added = args[factors[0]], args[factors[1]], args["self"] if beta else None
    attributes = {}
    if scales := (alpha != 1) + (beta not in (0, 1)):
        attributes["scales"] = scales
    if activation:
        attributes["activation"] = 9 if args["use_gelu"] else 1  # the GELU is that by tanh
    if is_sparse(left) or is_sparse(right):
        return sparse_product(left, right, added, attributes)
    return Match("matmul", flat_tensors([left, right, added]), attributes)


def batch_sum(args: Arguments) -> Match:
    """Match the sum of the products of a batch, added to a scaled matrix."""
    match = scaled_sum(args, factors=("batch1", "batch2"))
    assert match is not None  # batches are dense
    return match._replace(attributes={**match.attributes, "summed": args["batch1"].shape[0]})


def outer_sum(args: Arguments) -> Match:
    """Match a matrix plus the outer product of two vectors."""
    vectors = (args["vec1"], args["vec2"])
    if args["beta"] == 0:
        return Match("mul", vectors)
    scaled = args["alpha"] != 1 or args["beta"] != 1
    return Match("scaled_addcmul" if scaled else "addcmul", (args["self"], *vectors))


def grouped(args: Arguments) -> Match:
    """Match a product of groups of rows or columns; two matrices are divided along the summed dimension."""
    left, right, bias = args["self"], args["mat2"], args["bias"]
    scales = _scales(args)
    attributes = {"added": 1 if bias is not None else 0}
    if scales:
        attributes["scales"] = 2
    if left.dim() == right.dim() == 2 and args["offs"] is not None:
        attributes["groups"] = args["offs"].shape[0]
    return Match("matmul", flat_tensors([left, right, args["offs"], scales, bias]), attributes)


def scaled(args: Arguments) -> Match:
    """Match a product of matrices in low precision, scaled by factors of both and an optional one of the result."""
    scales = _scales(args)
    attributes = {"added": 1 if args["bias"] is not None else 0, "scales": 2 if len(scales) < 3 else 3}
    return Match("matmul", flat_tensors([args["self"], args["mat2"], scales, args["bias"]]), attributes)


def _scales(args: Arguments) -> tuple[Tensor, ...]:
    return flat_tensors([args.get(name) for name in ("scale_a", "scale_b", "scale_result")])


def packed(args: Arguments, *, scales: int, unpacked: bool = False) -> Match:
    """Match a product with a packed integer matrix: scaled, or unpacked by scales and zero points."""
    attributes = {"added": 0, "scales": scales, "unpacked": unpacked}
    return Match("matmul", flat_tensors(args.values()), attributes)


def inner(args: Arguments) -> Match:
    """Match an inner product: of matrices, or of a scalar and a tensor."""
    operands = flat_tensors(args.values())
    return Match("matmul" if all(operand.dim() for operand in operands) else "mul", operands)


def distance(args: Arguments) -> Match:
    """Match the distances of all pairs of rows, of two tensors or of one."""
    order = args.get("p", 2.0)
    name = "inf" if order == torch.inf else f"{order:g}"
    rows = flat_tensors([args.get(each) for each in ("x1", "x2", "self")])
    return Match("distance", rows, {"order": name})


def einsum(args: Arguments) -> Match:
    """Match an Einstein sum, with its equation in full."""
    operands = flat_tensors(args["tensors"])
    return Match(
        "einsum",
        operands,
        {"equation": full_equation(args["equation"], [operand.dim() for operand in operands])},
    )

"""The formulas of convolutions, matrix products and distances."""

from __future__ import annotations

from math import prod

from mbanalyze.ops.derivations import number
from mbanalyze.ops.record import Op


def conv(op: Op) -> tuple[int, int]:
    """Each output element sums its window over the `c/g` channels of its group, plus one flop for a bias.

    Padding is multiplied like any other input.
    A transposed convolution spreads each input element over a window of `k/g` channels.
    Its formula includes the outputs that padding crops.
    The flops of a fused activation are those of its kind.

    Source: MobileNets (arXiv:1704.04861) eq. 2; groups: ShuffleNet V2 (arXiv:1807.11164) section 2.
    """
    # [n, k, *out] = conv([n, c, *in], [k, c/g, *kernel], [k]?)
    # [n, k, *out] = transposed([n, c, *in], [c, k/g, *kernel], [k]?)
    image, weight, *bias = op.operands
    (out,) = op.output
    positions = image if op.attribute("transposed") else out
    macs = prod(positions.shape) * prod(weight.shape[1:])
    return macs, 2 * macs + (out.size if bias else 0) + _activation_flops(op)


def linear(op: Op) -> tuple[int, int]:
    """Each output element takes `m` multiply-accumulates, plus one flop for a bias and those of a fused activation."""
    # [*, k] = linear([*, m], [k, m], [k]?)
    _, weight, *bias = op.operands
    (out,) = op.output
    macs = out.size * weight.shape[-1]
    return macs, 2 * macs + (out.size if bias else 0) + _activation_flops(op)


def _activation_flops(op: Op) -> int:
    """The flops of an activation that is fused with a product."""
    flops = number(op, "activation")
    return flops * op.output[0].size if flops else 0


def matmul(op: Op) -> tuple[int, int]:
    """Each output element is an inner product of length `m`, plus one flop for an added matrix and one per scale.

    The sum of `b` products (`addbmm`) is one inner product of length `b m`.
    If `g` groups divide the summed dimension (`_grouped_mm`), each inner product has a length of `m / g` on average.
    An unpacked weight takes two flops per element for its scale and zero point.
    """
    # [*, n, k] = matmul([*, n, m], [*, m, k], [*, n, k]?)
    left = op.operands[0]
    (out,) = op.output
    if not op.attributes:
        macs = out.size * left.shape[-1]
        return macs, 2 * macs + out.size * (len(op.operands) - 2)
    length = left.shape[-1] * (number(op, "summed") or 1)
    macs = out.size * length // (number(op, "groups") or 1)
    added = op.attribute("added")
    more = number(op, "added") if added is not None else len(op.operands) - 2
    unpacked = 2 * left.shape[-1] * out.shape[-1] if op.attribute("unpacked") else 0
    more += number(op, "scales") + number(op, "activation")
    return macs, 2 * macs + out.size * more + unpacked


def sparse_matmul(op: Op) -> tuple[int, int]:
    """Each stored element of the sparse matrix is multiplied by one element of each of `v` dense vectors, and added.

    An added matrix takes one flop per element, and so does each scale.
    """
    # [n, v] = sparse_matmul(values [nnz], indices..., [m, v], [n, v]?)
    macs = prod(op.operands[0].shape) * number(op, "vectors")
    return macs, 2 * macs + op.output[0].size * (number(op, "added") + number(op, "scales"))


def sampled_matmul(op: Op) -> tuple[int, int]:
    """Only the elements that a sparse matrix stores are computed, each an inner product of length `m`.

    An added matrix takes one flop per stored element, and so does each scale.
    """
    # values [nnz] = sampled(values [nnz], indices..., [n, m], [m, k])
    stored = prod(op.operands[0].shape)
    macs = stored * number(op, "length")
    return macs, 2 * macs + stored * (number(op, "added") + number(op, "scales"))


def deform_conv(op: Op) -> tuple[int, int]:
    """A convolution of samples: each window element is a weighted sum of four neighbours, which takes 7 flops.

    Samples are shared by all filters. A mask takes one flop per sample, and a bias one per output element.

    Source: Deformable ConvNets v2 (arXiv:1811.11168) section 2.2.
    """
    # [n, k, h, w] = deform_conv([n, c, *in], [k, c/g, *kernel], offsets, mask?, [k]?)
    image, weight = op.operands[:2]
    (out,) = op.output
    macs = prod(out.shape) * prod(weight.shape[1:])
    samples = prod(weight.shape[2:]) * image.shape[-3] * prod(out.shape) // max(out.shape[-3], 1)
    return macs, 2 * macs + samples * (7 + number(op, "mask")) + out.size * number(op, "bias")


def distance(op: Op) -> tuple[int, int]:
    """A Euclidean distance of two rows takes `m` subtractions, `m` multiply-accumulates and a root.

    Other norms have no multiply-accumulates. They take three flops per element (subtract, absolute value, then add,
    compare or count), one more for a general power, and then a root.
    """
    # [*, n, k] = distance([*, n, m], [*, k, m])
    order = op.attribute("order")
    (out,) = op.output
    pairs, steps = out.size, out.size * op.operands[0].shape[-1]
    if order == "2":
        return steps, 3 * steps + pairs
    return 0, 3 * steps if order in ("0", "1", "inf") else 4 * steps + pairs


def affine_grid(op: Op) -> tuple[int, int]:
    """Each coordinate is an inner product of a position and a row of the matrix, a column of which shifts.

    Source: Spatial Transformer Networks (arXiv:1506.02025) eq. 1.
    """
    # [n, h, w, 2] = affine_grid([n, 2, 3])
    macs = op.output[0].size * op.operands[0].shape[-1]
    return macs, 2 * macs


def bilinear(op: Op) -> tuple[int, int]:
    """Each output element is `x1 W x2`: first `W x2`, then its inner product with `x1`, plus one flop for a bias."""
    # [*, k] = bilinear([*, i], [*, j], [k, i, j], [k]?)
    weight, *bias = op.operands[2:]
    (out,) = op.output
    _, i, j = weight.shape
    macs = out.size * (i * j + i)
    return macs, 2 * macs + (out.size if bias else 0)

"""How an ATen call is recognised: of which kind, what it reads, and which settings its formula needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import zip_longest
from math import prod
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from mbanalyze.ops.record import Attribute
from mbanalyze.trace.schema import Arguments, handed


class Sighting(NamedTuple):
    """One ATen call, recognised: its kind, what it reads in the order of our signature, its settings."""

    kind: str
    operands: tuple[Tensor, ...]
    attributes: Mapping[str, Attribute] = MappingProxyType({})


Recogniser = Callable[[Arguments], Sighting | None]


def reads(kind: str, *names: str) -> Recogniser:
    """The tensors called `names` are read, in this order; without names all are, in the schema's."""

    def rule(call: Arguments) -> Sighting:
        return Sighting(kind, handed([call.get(name) for name in names or call]))

    return rule


def _with_bias(call: Arguments) -> tuple[Tensor, ...]:
    bias = call["bias"]
    return (call["input"], call["weight"]) if bias is None else (call["input"], call["weight"], bias)


def linear(call: Arguments) -> Sighting:
    """A product with a weight, and a bias added."""
    return Sighting("linear", _with_bias(call))


def conv(transposed: bool | None) -> Recogniser:
    """A convolution; None: the call's own `transposed` argument tells."""

    def rule(call: Arguments) -> Sighting:
        operands = _with_bias(call)
        is_transposed = call["transposed"] if transposed is None else transposed
        return Sighting("conv", operands, {"transposed": True} if is_transposed else {})

    return rule


def clamp(low: str, high: str) -> Recogniser:
    """A clamp; ReLU6 where its bounds are those."""

    def rule(call: Arguments) -> Sighting:
        operands = handed(call.values())
        plain = len(operands) == 1 and (call[low], call[high]) == (0, 6)
        return Sighting("relu6" if plain else "clamp", operands)

    return rule


def _window(sizes: list[int], dims: int) -> tuple[int, ...]:
    return tuple(sizes) * dims if len(sizes) == 1 else tuple(sizes)


def max_pool(dims: int) -> Recogniser:
    """The largest of each window."""

    def rule(call: Arguments) -> Sighting:
        return Sighting("max_pool", handed([call["self"]]), {"kernel": _window(call["kernel_size"], dims)})

    return rule


def avg_pool(dims: int) -> Recogniser:
    """The mean of each window, which may be all there is."""

    def rule(call: Arguments) -> Sighting:
        image = call["self"]
        window = _window(call["kernel_size"], dims)
        if window == tuple(image.shape[-dims:]) and not any(call["padding"]):
            return Sighting("global_avg_pool", (image,))
        return Sighting("avg_pool", (image,), {"kernel": window})

    return rule


def adaptive_avg_pool(dims: int) -> Recogniser:
    """The mean of windows that share out the input, or of all of it."""

    def rule(call: Arguments) -> Sighting:
        if set(call["output_size"]) == {1}:
            return Sighting("global_avg_pool", (call["self"],))
        return Sighting("adaptive_avg_pool", (call["self"],), {"dims": dims})

    return rule


def mean(call: Arguments) -> Sighting:
    """The mean over some dimensions; of whole images it is global pooling."""
    image = call["self"]
    dims = sorted(d % max(image.dim(), 1) for d in call.get("dim") or ())
    whole_image = image.dim() in (4, 5) and dims == list(range(2, image.dim()))
    return Sighting("global_avg_pool" if whole_image else "mean", (image,))


def adaptive_max_pool(dims: int) -> Recogniser:
    """The largest of windows that share out the input."""
    return lambda call: Sighting("adaptive_max_pool", (call["self"],), {"dims": dims})


def add(kind: str) -> Recogniser:
    """Addition and subtraction, whose second operand may be scaled."""

    def rule(call: Arguments) -> Sighting:
        return Sighting(kind if call.get("alpha", 1) == 1 else "scaled_add", handed(call.values()))

    return rule


def addc(kind: str) -> Recogniser:
    """A product or quotient added, which may be scaled."""

    def rule(call: Arguments) -> Sighting:
        return Sighting(kind if call["value"] == 1 else f"scaled_{kind}", handed(call.values()))

    return rule


def div(call: Arguments) -> Sighting:
    """A division, rounded or not."""
    return Sighting("floor_divide" if call.get("rounding_mode") else "div", handed(call.values()))


def gelu(call: Arguments) -> Sighting:
    """By the error function, or by tanh."""
    return Sighting("gelu" if call["approximate"] == "none" else "gelu_tanh", (call["self"],))


def largest(kind: str) -> Recogniser:
    """`max` and `min`: of two tensors, element by element, or of one, along a dimension or whole."""

    def rule(call: Arguments) -> Sighting:
        operands = handed(call.values())
        return Sighting(kind if len(operands) > 1 else "reduce", operands)

    return rule


def norm(kind: str) -> Recogniser:
    """A normalisation by statistics of its input, with a scale and a shift or without."""
    return lambda call: _norm_of(kind, call)


def _norm_of(kind: str, call: Arguments) -> Sighting:
    affine = handed([call.get("weight"), call.get("bias")])
    return Sighting(kind, (call["input"], *affine), {"affine": len(affine)})


def instance_norm(call: Arguments) -> Sighting:
    """By statistics of its input, or like a batch norm by those that it keeps."""
    if call["use_input_stats"]:
        return _norm_of("instance_norm", call)
    return batch_norm({**call, "training": False})


def attention(call: Arguments) -> Sighting:
    """Scaled dot-product attention, in full or with a mask."""
    operands = handed([call.get(name) for name in ("query", "key", "value", "attn_mask")])
    return Sighting("attention", operands, {"dropout": True} if call.get("dropout_p") else {})


def einsum(call: Arguments) -> Sighting:
    """With its equation spelled out."""
    operands = handed(call["tensors"])
    return Sighting("einsum", operands, {"equation": _spelled(call["equation"], operands)})


def _spelled(equation: str, operands: tuple[Tensor, ...]) -> str:
    """`equation` with an output, without spaces, and with a letter for each dimension of an ellipsis."""
    terms, arrow, out = equation.replace(" ", "").partition("->")
    spare = [letter for letter in map(chr, range(0x3B1, 0x3CA)) if letter not in terms]
    inputs = terms.split(",")
    widest = 0
    for i, (term, operand) in enumerate(zip(inputs, operands, strict=True)):
        if "..." in term:
            extra = operand.dim() - (len(term) - 3)
            widest = max(widest, extra)
            inputs[i] = term.replace("...", "".join(spare[:extra][::-1]))
    ellipsis = "".join(spare[:widest][::-1])
    if not arrow:
        letters = "".join(inputs)
        once = sorted(x for x in set(letters) if letters.count(x) == 1 and x not in ellipsis)
        out = ellipsis + "".join(once)
    return f"{','.join(inputs)}->{out.replace('...', ellipsis)}"


def recurrent(kind: str) -> Recogniser:
    """LSTM, GRU and RNN, on a padded batch or a packed one; states before weights, as they are given."""

    def rule(call: Arguments) -> Sighting:
        data = call["input"] if "input" in call else call["data"]
        states = handed([call["hx"]])
        weights = handed(call["params"])
        directions = 2 if call["bidirectional"] else 1
        attributes = {"states": len(states), "layers": call["num_layers"] * directions}
        if call["train"] and call["dropout"]:
            attributes["dropouts"] = (call["num_layers"] - 1) * directions
        return Sighting(kind, (data, *states, *weights), attributes)

    return rule


def cell(kind: str) -> Recogniser:
    """One step of a recurrent layer."""

    def rule(call: Arguments) -> Sighting:
        states = handed([call["hx"]])
        weights = handed([call[name] for name in ("w_ih", "w_hh", "b_ih", "b_hh")])
        return Sighting(kind, (call["input"], *states, *weights), {"states": len(states), "layers": 1})

    return rule


def interpolate(taps: int) -> Recogniser:
    """Each output is a weighted sum of `taps` neighbours."""

    def rule(call: Arguments) -> Sighting:
        image = call["self"] if "self" in call else call["input"]
        return Sighting("interpolate", (image,), {"taps": taps})

    return rule


def grid_sample(dims: int) -> Recogniser:
    """Modes of interpolation: 0 linear, 1 nearest, 2 cubic."""

    def rule(call: Arguments) -> Sighting:
        taps = {0: 2, 1: 1, 2: 4}[call["interpolation_mode"]] ** dims
        return Sighting("grid_sample", (call["input"], call["grid"]), {"taps": taps})

    return rule


def roi_align(call: Arguments) -> Sighting | None:
    """Samples in each bin, of four neighbours each; how many is not known where they follow a region's size."""
    samples = call["sampling_ratio"]
    operands = (call["input"], call["rois"])
    return Sighting("roi_align", operands, {"taps": 4 * samples**2}) if samples > 0 else None


def along(kind: str) -> Recogniser:
    """Work on `dim` of the input, the last unless given."""

    def rule(call: Arguments) -> Sighting:
        image = call["self"]
        sizes = tuple(image.shape)
        dim = call.get("dim")
        length = image.numel() if dim is None else sizes[dim] if sizes else 1
        return Sighting(kind, (image,), {"length": length})

    return rule


def search(call: Arguments) -> Sighting:
    """Each value of the first operand is looked for in a sorted second."""
    values, boundaries = call["self"], call.get("boundaries", call.get("sorted_sequence"))
    return Sighting("search", handed([values, boundaries]))


def fft(real: bool, *, inverse: bool = False) -> Recogniser:
    """Transforms of one or more dimensions, of complex values or real ones."""

    def rule(call: Arguments) -> Sighting:
        image = call["self"]
        dims = call["dim"] if isinstance(call.get("dim"), list | tuple) else [call.get("dim", -1)]
        sizes = call.get("n", call.get("s"))
        given = sizes if isinstance(sizes, list | tuple) else [sizes] * len(dims)
        length = prod(
            image.shape[d] if n is None else n for d, n in zip(dims, given or [None] * len(dims), strict=True)
        )
        if real and inverse and not sizes:
            length = length // image.shape[dims[-1]] * 2 * (image.shape[dims[-1]] - 1)
        times = image.numel() // max(prod(image.shape[d] for d in dims), 1)
        return Sighting("fft", (image,), {"times": times, "length": length, "real": real})

    return rule


def scatter(call: Arguments) -> Sighting | None:
    """Elements put somewhere, or added there."""
    reduced = {None: "scatter", "add": "scatter_add"}.get(call.get("reduce"))
    return Sighting(reduced, handed(call.values())) if reduced else None


def matrix_norm(call: Arguments) -> Sighting | None:
    """The root of a sum of squares; other norms of a matrix take more."""
    return Sighting("norm", (call["self"],)) if call.get("ord") is None else None


def inner(call: Arguments) -> Sighting:
    """A product of matrices, or of a number with one."""
    operands = handed(call.values())
    return Sighting("matmul" if all(value.dim() for value in operands) else "mul", operands)


def where(call: Arguments) -> Sighting:
    """A choice between two operands, or of one the places where it is true."""
    return Sighting("where" if "self" in call else "nonzero", handed(call.values()))


def index(call: Arguments) -> Sighting:
    """Selection by indices."""
    return Sighting("gather", handed([call["self"], call.get("indices"), call.get("index")]))


def index_put(call: Arguments) -> Sighting:
    """Elements put at indices, or added there."""
    operands = handed([call["self"], call["indices"], call["values"]])
    if not call.get("accumulate"):
        return Sighting("scatter", operands)
    indices = [index for index in call["indices"] if index is not None]
    if any(index.dtype == torch.bool for index in indices):  # how many it selects depends on its values
        return Sighting("scatter_add", operands)
    whole = [n for n, index in zip_longest(call["self"].shape, call["indices"]) if index is None]
    places = torch.broadcast_shapes(*(index.shape for index in indices))  # type: ignore[no-untyped-call]
    return Sighting("scatter_add", operands, {"added": prod(places) * prod(whole)})


def batch_norm(call: Arguments) -> Sighting:
    """By running statistics, or by those of the batch."""
    five = call["input"], call["weight"], call["bias"], call["running_mean"], call["running_var"]
    operands = tuple([value for value in five if value is not None])
    if not call["training"]:
        return Sighting("batch_norm", operands)
    affine = handed([call["weight"], call["bias"]])
    return Sighting("batch_norm_training", operands, {"affine": len(affine)})


def scaled(*names: str) -> Recogniser:
    """A matrix product with a matrix added, the last of `names`, either of which may be scaled."""

    def rule(call: Arguments) -> Sighting:
        alpha, beta = call["alpha"], call["beta"]
        operands = handed([call[name] for name in (names if beta else names[:-1])])
        scales = (alpha != 1) + (beta not in (0, 1))
        return Sighting("matmul", operands, {"scales": scales} if scales else {})

    return rule


def embedding_bag(call: Arguments) -> Sighting:
    """Rows of a table, summed by bags."""
    operands = handed([call["weight"], call["indices"], call["per_sample_weights"]])
    return Sighting("embedding_bag", operands, {"mode": ("sum", "mean", "max")[call["mode"]]})


def rrelu(call: Arguments) -> Sighting:
    """A leaky ReLU, whose slope is drawn in training."""
    return Sighting("rrelu" if call["training"] else "leaky_relu", (call["self"],))


def antialiased(support: int) -> Recogniser:
    """Interpolation that takes in more neighbours the more it shrinks: `support` on each side, times the ratio."""

    def rule(call: Arguments) -> Sighting:
        image, size = call["input"], call["output_size"]
        pairs = zip(image.shape[-len(size) :], size, strict=True)
        taps = prod(-(-2 * support * max(n, m) // m) for n, m in pairs)
        return Sighting("interpolate", (image,), {"taps": taps})

    return rule

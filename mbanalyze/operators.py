"""Which kind of operator an ATen call is, what it reads, and which settings its formula needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import zip_longest
from math import prod
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from mbanalyze.calls import Arguments, handed
from mbanalyze.cost import Attribute


class Sighting(NamedTuple):
    """One ATen call, recognised: its kind, what it reads in the order of our signature, its settings."""

    kind: str
    operands: tuple[Tensor, ...]
    attributes: Mapping[str, Attribute] = MappingProxyType({})


Rule = Callable[[Arguments], Sighting | None]


def _reads(kind: str, *names: str) -> Rule:
    """The tensors called `names` are read, in this order; without names all are, in the schema's."""

    def rule(call: Arguments) -> Sighting:
        return Sighting(kind, handed([call.get(name) for name in names or call]))

    return rule


def _with_bias(call: Arguments) -> tuple[Tensor, ...]:
    bias = call["bias"]
    return (call["input"], call["weight"]) if bias is None else (call["input"], call["weight"], bias)


def _conv(transposed: bool | None) -> Rule:
    """A convolution; None: the call's own `transposed` argument tells."""

    def rule(call: Arguments) -> Sighting:
        operands = _with_bias(call)
        is_transposed = call["transposed"] if transposed is None else transposed
        return Sighting("conv", operands, {"transposed": True} if is_transposed else {})

    return rule


def _clamp(low: str, high: str) -> Rule:
    def rule(call: Arguments) -> Sighting:
        operands = handed(call.values())
        plain = len(operands) == 1 and (call[low], call[high]) == (0, 6)
        return Sighting("relu6" if plain else "clamp", operands)

    return rule


def _window(sizes: list[int], dims: int) -> tuple[int, ...]:
    return tuple(sizes) * dims if len(sizes) == 1 else tuple(sizes)


def _max_pool(dims: int) -> Rule:
    def rule(call: Arguments) -> Sighting:
        return Sighting("max_pool", handed([call["self"]]), {"kernel": _window(call["kernel_size"], dims)})

    return rule


def _avg_pool(dims: int) -> Rule:
    def rule(call: Arguments) -> Sighting:
        image = call["self"]
        window = _window(call["kernel_size"], dims)
        if window == tuple(image.shape[-dims:]) and not any(call["padding"]):
            return Sighting("global_avg_pool", (image,))
        return Sighting("avg_pool", (image,), {"kernel": window})

    return rule


def _adaptive_avg_pool(dims: int) -> Rule:
    def rule(call: Arguments) -> Sighting:
        if set(call["output_size"]) == {1}:
            return Sighting("global_avg_pool", (call["self"],))
        return Sighting("adaptive_avg_pool", (call["self"],), {"dims": dims})

    return rule


def _mean(call: Arguments) -> Sighting:
    image = call["self"]
    dims = sorted(d % max(image.dim(), 1) for d in call.get("dim") or ())
    whole_image = image.dim() in (4, 5) and dims == list(range(2, image.dim()))
    return Sighting("global_avg_pool" if whole_image else "mean", (image,))


def _adaptive_max_pool(dims: int) -> Rule:
    return lambda call: Sighting("adaptive_max_pool", (call["self"],), {"dims": dims})


def _add(kind: str) -> Rule:
    """Addition and subtraction, whose second operand may be scaled."""

    def rule(call: Arguments) -> Sighting:
        return Sighting(kind if call.get("alpha", 1) == 1 else "scaled_add", handed(call.values()))

    return rule


def _addc(kind: str) -> Rule:
    """A product or quotient added, which may be scaled."""

    def rule(call: Arguments) -> Sighting:
        return Sighting(kind if call["value"] == 1 else f"scaled_{kind}", handed(call.values()))

    return rule


def _div(call: Arguments) -> Sighting:
    return Sighting("floor_divide" if call.get("rounding_mode") else "div", handed(call.values()))


def _gelu(call: Arguments) -> Sighting:
    return Sighting("gelu" if call["approximate"] == "none" else "gelu_tanh", (call["self"],))


def _largest(kind: str) -> Rule:
    """`max` and `min`: of two tensors, element by element, or of one, along a dimension or whole."""

    def rule(call: Arguments) -> Sighting:
        operands = handed(call.values())
        return Sighting(kind if len(operands) > 1 else "reduce", operands)

    return rule


def _norm(kind: str) -> Rule:
    """A normalisation by statistics of its input, with a scale and a shift or without."""
    return lambda call: _norm_of(kind, call)


def _norm_of(kind: str, call: Arguments) -> Sighting:
    affine = handed([call.get("weight"), call.get("bias")])
    return Sighting(kind, (call["input"], *affine), {"affine": len(affine)})


def _instance_norm(call: Arguments) -> Sighting:
    """By statistics of its input, or like a batch norm by those that it keeps."""
    if call["use_input_stats"]:
        return _norm_of("instance_norm", call)
    return _batch_norm({**call, "training": False})


def _attention(call: Arguments) -> Sighting:
    operands = handed([call.get(name) for name in ("query", "key", "value", "attn_mask")])
    return Sighting("attention", operands, {"dropout": True} if call.get("dropout_p") else {})


def _einsum(call: Arguments) -> Sighting:
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


def _recurrent(kind: str) -> Rule:
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


def _cell(kind: str) -> Rule:
    """One step of a recurrent layer."""

    def rule(call: Arguments) -> Sighting:
        states = handed([call["hx"]])
        weights = handed([call[name] for name in ("w_ih", "w_hh", "b_ih", "b_hh")])
        return Sighting(kind, (call["input"], *states, *weights), {"states": len(states), "layers": 1})

    return rule


def _interpolate(taps: int) -> Rule:
    def rule(call: Arguments) -> Sighting:
        image = call["self"] if "self" in call else call["input"]
        return Sighting("interpolate", (image,), {"taps": taps})

    return rule


def _grid_sample(dims: int) -> Rule:
    """Modes of interpolation: 0 linear, 1 nearest, 2 cubic."""

    def rule(call: Arguments) -> Sighting:
        taps = {0: 2, 1: 1, 2: 4}[call["interpolation_mode"]] ** dims
        return Sighting("grid_sample", (call["input"], call["grid"]), {"taps": taps})

    return rule


def _roi_align(call: Arguments) -> Sighting | None:
    """Samples in each bin, of four neighbours each; how many is not known where they follow a region's size."""
    samples = call["sampling_ratio"]
    operands = (call["input"], call["rois"])
    return Sighting("roi_align", operands, {"taps": 4 * samples**2}) if samples > 0 else None


def _along(kind: str) -> Rule:
    """Work on `dim` of the input, the last unless given."""

    def rule(call: Arguments) -> Sighting:
        image = call["self"]
        sizes = tuple(image.shape)
        dim = call.get("dim")
        length = image.numel() if dim is None else sizes[dim] if sizes else 1
        return Sighting(kind, (image,), {"length": length})

    return rule


def _search(call: Arguments) -> Sighting:
    """Each value of the first operand is looked for in a sorted second."""
    values, boundaries = call["self"], call.get("boundaries", call.get("sorted_sequence"))
    return Sighting("search", handed([values, boundaries]))


def _fft(real: bool, *, inverse: bool = False) -> Rule:
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


def _scatter(call: Arguments) -> Sighting | None:
    """Elements put somewhere, or added there."""
    reduced = {None: "scatter", "add": "scatter_add"}.get(call.get("reduce"))
    return Sighting(reduced, handed(call.values())) if reduced else None


def _matrix_norm(call: Arguments) -> Sighting | None:
    """The root of a sum of squares; other norms of a matrix take more."""
    return Sighting("norm", (call["self"],)) if call.get("ord") is None else None


def _inner(call: Arguments) -> Sighting:
    operands = handed(call.values())
    return Sighting("matmul" if all(value.dim() for value in operands) else "mul", operands)


def _where(call: Arguments) -> Sighting:
    """A choice between two operands, or of one the places where it is true."""
    return Sighting("where" if "self" in call else "nonzero", handed(call.values()))


def _index(call: Arguments) -> Sighting:
    return Sighting("gather", handed([call["self"], call.get("indices"), call.get("index")]))


def _index_put(call: Arguments) -> Sighting:
    operands = handed([call["self"], call["indices"], call["values"]])
    if not call.get("accumulate"):
        return Sighting("scatter", operands)
    indices = [index for index in call["indices"] if index is not None]
    if any(index.dtype == torch.bool for index in indices):  # how many it selects depends on its values
        return Sighting("scatter_add", operands)
    whole = [n for n, index in zip_longest(call["self"].shape, call["indices"]) if index is None]
    places = torch.broadcast_shapes(*(index.shape for index in indices))  # type: ignore[no-untyped-call]
    return Sighting("scatter_add", operands, {"added": prod(places) * prod(whole)})


def _batch_norm(call: Arguments) -> Sighting:
    five = call["input"], call["weight"], call["bias"], call["running_mean"], call["running_var"]
    operands = tuple([value for value in five if value is not None])
    if not call["training"]:
        return Sighting("batch_norm", operands)
    affine = handed([call["weight"], call["bias"]])
    return Sighting("batch_norm_training", operands, {"affine": len(affine)})


def _scaled(*names: str) -> Rule:
    """A matrix product with a matrix added, the last of `names`, either of which may be scaled."""

    def rule(call: Arguments) -> Sighting:
        alpha, beta = call["alpha"], call["beta"]
        operands = handed([call[name] for name in (names if beta else names[:-1])])
        scales = (alpha != 1) + (beta not in (0, 1))
        return Sighting("matmul", operands, {"scales": scales} if scales else {})

    return rule


def _embedding_bag(call: Arguments) -> Sighting:
    operands = handed([call["weight"], call["indices"], call["per_sample_weights"]])
    return Sighting("embedding_bag", operands, {"mode": ("sum", "mean", "max")[call["mode"]]})


def _rrelu(call: Arguments) -> Sighting:
    return Sighting("rrelu" if call["training"] else "leaky_relu", (call["self"],))


def _antialiased(support: int) -> Rule:
    """Interpolation that takes in more neighbours the more it shrinks: `support` on each side, times the ratio."""

    def rule(call: Arguments) -> Sighting:
        image, size = call["input"], call["output_size"]
        pairs = zip(image.shape[-len(size) :], size, strict=True)
        taps = prod(-(-2 * support * max(n, m) // m) for n, m in pairs)
        return Sighting("interpolate", (image,), {"taps": taps})

    return rule


_ONE_KIND = {
    "matmul": ("matmul", "mm", "bmm", "mv", "dot", "vdot"),
    "mul": ("mul", "multiply", "outer", "ger"),
    "pow": ("pow", "float_power"),
    "maximum": ("maximum", "fmax"),
    "minimum": ("minimum", "fmin"),
    "remainder": ("remainder", "fmod"),
    "floor_divide": ("floor_divide",),
    "neg": ("neg", "negative"),
    "abs": ("abs", "absolute"),
    "sign": ("sign", "sgn"),
    "round": ("round",),
    "trunc": ("trunc", "fix", "frac"),
    "asin": ("asin", "arcsin"),
    "acos": ("acos", "arccos"),
    "atan": ("atan", "arctan"),
    "atan2": ("atan2", "arctan2"),
    "erf": ("erf", "erfc", "special_erf"),
    "ne": ("ne", "not_equal"),
    "lt": ("lt", "less"),
    "le": ("le", "less_equal"),
    "gt": ("gt", "greater"),
    "ge": ("ge", "greater_equal"),
    "bitwise_and": ("bitwise_and", "__and__", "__iand__"),
    "bitwise_or": ("bitwise_or", "__or__", "__ior__"),
    "bitwise_xor": ("bitwise_xor", "__xor__", "__ixor__"),
    "shift": ("bitwise_left_shift", "bitwise_right_shift", "__lshift__", "__rshift__"),
    "hard_sigmoid": ("hardsigmoid",),
    "hard_swish": ("hardswish",),
    "hard_shrink": ("hardshrink",),
    "soft_shrink": ("softshrink",),
    "log_sigmoid": ("log_sigmoid", "log_sigmoid_forward"),
    "leaky_relu": ("leaky_relu",),
    "prelu": ("prelu", "_prelu_kernel"),
    "clamp": ("clamp_min", "clamp_max", "clip"),
    "softmax": ("softmax", "_softmax", "_safe_softmax"),
    "log_softmax": ("log_softmax", "_log_softmax"),
    "log_sum_exp": ("logsumexp",),
    "norm": ("linalg_vector_norm", "norm", "frobenius_norm"),
    "var": ("var", "std", "var_mean", "std_mean"),
    "reduce": (
        *("sum", "prod", "amax", "amin", "all", "any", "argmax", "argmin", "nansum", "count_nonzero"),
    ),
    "cumulate": ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"),
    "weight_norm": ("_weight_norm",),
    "bilinear": ("bilinear",),
    "cat": ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "column_stack", "block_diag"),
    "pad": (
        *("constant_pad_nd", "pad", "_pad_circular"),
        *(f"{mode}_pad{d}d" for mode in ("reflection", "replication") for d in (1, 2, 3)),
    ),
    "copy": ("clone", "contiguous", "flatten", "reshape", "to", "_to_copy", "ravel", "_reshape_copy"),
    "shuffle": ("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle"),
    "roll": ("roll",),
    "flip": ("flip", "fliplr", "flipud", "rot90"),
    "repeat": ("repeat", "tile", "repeat_interleave"),
    "nonzero": ("nonzero",),
    "masked_fill": ("masked_fill",),
    "triangle": ("tril", "triu"),
    "unfold": ("im2col",),
    "scatter": (
        *("index_copy", "index_fill", "slice_scatter", "select_scatter", "diagonal_scatter"),
        *("masked_scatter", "max_unpool2d", "max_unpool3d"),
    ),
    "scatter_add": ("scatter_add", "index_add", "col2im"),
    "random": (
        *("bernoulli", "normal", "uniform", "exponential", "rand", "randn", "randint", "random"),
        *("rand_like", "randn_like", "randint_like"),
    ),
    **{
        kind: (kind,)
        for kind in (
            *(
                "relu",
                "relu6",
                "sigmoid",
                "silu",
                "mish",
                "softplus",
                "elu",
                "celu",
                "selu",
                "threshold",
                "glu",
            ),
            *("eq", "isnan", "isinf", "isfinite", "nan_to_num", "reciprocal", "square", "sqrt", "rsqrt"),
            *("floor", "ceil", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "erfinv"),
            *("sin", "cos", "tan", "sinh", "cosh", "tanh", "bitwise_not", "lerp"),
            *("logical_and", "logical_or", "logical_xor", "logical_not"),
        )
    },
}
"""Kind -> the ATen names that are of it, whatever their arguments."""

RULES: dict[str, Rule] = {
    **{name: _reads(kind) for kind, names in _ONE_KIND.items() for name in names},
    **{f"conv{d}d": _conv(transposed=False) for d in (1, 2, 3)},
    **{f"conv_transpose{d}d": _conv(transposed=True) for d in (1, 2, 3)},
    "linear": lambda call: Sighting("linear", _with_bias(call)),
    "convolution": _conv(transposed=None),
    "_convolution": _conv(transposed=None),
    "addmm": _scaled("mat1", "mat2", "self"),
    "addmv": _scaled("mat", "vec", "self"),
    "baddbmm": _scaled("batch1", "batch2", "self"),
    "inner": _inner,
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
    "lstm": _recurrent("lstm"),
    "gru": _recurrent("gru"),
    "rnn_tanh": _recurrent("rnn"),
    "rnn_relu": _recurrent("rnn"),
    "lstm_cell": _cell("lstm"),
    "gru_cell": _cell("gru"),
    "rnn_tanh_cell": _cell("rnn"),
    "rnn_relu_cell": _cell("rnn"),
    "embedding_bag": _embedding_bag,
    "embedding": _reads("embedding", "weight", "indices"),
    "batch_norm": _batch_norm,
    "layer_norm": _norm("layer_norm"),
    "native_layer_norm": _norm("layer_norm"),
    "group_norm": _norm("group_norm"),
    "native_group_norm": _norm("group_norm"),
    "instance_norm": _instance_norm,
    "rms_norm": _norm("rms_norm"),
    "hardtanh": _clamp("min_val", "max_val"),
    "clamp": _clamp("min", "max"),
    "gelu": _gelu,
    "add": _add("add"),
    "sub": _add("sub"),
    "rsub": _add("sub"),
    "subtract": _add("sub"),
    "div": _div,
    "divide": _div,
    "true_divide": _div,
    "addcmul": _addc("addcmul"),
    "addcdiv": _addc("addcdiv"),
    "rrelu": _rrelu,
    "linalg_norm": _matrix_norm,
    "dropout": _reads("dropout", "input"),
    "feature_dropout": _reads("dropout", "input"),
    "copy": _reads("copy", "src"),
    **{f"max_pool{d}d": _max_pool(d) for d in (1, 2, 3)},
    **{f"max_pool{d}d_with_indices": _max_pool(d) for d in (1, 2, 3)},
    **{f"fractional_max_pool{d}d": _max_pool(d) for d in (2, 3)},
    **{f"avg_pool{d}d": _avg_pool(d) for d in (1, 2, 3)},
    **{f"adaptive_avg_pool{d}d": _adaptive_avg_pool(d) for d in (1, 2, 3)},
    **{f"adaptive_max_pool{d}d": _adaptive_max_pool(d) for d in (1, 2, 3)},
    "mean": _mean,
    "aminmax": _reads("extremes"),
    "max": _largest("maximum"),
    "min": _largest("minimum"),
    **{f"upsample_nearest{d}d": _interpolate(1) for d in (1, 2, 3)},
    **{f"_upsample_nearest_exact{d}d": _interpolate(1) for d in (1, 2, 3)},
    "upsample_linear1d": _interpolate(2),
    "upsample_bilinear2d": _interpolate(4),
    "upsample_trilinear3d": _interpolate(8),
    "upsample_bicubic2d": _interpolate(16),
    "_upsample_bilinear2d_aa": _antialiased(1),
    "_upsample_bicubic2d_aa": _antialiased(2),
    "grid_sampler": lambda call: _grid_sample(call["input"].dim() - 2)(call),
    "grid_sampler_2d": _grid_sample(2),
    "grid_sampler_3d": _grid_sample(3),
    "torchvision::roi_align": _roi_align,
    "torchvision::nms": lambda call: Sighting("non_maximum_suppression", handed(call.values())),
    "sort": _along("sort"),
    "argsort": _along("sort"),
    "topk": _along("sort"),
    "kthvalue": _along("sort"),
    "median": _along("sort"),
    "bucketize": _search,
    "searchsorted": _search,
    "where": _where,
    "scatter": _scatter,
    "index": _index,
    "masked_select": _reads("gather"),
    "index_select": _index,
    "gather": _index,
    "take": _index,
    "take_along_dim": _reads("gather"),
    "index_put": _index_put,
    "_index_put_impl": _index_put,
    "fft_fft": _fft(real=False),
    "fft_ifft": _fft(real=False),
    "fft_fft2": _fft(real=False),
    "fft_ifft2": _fft(real=False),
    "fft_rfft": _fft(real=True),
    "fft_irfft": _fft(real=True, inverse=True),
    "fft_rfft2": _fft(real=True),
    "fft_irfft2": _fft(real=True, inverse=True),
}
"""ATen name (an in-place one without its `_`) -> what it is. What is not here is unknown, unless it is free."""

ALLOCATIONS = frozenset(
    {
        "empty_like",
        "zeros_like",
        "ones_like",
        "full_like",
        "new_empty",
        "new_empty_strided",
        "new_zeros",
        "new_ones",
        "new_full",
        "zero",
        "fill",
    }
)
"""Calls that are handed a tensor and only make or set one."""

_IN_PLACE_VIEWS = frozenset(
    {"as_strided", "detach", "rename", "resize", "squeeze", "swapaxes", "t", "transpose", "unsqueeze"}
)
_DROPOUTS = frozenset({"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"})


_QUESTIONS = ("is_", "sym_", "_assert", "_local_scalar_dense", "item", "size", "stride", "numel")


def is_question(name: str) -> bool:
    """Whether a call of PyTorch's own that makes no tensor only asks about one, or for a number that it holds."""
    return name.startswith(_QUESTIONS)


def is_free(name: str, call: Arguments) -> bool:
    """Whether a call that is handed a tensor, and is no view out of place, does no work on what it holds."""
    if name in _DROPOUTS:
        return not call["train"]
    return name in ALLOCATIONS or name in _IN_PLACE_VIEWS

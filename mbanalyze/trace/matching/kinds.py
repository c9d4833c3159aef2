"""The matcher of each operator, and the operators that do no work."""

from __future__ import annotations

from functools import partial

from mbanalyze.trace.matching import indexing, pointwise, products, reductions, windows
from mbanalyze.trace.matching.match import Matcher, fixed
from mbanalyze.trace.schema import Arguments

_ALIASES = (
    *(
        ("matmul", "mm", "bmm", "mv", "dot", "vdot"),
        ("mul", "multiply", "outer", "ger"),
        ("pow", "float_power"),
    ),
    *(
        ("maximum", "fmax"),
        ("minimum", "fmin"),
        ("remainder", "fmod"),
        ("neg", "negative"),
        ("abs", "absolute"),
    ),
    *(("sign", "sgn"), ("trunc", "fix", "frac"), ("erf", "erfc", "special_erf"), ("asin", "arcsin")),
    *(("acos", "arccos"), ("atan", "arctan"), ("atan2", "arctan2"), ("ne", "not_equal"), ("lt", "less")),
    *(("le", "less_equal"), ("gt", "greater"), ("ge", "greater_equal"), ("prelu", "_prelu_kernel")),
    *(("bitwise_and", "__and__", "__iand__"), ("bitwise_or", "__or__", "__ior__")),
    *(("bitwise_xor", "__xor__", "__ixor__"), ("log_sigmoid", "log_sigmoid_forward")),
    *(("softmax", "_softmax", "_safe_softmax"), ("log_softmax", "_log_softmax")),
    *(("var", "std", "var_mean", "std_mean"), ("flip", "fliplr", "flipud", "rot90")),
    *(("repeat", "tile", "repeat_interleave"), ("scatter_add", "index_add", "col2im")),
    ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "column_stack", "block_diag"),
)
"""The operators that have one kind whatever their arguments; the first of each gives the kind its name."""

_FIXED = {
    "hard_sigmoid": ("hardsigmoid",),
    "hard_swish": ("hardswish",),
    "hard_shrink": ("hardshrink",),
    "soft_shrink": ("softshrink",),
    "log_sum_exp": ("logsumexp",),
    "weight_norm": ("_weight_norm",),
    "unfold": ("im2col",),
    "extremes": ("aminmax",),
    "non_maximum_suppression": ("torchvision::nms",),
    "gather": ("masked_select", "take_along_dim"),
    "shift": ("bitwise_left_shift", "bitwise_right_shift", "__lshift__", "__rshift__"),
    "clamp": ("clamp_min", "clamp_max", "clip"),
    "norm": ("linalg_vector_norm", "norm", "frobenius_norm"),
    "reduce": ("sum", "prod", "amax", "amin", "all", "any", "argmax", "argmin", "nansum", "count_nonzero"),
    "cumulate": ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"),
    "pad": (
        *("constant_pad_nd", "pad", "_pad_circular"),
        *(f"{mode}_pad{d}d" for mode in ("reflection", "replication") for d in (1, 2, 3)),
    ),
    "copy": ("clone", "contiguous", "flatten", "reshape", "to", "_to_copy", "ravel", "_reshape_copy"),
    "shuffle": ("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle"),
    "triangle": ("tril", "triu"),
    "scatter": (
        *("index_copy", "index_fill", "slice_scatter", "select_scatter", "diagonal_scatter"),
        *("masked_scatter", "max_unpool2d", "max_unpool3d"),
    ),
    "random": (
        *("bernoulli", "normal", "uniform", "exponential", "rand", "randn", "randint", "random"),
        *("rand_like", "randn_like", "randint_like"),
    ),
}
"""Kind -> the operators that have this kind whatever their arguments, and other names."""

_SAME_NAME = (
    *("relu", "relu6", "sigmoid", "silu", "mish", "softplus", "elu", "celu", "selu", "threshold", "glu"),
    *("eq", "isnan", "isinf", "isfinite", "nan_to_num", "reciprocal", "square", "sqrt", "rsqrt"),
    *("floor", "ceil", "round", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "erfinv"),
    *("sin", "cos", "tan", "sinh", "cosh", "tanh", "bitwise_not", "lerp", "floor_divide", "leaky_relu"),
    *(
        "logical_and",
        "logical_or",
        "logical_xor",
        "logical_not",
        "bilinear",
        "roll",
        "nonzero",
        "masked_fill",
    ),
)
"""The operators that are the only ones of their kind, and share its name."""

MATCHERS: dict[str, Matcher] = {
    **{name: fixed(kind) for kind, names in _FIXED.items() for name in names},
    **{name: fixed(names[0]) for names in _ALIASES for name in names},
    **{name: fixed(name) for name in _SAME_NAME},
    "linear": fixed("linear", "input", "weight", "bias"),
    **{f"conv{d}d": partial(products.conv, transposed=False) for d in (1, 2, 3)},
    **{f"conv_transpose{d}d": partial(products.conv, transposed=True) for d in (1, 2, 3)},
    **dict.fromkeys(("convolution", "_convolution"), products.conv),
    "addmm": partial(products.scaled_sum, factors=("mat1", "mat2")),
    "addmv": partial(products.scaled_sum, factors=("mat", "vec")),
    "baddbmm": partial(products.scaled_sum, factors=("batch1", "batch2")),
    "inner": products.inner,
    "einsum": products.einsum,
    "scaled_dot_product_attention": products.attention,
    **{kind: partial(products.recurrent, kind=kind) for kind in ("lstm", "gru")},
    **{f"{kind}_cell": partial(products.recurrent_cell, kind=kind) for kind in ("lstm", "gru")},
    **dict.fromkeys(("rnn_tanh", "rnn_relu"), partial(products.recurrent, kind="rnn")),
    **dict.fromkeys(("rnn_tanh_cell", "rnn_relu_cell"), partial(products.recurrent_cell, kind="rnn")),
    **{f"max_pool{d}d": partial(windows.max_pool, dims=d) for d in (1, 2, 3)},
    **{f"max_pool{d}d_with_indices": partial(windows.max_pool, dims=d) for d in (1, 2, 3)},
    **{f"fractional_max_pool{d}d": partial(windows.max_pool, dims=d) for d in (2, 3)},
    **{f"avg_pool{d}d": partial(windows.avg_pool, dims=d) for d in (1, 2, 3)},
    **{f"adaptive_avg_pool{d}d": partial(windows.adaptive_avg_pool, dims=d) for d in (1, 2, 3)},
    **{f"adaptive_max_pool{d}d": partial(windows.adaptive_max_pool, dims=d) for d in (1, 2, 3)},
    **{f"upsample_nearest{d}d": partial(windows.interpolate, taps=1) for d in (1, 2, 3)},
    **{f"_upsample_nearest_exact{d}d": partial(windows.interpolate, taps=1) for d in (1, 2, 3)},
    "upsample_linear1d": partial(windows.interpolate, taps=2),
    "upsample_bilinear2d": partial(windows.interpolate, taps=4),
    "upsample_trilinear3d": partial(windows.interpolate, taps=8),
    "upsample_bicubic2d": partial(windows.interpolate, taps=16),
    "_upsample_bilinear2d_aa": partial(windows.antialiased, support=1),
    "_upsample_bicubic2d_aa": partial(windows.antialiased, support=2),
    **dict.fromkeys(("grid_sampler", "grid_sampler_2d", "grid_sampler_3d"), windows.grid_sample),
    "torchvision::roi_align": windows.roi_align,
    "hardtanh": partial(pointwise.clamp, low="min_val", high="max_val"),
    "clamp": partial(pointwise.clamp, low="min", high="max"),
    "gelu": pointwise.gelu,
    "rrelu": pointwise.rrelu,
    "add": partial(pointwise.add, kind="add"),
    **dict.fromkeys(("sub", "rsub", "subtract"), partial(pointwise.add, kind="sub")),
    **dict.fromkeys(("div", "divide", "true_divide"), pointwise.div),
    **{kind: partial(pointwise.fused_add, kind=kind) for kind in ("addcmul", "addcdiv")},
    "max": partial(pointwise.extremum, kind="maximum"),
    "min": partial(pointwise.extremum, kind="minimum"),
    **dict.fromkeys(("dropout", "feature_dropout"), fixed("dropout", "input")),
    "batch_norm": reductions.batch_norm,
    "instance_norm": reductions.instance_norm,
    **{kind: partial(reductions.norm, kind=kind) for kind in ("layer_norm", "group_norm", "rms_norm")},
    **{f"native_{kind}": partial(reductions.norm, kind=kind) for kind in ("layer_norm", "group_norm")},
    "linalg_norm": reductions.matrix_norm,
    "mean": reductions.mean,
    **dict.fromkeys(("sort", "argsort", "topk", "kthvalue", "median"), reductions.sort),
    **dict.fromkeys(("bucketize", "searchsorted"), fixed("search", "self", "boundaries", "sorted_sequence")),
    **dict.fromkeys(("fft_fft", "fft_ifft", "fft_fft2", "fft_ifft2"), partial(reductions.fft, real=False)),
    **dict.fromkeys(("fft_rfft", "fft_rfft2"), partial(reductions.fft, real=True)),
    **dict.fromkeys(("fft_irfft", "fft_irfft2"), partial(reductions.fft, real=True, inverse=True)),
    "embedding": fixed("embedding", "weight", "indices"),
    "embedding_bag": indexing.embedding_bag,
    "where": indexing.where,
    "copy": fixed("copy", "src"),
    **dict.fromkeys(("index", "index_select", "gather", "take"), fixed("gather", "self", "indices", "index")),
    "scatter": indexing.scatter,
    **dict.fromkeys(("index_put", "_index_put_impl"), indexing.index_put),
}
"""Base name of an operator -> its matcher. An operator without a matcher is unknown, unless `is_free`."""

_FREE = {
    *("empty_like", "zeros_like", "ones_like", "full_like", "zero", "fill", "new_empty", "new_empty_strided"),
    *("new_zeros", "new_ones", "new_full", "as_strided", "detach", "rename", "resize", "squeeze", "swapaxes"),
    *("t", "transpose", "unsqueeze"),
}
"""The operators that allocate, and the views that have a variant in place."""

_DROPOUTS = frozenset({"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"})
_QUERIES = ("is_", "sym_", "_assert", "_local_scalar_dense", "item", "size", "stride", "numel")


def is_query(name: str) -> bool:
    """Return True if an operator without output tensors only reads a property or number of a tensor."""
    return name.startswith(_QUERIES)


def is_free(base_name: str, args: Arguments) -> bool:
    """Return True if an operator does no work: it allocates, changes a view in place or drops nothing."""
    if base_name in _DROPOUTS:
        return not args["train"]
    return base_name in _FREE

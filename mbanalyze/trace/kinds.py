"""Which ATen calls are of which kind, and which do no work."""

from __future__ import annotations

from mbanalyze.trace import match as see
from mbanalyze.trace.match import Recogniser
from mbanalyze.trace.schema import Arguments

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

RULES: dict[str, Recogniser] = {
    **{name: see.reads(kind) for kind, names in _ONE_KIND.items() for name in names},
    **{f"conv{d}d": see.conv(transposed=False) for d in (1, 2, 3)},
    **{f"conv_transpose{d}d": see.conv(transposed=True) for d in (1, 2, 3)},
    "linear": see.linear,
    "convolution": see.conv(transposed=None),
    "_convolution": see.conv(transposed=None),
    "addmm": see.scaled("mat1", "mat2", "self"),
    "addmv": see.scaled("mat", "vec", "self"),
    "baddbmm": see.scaled("batch1", "batch2", "self"),
    "inner": see.inner,
    "einsum": see.einsum,
    "scaled_dot_product_attention": see.attention,
    "lstm": see.recurrent("lstm"),
    "gru": see.recurrent("gru"),
    "rnn_tanh": see.recurrent("rnn"),
    "rnn_relu": see.recurrent("rnn"),
    "lstm_cell": see.cell("lstm"),
    "gru_cell": see.cell("gru"),
    "rnn_tanh_cell": see.cell("rnn"),
    "rnn_relu_cell": see.cell("rnn"),
    "embedding_bag": see.embedding_bag,
    "embedding": see.reads("embedding", "weight", "indices"),
    "batch_norm": see.batch_norm,
    "layer_norm": see.norm("layer_norm"),
    "native_layer_norm": see.norm("layer_norm"),
    "group_norm": see.norm("group_norm"),
    "native_group_norm": see.norm("group_norm"),
    "instance_norm": see.instance_norm,
    "rms_norm": see.norm("rms_norm"),
    "hardtanh": see.clamp("min_val", "max_val"),
    "clamp": see.clamp("min", "max"),
    "gelu": see.gelu,
    "add": see.add("add"),
    "sub": see.add("sub"),
    "rsub": see.add("sub"),
    "subtract": see.add("sub"),
    "div": see.div,
    "divide": see.div,
    "true_divide": see.div,
    "addcmul": see.addc("addcmul"),
    "addcdiv": see.addc("addcdiv"),
    "rrelu": see.rrelu,
    "linalg_norm": see.matrix_norm,
    "dropout": see.reads("dropout", "input"),
    "feature_dropout": see.reads("dropout", "input"),
    "copy": see.reads("copy", "src"),
    **{f"max_pool{d}d": see.max_pool(d) for d in (1, 2, 3)},
    **{f"max_pool{d}d_with_indices": see.max_pool(d) for d in (1, 2, 3)},
    **{f"fractional_max_pool{d}d": see.max_pool(d) for d in (2, 3)},
    **{f"avg_pool{d}d": see.avg_pool(d) for d in (1, 2, 3)},
    **{f"adaptive_avg_pool{d}d": see.adaptive_avg_pool(d) for d in (1, 2, 3)},
    **{f"adaptive_max_pool{d}d": see.adaptive_max_pool(d) for d in (1, 2, 3)},
    "mean": see.mean,
    "aminmax": see.reads("extremes"),
    "max": see.largest("maximum"),
    "min": see.largest("minimum"),
    **{f"upsample_nearest{d}d": see.interpolate(1) for d in (1, 2, 3)},
    **{f"_upsample_nearest_exact{d}d": see.interpolate(1) for d in (1, 2, 3)},
    "upsample_linear1d": see.interpolate(2),
    "upsample_bilinear2d": see.interpolate(4),
    "upsample_trilinear3d": see.interpolate(8),
    "upsample_bicubic2d": see.interpolate(16),
    "_upsample_bilinear2d_aa": see.antialiased(1),
    "_upsample_bicubic2d_aa": see.antialiased(2),
    "grid_sampler": lambda call: see.grid_sample(call["input"].dim() - 2)(call),
    "grid_sampler_2d": see.grid_sample(2),
    "grid_sampler_3d": see.grid_sample(3),
    "torchvision::roi_align": see.roi_align,
    "torchvision::nms": see.reads("non_maximum_suppression"),
    "sort": see.along("sort"),
    "argsort": see.along("sort"),
    "topk": see.along("sort"),
    "kthvalue": see.along("sort"),
    "median": see.along("sort"),
    "bucketize": see.search,
    "searchsorted": see.search,
    "where": see.where,
    "scatter": see.scatter,
    "index": see.index,
    "masked_select": see.reads("gather"),
    "index_select": see.index,
    "gather": see.index,
    "take": see.index,
    "take_along_dim": see.reads("gather"),
    "index_put": see.index_put,
    "_index_put_impl": see.index_put,
    "fft_fft": see.fft(real=False),
    "fft_ifft": see.fft(real=False),
    "fft_fft2": see.fft(real=False),
    "fft_ifft2": see.fft(real=False),
    "fft_rfft": see.fft(real=True),
    "fft_irfft": see.fft(real=True, inverse=True),
    "fft_rfft2": see.fft(real=True),
    "fft_irfft2": see.fft(real=True, inverse=True),
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

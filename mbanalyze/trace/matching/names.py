"""The names of operators that have one kind whatever their arguments."""

from __future__ import annotations

ALIASES = (
    *(
        ("mul", "multiply", "outer", "ger", "deg2rad", "rad2deg"),
        ("pow", "float_power"),
    ),
    *(
        ("maximum", "fmax"),
        ("minimum", "fmin"),
        ("remainder", "fmod"),
        ("neg", "negative"),
        ("abs", "absolute"),
    ),
    *(
        ("sign", "sgn"),
        ("trunc", "fix", "frac"),
        ("erf", "erfc", "special_erf", "special_erfc"),
        ("asin", "arcsin"),
    ),
    *(("acos", "arccos"), ("atan", "arctan"), ("atan2", "arctan2"), ("ne", "not_equal"), ("lt", "less")),
    *(("le", "less_equal"), ("gt", "greater"), ("ge", "greater_equal"), ("prelu", "_prelu_kernel")),
    *(("bitwise_and", "__and__", "__iand__"), ("bitwise_or", "__or__", "__ior__")),
    *(("bitwise_xor", "__xor__", "__ixor__"), ("hypot",), ("copysign",), ("heaviside",), ("nextafter",)),
    *(
        ("softmax", "_softmax", "_safe_softmax", "_masked_softmax", "quantized::softmax"),
        ("log_softmax", "_log_softmax"),
    ),
    *(("var", "std", "var_mean", "std_mean"), ("flip", "fliplr", "flipud", "rot90")),
    *(("repeat", "tile", "repeat_interleave"), ("scatter_add", "index_add", "col2im", "unfold_backward")),
    (
        "cat",
        "concat",
        "concatenate",
        "stack",
        "hstack",
        "vstack",
        "column_stack",
        "block_diag",
        "_stack",
        "_chunk_cat",
        "quantized::cat",
    ),
)
"""The operators that have one kind whatever their arguments; the first of each gives the kind its name."""


def _decomposed(work: str) -> tuple[str, ...]:
    """The operators that quantise or dequantise plain tensors, in graphs of PyTorch's exporter."""
    units = ("tensor", "channel", "channel_group", "token")
    return tuple(f"quantized_decomposed::{work}_per_{unit}" for unit in units)


_CHOSEN_SCALES = tuple(
    f"quantized_decomposed::{name}"
    for name in (
        *("choose_qparams", "choose_qparams_symmetric"),
        *("choose_qparams_per_token", "choose_qparams_per_token_asymmetric"),
    )
)
"""The operators that choose a scale and a zero point by the extremes of a tensor or row."""

FIXED = {
    "relu6": ("quantized::relu6",),
    "sigmoid": ("quantized::sigmoid",),
    "elu": ("quantized::elu",),
    "celu": ("quantized::celu",),
    "threshold": ("quantized::threshold",),
    "leaky_relu": ("quantized::leaky_relu",),
    "hard_sigmoid": ("hardsigmoid",),
    "hard_swish": ("hardswish", "quantized::hardswish"),
    "hard_shrink": ("hardshrink",),
    "soft_shrink": ("softshrink",),
    "add": ("quantized::add", "quantized::add_scalar", "quantized::add_out", "quantized::add_scalar_out"),
    "mul": ("quantized::mul", "quantized::mul_scalar", "quantized::mul_out", "quantized::mul_scalar_out"),
    "add_relu": (
        *("_add_relu", "quantized::add_relu", "quantized::add_scalar_relu"),
        *("quantized::add_relu_out", "quantized::add_scalar_relu_out"),
    ),
    "mul_relu": (
        *("quantized::mul_relu", "quantized::mul_scalar_relu"),
        *("quantized::mul_relu_out", "quantized::mul_scalar_relu_out"),
    ),
    "cat": ("quantized::cat_out",),
    "cat_relu": ("quantized::cat_relu", "quantized::cat_relu_out"),
    "matmul": ("quantized::matmul",),
    "prelu": ("quantized::prelu",),
    "clamp": ("clamp_min", "clamp_max", "quantized::clamp"),
    "batch_norm": (
        "quantized_batch_norm",
        *(f"quantized::batch_norm{d}" for d in ("", "1d", "2d", "3d")),
    ),
    "batch_norm_relu": tuple(f"quantized::batch_norm{d}_relu" for d in ("", "1d", "2d", "3d")),
    "log_add_exp": ("logaddexp", "logaddexp2"),
    "x_log_y": ("xlogy", "special_xlogy"),
    "x_log1p_y": ("special_xlog1py",),
    "scale_by_power": ("ldexp",),
    "sinc": ("sinc", "special_sinc"),
    "logit": ("logit", "special_logit"),
    "entropy": ("special_entr",),
    "asinh": ("asinh", "arcsinh"),
    "acosh": ("acosh", "arccosh"),
    "atanh": ("atanh", "arctanh"),
    "angle": ("angle",),
    "conjugate": ("conj_physical", "_conj_physical"),
    "polar": ("polar",),
    "signbit": ("signbit",),
    "frexp": ("frexp",),
    "isinf": ("isneginf", "isposinf"),
    "special_function": (
        *("lgamma", "digamma", "polygamma", "igamma", "igammac", "special_erfcx", "special_ndtri"),
        *("special_ndtr", "special_log_ndtr", "i0", "special_i0", "special_i0e", "special_i1", "special_i1e"),
        *("special_zeta", "special_gammaln", "special_digamma", "special_psi", "special_polygamma"),
        *("special_gammainc", "special_gammaincc"),
    ),
    "quantize": ("quantize_per_tensor", "quantize_per_channel", *_decomposed("quantize")),
    "dequantize": ("dequantize", *_decomposed("dequantize")),
    "equal": ("equal",),
    "all_close": ("allclose",),
    "log_sum_exp": ("logsumexp", "special_logsumexp"),
    "weight_norm": ("_weight_norm",),
    "renorm": ("renorm",),
    "embedding_renorm": ("embedding_renorm",),
    "unfold": ("im2col",),
    "extremes": ("aminmax", "_aminmax", *_CHOSEN_SCALES),
    "non_maximum_suppression": ("torchvision::nms",),
    "gather": ("masked_select", "take_along_dim", "_pack_padded_sequence"),
    "shift": (
        *("bitwise_left_shift", "bitwise_right_shift"),
        *("__lshift__", "__rshift__", "__ilshift__", "__irshift__"),
    ),
    "norm": ("linalg_vector_norm", "norm", "frobenius_norm", "linalg__powsum"),
    "reduce": (
        *("sum", "amax", "amin", "all", "any", "argmax", "argmin", "nansum", "count_nonzero"),
        *("_is_all_true", "_is_any_true", "hash_tensor"),
    ),
    "cumulate": ("cumsum", "cummax", "cummin", "logcumsumexp", "_logcumsumexp"),
    "count": ("bincount",),
    "pad": (
        *("constant_pad_nd", "_pad_circular"),
        *(f"{mode}_pad{d}d" for mode in ("reflection", "replication") for d in (1, 2, 3)),
    ),
    "copy": (
        *("clone", "contiguous", "flatten", "reshape", "to", "_to_copy", "ravel", "_reshape_copy", "complex"),
        *("int_repr", "_make_per_tensor_quantized_tensor", "_make_per_channel_quantized_tensor"),
        *("alias_copy", "as_strided_copy", "detach_copy", "diagonal_copy", "expand_copy", "narrow_copy"),
        *("permute_copy", "select_copy", "slice_copy", "split_copy", "split_with_sizes_copy", "squeeze_copy"),
        *("t_copy", "transpose_copy", "unbind_copy", "unfold_copy", "unsqueeze_copy", "view_copy"),
        *(
            "view_as_complex_copy",
            "view_as_real_copy",
            "_reshape_alias_copy",
            "_pin_memory",
            "lift_fresh_copy",
        ),
        *("_conj_copy", "_neg_view_copy", "_to_dense", "quantized_decomposed::convert_element_type"),
    ),
    "shuffle": ("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle"),
    "triangle": ("tril", "triu", "lu_unpack"),
    "scatter": (
        *("index_copy", "index_fill", "slice_scatter", "select_scatter", "diagonal_scatter"),
        *("as_strided_scatter", "masked_scatter", "max_unpool2d", "max_unpool3d", "diag_embed"),
    ),
    "random": ("poisson", "binomial", "_standard_gamma", "_sample_dirichlet"),
    "sequence": ("linspace", "fft_fftfreq", "fft_rfftfreq"),
    "power_sequence": ("logspace",),
    "cosine_window": ("hann_window", "hamming_window"),
    "blackman_window": ("blackman_window",),
    "bartlett_window": ("bartlett_window",),
    "kaiser_window": ("kaiser_window",),
    "lu": ("linalg_lu",),
    "cholesky": ("cholesky",),
    "cholesky_inverse": ("cholesky_inverse",),
    "householder_product": ("linalg_householder_product",),
    "householder_multiply": ("ormqr",),
}
"""Kind -> the operators that have this kind whatever their arguments, and other names."""

SAME_NAME = (
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

DRAWS = (
    *("normal", "normal_functional", "log_normal", "uniform", "exponential", "cauchy", "geometric", "random"),
    *("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like"),
)
"""The operators that fill a tensor with random numbers."""

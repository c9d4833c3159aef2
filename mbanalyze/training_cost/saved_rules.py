"""The rules for the tensors that each kind of operator keeps for its backward pass, as PyTorch's CPU kernels do."""

from __future__ import annotations

from collections.abc import Mapping

from mbanalyze.ops.formulas import DATA_MOVEMENT
from mbanalyze.training_cost import saved_elementwise as elementwise
from mbanalyze.training_cost import saved_products as products
from mbanalyze.training_cost import saved_reductions as reductions
from mbanalyze.training_cost.kept import (
    SavedRule,
    all_and_result,
    both,
    first,
    integers,
    nothing,
    others,
    result,
    result_in_place,
)

SAVED: Mapping[str, SavedRule] = {
    **dict.fromkeys(("conv", "deform_conv"), both),
    "bilinear": others,
    "linear": products.linear,
    "matmul": products.matmul,
    "einsum": products.einsum,
    "attention": products.attention,
    "batch_norm": reductions.batch_norm,
    "batch_norm_training": reductions.batch_norm_training,
    "layer_norm": reductions.layer_norm,
    "rms_norm": reductions.rms_norm,
    "group_norm": reductions.group_norm,
    "instance_norm": reductions.instance_norm,
    "weight_norm": reductions.weight_norm,
    "dropout": elementwise.dropout,
    **dict.fromkeys(("max_pool", "adaptive_max_pool"), reductions.max_pool),
    **dict.fromkeys(("avg_pool", "adaptive_avg_pool"), first),
    "global_avg_pool": reductions.global_avg_pool,
    "reduce": reductions.reduce,
    "cumulate": reductions.cumulate,
    "sort": reductions.extremum,
    "scatter_add": reductions.scatter_add,
    "var": reductions.var,
    **dict.fromkeys(DATA_MOVEMENT, integers),
    "pad": reductions.pad,
    "embedding": integers,
    "gather": reductions.gather,
    **dict.fromkeys(("norm", "log_sum_exp"), all_and_result),
    **dict.fromkeys(("add", "sub", "neg", "scaled_add", "mean", "interpolate", "affine_grid"), nothing),
    **dict.fromkeys(("sign", "floor", "ceil", "round", "trunc"), nothing),
    "mul": others,
    "div": elementwise.quotient,
    "pow": elementwise.power,
    "remainder": elementwise.second_gradient,
    **dict.fromkeys(("addcmul", "scaled_addcmul"), elementwise.added_product),
    **dict.fromkeys(("addcdiv", "scaled_addcdiv"), elementwise.added_quotient),
    "lerp": elementwise.lerp,
    **dict.fromkeys(("maximum", "minimum", "atan2", "log_add_exp", "grid_sample"), both),
    "hypot": elementwise.hypotenuse,
    **dict.fromkeys(("relu", "sigmoid", "tanh", "softmax", "log_softmax"), result),
    **dict.fromkeys(("sqrt", "rsqrt", "exp", "exp2", "expm1", "tan", "reciprocal", "erfinv"), result),
    **dict.fromkeys(("elu", "celu", "selu", "leaky_relu"), result_in_place),
    **dict.fromkeys(("relu6", "hard_shrink", "soft_shrink", "threshold"), first),
    "clamp": both,
    **dict.fromkeys(("hard_sigmoid", "hard_swish", "silu", "softplus", "mish", "gelu", "gelu_tanh"), first),
    **dict.fromkeys(("abs", "square", "log", "log2", "log10", "log1p", "erf", "sin", "cos"), first),
    **dict.fromkeys(("asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh"), first),
    **dict.fromkeys(("nan_to_num", "glu"), first),
    "prelu": both,
    "log_sigmoid": elementwise.log_sigmoid,
    **dict.fromkeys(
        ("mse_loss", "smooth_l1_loss", "huber_loss", "bce_loss", "bce_with_logits_loss"), reductions.loss
    ),
    "soft_margin_loss": reductions.loss,
    "nll_loss": reductions.nll_loss,
}
"""Kind of operator -> the tensors that it keeps. Those of any other kind are unknown."""

"""`FORMULAS`, the formula of each kind of operator, and `COMPLEX_FORMULAS`, that of its complex numbers.

A formula returns only multiply-accumulates and flops; `registry.cost` derives all other counts from the record.
The docstring of a formula is its derivation, with its source; the comment below it is the operator's shape signature.
The documentation prints both for every kind.

Sizes by letter: `n` batch, `c` channels in, `k` channels out, `g` groups, `h w` height and width, `m` the summed dimension.
"""

from __future__ import annotations

from collections.abc import Mapping

from mbanalyze.ops import contractions, products, reductions, windows
from mbanalyze.ops.complex_numbers import complex_formulas
from mbanalyze.ops.derivations import Formula, normalisation, per_element, per_input_element
from mbanalyze.ops.elementwise import ELEMENTWISE
from mbanalyze.ops.linear_algebra import LINEAR_ALGEBRA
from mbanalyze.ops.losses import LOSSES

GATHERS = frozenset({"embedding", "gather"})
"""Kinds that read only the selected elements of their first operand, as many as they write."""

DATA_MOVEMENT = (
    *("cat", "copy", "pad", "roll", "flip", "repeat", "where", "masked_fill", "triangle", "shuffle"),
    *("scatter", "unfold"),
)
"""Kinds that move elements and compute nothing."""

_NORMALISATION_STEPS = "mean, subtract, square, mean, scale"

FORMULAS: Mapping[str, Formula] = {
    "conv": products.conv,
    "linear": products.linear,
    "matmul": products.matmul,
    "sparse_matmul": products.sparse_matmul,
    "sampled_matmul": products.sampled_matmul,
    "attention": contractions.attention,
    "einsum": contractions.einsum,
    "bilinear": products.bilinear,
    "deform_conv": products.deform_conv,
    "distance": products.distance,
    "affine_grid": products.affine_grid,
    "embedding_bag": reductions.embedding_bag,
    **dict.fromkeys(contractions.RECURRENT_CELLS, contractions.recurrent),
    "batch_norm": per_element(2, "multiply, add", "arXiv:1502.03167 Algorithm 2; at inference"),
    "batch_norm_training": normalisation(5, _NORMALISATION_STEPS, "arXiv:1502.03167 Algorithm 1"),
    "layer_norm": normalisation(5, _NORMALISATION_STEPS, "arXiv:1607.06450"),
    "group_norm": normalisation(5, _NORMALISATION_STEPS, "arXiv:1803.08494"),
    "instance_norm": normalisation(5, _NORMALISATION_STEPS, "arXiv:1607.08022"),
    "rms_norm": normalisation(3, "square, mean, scale", "arXiv:1910.07467"),
    "weight_norm": per_element(4, "square, add, multiply by magnitude, divide by norm", "arXiv:1602.07868"),
    "renorm": per_input_element(3, "square, add, scale", "arXiv:1207.0580 section 2; slices of limited norm"),
    "embedding_renorm": reductions.embedding_renorm,
    "norm": per_input_element(2, "square, add"),
    "norm_of_difference": per_input_element(3, "subtract, square, add"),
    "var": per_input_element(4, "mean, subtract, square, mean"),
    "log_sum_exp": per_input_element(4, "compare, subtract, exp, sum"),
    "reduce": reductions.reduction,
    "segment_reduce": per_input_element(1, "one step of a reduction"),
    "extremes": reductions.extremes,
    "cumulate": per_input_element(1, "one step of a running sum or product"),
    "nonzero": per_input_element(1, "one comparison"),
    "equal": per_input_element(2, "compare, combine"),
    "all_close": per_input_element(7, "subtract, abs, abs, multiply, add, compare, combine"),
    "softmax": per_element(contractions.SOFTMAX_FLOPS, "compare, subtract, exp, sum, divide"),
    "log_softmax": per_element(contractions.SOFTMAX_FLOPS, "compare, subtract, exp, sum, subtract"),
    "glu": per_element(5, "sigmoid, multiply", "arXiv:1612.08083"),
    **LOSSES,
    "interpolate": windows.interpolate,
    "grid_sample": windows.interpolate,
    "roi_align": windows.interpolate,
    "sort": reductions.sort,
    "unique": reductions.unique,
    "is_in": reductions.is_in,
    "non_maximum_suppression": reductions.non_maximum_suppression,
    "search": reductions.searchsorted,
    "count": per_input_element(1, "one addition to a bin"),
    "fixed_histogram": per_input_element(6, "compare, compare, subtract, divide, multiply, increment"),
    "histogram": reductions.histogram,
    "multinomial": reductions.multinomial,
    "fft": reductions.fft,
    "scatter_add": reductions.scatter_add,
    "adaptive_max_pool": windows.adaptive_max_pool,
    "random": per_element(1, "one draw"),
    "sequence": per_element(1, "one step of a sequence"),
    "max_pool": windows.max_pool,
    "avg_pool": windows.avg_pool,
    "global_avg_pool": reductions.mean,
    "mean": reductions.mean,
    "adaptive_avg_pool": windows.adaptive_avg_pool,
    **LINEAR_ALGEBRA,
    **dict.fromkeys(DATA_MOVEMENT, reductions.data_movement),
    **dict.fromkeys(sorted(GATHERS), reductions.lookup),
    **{kind: per_element(*derivation) for kind, derivation in ELEMENTWISE.items()},
}
"""Kind of operator -> its formula. Counts of any other kind are unknown, never zero."""

COMPLEX_FORMULAS: Mapping[str, Formula] = complex_formulas(FORMULAS, (*DATA_MOVEMENT, *GATHERS, "fft"))
"""Kind of operator -> its formula if it reads or writes complex numbers."""

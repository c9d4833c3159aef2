"""The matcher of each operator."""

from __future__ import annotations

from functools import partial

from mbanalyze.trace.matching import (
    factorisations,
    indexing,
    losses,
    pointwise,
    products,
    reductions,
    sequence_layers,
    sparse,
    transforms,
    windows,
)
from mbanalyze.trace.matching.match import Matcher, fixed
from mbanalyze.trace.matching.names import ALIASES, DRAWS, FIXED, SAME_NAME
from mbanalyze.trace.matching.quantised import QUANTISED

_PRODUCTS: dict[str, Matcher] = {
    "linear": fixed("linear", "input", "weight", "bias"),
    **{f"conv{d}d": partial(products.conv, transposed=False) for d in (1, 2, 3)},
    **{f"conv_transpose{d}d": partial(products.conv, transposed=True) for d in (1, 2, 3)},
    **dict.fromkeys(("convolution", "_convolution"), products.conv),
    "conv_tbc": products.conv_tbc,
    "torchvision::deform_conv2d": products.deform_conv,
    **dict.fromkeys(("mm", "bmm", "_int_mm"), products.matmul),
    "matmul": partial(products.matmul, names=("self", "other")),
    "mv": partial(products.matmul, names=("self", "vec")),
    "dot": partial(products.matmul, names=("self", "tensor")),
    "vdot": partial(products.matmul, names=("self", "other")),
    "addmm": partial(products.scaled_sum, factors=("mat1", "mat2")),
    "_addmm_activation": partial(products.scaled_sum, factors=("mat1", "mat2"), activation=True),
    "addmv": partial(products.scaled_sum, factors=("mat", "vec")),
    "baddbmm": partial(products.scaled_sum, factors=("batch1", "batch2")),
    "addbmm": products.batch_sum,
    "addr": products.outer_sum,
    **dict.fromkeys(("_grouped_mm", "_scaled_grouped_mm", "_scaled_grouped_mm_v2"), products.grouped),
    **dict.fromkeys(("_scaled_mm", "_scaled_mm_v2"), products.scaled),
    "_weight_int8pack_mm": partial(products.packed, scales=1),
    **dict.fromkeys(
        (
            *("_weight_int4pack_mm", "_weight_int4pack_mm_for_cpu"),
            *("_weight_int4pack_mm_with_scales_and_zeros", "_dyn_quant_matmul_4bit"),
        ),
        partial(products.packed, scales=0, unpacked=True),
    ),
    "inner": products.inner,
    **dict.fromkeys(
        ("cdist", "_cdist_forward", "_euclidean_dist", "pdist", "_pdist_forward"), products.distance
    ),
    "affine_grid_generator": fixed("affine_grid", "theta"),
    "_sparse_mm": sparse.sparse_mm,
    **dict.fromkeys(("_sparse_addmm", "sspaddmm"), sparse.sparse_addmm),
    "hspmm": sparse.hybrid_mm,
    "sparse_sampled_addmm": sparse.sampled_addmm,
    "einsum": products.einsum,
    **dict.fromkeys(
        (
            *("scaled_dot_product_attention", "_scaled_dot_product_fused_attention_overrideable"),
            *(f"_scaled_dot_product_{name}_attention" for name in ("flash", "efficient", "cudnn")),
            "_scaled_dot_product_flash_attention_for_cpu",
        ),
        sequence_layers.attention,
    ),
    **{kind: partial(sequence_layers.recurrent, kind=kind) for kind in ("lstm", "gru")},
    **{f"{kind}_cell": partial(sequence_layers.recurrent_cell, kind=kind) for kind in ("lstm", "gru")},
    **dict.fromkeys(("rnn_tanh", "rnn_relu"), partial(sequence_layers.recurrent, kind="rnn")),
    **dict.fromkeys(("rnn_tanh_cell", "rnn_relu_cell"), partial(sequence_layers.recurrent_cell, kind="rnn")),
    **QUANTISED,
}
"""The matchers of products."""

_LOSSES: dict[str, Matcher] = {
    **{name: losses.loss(name) for name in ("mse_loss", "smooth_l1_loss", "huber_loss", "soft_margin_loss")},
    "binary_cross_entropy": losses.loss("bce_loss"),
    "binary_cross_entropy_with_logits": losses.loss("bce_with_logits_loss"),
    **dict.fromkeys(("nll_loss_forward", "nll_loss2d_forward"), losses.nll_loss),
    "multi_margin_loss": losses.multi_margin_loss,
    "_ctc_loss": losses.ctc_loss,
    "dist": losses.distance,
}
"""The matchers of loss functions."""

_WINDOWS: dict[str, Matcher] = {
    **{f"max_pool{d}d": partial(windows.max_pool, dims=d) for d in (1, 2, 3)},
    **{f"max_pool{d}d_with_indices": partial(windows.max_pool, dims=d) for d in (1, 2, 3)},
    **{f"fractional_max_pool{d}d": partial(windows.max_pool, dims=d) for d in (2, 3)},
    **{f"avg_pool{d}d": partial(windows.avg_pool, dims=d) for d in (1, 2, 3)},
    **{f"adaptive_avg_pool{d}d": partial(windows.adaptive_avg_pool, dims=d) for d in (1, 2, 3)},
    **{f"_adaptive_avg_pool{d}d": partial(windows.adaptive_avg_pool, dims=d) for d in (2, 3)},
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
    **{f"quantized_max_pool{d}d": partial(windows.max_pool, dims=d) for d in (1, 2, 3)},
    **{f"quantized::max_pool{d}d": partial(windows.max_pool, dims=d, image="qx") for d in (1, 2)},
    "_upsample_lanczos2d_aa": partial(windows.antialiased, support=3),
    "torchvision::ps_roi_align": windows.roi_align,
    "torchvision::roi_align": windows.roi_align,
}
"""The matchers of operators that combine the elements of a window."""

_FACTORISATIONS: dict[str, Matcher] = {
    "linalg_lu_factor_ex": fixed("lu", "A", outputs=2),
    "linalg_ldl_factor_ex": fixed("ldl", "self", outputs=2),
    "linalg_cholesky_ex": fixed("cholesky", "self", outputs=1),
    "linalg_inv_ex": fixed("inverse", "A", outputs=1),
    "_linalg_solve_ex": fixed("solve", "A", "B", outputs=1),
    "_linalg_det": fixed("determinant", "A", outputs=1),
    "_linalg_slogdet": factorisations.log_determinant,
    **dict.fromkeys(
        ("linalg_lu_solve", "linalg_ldl_solve"), fixed("factored_solve", "LU", "LD", "pivots", "B")
    ),
    "cholesky_solve": fixed("factored_solve", "input2", "self"),
    "_cholesky_solve_helper": fixed("factored_solve", "A", "self"),
    "linalg_solve_triangular": partial(factorisations.triangular_solve, names=("self", "B")),
    "triangular_solve": partial(factorisations.triangular_solve, names=("A", "self"), outputs=1),
    "linalg_lstsq": fixed("least_squares", "self", "b", outputs=1),
    "linalg_qr": factorisations.qr,
    "geqrf": factorisations.reflections,
    "_linalg_svd": factorisations.svd,
    "linalg_svdvals": factorisations.singular_values,
    "linalg_pinv": factorisations.pseudo_inverse,
    "_linalg_eigh": factorisations.eigh,
    "linalg_eigvalsh": factorisations.symmetric_eigenvalues,
    "linalg_eig": partial(factorisations.eig, vectors=True),
    **dict.fromkeys(("linalg_eigvals", "_linalg_eigvals"), partial(factorisations.eig, vectors=False)),
    "linalg_cross": fixed("cross", "self", "other"),
    "trace": factorisations.trace,
}
"""The matchers of factorisations and solvers."""

_REDUCTIONS: dict[str, Matcher] = {
    **dict.fromkeys(("batch_norm", "native_batch_norm", "_native_batch_norm_legit"), reductions.batch_norm),
    "_native_batch_norm_legit_functional": reductions.batch_norm,
    "_native_batch_norm_legit_no_training": partial(reductions.batch_norm, training=False),
    "_batch_norm_no_update": partial(reductions.batch_norm, training=False),
    **dict.fromkeys(
        ("_batch_norm_with_update", "_batch_norm_with_update_functional"),
        partial(reductions.batch_norm, training=True),
    ),
    "_fused_rms_norm": partial(reductions.norm, kind="rms_norm"),
    "_weight_norm_interface": fixed("weight_norm", outputs=1),
    **{f"quantized::{kind}": partial(reductions.norm, kind=kind) for kind in ("layer_norm", "group_norm")},
    "quantized::instance_norm": partial(reductions.norm, kind="instance_norm"),
    "instance_norm": reductions.instance_norm,
    **{kind: partial(reductions.norm, kind=kind) for kind in ("layer_norm", "group_norm", "rms_norm")},
    **{f"native_{kind}": partial(reductions.norm, kind=kind) for kind in ("layer_norm", "group_norm")},
    "mean": reductions.mean,
    **dict.fromkeys(("sort", "argsort", "topk", "kthvalue", "median", "nanmedian", "mode"), reductions.sort),
    **dict.fromkeys(("bucketize", "searchsorted"), fixed("search", "self", "boundaries", "sorted_sequence")),
    "prod": partial(reductions.product, kind="reduce"),
    "cumprod": partial(reductions.product, kind="cumulate"),
    **dict.fromkeys(
        (*(f"fft_{i}fft{d}" for i in ("", "i") for d in ("", "2", "n")),), partial(transforms.fft, real=False)
    ),
    **dict.fromkeys(
        (*(f"fft_{name}{d}" for name in ("rfft", "ihfft") for d in ("", "2", "n")),),
        partial(transforms.fft, real=True),
    ),
    **dict.fromkeys(
        (*(f"fft_{name}{d}" for name in ("irfft", "hfft") for d in ("", "2", "n")),),
        partial(transforms.fft, real=True, inverse=True),
    ),
    "_fft_c2c": partial(transforms.fft_kernel, real=False),
    **dict.fromkeys(("_fft_r2c", "_fft_c2r"), partial(transforms.fft_kernel, real=True)),
}
"""The matchers of normalisations, reductions, sorts and transforms."""

_INDEXING: dict[str, Matcher] = {
    "embedding": fixed("embedding", "weight", "indices"),
    **dict.fromkeys(
        ("embedding_bag", "_embedding_bag", "_embedding_bag_forward_only"), indexing.embedding_bag
    ),
    "where": indexing.where,
    **dict.fromkeys(("copy", "copy_sparse_to_sparse"), fixed("copy", "src")),
    **dict.fromkeys(
        ("index", "_unsafe_index", "index_select", "gather", "take"),
        fixed("gather", "self", "indices", "index"),
    ),
    "_unsafe_masked_index": fixed("gather", "self", "indices", "mask"),
    **dict.fromkeys(("scatter", "scatter_reduce", "index_reduce"), indexing.scatter),
    "put": indexing.put,
    "segment_reduce": indexing.segment_reduce,
    **dict.fromkeys(("_unique", "_unique2", "unique_dim"), indexing.unique),
    **dict.fromkeys(
        ("unique_consecutive", "unique_dim_consecutive"), partial(indexing.unique, is_sorted=False)
    ),
    "pad": indexing.pad,
    "isin": fixed("is_in"),
    "histc": fixed("fixed_histogram"),
    "histogram": indexing.histogram,
    "multinomial": indexing.multinomial,
    "nonzero_static": fixed("nonzero"),
    **dict.fromkeys(("index_put", "_index_put_impl", "_unsafe_index_put"), indexing.index_put),
}
"""The matchers of lookups, gathers and scatters."""

MATCHERS: dict[str, Matcher] = {
    **{name: fixed(kind) for kind, names in FIXED.items() for name in names},
    **{name: fixed(names[0]) for names in ALIASES for name in names},
    **{name: fixed(name) for name in SAME_NAME},
    **_PRODUCTS,
    **_LOSSES,
    **_WINDOWS,
    **_FACTORISATIONS,
    **_REDUCTIONS,
    **_INDEXING,
    "hardtanh": partial(pointwise.clamp, low="min_val", high="max_val"),
    **dict.fromkeys(("clamp", "clip"), partial(pointwise.clamp, low="min", high="max")),
    "gelu": pointwise.gelu,
    "bernoulli": pointwise.bernoulli,
    **dict.fromkeys(DRAWS, pointwise.draw),
    **dict.fromkeys(("rrelu", "rrelu_with_noise", "rrelu_with_noise_functional"), pointwise.rrelu),
    "log_sigmoid": fixed("log_sigmoid"),
    "log_sigmoid_forward": fixed("log_sigmoid", outputs=1),
    "quantize_per_tensor_dynamic": fixed("quantize_dynamically"),
    **{
        f"fake_quantize_per_{unit}_affine_cachemask": fixed("fake_quantize", outputs=1)
        for unit in ("tensor", "channel")
    },
    "quantized_decomposed::fake_quant_per_channel": fixed("fake_quantize"),
    "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams": fixed("fake_quantize", outputs=1),
    **{
        f"_fake_quantize_learnable_per_{unit}_affine": fixed("fake_quantize", outputs=1)
        for unit in ("tensor", "channel")
    },
    "add": partial(pointwise.add, kind="add"),
    **dict.fromkeys(("sub", "rsub", "subtract"), partial(pointwise.add, kind="sub")),
    **dict.fromkeys(("div", "divide", "true_divide"), pointwise.div),
    **{kind: partial(pointwise.fused_add, kind=kind) for kind in ("addcmul", "addcdiv")},
    "max": partial(pointwise.extremum, kind="maximum"),
    "min": partial(pointwise.extremum, kind="minimum"),
    **dict.fromkeys(("dropout", "feature_dropout", "quantized::dropout"), fixed("dropout", "input", "self")),
    "native_dropout": fixed("dropout", "input", outputs=1),
}
"""Base name of an operator -> its matcher. An operator without a matcher is unknown, unless `is_free`."""

"""The operators that do no work: they allocate, view, query or check."""

from __future__ import annotations

from mbanalyze.trace.schema import Arguments

_ALLOCATIONS = frozenset(
    {
        *("empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided"),
        *("zeros", "zeros_like", "new_zeros", "zero", "ones", "ones_like", "new_ones"),
        *("full", "full_like", "new_full", "fill", "scalar_tensor", "from_file"),
        *("arange", "range", "eye", "tril_indices", "triu_indices"),
        *("empty_quantized", "_empty_affine_quantized", "_empty_per_channel_affine_quantized"),
        *("_efficientzerotensor", "_new_zeros_with_same_feature_meta"),
        *("sparse_coo_tensor", "sparse_compressed_tensor", "_sparse_coo_tensor_with_dims"),
        *("_sparse_coo_tensor_with_dims_and_tensors", "_sparse_compressed_tensor_with_dims"),
    }
)
"""The operators that make a tensor of constants, of consecutive numbers, or of elements that exist."""

_VIEWS = frozenset(
    {
        *(
            "as_strided",
            "detach",
            "resize",
            "resize_as",
            "_resize_output",
            "set",
            "squeeze",
            "swapaxes",
        ),
        *("t", "transpose", "unsqueeze", "lift", "unsafe_split", "unsafe_split_with_sizes", "_unsafe_view"),
        *("_lazy_clone", "_coalesced", "shallow_copy_data"),
    }
)
"""The views that have a variant in place, or whose schema does not say that they are views."""

FREE = _ALLOCATIONS | _VIEWS
"""Base names of the operators that do no work whatever their arguments."""

_DROPOUTS = frozenset(
    {
        *("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout"),
        "quantized::dropout",
    }
)

_QUERIES = (
    *("is_", "sym_", "_assert", "_local_scalar_dense", "item", "size", "stride", "numel", "q_", "qscheme"),
    *("dense_dim", "sparse_dim", "_dim", "_nnz", "_use_", "_fused_sdp_choice", "_has_", "_functional_"),
    *("record_stream", "_print", "_make_dep_token", "_linalg_check_errors", "_debug_has", "profiler::"),
    *("_validate_", "get_gradients", "retains_grad", "_version", "output_nr", "can_cast", "result_type"),
)


def is_query(name: str) -> bool:
    """Return True if an operator without output tensors only reads or checks a property or number of a tensor."""
    return name.startswith(_QUERIES)


def is_dropout(base_name: str) -> bool:
    """Return True if an operator drops elements in training and does no work at inference."""
    return base_name in _DROPOUTS


def is_free(base_name: str, args: Arguments) -> bool:
    """Return True if an operator does no work: it allocates, changes a view in place or drops nothing."""
    if base_name in _DROPOUTS:
        keeps_all = args.get("p") == 0 and base_name != "native_dropout"
        return keeps_all or not args.get("train", args.get("training"))
    return base_name in FREE

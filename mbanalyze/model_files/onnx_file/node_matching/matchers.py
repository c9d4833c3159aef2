"""The matcher of each operator."""

from __future__ import annotations

from functools import partial

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching import (
    node_elementwise,
    node_indexing,
    node_losses,
    node_norms,
    node_products,
    node_reductions,
    node_sequences,
    node_transforms,
    node_windows,
)
from mbanalyze.model_files.onnx_file.node_matching.contrib_nodes import CONTRIB_NODES
from mbanalyze.model_files.onnx_file.node_matching.node_match import (
    NodeMatch,
    NodeMatcher,
    fixed_kind,
    no_work,
    of_elements,
    unknown,
)
from mbanalyze.model_files.onnx_file.node_matching.node_names import (
    ALLOCATIONS,
    DRAWS,
    ELEMENT_BY_ELEMENT,
    OF_ELEMENTS,
    OF_FIRST_INPUT,
    OF_TWO_INPUTS,
    REDUCTIONS,
)
from mbanalyze.model_files.onnx_file.node_matching.quantised_nodes import QUANTISED_NODES

_PRODUCTS: dict[str, NodeMatcher] = {
    "Conv": node_products.conv,
    "ConvTranspose": partial(node_products.conv, transposed=True),
    "CausalConvWithState": node_products.causal_conv,
    "DeformConv": node_products.deform_conv,
    "Gemm": node_products.gemm,
    "MatMul": node_products.matmul,
    "Einsum": node_products.einsum,
    **{name: node_sequences.recurrent(name.lower()) for name in ("LSTM", "GRU", "RNN")},
    "Attention": node_sequences.attention,
}
"""The matchers of products."""

_ELEMENTWISE: dict[str, NodeMatcher] = {
    "Clip": node_elementwise.clip,
    "Gelu": node_elementwise.gelu,
    "Shrink": node_elementwise.shrink,
    "Swish": node_elementwise.swish,
    "SwiGLU": node_elementwise.gated_swish,
    "Sum": node_elementwise.of_many("add"),
    "Mean": node_elementwise.of_many("add", mean=True),
    "Max": node_elementwise.of_many("maximum"),
    "Min": node_elementwise.of_many("minimum"),
    "RotaryEmbedding": node_sequences.rotary_embedding,
}
"""The matchers of operators that work element by element."""

_WINDOWS: dict[str, NodeMatcher] = {
    "MaxPool": node_windows.max_pool,
    "AveragePool": node_windows.avg_pool,
    "LpPool": node_windows.lp_pool,
    "GlobalLpPool": node_windows.global_lp_pool,
    "GlobalMaxPool": node_windows.global_max_pool,
    **dict.fromkeys(("Resize", "Upsample"), node_windows.resize),
    "GridSample": node_windows.grid_sample,
    "RoiAlign": node_windows.roi_align,
}
"""The matchers of operators that combine the elements of a window."""

_REDUCTIONS: dict[str, NodeMatcher] = {
    "BatchNormalization": node_norms.batch_norm,
    "InstanceNormalization": node_norms.norm("instance_norm"),
    "LayerNormalization": node_norms.norm("layer_norm"),
    "GroupNormalization": node_norms.norm("group_norm"),
    "RMSNormalization": node_norms.norm("rms_norm"),
    "MeanVarianceNormalization": node_norms.mean_variance_norm,
    "LRN": node_norms.local_response_norm,
    "ReduceMean": node_reductions.reduce_mean,
    "ReduceLogSum": node_reductions.log_of_sum,
    "TopK": node_reductions.top_k,
    "Unique": node_reductions.unique,
    "Hardmax": node_reductions.hard_max,
    "Multinomial": node_reductions.multinomial,
    "DFT": node_transforms.dft,
    "STFT": node_transforms.stft,
    "NegativeLogLikelihoodLoss": node_losses.nll_loss,
    "SoftmaxCrossEntropyLoss": node_losses.cross_entropy,
}
"""The matchers of normalisations, reductions, sorts, transforms and losses."""

_INDEXING: dict[str, NodeMatcher] = {
    "Slice": node_indexing.slice_,
    "Gather": node_indexing.gather,
    "Pad": node_indexing.pad,
    **dict.fromkeys(("Scatter", "ScatterElements", "ScatterND", "TensorScatter"), node_indexing.scatter),
    "NonMaxSuppression": node_indexing.non_max_suppression,
}
"""The matchers of slices, lookups, gathers and scatters."""

MATCHERS: dict[str, NodeMatcher] = {
    **{name: fixed_kind(kind) for name, kind in ELEMENT_BY_ELEMENT.items()},
    **{name: fixed_kind(kind, 0) for name, kind in OF_FIRST_INPUT.items()},
    **{name: fixed_kind(kind, 0, 1) for name, kind in OF_TWO_INPUTS.items()},
    **{name: node_reductions.reduction(kind) for name, kind in REDUCTIONS.items()},
    **{name: of_elements(flops) for name, flops in OF_ELEMENTS.items()},
    **{name: lambda _, __: NodeMatch("random", ()) for name in DRAWS},
    **dict.fromkeys(ALLOCATIONS, no_work),
    **_PRODUCTS,
    **_ELEMENTWISE,
    **_WINDOWS,
    **_REDUCTIONS,
    **_INDEXING,
    **QUANTISED_NODES,
    **CONTRIB_NODES,
}
"""Operator -> its matcher. An operator without a matcher is unknown."""


def match_node(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch | None:
    """Return what a node does, None if it does no work; an operator without a matcher is unknown."""
    matcher = MATCHERS.get(node.operator)
    return unknown(node) if matcher is None else matcher(node, outputs)

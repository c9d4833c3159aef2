"""Shape rules of the operators whose meta kernels are slow, because they run in Python."""

from __future__ import annotations

from mbanalyze.trace.shapes import contractions, elementwise_shapes, movement, pooling
from mbanalyze.trace.shapes.layout import ShapeRule

_UNARY = (
    *(
        "relu",
        "relu6",
        "leaky_relu",
        "hardtanh",
        "hardswish",
        "hardsigmoid",
        "silu",
        "gelu",
        "sigmoid",
        "tanh",
    ),
)
_BINARY = ("add", "sub", "mul", "div")

REQUIRED: dict[str, ShapeRule] = {
    "_grouped_mm": contractions.grouped_matmul,
    "rrelu": elementwise_shapes.contiguous_unary,
}
"""Operator name -> its shape rule, where PyTorch has none for some dtypes, or another than its kernels."""

SHORTCUTS: dict[str, ShapeRule] = {
    **REQUIRED,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), contractions.recurrent),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), contractions.conv),
    "linear": contractions.linear,
    "matmul": contractions.matmul,
    "scaled_dot_product_attention": contractions.attention,
    **dict.fromkeys(("max_pool2d", "avg_pool2d"), pooling.pool),
    "adaptive_avg_pool2d": pooling.adaptive_pool,
    "mean": pooling.mean,
    "cat": movement.cat,
    "roll": movement.roll,
    "contiguous": movement.make_contiguous,
    "reshape": movement.reshape,
    "index": movement.lookup,
    "copy_": movement.copy_in_place,
    "masked_fill": elementwise_shapes.masked_fill,
    "dropout": elementwise_shapes.dropout,
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), elementwise_shapes.compare_number),
    **dict.fromkeys(("softmax", "log_softmax"), elementwise_shapes.softmax),
    **dict.fromkeys(("batch_norm", "group_norm"), elementwise_shapes.channel_norm),
    "layer_norm": elementwise_shapes.layer_norm,
    **dict.fromkeys(_UNARY, elementwise_shapes.unary),
    **{f"{name}_": elementwise_shapes.unary_in_place for name in _UNARY},
    **dict.fromkeys(_BINARY, elementwise_shapes.binary),
    **{f"{name}_": elementwise_shapes.binary_in_place for name in _BINARY},
}
"""Operator name -> its shape rule."""

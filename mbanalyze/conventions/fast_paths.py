"""The modules of attention that run as one operator of PyTorch, their fast path, where a trace sees several."""

from __future__ import annotations

from mbanalyze.conventions.convention import Record
from mbanalyze.ops.calls import ModuleCall
from mbanalyze.ops.record import Op


def fast_attention(record: Record) -> list[ModuleCall]:
    """Return the calls of `nn.MultiheadAttention` that take the fast path without gradients on a CPU.

    It computes self-attention on batches, in the order batch, sequence, features, with an even number of heads.
    It has a bias, and neither extra keys nor a floating-point mask.
    """
    return [call for call in record.modules if _is_fast_attention(call, record.ops[call.first : call.last])]


def fast_encoder_layers(record: Record) -> list[ModuleCall]:
    """Return the calls of `nn.TransformerEncoderLayer` that take the fast path without gradients on a CPU.

    Its activation is a ReLU or GELU, and its norms have one epsilon; its attention is as above, with any mask.
    """
    calls = record.modules
    return [
        call
        for i, call in enumerate(calls)
        if call.settings.get("activation_relu_or_gelu")
        and _is_fast_encoder_layer(call, {c.path: c for c in calls[i:] if c.last <= call.last})
    ]


def _is_fast_attention(call: ModuleCall, ops: tuple[Op, ...]) -> bool:
    return (
        _has_fast_settings(call)
        and _is_self_attention(call, ops)
        and not call.settings["add_zero_attn"]
        and "bias_k" not in call.params
        and not _has_float_mask(call)
    )


def _has_fast_settings(call: ModuleCall) -> bool:
    """True for an `nn.MultiheadAttention` in eval mode whose settings allow the fast path."""
    if call.settings.get("training"):
        return False
    heads = call.settings.get("num_heads")
    even = isinstance(heads, int) and heads % 2 == 0
    return {"in_proj_weight", "in_proj_bias"} <= call.params.keys() and bool(
        even and call.settings.get("batch_first")
    )


def _is_self_attention(call: ModuleCall, ops: tuple[Op, ...]) -> bool:
    """True if query, key and value are one batch: one linear layer projects all three."""
    weight = call.params["in_proj_weight"]
    return any(op.kind == "linear" and op.operands[1].shape == weight for op in ops)


def _has_float_mask(call: ModuleCall) -> bool:
    """True if a mask is of floating-point numbers; the masks are the arguments 3 and 5."""
    masks = [call.arguments.get(key) for key in (3, "key_padding_mask", 5, "attn_mask")]
    return any(isinstance(mask, str) and "float" in mask for mask in masks)


def _is_fast_encoder_layer(call: ModuleCall, inside: dict[str, ModuleCall]) -> bool:
    parts = [inside.get(f"{call.path}.{name}".removeprefix(".")) for name in ("self_attn", "norm1", "norm2")]
    attention, *norms = parts
    if attention is None or None in norms:
        return False
    epsilons = {norm.settings.get("eps") for norm in norms if norm}
    return _has_fast_settings(attention) and len(attention.inputs[0]) == 3 and len(epsilons) == 1

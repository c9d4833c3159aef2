"""Outputs whose sizes depend on arguments with values, such as the lengths of sequences."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mbanalyze.trace.schema import Arguments
from mbanalyze.trace.shapes.contractions import recurrent
from mbanalyze.trace.shapes.layout import ShapeRule, contiguous
from mbanalyze.trace.torch_internals import pack_padded_sequence, pad_packed_sequence


def _pack_sequence(args: Arguments) -> tuple[Tensor, Tensor] | None:
    """The steps of padded sequences of known lengths, and the number of sequences at each step."""
    data, lengths = args["input"], args["lengths"]
    if lengths.is_meta:
        return None
    thin = torch.zeros((*data.shape[:2], 1))
    steps, batch_sizes = pack_padded_sequence(thin, lengths, args["batch_first"])
    return contiguous(data, (len(steps), *data.shape[2:])), batch_sizes


def _pad_sequence(args: Arguments) -> tuple[Tensor, Tensor] | None:
    """The padded sequences of packed steps, and their lengths."""
    data, sizes = args["data"], args["batch_sizes"]
    if sizes.is_meta:
        return None
    thin, longest = torch.zeros((len(data), 1)), args["total_length"]
    _, lengths = pad_packed_sequence(thin, sizes, False, args["padding_value"], longest)
    steps = len(sizes) if longest < 0 else longest
    output = contiguous(data, (steps, len(lengths), *data.shape[1:]))
    return output.transpose(0, 1) if args["batch_first"] else output, lengths


def _selected(args: Arguments) -> Tensor | None:
    data, mask = args["self"], args["mask"]
    if mask.is_meta:
        return None
    shape = torch.broadcast_shapes(data.shape, mask.shape)  # type: ignore[no-untyped-call]
    return contiguous(data, (int(mask.expand(shape).count_nonzero()),))


def _index(args: Arguments) -> Tensor | None:
    """The elements that masks with values select, as PyTorch's kernel gives them for the positions of the masks."""
    data, indices = args["self"], args["indices"]
    masks = [i for i in indices if i is not None and i.dtype in (torch.bool, torch.uint8)]
    if not masks or any(mask.is_meta for mask in masks):
        return None
    positions: list[Any] = []
    for index in indices:
        is_mask = index is not None and index.dtype in (torch.bool, torch.uint8)
        found = index.nonzero().unbind(1) if is_mask else [index]
        positions += [i.to("meta") if isinstance(i, Tensor) else i for i in found]
    like = torch.empty_strided(data.shape, data.stride(), dtype=data.dtype, device="meta")
    return torch.ops.aten.index.Tensor(like, positions)  # type: ignore[no-any-return]


def _repeat_interleave(args: Arguments) -> Tensor | None:
    """The rows that repeats with values select."""
    data, repeats, dim = args.get("self"), args.get("repeats"), args.get("dim")
    if data is None or not isinstance(repeats, Tensor) or repeats.is_meta:
        return None
    sizes = [data.numel()] if dim is None else list(data.shape)
    at = 0 if dim is None else dim
    sizes[at] = int(repeats.sum()) * (sizes[at] if repeats.numel() == 1 else 1)
    return contiguous(data, sizes)


def _packed_recurrent(args: Arguments) -> tuple[Tensor, ...] | None:
    """The outputs of a recurrent layer on packed sequences, whose kernel reads the number at each step."""
    return recurrent(args) if "data" in args and not args["batch_sizes"].is_meta else None


VALUED: dict[str, ShapeRule] = {
    "_pack_padded_sequence": _pack_sequence,
    "_pad_packed_sequence": _pad_sequence,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _packed_recurrent),
    "masked_select": _selected,
    "index": _index,
    "repeat_interleave": _repeat_interleave,
}
"""Operator name -> its outputs if the deciding arguments have values; None if they have none."""

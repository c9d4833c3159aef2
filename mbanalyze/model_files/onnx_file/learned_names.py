"""The names of learned numbers, and those that exporters make up for constants."""

from __future__ import annotations

import re

from mbanalyze.inputs.typed import Sizes
from mbanalyze.model_files.onnx_file.graph_tensors import FLOATING, GraphTensor

_OPERATIONS = "add|cat|clone|div|index|mul|permute|reshape|slice|sub|transpose|unsqueeze|view|where"
"""The names of the first tensors that the exporter of `torch.export` computes by each operator.

An expanded tensor is not among them: it is a learned token, as it was for a batch of one.
"""

_GENERATED = re.compile(
    r"(?!onnx::Conv_)(?:(?:.*::)?[A-Za-z]*_?\d+$|val_\d+|/|_|.*_output_\d+(?:_quantized)?$|onnx::|"
    rf"(?:{_OPERATIONS})$)"
)
"""The names that exporters make up for constants that they computed, except those of folded batch norms."""

_RESHAPED = re.compile(r"onnx::(?:Mul|Add)_\d+$|val_\d+$|(?:reshape|unsqueeze|view)(?:_\d+)?$")
"""The names that exporters make up for a scale or shift of channels, which they reshape."""

_EXPANDED = "expand"
"""The name of the first tensor that the exporter of `torch.export` expands: a learned token for the whole batch."""


def looks_learned(tensor: GraphTensor) -> bool:
    """Return True for an initializer of several numbers, with a name that no exporter made up.

    If the file lists the parameters of its module, those are learned. A scale or shift of channels may be exported
    with `c x 1 x 1` elements, by a name that is made up.
    """
    memory = tensor.memory
    if memory.origin != "initializer" or not has_several_numbers(tensor) or memory.declared == "buffer":
        return False
    if memory.declared == "parameter" or (_RESHAPED.match(memory.name) and _is_of_channels(tensor.shape)):
        return True
    return memory.name == _EXPANDED if memory.declared == "neither" else not _GENERATED.match(memory.name)


def _is_of_channels(shape: Sizes) -> bool:
    """True for the shape of one number for each channel, before at least two sizes of 1: `1 x c x 1 x 1`."""
    return sum(size != 1 for size in shape) == 1 and shape[-2:] == (1, 1)


def has_several_numbers(tensor: GraphTensor) -> bool:
    """Return True for a tensor of several numbers of a floating-point type."""
    return tensor.element_type in FLOATING and any(size != 1 for size in tensor.shape)

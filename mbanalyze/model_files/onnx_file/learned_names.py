"""The names of learned numbers, and those that exporters make up for constants."""

from __future__ import annotations

import re

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

_RESHAPED = re.compile(r"onnx::(?:Mul|Add)_\d+$|val_\d+$")
"""The names that exporters make up for a scale or shift of channels, which they reshape."""


def looks_learned(tensor: GraphTensor) -> bool:
    """Return True for an initializer of several numbers, with a name that no exporter made up.

    A group norm may be exported with a scale and a shift of `c x 1 x 1` elements, whose names are made up.
    """
    memory = tensor.memory
    if memory.origin != "initializer" or not has_several_numbers(tensor):
        return False
    first, *others = tensor.shape
    of_channels = first > 1 and others[1:] and set(others) == {1}
    return bool(of_channels and _RESHAPED.match(memory.name)) or not _GENERATED.match(memory.name)


def has_several_numbers(tensor: GraphTensor) -> bool:
    """Return True for a tensor of several numbers of a floating-point type."""
    return tensor.element_type in FLOATING and any(size != 1 for size in tensor.shape)

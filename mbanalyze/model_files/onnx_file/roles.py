"""Which initializers are weights: ONNX does not tell learned numbers from other constants."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mbanalyze.model_files.onnx_file.graph_tensors import FLOATING, GraphTensor, Memory
from mbanalyze.model_files.onnx_file.node_matching.contrib_nodes import CONTRIB_PARAMETERS
from mbanalyze.model_files.onnx_file.node_matching.quantised_nodes import QUANTISED_PARAMETERS
from mbanalyze.ops.record import Role

if TYPE_CHECKING:
    from mbanalyze.model_files.onnx_file.step import Step

_PARAMETER_INPUTS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "LayerNormalization", "InstanceNormalization"), (1, 2)),
    **dict.fromkeys(("BatchNormalization", "GroupNormalization"), (1, 2)),
    "Gemm": (0, 1, 2),
    "MatMul": (0, 1),
    "Gather": (0,),
    **dict.fromkeys(("PRelu", "RMSNormalization"), (1,)),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (1, 2, 3, 7)),
    "DeformConv": (1, 3),
    **QUANTISED_PARAMETERS,
    **CONTRIB_PARAMETERS,
    "CausalConvWithState": (1, 2),
    "Einsum": (0, 1, 2, 3),
}
"""Operator -> the inputs that hold learned numbers if they are initializers."""

_STATISTICS = {
    "BatchNormalization": (3, 4),
    "RotaryEmbedding": (1, 2),
    **dict.fromkeys(("STFT", "NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"), (2,)),
}
"""Operator -> the inputs that hold stored numbers: running statistics, angles, a window, weights of classes."""

_OPERATIONS = "add|cat|clone|div|index|mul|permute|reshape|slice|sub|transpose|unsqueeze|view|where"
"""The names of the first tensors that the exporter of `torch.export` computes by each operator.

An expanded tensor is not among them: it is a learned token, as it was for a batch of one.
"""

_GENERATED = re.compile(
    r"(?!onnx::Conv_)(?:(?:.*::)?[A-Za-z]*_?\d+$|val_\d+|/|_|.*_output_\d+(?:_quantized)?$|onnx::|"
    rf"(?:{_OPERATIONS})$)"
)
"""The names that exporters make up for constants that they computed, except those of folded batch norms."""

_RESHAPED = re.compile(r"onnx::(?:Mul|Add)_\d+$")
"""The names that the exporter of TorchScript makes up for a scale or shift of channels, which it reshapes."""


class Roles:
    """The roles of a graph's tensors.

    Attributes:
        computed: the constants that an exporter computed and an operator reads, by name, with their elements.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        """Look at each initializer where it is read."""
        self._learned: set[Memory] = set()
        self._statistics: set[Memory] = set()
        self.computed: dict[str, int] = {}
        for step in steps:
            for places, found in (
                (_PARAMETER_INPUTS.get(step.node.operator, ()), self._learned),
                (_STATISTICS.get(step.node.operator, ()), self._statistics),
            ):
                found.update(
                    tensor.memory for tensor in step.node.present(*places) if places and tensor.is_constant
                )

    def role_of(self, tensor: GraphTensor) -> Role:
        """Return the role of a tensor that an operator reads.

        A constant is a weight in the place of a parameter: the weight or bias of a product, the scale or shift of
        a normalisation. Elsewhere it is one if it has several elements of a floating-point type, and a name that
        no exporter made up.
        """
        memory = tensor.memory
        if not tensor.is_constant:
            return "activation"
        if memory in self._learned:
            return "weight"
        if memory in self._statistics or not _has_several_numbers(tensor):
            return "buffer"
        if not looks_learned(tensor):
            size = 1
            for n in tensor.shape:
                size *= n
            self.computed[memory.name] = size
            return "buffer"
        return "weight"


def looks_learned(tensor: GraphTensor) -> bool:
    """Return True for an initializer of several numbers, with a name that no exporter made up.

    A group norm is exported with a scale and shift of a made-up name, which have one dimension of several elements.
    """
    memory = tensor.memory
    if memory.origin != "initializer" or not _has_several_numbers(tensor):
        return False
    of_channels = _RESHAPED.match(memory.name) and sum(size != 1 for size in tensor.shape) == 1
    return bool(of_channels) or not _GENERATED.match(memory.name)


def _has_several_numbers(tensor: GraphTensor) -> bool:
    return tensor.element_type in FLOATING and any(size != 1 for size in tensor.shape)

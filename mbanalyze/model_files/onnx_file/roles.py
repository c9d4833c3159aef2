"""The roles of initializers: ONNX does not tell learned numbers from other constants."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import TYPE_CHECKING

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor, TensorMemory
from mbanalyze.model_files.onnx_file.learned_names import has_several_numbers, looks_learned
from mbanalyze.model_files.onnx_file.node_matching.contrib_nodes import CONTRIB_PARAMETERS
from mbanalyze.model_files.onnx_file.node_matching.quantised_nodes import QUANTISED_PARAMETERS
from mbanalyze.ops.record import Role

if TYPE_CHECKING:
    from mbanalyze.model_files.onnx_file.node_steps import NodeStep

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


class Roles:
    """The roles of a graph's tensors.

    Attributes:
        computed: the constants that an exporter computed and an operator reads, by name, with their elements.
    """

    def __init__(self, steps: Iterable[NodeStep]) -> None:
        """Look at each initializer where it is read."""
        self._learned: set[TensorMemory] = set()
        self._statistics: set[TensorMemory] = set()
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
        if memory.declared == "buffer":
            return "buffer"
        if memory in self._learned:
            return "weight"
        if memory in self._statistics or not has_several_numbers(tensor):
            return "buffer"
        if not looks_learned(tensor):
            self.computed[memory.name] = prod(tensor.shape)
            return "buffer"
        return "weight"

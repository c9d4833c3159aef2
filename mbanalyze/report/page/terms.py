"""The measures that a page shows, with their units, and the definition of each column."""

from __future__ import annotations

from mbanalyze.conventions.convention import Convention
from mbanalyze.report.convention_rows import counted_as, macs_name

MEASURES = {
    "macs": "multiply-accumulates",
    "flops": "FLOPs",
    "params": "params",
    "activations": "activations",
    "memory_access": "memory access",
}
"""The measures that areas, heights and shares can show: attributes of `Cost`, and their names."""

AXES = MEASURES | {"activations": "activations (elements)", "memory_access": "memory access (elements)"}
"""The titles of axes: the name of a measure, with its unit if the name is not a unit."""

DEFINITIONS = {
    "params": "Learned scalars that the forward pass reads. A shared parameter counts once.",
    "macs": (
        "Multiply-accumulates of convolutions, linear layers, matrix products, attention and recurrent layers. "
        "Bias is not included."
    ),
    "flops": "All arithmetic: two for each multiply-accumulate, and one for each other operation.",
    "activations": "Elements that the layers with multiply-accumulates write.",
    "memory access": (
        "Elements that operators read and write: inputs, weights, buffers and outputs. "
        "Each operator has an ideal cache. In a fused report, some are parts of the operator before them."
    ),
    "peak bytes": (
        "The most memory that activations take at once: ideal, the least that the order of the operators needs; "
        "deployed, that of an inference engine; eager, that of PyTorch. Weights are not included."
    ),
    "flops per byte": "FLOPs divided by the bytes of the memory access.",
    "share": "The percentage of the total, for the measure that you choose above the charts.",
    "≥ and ?": "A lower bound, because an operator has no formula; and an unknown count.",
}
"""The definition of each column, and of the marks of incomplete counts."""


def measures(convention: Convention | None) -> dict[str, str]:
    """Return `MEASURES`; the name of the macs names the counter whose convention they follow."""
    return MEASURES | {"macs": macs_name(MEASURES["macs"], convention)}


def definitions(convention: Convention | None) -> dict[str, str]:
    """Return `DEFINITIONS`; the macs are those of a counter if one is given."""
    counted = {"macs": f"Multiply-accumulates: {counted_as(convention)}."} if convention else {}
    return DEFINITIONS | counted


TRAINING_DEFINITIONS = {
    "backward macs": "Multiply-accumulates of the gradients of inputs and weights.",
    "backward flops": "All arithmetic of the backward pass: two for each multiply-accumulate.",
    "saved bytes": "Bytes of activations that PyTorch keeps for the backward pass. A shared tensor counts once.",
    "gradient bytes": "Bytes of the gradients of all parameters that require one.",
    "optimizer bytes": "Bytes that the optimizer keeps from step to step.",
    "peak bytes, training step": (
        "The most memory in use during a step of a running training: parameters, buffers, gradients, the optimizer's "
        "state, activations, and temporary tensors of the backward pass or the optimizer."
    ),
}
"""The definition of each column and total that training adds."""

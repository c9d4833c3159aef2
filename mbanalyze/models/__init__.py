"""The same networks as real, trainable `torch.nn.Module`s, one file per paper.

Each shares the paper's table with its file in `archs/`, and nothing else: two derivations, so that one can
check the other.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from torch import nn

from mbanalyze.archs.options import Architecture
from mbanalyze.models.mobilenet_v1 import MobileNetV1
from mbanalyze.models.mobilenet_v2 import MobileNetV2

MODELS: dict[str, type[nn.Module]] = {
    "mobilenet_v1": MobileNetV1,
    "mobilenet_v2": MobileNetV2,
}
"""Name -> module class, the same names as `archs.ARCHS`."""

__all__ = ["MODELS", "MobileNetV1", "MobileNetV2", "build"]


def build(name: str, spec: Architecture) -> nn.Module:
    """The module that `spec` describes, freshly initialised; `resolution` is the input's, not the module's."""
    options: dict[str, Any] = asdict(spec)
    del options["resolution"]
    return MODELS[name](**options)

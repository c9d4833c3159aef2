"""The networks of torchvision that are traced."""

from __future__ import annotations

import sys
from pathlib import Path

from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from witness import torchvision  # the tests' import of packages built for another torch

MODELS = (
    *("mobilenet_v2", "mobilenet_v3_large", "shufflenet_v2_x1_0", "squeezenet1_0"),
    *("resnet50", "vit_b_16", "swin_t", "convnext_tiny"),
)
SIDES = (224, 512)


def import_torchvision() -> None:
    """Import torchvision, even if its compiled extension does not load with this torch."""
    torchvision()


def network(name: str, side: int) -> nn.Module:
    """Return a network of torchvision for images of `side` x `side` pixels."""
    options = {"image_size": side} if name.startswith("vit") else {}
    made: nn.Module = torchvision().models.get_model(name, weights=None, **options)
    return made.eval()

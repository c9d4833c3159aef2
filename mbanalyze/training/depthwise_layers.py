"""The depthwise layers of a module, and their filters."""

from __future__ import annotations

from torch import nn

from mbanalyze.training.evaluation import DepthwiseLayer


def depthwise_layers(module: nn.Module) -> tuple[DepthwiseLayer, ...]:
    """Return the two-dimensional convolutions of a module whose groups have one input channel each."""
    return tuple(
        DepthwiseLayer(path, layer.weight.detach().cpu().float().numpy()[:, 0])
        for path, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1
    )

"""A small network that trains in a moment, as other processes import it."""

from __future__ import annotations

from torch import nn


class Tiny(nn.Sequential):
    """A convolution, dropout and a linear layer on the means of the channels."""

    def __init__(self, num_classes: int = 10, channels: int = 4) -> None:
        super().__init__(
            nn.Conv2d(3, channels, 3, stride=2, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, num_classes),
        )


TINY = f"{__file__}:Tiny"
"""The reference of the network."""

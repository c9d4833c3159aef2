"""VGG: Simonyan and Zisserman, Very Deep Convolutional Networks, 2014, arXiv:1409.1556."""

from __future__ import annotations

from dataclasses import dataclass

from mbanalyze.archs import options
from mbanalyze.archs.builder import Builder
from mbanalyze.ops.record import Value

# channels and number of the 3x3 convolutions before each pooling (the paper's Table 1, configuration D)
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
POOLED_SIZE, HIDDEN_FEATURES = 7, 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class VGG16(options.Architecture):
    """VGG-16: configuration D of the paper's Table 1."""

    paper = "VGG, arXiv:1409.1556"

    resolution: int | tuple[int, int] = options.resolution()
    in_channels: int = options.in_channels()
    num_classes: int = options.num_classes()

    def _forward(self, builder: Builder, x: Value) -> None:
        with builder.scope("features"):
            position = 0
            for channels, repeats in STAGES:
                for _ in range(repeats):
                    x = builder.conv(x, channels, 3, padding=1, bias=True, name=position)
                    x = builder.elementwise("relu", x, name=position + 1)
                    position += 2
                x = builder.pool("max", x, 2, name=position)
                position += 1
        x = builder.flatten(builder.adaptive_avg_pool(x, POOLED_SIZE, name="avgpool"))
        with builder.scope("classifier"):
            for position in (0, 3):
                x = builder.linear(x, HIDDEN_FEATURES, name=position)
                x = builder.elementwise("relu", x, name=position + 1)
                x = builder.dropout(x, name=position + 2)
            builder.linear(x, self.num_classes, name=6)

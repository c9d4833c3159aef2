"""VGG: Simonyan and Zisserman, Very Deep Convolutional Networks, 2014, arXiv:1409.1556."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mbanalyze.archs import options
from mbanalyze.archs.builder import Sketch
from mbanalyze.ops.record import Op

# channels and number of 3x3 convolutions before each pooling (the paper's Table 1, configuration D)
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
POOLED, HIDDEN = 7, 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class VGG16:
    """Configuration D of the paper's Table 1."""

    paper: ClassVar[str] = "VGG, arXiv:1409.1556"

    resolution: int = options.resolution()
    num_classes: int = options.num_classes()

    def __post_init__(self) -> None:
        options.check(self)

    def ops(self, batch: int = 1) -> list[Op]:
        """Every operator of a forward pass on `batch` images, in order."""
        sketch = Sketch()
        x = sketch.input(batch, 3, self.resolution, self.resolution)
        with sketch.at("features"):
            position = 0
            for channels, repeats in STAGES:
                for _ in range(repeats):
                    x = sketch.conv(x, channels, 3, padding=1, bias=True, name=position)
                    x = sketch.elementwise("relu", x, name=position + 1)
                    position += 2
                x = sketch.pool("max", x, 2, name=position)
                position += 1
        x = sketch.flatten(sketch.adaptive_avg_pool(x, POOLED, name="avgpool"))
        with sketch.at("classifier"):
            for position in (0, 3):
                x = sketch.linear(x, HIDDEN, name=position)
                x = sketch.elementwise("relu", x, name=position + 1)
            sketch.linear(x, self.num_classes, name=6)
        return sketch.ops

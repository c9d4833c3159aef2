"""ShuffleNet V2: Ma et al., ShuffleNet V2, 2018, arXiv:1807.11164."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, depthwise_unit
from mbanalyze.archs.builder import Sketch
from mbanalyze.ops.record import Op, Value

STEM = 24
REPEATS = (4, 8, 4)
# scale: output channels of the three stages and of the last convolution (the paper's Table 5)
CHANNELS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleNetV2:
    """Half of the channels pass a unit untouched: the paper's Table 5 and Figure 3.

    `layout` differs in the first unit of each stage. torchvision gives either branch half of the output;
    the authors' network, which the paper's figures fit, keeps the input's channels in the shortcut and
    gives the rest to the other branch. Its classifier has no bias.
    """

    paper: ClassVar[str] = "ShuffleNet V2, arXiv:1807.11164"

    alpha: float = options.alpha(choices=tuple(CHANNELS))
    resolution: int = options.resolution()
    num_classes: int = options.num_classes()
    layout: Literal["torchvision", "paper"] = options.option(
        "torchvision", "paper: the shortcut of a stage's first unit keeps its channels"
    )

    def __post_init__(self) -> None:
        options.check(self)

    def ops(self, batch: int = 1) -> list[Op]:
        """Every operator of a forward pass on `batch` images, in order."""
        *stages, head = CHANNELS[self.alpha]
        sketch = Sketch()
        x = sketch.input(batch, 3, self.resolution, self.resolution)
        with sketch.at("conv1"):
            x = conv_unit(sketch, x, STEM, 3, "relu", stride=2)
        x = sketch.pool("max", x, 3, stride=2, padding=1, name="maxpool")
        for stage, (channels, repeats) in enumerate(zip(stages, REPEATS, strict=True), 2):
            for i in range(repeats):
                with sketch.at(f"stage{stage}", i):
                    x = self._first(sketch, x, channels) if i == 0 else self._unit(sketch, x)
        with sketch.at("conv5"):
            x = conv_unit(sketch, x, head, 1, "relu")
        x = sketch.global_avg_pool(x, keepdim=False)
        sketch.linear(x, self.num_classes, bias=self.layout == "torchvision", name="fc")
        return sketch.ops

    def _first(self, sketch: Sketch, x: Value, channels: int) -> Value:
        """Stride 2, both branches see all of the input: Figure 3 (d)."""
        half, c = channels // 2, x.shape[1]
        kept = half if self.layout == "torchvision" else c
        with sketch.at("branch1"):
            shortcut = depthwise_unit(sketch, x, 3, None, stride=2, names=(0, 1, ""))
            shortcut = conv_unit(sketch, shortcut, kept, 1, "relu", names=(2, 3, 4))
        other = _branch(sketch, x, half, channels - kept, stride=2)
        return sketch.shuffle(sketch.cat(shortcut, other), 2)

    def _unit(self, sketch: Sketch, x: Value) -> Value:
        """Stride 1, half of the channels pass: Figure 3 (c)."""
        passed, seen = sketch.halves(x)
        c = seen.shape[1]
        return sketch.shuffle(sketch.cat(passed, _branch(sketch, seen, c, c, stride=1)), 2)


def _branch(sketch: Sketch, x: Value, hidden: int, channels: int, *, stride: int) -> Value:
    with sketch.at("branch2"):
        x = conv_unit(sketch, x, hidden, 1, "relu")
        x = depthwise_unit(sketch, x, 3, None, stride=stride, names=(3, 4, ""))
        return conv_unit(sketch, x, channels, 1, "relu", names=(5, 6, 7))

"""ShuffleNet: Zhang et al., ShuffleNet, 2017, arXiv:1707.01083."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import ClassVar

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, depthwise_unit
from mbanalyze.archs.builder import Sketch
from mbanalyze.archs.options import OptionError
from mbanalyze.ops.record import Op, Value

REPEATS = (4, 8, 4)
# groups: output channels of the first stage at scale 1 (the paper's Table 1); they double from stage to stage
CHANNELS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
# scale from which on: channels of the first convolution; the paper scales it in three steps only
STEMS = ((2.0, 48), (1.0, 24), (0.0, 12))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleNetV1:
    """Grouped pointwise convolutions with a channel shuffle between them: the paper's Table 1.

    `alpha` scales the stages; the first convolution has 12, 24 or 48 channels (below 1, below 2, from 2),
    which is what the printed complexities need, and is widened until the groups divide what the first
    stage adds to it. The classifier has no bias.
    """

    paper: ClassVar[str] = "ShuffleNet, arXiv:1707.01083"

    alpha: float = options.alpha()
    resolution: int = options.resolution()
    num_classes: int = options.num_classes()
    groups: int = options.option(3, "of the pointwise convolutions", choices=tuple(CHANNELS))

    def __post_init__(self) -> None:
        options.check(self)
        out = self._channels(0)
        if out != floor(out) or out % (4 * self.groups):
            raise OptionError(
                f"groups={self.groups} do not divide the bottlenecks at alpha={self.alpha}: "
                f"{out:g} output channels are no multiple of {4 * self.groups}"
            )

    def ops(self, batch: int = 1) -> list[Op]:
        """Every operator of a forward pass on `batch` images, in order."""
        sketch = Sketch()
        x = sketch.input(batch, 3, self.resolution, self.resolution)
        with sketch.at("conv1"):
            x = conv_unit(sketch, x, self._stem(), 3, "relu", stride=2)
        x = sketch.pool("max", x, 3, stride=2, padding=1, name="maxpool")
        for stage, repeats in enumerate(REPEATS):
            for i in range(repeats):
                with sketch.at(f"stage{stage + 2}", i):
                    groups = 1 if (stage, i) == (0, 0) else self.groups
                    x = self._unit(sketch, x, floor(self._channels(stage)), groups, 2 if i == 0 else 1)
        x = sketch.global_avg_pool(x, keepdim=False)
        sketch.linear(x, self.num_classes, bias=False, name="fc")
        return sketch.ops

    def _channels(self, stage: int) -> float:
        return CHANNELS[self.groups] * self.alpha * (1 << stage)

    def _stem(self) -> int:
        least = next(c for scale, c in STEMS if self.alpha >= scale)
        return least + (floor(self._channels(0)) - least) % self.groups

    def _unit(self, sketch: Sketch, x: Value, channels: int, first_groups: int, stride: int) -> Value:
        """The paper's Figure 2: (b) at stride 1, (c) at stride 2; `first_groups` of the first convolution."""
        with sketch.at("compress"):
            y = conv_unit(sketch, x, channels // 4, 1, "relu", groups=first_groups)
        y = sketch.shuffle(y, self.groups)
        with sketch.at("depthwise"):
            y = depthwise_unit(sketch, y, 3, None, stride=stride)
        with sketch.at("expand"):
            added = channels - x.shape[1] if stride == 2 else channels
            y = conv_unit(sketch, y, added, 1, None, groups=self.groups)
        if stride == 2:
            shortcut = sketch.pool("avg", x, 3, stride=2, padding=1, name="shortcut")
            joined = sketch.cat(shortcut, y)
        else:
            joined = sketch.elementwise("add", x, y)
        return sketch.elementwise("relu", joined, name="relu")

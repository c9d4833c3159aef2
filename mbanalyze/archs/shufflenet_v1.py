"""ShuffleNet: Zhang et al., ShuffleNet, 2017, arXiv:1707.01083."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, depthwise_unit
from mbanalyze.archs.builder import Builder
from mbanalyze.archs.options import OptionError
from mbanalyze.ops.record import Value

REPEATS = (4, 8, 4)
# groups: output channels of the first stage at alpha 1 (the paper's Table 1); each later stage doubles them
CHANNELS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
# smallest alpha, channels of the first convolution: the paper scales it in three steps
STEM_STEPS = ((2.0, 48), (1.0, 24), (0.0, 12))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleNetV1(options.Architecture):
    """Grouped pointwise convolutions with a channel shuffle between them: the paper's Table 1.

    `alpha` scales the stages. The first convolution has 12 channels below alpha 1, 24 below 2, and 48 from 2 on.
    The printed complexities follow from these widths.
    The first convolution gets more channels if the groups do not divide the channels that the first stage adds.
    The classifier has no bias.
    """

    paper = "ShuffleNet, arXiv:1707.01083"

    alpha: float = options.alpha()
    resolution: int | tuple[int, int] = options.resolution()
    in_channels: int = options.in_channels()
    num_classes: int = options.num_classes()
    groups: int = options.option(3, "groups of the pointwise convolutions", choices=tuple(CHANNELS))

    def __post_init__(self) -> None:
        options.validate(self)
        out = self._channels(0)
        if out != floor(out) or out % (4 * self.groups):
            raise OptionError(
                f"groups={self.groups} do not divide the bottlenecks at alpha={self.alpha}: "
                f"{out:g} output channels are not a multiple of {4 * self.groups}"
            )

    def _forward(self, builder: Builder, x: Value) -> None:
        with builder.scope("conv1"):
            x = conv_unit(builder, x, self._stem(), 3, "relu", stride=2)
        x = builder.pool("max", x, 3, stride=2, padding=1, name="maxpool")
        for stage, repeats in enumerate(REPEATS):
            for i in range(repeats):
                with builder.scope(f"stage{stage + 2}", i):
                    groups = 1 if (stage, i) == (0, 0) else self.groups
                    x = self._unit(builder, x, floor(self._channels(stage)), groups, 2 if i == 0 else 1)
        x = builder.global_avg_pool(x, keepdim=False)
        builder.linear(x, self.num_classes, bias=False, name="fc")

    def _channels(self, stage: int) -> float:
        return CHANNELS[self.groups] * self.alpha * (1 << stage)

    def _stem(self) -> int:
        width = next(c for minimum, c in STEM_STEPS if self.alpha >= minimum)
        return width + (floor(self._channels(0)) - width) % self.groups

    def _unit(self, builder: Builder, x: Value, channels: int, first_groups: int, stride: int) -> Value:
        """A unit of the paper's Figure 2, (b) at stride 1 and (c) at stride 2.

        Its first convolution has `first_groups` groups.
        """
        with builder.scope("compress"):
            y = conv_unit(builder, x, channels // 4, 1, "relu", groups=first_groups)
        y = builder.channel_shuffle(y, self.groups)
        with builder.scope("depthwise"):
            y = depthwise_unit(builder, y, 3, None, stride=stride)
        with builder.scope("expand"):
            added = channels - x.shape[1] if stride == 2 else channels
            y = conv_unit(builder, y, added, 1, None, groups=self.groups)
        if stride == 2:
            shortcut = builder.pool("avg", x, 3, stride=2, padding=1, name="shortcut")
            joined = builder.cat(shortcut, y)
        else:
            joined = builder.elementwise("add", x, y)
        return builder.elementwise("relu", joined, name="relu")

"""ShuffleNet V2: Ma et al., ShuffleNet V2, 2018, arXiv:1807.11164."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, depthwise_unit
from mbanalyze.archs.builder import Builder
from mbanalyze.ops.record import Value

STEM = 24
REPEATS = (4, 8, 4)
# alpha: output channels of the three stages and of the last convolution (the paper's Table 5)
CHANNELS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleNetV2(options.Architecture):
    """Units that leave half of their channels unchanged: the paper's Table 5 and Figure 3.

    `layout` selects the first unit of each stage.
    In torchvision each branch gives half of the output channels.
    In the authors' network, which has the paper's figures, the shortcut keeps the input's channel count.
    The other branch gives the remaining channels, and the classifier has no bias.
    """

    paper = "ShuffleNet V2, arXiv:1807.11164"

    alpha: float = options.alpha(choices=tuple(CHANNELS))
    resolution: int | tuple[int, int] = options.resolution()
    in_channels: int = options.in_channels()
    num_classes: int = options.num_classes()
    layout: Literal["torchvision", "paper"] = options.option(
        "torchvision", "paper: the shortcut of a stage's first unit keeps the number of channels"
    )

    def _forward(self, builder: Builder, x: Value) -> None:
        *stages, head = CHANNELS[self.alpha]
        with builder.scope("conv1"):
            x = conv_unit(builder, x, STEM, 3, "relu", stride=2)
        x = builder.pool("max", x, 3, stride=2, padding=1, name="maxpool")
        for stage, (channels, repeats) in enumerate(zip(stages, REPEATS, strict=True), 2):
            for i in range(repeats):
                with builder.scope(f"stage{stage}", i):
                    x = self._first(builder, x, channels) if i == 0 else self._unit(builder, x)
        with builder.scope("conv5"):
            x = conv_unit(builder, x, head, 1, "relu")
        x = builder.global_avg_pool(x, keepdim=False)
        builder.linear(x, self.num_classes, bias=self.layout == "torchvision", name="fc")

    def _first(self, builder: Builder, x: Value, channels: int) -> Value:
        """The unit at stride 2, in which both branches read the whole input: Figure 3 (d)."""
        half, c = channels // 2, x.shape[1]
        kept = half if self.layout == "torchvision" else c
        with builder.scope("branch1"):
            shortcut = depthwise_unit(builder, x, 3, None, stride=2, names=(0, 1, ""))
            shortcut = conv_unit(builder, shortcut, kept, 1, "relu", names=(2, 3, 4))
        other = _branch(builder, x, half, channels - kept, stride=2)
        return builder.channel_shuffle(builder.cat(shortcut, other), 2)

    def _unit(self, builder: Builder, x: Value) -> Value:
        """The unit at stride 1, which leaves half of the channels unchanged: Figure 3 (c)."""
        unchanged, half = builder.split_channels(x)
        c = half.shape[1]
        return builder.channel_shuffle(builder.cat(unchanged, _branch(builder, half, c, c, stride=1)), 2)


def _branch(builder: Builder, x: Value, hidden: int, channels: int, *, stride: int) -> Value:
    with builder.scope("branch2"):
        x = conv_unit(builder, x, hidden, 1, "relu")
        x = depthwise_unit(builder, x, 3, None, stride=stride, names=(3, 4, ""))
        return conv_unit(builder, x, channels, 1, "relu", names=(5, 6, 7))

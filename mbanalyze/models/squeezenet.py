"""SqueezeNet as a module: Iandola et al., 2016, arXiv:1602.07360. Parameters have torchvision's names."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from mbanalyze.archs.squeezenet import FIRE_MODULES, VERSION_1_0, VERSION_1_1
from mbanalyze.models.blocks import Fire, ReLU, initialise


class SqueezeNet(nn.Module):
    """The paper's Table 1: images `[n, in_channels, h, w]` to logits `[n, num_classes]`.

    Args:
        version: filters and kernel of the first convolution, and indices of the Fire modules that follow a pooling.
        num_classes: outputs of the classifier.
        bypass: bypasses of the paper's Figure 2: `none`; `simple`, if channels agree; `complex`, everywhere.
        dropout: fraction of features dropped in training before the classifier.
        in_channels: channels of the images.
    """

    def __init__(
        self,
        version: tuple[tuple[int, int], tuple[int, ...]],
        num_classes: int = 1000,
        bypass: Literal["none", "simple", "complex"] = "none",
        dropout: float = 0.5,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        (channels, kernel), pools = version
        features: list[nn.Module] = [nn.Conv2d(in_channels, channels, kernel, 2), ReLU()]
        for number, (squeezed, expanded) in enumerate(FIRE_MODULES):
            if number in pools:
                features.append(nn.MaxPool2d(3, 2, ceil_mode=True))
            out = 2 * expanded
            bypass_module: nn.Module | None = None
            if bypass != "none" and channels == out:
                bypass_module = nn.Identity()
            elif bypass == "complex":
                bypass_module = nn.Conv2d(channels, out, 1)
            features.append(Fire(channels, squeezed, expanded, bypass_module))
            channels = out
        self.features = nn.Sequential(*features)
        last = nn.Conv2d(channels, num_classes, 1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), last, ReLU(), nn.AdaptiveAvgPool2d(1))
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[n, in_channels, h, w]` to logits `[n, num_classes]`."""
        return self.classifier(self.features(x)).flatten(1)  # type: ignore[no-any-return]


class SqueezeNet1_0(SqueezeNet):  # noqa: N801 (the version is part of the name)
    """SqueezeNet 1.0: the paper's network. Options as in `SqueezeNet`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(VERSION_1_0, **options)


class SqueezeNet1_1(SqueezeNet):  # noqa: N801 (the version is part of the name)
    """SqueezeNet 1.1, from the authors' repository. Options as in `SqueezeNet`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(VERSION_1_1, **options)

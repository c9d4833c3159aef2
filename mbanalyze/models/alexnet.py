"""AlexNet as a module: arXiv:1404.5997, and the original of 2012. Parameters have torchvision's names."""

from __future__ import annotations

from torch import Tensor, nn

from mbanalyze.archs.alexnet import HIDDEN_FEATURES, ONE_TOWER, POOLED_SIZE, TWO_TOWERS
from mbanalyze.models.blocks import ReLU


class AlexNet(nn.Module):
    """Five convolutions and three fully connected layers: images `[n, in_channels, h, w]` to logits `[n, num_classes]`.

    Args:
        num_classes: outputs of the classifier.
        grouped: True for the network of 2012, with two towers (as groups) and local response normalisation.
        dropout: fraction of features dropped in training before each of the first two linear layers.
        in_channels: channels of the images.
    """

    def __init__(
        self, num_classes: int = 1000, grouped: bool = False, dropout: float = 0.5, in_channels: int = 3
    ) -> None:
        super().__init__()
        features: list[nn.Module] = []
        width = in_channels
        for layer in TWO_TOWERS if grouped else ONE_TOWER:
            channels, kernel, stride, padding, groups, normalised, pooled = layer
            features += [nn.Conv2d(width, channels, kernel, stride, padding, groups=groups), ReLU()]
            if normalised:
                features.append(nn.LocalResponseNorm(5))
            if pooled:
                features.append(nn.MaxPool2d(3, 2))
            width = channels
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(POOLED_SIZE)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(width * POOLED_SIZE**2, HIDDEN_FEATURES),
            ReLU(),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN_FEATURES, HIDDEN_FEATURES),
            ReLU(),
            nn.Linear(HIDDEN_FEATURES, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[n, in_channels, h, w]` to logits `[n, num_classes]`."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))  # type: ignore[no-any-return]

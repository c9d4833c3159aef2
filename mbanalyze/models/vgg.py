"""VGG as a module: Simonyan and Zisserman, 2014, arXiv:1409.1556. Parameters have torchvision's names."""

from __future__ import annotations

from torch import Tensor, nn

from mbanalyze.archs.vgg import HIDDEN_FEATURES, POOLED_SIZE, STAGES
from mbanalyze.models.blocks import ReLU, initialise


class VGG16(nn.Module):
    """Configuration D of the paper's Table 1: images `[n, in_channels, h, w]` to logits `[n, num_classes]`.

    Args:
        num_classes: outputs of the classifier.
        dropout: fraction of features dropped in training after each of the first two linear layers.
        in_channels: channels of the images.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5, in_channels: int = 3) -> None:
        super().__init__()
        features: list[nn.Module] = []
        width = in_channels
        for channels, repeats in STAGES:
            for _ in range(repeats):
                features += [nn.Conv2d(width, channels, 3, padding=1), ReLU()]
                width = channels
            features.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(POOLED_SIZE)
        self.classifier = nn.Sequential(
            nn.Linear(width * POOLED_SIZE**2, HIDDEN_FEATURES),
            ReLU(),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN_FEATURES, HIDDEN_FEATURES),
            ReLU(),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN_FEATURES, num_classes),
        )
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[n, in_channels, h, w]` to logits `[n, num_classes]`."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))  # type: ignore[no-any-return]

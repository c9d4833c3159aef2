"""GoogLeNet as a module: Szegedy et al., 2014, arXiv:1409.4842. Parameters have torchvision's names."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mbanalyze.archs.googlenet import AUX_CLASSIFIERS, AUX_SHAPE, MODULES, POOLINGS
from mbanalyze.models.blocks import ConvNormReLU, initialise


class GoogLeNetOutputs(NamedTuple):
    """The outputs in training: logits `[n, num_classes]` of each classifier, deepest first."""

    logits: Tensor
    aux2: Tensor
    aux1: Tensor


class Inception(nn.Module):
    """A GoogLeNet module of four parallel branches: 1x1, 3x3, `window` and max pooling."""

    def __init__(self, inp: int, filters: tuple[int, ...], window: int) -> None:
        super().__init__()
        one, three_reduced, three, five_reduced, five, pooled = filters
        self.branch1 = ConvNormReLU(inp, one, 1)
        self.branch2 = nn.Sequential(
            ConvNormReLU(inp, three_reduced, 1), ConvNormReLU(three_reduced, three, 3, padding=1)
        )
        self.branch3 = nn.Sequential(
            ConvNormReLU(inp, five_reduced, 1), ConvNormReLU(five_reduced, five, window, padding=window // 2)
        )
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), ConvNormReLU(inp, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, inp, h, w]` to `[n, sum of the branches' channels, h, w]`."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNetAux(nn.Module):
    """An auxiliary classifier on an intermediate output, which runs only in training."""

    def __init__(self, inp: int, num_classes: int) -> None:
        super().__init__()
        size, filters, hidden = AUX_SHAPE
        self.conv = ConvNormReLU(inp, filters, 1)
        self.fc1 = nn.Linear(filters * size**2, hidden)
        self.fc2 = nn.Linear(hidden, num_classes)
        self.dropout = nn.Dropout(0.7)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, inp, h, w]` to logits `[n, num_classes]`."""
        x = self.conv(functional.adaptive_avg_pool2d(x, AUX_SHAPE[0])).flatten(1)
        return self.fc2(self.dropout(functional.relu(self.fc1(x))))  # type: ignore[no-any-return]


class GoogLeNet(nn.Module):
    """The paper's Table 1: images `[n, in_channels, h, w]` to logits `[n, num_classes]`.

    In training with `aux` the output is `GoogLeNetOutputs`.

    Args:
        num_classes: outputs of each classifier.
        branch: window of the third branch: 3x3 in torchvision, 5x5 in the paper.
        aux: True to add the auxiliary classifiers.
        dropout: fraction of features dropped in training before the classifier.
        in_channels: channels of the images.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        branch: Literal["3x3", "5x5"] = "3x3",
        aux: bool = True,
        dropout: float = 0.2,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.conv1 = ConvNormReLU(in_channels, 64, 7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = ConvNormReLU(64, 64, 1)
        self.conv3 = ConvNormReLU(64, 192, 3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        width, window = 192, int(branch[0])
        for name, filters in MODULES.items():
            self.add_module(f"inception{name}", Inception(width, filters, window))
            one, _, three, _, five, pooled = filters
            width = one + three + five + pooled
            if name in POOLINGS:
                number, kernel = POOLINGS[name]
                self.add_module(f"maxpool{number}", nn.MaxPool2d(kernel, 2, ceil_mode=True))
            if aux and name in AUX_CLASSIFIERS:
                self.add_module(AUX_CLASSIFIERS[name], GoogLeNetAux(width, num_classes))
        self.aux = aux
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(width, num_classes)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        """Map images `[n, in_channels, h, w]` to logits `[n, num_classes]`; in training with `aux`, to `GoogLeNetOutputs`."""
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        auxiliary = []
        for name in MODULES:
            x = self.get_submodule(f"inception{name}")(x)
            if name in POOLINGS:
                x = self.get_submodule(f"maxpool{POOLINGS[name][0]}")(x)
            if self.aux and self.training and name in AUX_CLASSIFIERS:
                auxiliary.append(self.get_submodule(AUX_CLASSIFIERS[name])(x))
        logits: Tensor = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        return GoogLeNetOutputs(logits, *reversed(auxiliary)) if auxiliary else logits

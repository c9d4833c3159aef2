"""Inception V3 as a module: Szegedy et al., 2015, arXiv:1512.00567. Parameters have torchvision's names."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mbanalyze.archs.inception_v3 import AUX_INPUT, AUX_UNITS, MODULES, STEM, Mixed, Unit
from mbanalyze.models.blocks import ConvNormReLU, initialise


class InceptionV3Outputs(NamedTuple):
    """The outputs in training: logits `[n, num_classes]` of both classifiers."""

    logits: Tensor
    aux: Tensor


def conv_norm_relu(inp: int, unit: Unit) -> ConvNormReLU:
    """Return the module of a unit of the table."""
    return ConvNormReLU(inp, unit.channels, unit.kernel, unit.stride, unit.padding)


class MixedModule(nn.Module):
    """A module of parallel branches, one of which pools; it has `oup` output channels."""

    def __init__(self, inp: int, mixed: Mixed) -> None:
        super().__init__()
        self.mixed = mixed
        self.oup = 0
        for branch in mixed.branches:
            width = inp
            for part in branch:
                parallel = (part,) if isinstance(part, Unit) else part
                for piece in parallel:
                    self.add_module(piece.name, conv_norm_relu(width, piece))
                width = sum(piece.channels for piece in parallel)
            self.oup += width
        if mixed.pool is None:
            self.oup += inp
        else:
            self.add_module(mixed.pool.name, conv_norm_relu(inp, mixed.pool))
            self.oup += mixed.pool.channels

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, inp, h, w]` to `[n, oup, h', w']`."""
        outs = []
        for branch in self.mixed.branches:
            y = x
            for part in branch:
                if isinstance(part, Unit):
                    y = self.get_submodule(part.name)(y)
                else:
                    y = torch.cat([self.get_submodule(piece.name)(y) for piece in part], 1)
            outs.append(y)
        if self.mixed.pool is None:
            outs.append(functional.max_pool2d(x, 3, 2))
        else:
            pooled = functional.avg_pool2d(x, 3, stride=1, padding=1)
            outs.append(self.get_submodule(self.mixed.pool.name)(pooled))
        return torch.cat(outs, 1)


class InceptionV3Aux(nn.Module):
    """An auxiliary classifier on an intermediate output, which runs only in training."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        reduce, expand = AUX_UNITS
        self.conv0 = conv_norm_relu(AUX_INPUT, reduce)
        self.conv1 = conv_norm_relu(reduce.channels, expand)
        self.fc = nn.Linear(expand.channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, 768, h, w]` to logits `[n, num_classes]`."""
        x = self.conv1(self.conv0(functional.avg_pool2d(x, 5, 3)))
        return self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))  # type: ignore[no-any-return]


class InceptionV3(nn.Module):
    """The paper's Table 1: images `[n, in_channels, h, w]` to logits `[n, num_classes]`.

    In training with `aux` the output is `InceptionV3Outputs`.

    Args:
        num_classes: outputs of each classifier.
        aux: True to add the auxiliary classifier.
        dropout: fraction of features dropped in training before the classifier.
        in_channels: channels of the images.
    """

    def __init__(
        self, num_classes: int = 1000, aux: bool = True, dropout: float = 0.5, in_channels: int = 3
    ) -> None:
        super().__init__()
        width = in_channels
        for part in STEM:
            if isinstance(part, str):
                self.add_module(part, nn.MaxPool2d(3, 2))
            else:
                self.add_module(part.name, conv_norm_relu(width, part))
                width = part.channels
        for mixed in MODULES:
            module = MixedModule(width, mixed)
            self.add_module(mixed.name, module)
            width = module.oup
            if aux and mixed.name == "Mixed_6e":
                self.AuxLogits = InceptionV3Aux(num_classes)
        self.aux = aux
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(width, num_classes)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor | InceptionV3Outputs:
        """Map images `[n, in_channels, h, w]` to logits `[n, num_classes]`; in training with `aux`, to `InceptionV3Outputs`."""
        aux: Tensor | None = None
        for part in (*STEM, *MODULES):
            name = part if isinstance(part, str) else part.name
            x = self.get_submodule(name)(x)
            if name == "Mixed_6e" and self.aux and self.training:
                aux = self.AuxLogits(x)
        logits: Tensor = self.fc(self.dropout(self.avgpool(x)).flatten(1))
        return logits if aux is None else InceptionV3Outputs(logits, aux)

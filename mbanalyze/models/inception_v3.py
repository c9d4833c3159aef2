"""Inception V3 as a module: Szegedy et al., 2015, arXiv:1512.00567. Its parameters are named as torchvision's."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mbanalyze.archs.inception_v3 import AUX, AUX_INPUT, MODULES, STEM, Mixed, Unit
from mbanalyze.models.blocks import ConvNormReLU, initialise


class Outputs(NamedTuple):
    """What the network gives in training: logits `[n, num_classes]` of both classifiers."""

    logits: Tensor
    aux: Tensor


def unit(inp: int, described: Unit) -> ConvNormReLU:
    """The module that a row of the table describes."""
    return ConvNormReLU(inp, described.channels, described.kernel, described.stride, described.padding)


class Inception(nn.Module):
    """Branches side by side, one of them pooled. `oup` is the number of channels that it gives."""

    def __init__(self, inp: int, described: Mixed) -> None:
        super().__init__()
        self.described = described
        self.oup = 0
        for branch in described.branches:
            width = inp
            for part in branch:
                side_by_side = (part,) if isinstance(part, Unit) else part
                for piece in side_by_side:
                    self.add_module(piece.name, unit(width, piece))
                width = sum(piece.channels for piece in side_by_side)
            self.oup += width
        if described.pool is None:
            self.oup += inp
        else:
            self.add_module(described.pool.name, unit(inp, described.pool))
            self.oup += described.pool.channels

    def forward(self, x: Tensor) -> Tensor:
        """`[n, inp, h, w]` -> `[n, oup, h', w']`."""
        outs = []
        for branch in self.described.branches:
            y = x
            for part in branch:
                if isinstance(part, Unit):
                    y = self.get_submodule(part.name)(y)
                else:
                    y = torch.cat([self.get_submodule(piece.name)(y) for piece in part], 1)
            outs.append(y)
        if self.described.pool is None:
            outs.append(functional.max_pool2d(x, 3, 2))
        else:
            pooled = functional.avg_pool2d(x, 3, stride=1, padding=1)
            outs.append(self.get_submodule(self.described.pool.name)(pooled))
        return torch.cat(outs, 1)


class Auxiliary(nn.Module):
    """A classifier half-way up, which only training runs."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        reduce, widen = AUX
        self.conv0 = unit(AUX_INPUT, reduce)
        self.conv1 = unit(reduce.channels, widen)
        self.fc = nn.Linear(widen.channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """`[n, 768, h, w]` -> logits `[n, num_classes]`."""
        x = self.conv1(self.conv0(functional.avg_pool2d(x, 5, 3)))
        return self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))  # type: ignore[no-any-return]


class InceptionV3(nn.Module):
    """The paper's Table 1, for images `[n, 3, h, w]` -> logits `[n, num_classes]`; in training with `aux`, `Outputs`.

    Args:
        num_classes: outputs of each classifier.
        aux: have the auxiliary classifier.
        dropout: share of features dropped before the classifier in training.
    """

    def __init__(self, num_classes: int = 1000, aux: bool = True, dropout: float = 0.5) -> None:
        super().__init__()
        width = 3
        for part in STEM:
            if isinstance(part, str):
                self.add_module(part, nn.MaxPool2d(3, 2))
            else:
                self.add_module(part.name, unit(width, part))
                width = part.channels
        for described in MODULES:
            mixed = Inception(width, described)
            self.add_module(described.name, mixed)
            width = mixed.oup
            if aux and described.name == "Mixed_6e":
                self.AuxLogits = Auxiliary(num_classes)
        self.aux = aux
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(width, num_classes)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor | Outputs:
        """Images `[n, 3, h, w]` -> logits `[n, num_classes]`, or `Outputs` in training with `aux`."""
        aux: Tensor | None = None
        for part in (*STEM, *MODULES):
            name = part if isinstance(part, str) else part.name
            x = self.get_submodule(name)(x)
            if name == "Mixed_6e" and self.aux and self.training:
                aux = self.AuxLogits(x)
        logits: Tensor = self.fc(self.dropout(self.avgpool(x)).flatten(1))
        return logits if aux is None else Outputs(logits, aux)

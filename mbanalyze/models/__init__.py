"""The networks of `archs` as trainable `torch.nn.Module`s, one file per paper.

A module shares only the paper's table with its closed form, so that the two derivations check each other.

blocks.py  building blocks that several networks share
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from torch import nn

from mbanalyze.archs import name_of
from mbanalyze.archs.options import Architecture
from mbanalyze.models.alexnet import AlexNet as AlexNet
from mbanalyze.models.googlenet import GoogLeNet as GoogLeNet
from mbanalyze.models.inception_v3 import InceptionV3 as InceptionV3
from mbanalyze.models.mnasnet import MnasNet as MnasNet
from mbanalyze.models.mobilenet_v1 import MobileNetV1 as MobileNetV1
from mbanalyze.models.mobilenet_v2 import MobileNetV2 as MobileNetV2
from mbanalyze.models.mobilenet_v3 import MobileNetV3Large as MobileNetV3Large
from mbanalyze.models.mobilenet_v3 import MobileNetV3Small as MobileNetV3Small
from mbanalyze.models.resnet import ResNet18 as ResNet18
from mbanalyze.models.resnet import ResNet50 as ResNet50
from mbanalyze.models.shufflenet_v1 import ShuffleNetV1 as ShuffleNetV1
from mbanalyze.models.shufflenet_v2 import ShuffleNetV2 as ShuffleNetV2
from mbanalyze.models.squeezenet import SqueezeNet1_0 as SqueezeNet1_0
from mbanalyze.models.squeezenet import SqueezeNet1_1 as SqueezeNet1_1
from mbanalyze.models.vgg import VGG16 as VGG16
from mbanalyze.models.xception import Xception as Xception

MODELS: dict[str, type[nn.Module]] = {
    "mobilenet_v1": MobileNetV1,
    "mobilenet_v2": MobileNetV2,
    "mobilenet_v3_large": MobileNetV3Large,
    "mobilenet_v3_small": MobileNetV3Small,
    "shufflenet_v1": ShuffleNetV1,
    "shufflenet_v2": ShuffleNetV2,
    "squeezenet1_0": SqueezeNet1_0,
    "squeezenet1_1": SqueezeNet1_1,
    "xception": Xception,
    "mnasnet": MnasNet,
    "alexnet": AlexNet,
    "vgg16": VGG16,
    "googlenet": GoogLeNet,
    "inception_v3": InceptionV3,
    "resnet18": ResNet18,
    "resnet50": ResNet50,
}
"""Name -> module class, with the names of `archs.ARCHS`."""


def build(spec: Architecture) -> nn.Module:
    """Return the module that `spec` describes, with initial weights; `resolution` does not affect a module."""
    options: dict[str, Any] = asdict(spec)
    del options["resolution"]
    return MODELS[str(name_of(spec))](**options)

"""Networks in closed form, one file per paper: the paper's table as a list of operators. No torch.

To add a network, write a file here and a file with the same name in `models/`, and list the class in both.

options.py     declaring and checking hyper-parameters
builder.py     recording the operators of a network
stage_text.py  the stages of a network as a text, an option of MobileNetV2 and V3
blocks.py      blocks that several networks share
catalog.py     the known architectures with their options, as a result
view.py        the view of the catalog
"""

from collections.abc import Mapping
from typing import Any

from mbanalyze.archs.alexnet import AlexNet as AlexNet
from mbanalyze.archs.googlenet import GoogLeNet as GoogLeNet
from mbanalyze.archs.inception_v3 import InceptionV3 as InceptionV3
from mbanalyze.archs.mnasnet import MnasNet as MnasNet
from mbanalyze.archs.mobilenet_v1 import MobileNetV1 as MobileNetV1
from mbanalyze.archs.mobilenet_v2 import MobileNetV2 as MobileNetV2
from mbanalyze.archs.mobilenet_v3 import MobileNetV3Large as MobileNetV3Large
from mbanalyze.archs.mobilenet_v3 import MobileNetV3Small as MobileNetV3Small
from mbanalyze.archs.options import Architecture
from mbanalyze.archs.resnet import ResNet18 as ResNet18
from mbanalyze.archs.resnet import ResNet50 as ResNet50
from mbanalyze.archs.shufflenet_v1 import ShuffleNetV1 as ShuffleNetV1
from mbanalyze.archs.shufflenet_v2 import ShuffleNetV2 as ShuffleNetV2
from mbanalyze.archs.squeezenet import SqueezeNet1_0 as SqueezeNet1_0
from mbanalyze.archs.squeezenet import SqueezeNet1_1 as SqueezeNet1_1
from mbanalyze.archs.vgg import VGG16 as VGG16
from mbanalyze.archs.xception import Xception as Xception

ARCHS: dict[str, type[Architecture]] = {
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
"""Name -> architecture, in the order of `mbanalyze models`."""

ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    "shufflenet_v2_x0_5": ("shufflenet_v2", {"alpha": 0.5}),
    "shufflenet_v2_x1_0": ("shufflenet_v2", {"alpha": 1.0}),
    "shufflenet_v2_x1_5": ("shufflenet_v2", {"alpha": 1.5}),
    "shufflenet_v2_x2_0": ("shufflenet_v2", {"alpha": 2.0}),
    "mnasnet0_5": ("mnasnet", {"alpha": 0.5}),
    "mnasnet0_75": ("mnasnet", {"alpha": 0.75}),
    "mnasnet1_0": ("mnasnet", {"alpha": 1.0}),
    "mnasnet1_3": ("mnasnet", {"alpha": 1.3}),
}
"""torchvision's name of a variant -> architecture and implied options."""

NAMES = (*ARCHS, *ALIASES)
"""Every name that `find` knows."""


def find(name: object) -> tuple[type[Architecture], Mapping[str, Any]] | None:
    """Look up an architecture by name or alias.

    Returns:
        The class and the options that an alias implies, or None if the name is unknown.
    """
    if not isinstance(name, str) or name not in NAMES:
        return None
    known, implied = ALIASES.get(name, (name, {}))
    return ARCHS[known], implied


def name_of(spec: object) -> str | None:
    """Return the name of an instance's architecture, or None if `spec` is something else."""
    return next((name for name, arch in ARCHS.items() if isinstance(spec, arch)), None)

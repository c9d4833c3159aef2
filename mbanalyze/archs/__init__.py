"""Networks in closed form, one file per paper: the paper's table and the operators it makes. No torch.

A new network is a file here, a file of the same name in `models/`, and a line in each one's dict.
"""

from mbanalyze.archs.mobilenet_v1 import MobileNetV1
from mbanalyze.archs.mobilenet_v2 import MobileNetV2
from mbanalyze.archs.options import Architecture

ARCHS: dict[str, type[Architecture]] = {
    "mobilenet_v1": MobileNetV1,
    "mobilenet_v2": MobileNetV2,
}
"""Name -> architecture, as `mbanalyze models` lists them."""

__all__ = ["ARCHS", "Architecture", "MobileNetV1", "MobileNetV2"]

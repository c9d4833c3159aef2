"""The known spaces.

Kernels 3, 5 and 7, and expansions 3, 4 and 6: ProxylessNAS (arXiv:1812.00332), and Once-for-All (arXiv:1908.09791).
Depths 2, 3 and 4: Once-for-All. Channels of 0.75, 1 and 1.25 times the paper's: MnasNet (arXiv:1807.11626).
Width multipliers 0.2 to 1 and resolutions 48 to 224: TinyNAS (MCUNet, arXiv:2007.10319).
MobileNetV2's head has fewer channels too: the paper's 1280 with 1,000 classes exceed 1 MB in int8.
"""

from __future__ import annotations

from mbanalyze.spaces.space import Space, StageChoices

KERNELS, EXPANSIONS, DEPTHS = (3, 5, 7), (3, 4, 6), (2, 3, 4)
ALPHAS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
RESOLUTIONS = (48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224)
SOURCE = "choices of arXiv:1812.00332, 1908.09791, 1807.11626 and 2007.10319"


def _stage(*widths: int) -> StageChoices:
    return StageChoices(KERNELS, EXPANSIONS, DEPTHS, widths)


MOBILENET_V2 = Space(
    "mobilenet_v2",
    "mobilenet_v2",
    (
        StageChoices(KERNELS, (1, 3, 4, 6), (1,), (16, 24)),
        _stage(24, 32),
        _stage(24, 32, 40),
        _stage(48, 64, 80),
        _stage(72, 96, 120),
        _stage(120, 160, 200),
        StageChoices(KERNELS, EXPANSIONS, (1,), (240, 320, 400)),
    ),
    {"alpha": ALPHAS, "resolution": RESOLUTIONS, "head": (320, 640, 1280)},
    SOURCE,
)
MOBILENET_V3 = Space(
    "mobilenet_v3",
    "mobilenet_v3_large",
    (
        StageChoices(KERNELS, (1, 3, 4, 6), (1,), (16, 24)),
        _stage(24, 32),
        _stage(32, 40, 48),
        _stage(64, 80, 104),
        _stage(88, 112, 144),
        _stage(120, 160, 200),
    ),
    {"alpha": ALPHAS, "resolution": RESOLUTIONS},
    SOURCE,
)

SPACES = {space.name: space for space in (MOBILENET_V2, MOBILENET_V3)}
"""Name -> space."""

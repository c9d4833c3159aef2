"""The ratios to reach, each shown beside the measured ratio."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A bound of a measured number.

    Attributes:
        bound: the largest number that reaches the target.
        least: `bound` is the smallest such number instead.
    """

    bound: float
    least: bool = False

    def __str__(self) -> str:
        """The bound as a table shows it."""
        return f"{'≥' if self.least else '≤'} {self.bound:.3g}"

    def verdict(self, measured: float) -> str:
        """Return "yes" if the number reaches the target, else "**no**"."""
        reached = measured >= self.bound if self.least else measured <= self.bound
        return "yes" if reached else "**no**"


def cells(measured: float, target: Target | None) -> tuple[str, str]:
    """Return a target and its verdict for a table; dashes without a target."""
    return (str(target), target.verdict(measured)) if target else ("-", "-")


AGAINST_PEERS = {
    "mobilenet_v2": 7.0,
    "mobilenet_v3_large": 6.0,
    "shufflenet_v2_x1_0": 4.5,
    "squeezenet1_0": 12.0,
    "resnet50": 17.0,
    "vit_b_16": 32.0,
    "swin_t": 6.0,
    "convnext_tiny": 13.0,
}
"""The least ratio of the fastest peer's time to ours at 224 px, by network."""

LARGE_IMAGES = 2.0
"""The factor of these ratios at 512 px."""

HELP, PUBLISHED, SEARCH, ABLATE = Target(0.2), Target(0.5), Target(0.6), Target(0.5)
TORCHVISION, TIMM, TRACE = Target(1.5), Target(2.0), Target(1.3)
"""The largest ratios of a command's time to that of `import torch`."""

GUARD = Target(1.3)
"""The largest ratio of a guard's time to that of the construction of its models."""

ZOO_CPU_SECONDS, ZOO_GIGABYTES = Target(150), Target(1)
TWO_WORKERS = Target(1.0)
"""The largest ratio of the time of two workers to that of one."""

MILLION_SECONDS, MILLION_MEBIBYTES = Target(0.12), Target(130)
GRID_SECONDS = Target(3)

OPERATOR_MICROSECONDS = Target(30)
FLAT = Target(1.3)
"""The largest ratio of the time per operator of the longest chain to that of the shortest."""

UNSEEN_NETWORKS = Target(20, least=True)
MEDIAN_ERROR, PERCENTILE_90 = Target(0.1), Target(0.2)
SPEARMAN, EQUAL_MACS_PAIRS = Target(0.97, least=True), Target(0.93, least=True)
LEAST_INSIDE, MOST_INSIDE = Target(0.7, least=True), Target(0.9)
"""The accuracy of predicted times, and the shares of networks within the 80 % interval."""


def published_part(share: float) -> Target:
    """Return the target of `published FAMILY`, which prints this share of all figures.

    The time of a start does not depend on the share, and the rest of the target of `published` is in proportion.
    """
    return Target(HELP.bound + (PUBLISHED.bound - HELP.bound) * share)

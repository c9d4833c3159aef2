"""The networks that a calibration times: some of each family, at three resolutions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch

from mbanalyze.clock.timed_module import TimedModule, on_device
from mbanalyze.sources.resolve import resolve
from mbanalyze.sources.resolved_model import ResolvedModel
from mbanalyze.timing.probes import probes
from mbanalyze.timing.timed_models import timed_model

NETWORKS = (
    *("mobilenet_v1", "mobilenet_v2", "mobilenet_v2@alpha=0.5", "mobilenet_v3_large", "mnasnet"),
    *("shufflenet_v1", "shufflenet_v2", "squeezenet1_1", "resnet18"),
)
"""Their references; larger networks would take most of the time and add no class of operators."""

RESOLUTIONS = (224, 160, 96)


class TimedAnchor(NamedTuple):
    """A network that a calibration times at one resolution.

    Attributes:
        network: the reference of the network, by which its resolutions belong together.
        timed: the module with its times.
    """

    network: str
    timed: TimedModule


def timed_anchors(more: Mapping[str, ResolvedModel], device: str, dtype: str) -> list[TimedAnchor]:
    """Return the anchors on a device, and the networks of `more`, which are resolved already, by reference."""
    known = [(network, _with_resolution(network, r)) for network in NETWORKS for r in RESOLUTIONS]
    chosen = [(network, reference, resolve(reference)) for network, reference in known]
    chosen += [(reference, reference, resolved) for reference, resolved in more.items()]
    return [
        TimedAnchor(network, timed_model(resolved, reference, device, dtype))
        for network, reference, resolved in chosen
    ]


def _with_resolution(network: str, resolution: int) -> str:
    return f"{network}{',' if '@' in network else '@'}resolution={resolution}"


def timed_probes(device: str, dtype: str) -> list[TimedModule]:
    """Return the micro-benchmarks on a device."""
    example = torch.ones(1)
    return [
        on_device(name, module, (example,), {}, device, getattr(torch, dtype))
        for name, module in probes().items()
    ]

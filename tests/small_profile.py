"""A profile with round constants, so that times can be computed by hand, and a network that it predicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from mbanalyze.profiles.class_fit import ClassFit
from mbanalyze.profiles.time_profile import Anchor, Profile
from mbanalyze.profiles.work import Work

CONV = ClassFit(1.0, 1.0, 3.0, 1000.0, 5, 0.0, Work(72, 80, 36), True)
RELU = ClassFit(0.0, 2.0, 0.0, 100.0, 5, 0.0, Work(4, 32, 0), False)

INPUT = (1, 1, 4, 4)


def network() -> nn.Module:
    """A convolution without a bias, from 4x4 to 2x2 numbers, and an activation."""
    return nn.Sequential(nn.Conv2d(1, 1, 3, bias=False), nn.ReLU())


def profile(**changes: Any) -> Profile:
    """Return the profile: the classes of the network, 10 ns for each step, and a factor of e ** 0.5."""
    made = Profile(
        machine="a machine",
        device="cpu",
        threads=1,
        dtype="float32",
        date="2026-01-31",
        versions={"torch": "2.13.0"},
        rounds=5,
        spread=0.01,
        classes={"conv standard 3x3 of an image": CONV, "relu": RELU},
        general={"conv standard": CONV, "relu": RELU},
        step_ns=10.0,
        launch_ns=0.0,
        deviation=0.5,
        anchors=(Anchor("mobilenet_v2@resolution=96", 2.0, 2.5),),
    )
    return replace(made, **changes)

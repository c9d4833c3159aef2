"""A network of a space, and its exact costs in closed form."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import Architecture, make
from mbanalyze.inputs.parsing import spell_options, spell_reference
from mbanalyze.inputs.resolution import spell_resolution
from mbanalyze.ops.cost import ITEM_SIZES, total
from mbanalyze.ops.registry import cost
from mbanalyze.profiles.predicted_time import predict_time
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.sweep.peak_grids import peaks

if TYPE_CHECKING:
    from mbanalyze.trace.tracer import Module

COSTS = (
    *("params", "macs", "flops", "activations", "memory_access", "params_bytes"),
    *("peak_bytes", "peak_bytes_deployed"),
)
"""The costs of a candidate; with a profile, `predicted_ms` too."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network of a space.

    Attributes:
        model: the name of its architecture.
        options: its options; a resolution is a number if it is square, else text.
        costs: the counts by name: those of `COSTS`, and `predicted_ms` with a profile.
        dtype: the element type of its bytes.
    """

    model: str
    options: Mapping[str, Any]
    costs: Mapping[str, int | float]
    dtype: str

    @property
    def spec(self) -> Architecture:
        """The network in closed form."""
        return make(self.model, ARCHS[self.model], self.options)

    @property
    def reference(self) -> str:
        """The network as the reference that every command takes."""
        return spell_reference(self.model, self._shown)

    @property
    def command(self) -> str:
        """The shell command that reports the network."""
        sizes = {name: value for name, value in self._shown.items() if name in ("alpha", "resolution")}
        others = {name: value for name, value in self._shown.items() if name not in sizes}
        words = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
        words += [word for name in others for word in ("--set", spell_options({name: others[name]}))]
        words += ["--dtype", self.dtype] if self.dtype != "float32" else []
        return shlex.join(["mbanalyze", "report", self.model, *words])

    @property
    def _shown(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        usual = {declared.name: declared.default for declared in fields(ARCHS[self.model])}
        return {name: value for name, value in self.options.items() if value != usual[name]}

    def build(self) -> Module:
        """Return the network as a module with initial weights."""
        from mbanalyze import models

        return models.build(self.spec)


def costed(model: str, options: Mapping[str, Any], dtype: str, profile: Profile | None = None) -> Candidate:
    """Return a network with its costs for one image.

    Args:
        model: the name of an architecture.
        options: its options.
        dtype: the element type of bytes.
        profile: predicts the time; None for no time.

    Raises:
        ShapeError: the image is too small for the network.
        UnmeasuredError: the profile has no time for the kind of an operator.
    """
    spec = make(model, ARCHS[model], options)
    ops, itemsize = spec.ops(), ITEM_SIZES[dtype]
    counts = total([cost(op) for op in ops]).as_dict(itemsize) | peaks(ops, itemsize)
    costs: dict[str, Any] = {name: counts[name] for name in COSTS}
    if profile is not None:
        costs["predicted_ms"] = predict_time(ops, profile).total.predicted_ms
    spelled = {**options, "resolution": spell_resolution(spec.resolution)}
    return Candidate(model, spelled, costs, dtype)

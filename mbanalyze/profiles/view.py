"""The view of a profile: the calibration, the anchors, and the constants of each class; and its JSON text."""

from __future__ import annotations

from collections.abc import Mapping
from math import expm1

from mbanalyze.display.result import FORMATS, Renderer, formats, view
from mbanalyze.display.units import milliseconds
from mbanalyze.display.views import Cell, Column, Section, View, words
from mbanalyze.profiles.profile_file import dumps
from mbanalyze.profiles.time_profile import INTERVAL_PERCENT, Profile

_NOTES = (
    "error: the predicted time of an anchor, from the other anchors, relative to its measured time",
    "GFLOP/s, GB/s and overhead: the four parts of the time of an operator; an empty cell adds no time",
    f"deviation: {INTERVAL_PERCENT} of the samples are within this share of the fit",
)


@view.register
def profile_view(profile: Profile) -> View:
    """Lay out a profile: the calibration, the anchors, and the classes of operators."""
    versions = ", ".join(f"{name} {version}" for name, version in profile.versions.items())
    return View(
        (_calibration(profile), _anchors(profile), _classes(profile)), _NOTES, (f"measured with {versions}",)
    )


@formats.register
def profile_formats(_: Profile) -> Mapping[str, Renderer]:
    """The formats of a profile; JSON is the text of its file, with one line for each class and anchor."""
    return {**FORMATS, "json": lambda profile, **_: dumps(profile)}


def _calibration(profile: Profile) -> Section:
    """The machine, the settings, and the quality of the calibration."""
    within = f"{INTERVAL_PERCENT} of networks within {_share(expm1(profile.deviation)).short}"
    values: dict[str, str | Cell] = {
        "machine": profile.machine,
        "device": profile.device,
        "threads": str(profile.threads),
        "dtype": profile.dtype,
        "date": profile.date,
        "rounds": str(profile.rounds),
        "repeats differ by": _share(profile.spread),
        "interval": within if profile.anchors else "unknown: no anchors",
        "between operators": _step(profile),
    }
    if profile.launch_ns:
        values["launch"] = f"{profile.launch_ns / 1e3:.2f} us"
    return Section("the speed of a machine", (words("", list(values)), words("", list(values.values()))))


def _step(profile: Profile) -> str:
    """The time from one operator to the next."""
    return f"{profile.step_ns / 1e3:.2f} us and {1e3 * profile.step_byte_ns:.2f} us for 1 MB of activations"


def _anchors(profile: Profile) -> Section:
    """The time of each anchor, measured and predicted from the others."""
    anchors = profile.anchors
    errors = [anchor.predicted_ms / anchor.measured_ms - 1 for anchor in anchors]
    return Section(
        "anchors",
        (
            words("model", [anchor.model for anchor in anchors]),
            Column("measured ms", [milliseconds(anchor.measured_ms) for anchor in anchors]),
            Column("predicted ms", [milliseconds(anchor.predicted_ms) for anchor in anchors]),
            Column("error", [_share(error, "+") for error in errors]),
        ),
    )


def _classes(profile: Profile) -> Section:
    """The constants of each class, as throughputs."""
    fits = profile.classes.values()
    return Section(
        "classes of operators",
        (
            words("class", list(profile.classes), wrap=True),
            Column("GFLOP/s", [_throughput(fit.flop_ns) for fit in fits]),
            Column("activations GB/s", [_throughput(fit.activation_byte_ns) for fit in fits]),
            Column("weights GB/s", [_throughput(fit.weight_byte_ns) for fit in fits]),
            Column("overhead us", [_microseconds(fit.overhead_ns) for fit in fits]),
            words("timed in", ["anchors" if fit.in_place else "benchmarks" for fit in fits]),
            Column("samples", [str(fit.samples) for fit in fits]),
            Column("deviation", [_share(expm1(fit.deviation)) for fit in fits]),
        ),
        drop_order=("timed in", "samples"),
    )


def _throughput(ns: float) -> Cell:
    """Units in a nanosecond, which are billions in a second; empty if a unit takes no time."""
    if not ns:
        return Cell("", "")
    rate = 1 / ns
    return Cell(f"{rate:.2f}" if rate >= 0.1 else f"{rate:.2g}", f"{rate:.4g}")


def _microseconds(ns: float) -> Cell:
    return Cell(f"{ns / 1e3:.2f}", f"{ns / 1e3:.4f}") if ns else Cell("", "")


def _share(share: float, sign: str = "") -> Cell:
    return Cell(f"{100 * share:{sign}.1f} %", f"{100 * share:{sign}.2f} %")

"""The view of measured times: a row for each network, with its predicted time if there is a profile."""

from __future__ import annotations

from mbanalyze.display.records import shape
from mbanalyze.display.result import view
from mbanalyze.display.units import milliseconds
from mbanalyze.display.views import Column, Section, View, words
from mbanalyze.profiles.time_profile import INTERVAL_PERCENT
from mbanalyze.timing.measured_time import MeasuredTime, MeasuredTimes

_INTERVAL = f"interval: it should contain the times of {INTERVAL_PERCENT} of networks"


@view.register
def measured_view(measured: MeasuredTimes) -> View:
    """Lay out the times: a row for each network."""
    versions = ", ".join(f"{name} {version}" for name, version in measured.as_dict()["versions"].items())
    provenance = [f"measured with {versions}"]
    if measured.profile is not None:
        provenance.append(f"predicted for {measured.profile.name}")
    return View((_times(measured),), measured.notes, tuple(provenance))


def _times(measured: MeasuredTimes) -> Section:
    """The median and quartiles of each network."""
    times = measured.times
    threads = f"{measured.threads} thread{'s' * (measured.threads != 1)}"
    dtypes = ", ".join(dict.fromkeys(time.dtype for time in times))
    columns = (
        words("model", [time.report.reference for time in times]),
        words("input", [" ".join(map(shape, time.report.input)) for time in times]),
        Column("median ms", [milliseconds(time.quartiles_ms[1]) for time in times]),
        Column("quartiles ms", [_range(*time.quartiles_ms[::2]) for time in times]),
        Column("spread", [f"{100 * time.spread:.1f} %" for time in times]),
        *(_predictions(times) if measured.profile is not None else ()),
    )
    return Section(
        f"{measured.machine}, {measured.device}, {threads}, {dtypes}, {measured.rounds} rounds",
        columns,
        drop_order=("input", "coverage", "spread", "quartiles ms", "median is"),
        notes=(_INTERVAL,) if measured.profile is not None else (),
    )


def _predictions(times: tuple[MeasuredTime, ...]) -> tuple[Column, ...]:
    """The predicted time of each network, its interval, and the side of the interval with the median."""
    predicted = [time.predicted for time in times if time.predicted]
    ranges = [each.total for each in predicted]
    return (
        Column("predicted ms", [milliseconds(each.predicted_ms) for each in ranges]),
        Column("interval ms", [_range(each.low_ms, each.high_ms) for each in ranges]),
        words("median is", [time.position or "" for time in times]),
        Column("coverage", [f"{100 * each.coverage:.0f} %" for each in predicted]),
    )


def _range(low: float, high: float) -> str:
    return f"{milliseconds(low)} to {milliseconds(high)}"

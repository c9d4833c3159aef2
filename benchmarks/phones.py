"""A fit of three constants to published times of phones, beside macs alone: `python -m benchmarks.phones`.

The times are those of networks in float32 on Pixel phones, in the papers' own tables and repositories.
Each architecture is predicted by a fit to the others.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from benchmarks import order
from benchmarks.markdown import table
from mbanalyze import count
from mbanalyze.literature.figures import Entry, entries
from mbanalyze.report.network import Report

Numbers = NDArray[np.float64]
HEADER = ("phone", "quantity", "networks", "median error", "90th percentile", "Spearman", "equal-macs pairs")
SUPERSEDED = ("earliest version", "middle version")
"""The ends of the sources that a later version of a paper replaces."""


class PhoneTime(NamedTuple):
    """The published time of a network on a phone: its architecture, its report, and the mean of the printed times."""

    architecture: str
    report: Report
    milliseconds: float


PHONES: dict[str, Callable[[Entry], float | None]] = {
    "Pixel 1": lambda entry: entry.latency_ms if "Pixel 1" in entry.device else None,
    "Pixel 2": lambda entry: entry.pixel2_ms,
    "Pixel 3": lambda entry: entry.pixel3_ms,
}
"""The published time of a row on each phone, in milliseconds."""


def printed(phone: str) -> list[tuple[Entry, float]]:
    """Return the rows that print a time of a float network on a phone, with that time."""
    return [
        (entry, milliseconds)
        for entry in entries()
        if entry.label in ("", "float") and not entry.source.endswith(SUPERSEDED)
        if entry.spec and (milliseconds := PHONES[phone](entry)) is not None
    ]


def times(phone: str) -> list[PhoneTime]:
    """Return each network with a time on a phone."""
    by_network: dict[object, list[tuple[Entry, float]]] = {}
    for entry, milliseconds in printed(phone):
        by_network.setdefault(entry.spec, []).append((entry, milliseconds))
    return [
        PhoneTime(rows[0][0].variant, count(rows[0][0].variant, **rows[0][0].options), statistics.mean(ms))
        for rows in by_network.values()
        if (ms := [milliseconds for _, milliseconds in rows])
    ]


def macs(report: Report) -> list[float]:
    """Return the work that macs alone see."""
    return [float(report.totals.macs or 0)]


def three(report: Report) -> list[float]:
    """Return flops, bytes of memory access, and the number of operators."""
    return [
        float(report.totals.flops or 0),
        float(report.totals.memory_access_bytes(4)),
        float(len(report.rows)),
    ]


def three_fused(report: Report) -> list[float]:
    """Return the same of the operators that an inference engine runs."""
    return three(report.fused())


QUANTITIES: dict[str, Callable[[Report], list[float]]] = {
    "macs": macs,
    "three constants": three,
    "three constants, fused operators": three_fused,
}
"""The work that each quantity sees."""


def fit(work: Numbers, milliseconds: Numbers) -> Numbers:
    """Return the constants, none below zero, of the least relative errors."""
    scale = work.max(axis=0)
    constants, _ = nnls(work / scale / milliseconds[:, None], np.ones(len(milliseconds)))
    return constants / scale  # type: ignore[no-any-return]


def predicted(networks: Sequence[PhoneTime], quantity: Callable[[Report], list[float]]) -> list[float]:
    """Return the time of each network, by a fit to the networks of other architectures."""
    work = np.array([quantity(network.report) for network in networks])
    measured = np.array([network.milliseconds for network in networks])
    names = np.array([network.architecture for network in networks])
    fits = {name: fit(work[names != name], measured[names != name]) for name in set(names)}
    return [float(own @ fits[name]) for own, name in zip(work, names, strict=True)]


def rows(phone: str) -> Iterator[list[str]]:
    """Yield the cells of each quantity on a phone."""
    networks = times(phone)
    measured = [network.milliseconds for network in networks]
    counts = [network.report.totals.macs or 0 for network in networks]
    pairs = order.equal_macs_pairs(counts, measured)
    for name, quantity in QUANTITIES.items():
        milliseconds = predicted(networks, quantity)
        ranked = counts if name == "macs" else milliseconds
        errors = order.errors(milliseconds, measured)
        yield [
            phone,
            name,
            str(len(networks)),
            f"{100 * errors.median:.0f} %",
            f"{100 * errors.percentile_90:.0f} %",
            f"{order.rank_correlation(ranked, measured):.2f}",
            f"{len(list(order.in_order(pairs, ranked, measured)))} of {len(pairs)}",
        ]


def phones() -> str:
    """Return the table of all phones."""
    return table(HEADER, (row for phone in PHONES for row in rows(phone)), left=2)


if __name__ == "__main__":
    sys.stdout.write(f"{phones()}\n")

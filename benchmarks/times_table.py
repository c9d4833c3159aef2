"""The tables of predicted times: their targets, their order beside macs and memory access, and each network."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks import order, targets
from benchmarks.markdown import failed, table
from benchmarks.targets import Target
from mbanalyze.profiles.predicted_time import TimeRange
from mbanalyze.profiles.time_profile import Profile


class Unseen(NamedTuple):
    """A network that is not an anchor.

    Attributes:
        name: its reference.
        measured_ms: the median of its times, in milliseconds.
        predicted: the predicted time with its interval.
        coverage: the share of the predicted time that rests on measured classes.
        macs: its multiply-accumulates.
        memory_access: the elements that it reads and writes.
    """

    name: str
    measured_ms: float
    predicted: TimeRange
    coverage: float
    macs: int
    memory_access: int

    @property
    def error(self) -> float:
        """The relative error of the prediction, below zero if it is too small."""
        return self.predicted.predicted_ms / self.measured_ms - 1

    @property
    def is_inside(self) -> bool:
        """True if the measured time is within the predicted interval."""
        return self.predicted.low_ms <= self.measured_ms <= self.predicted.high_ms


class Score(NamedTuple):
    """The agreement of a quantity with the measured times.

    Attributes:
        errors: the relative errors; a count is scaled by the median ratio first.
        rank_correlation: Spearman's.
        in_order: the number of equal-macs pairs in the right order.
        pairs: the number of equal-macs pairs.
    """

    errors: order.Errors
    rank_correlation: float
    in_order: int
    pairs: int

    @property
    def share(self) -> float | None:
        """The share of pairs in the right order; None without pairs."""
        return self.in_order / self.pairs if self.pairs else None


def scores(networks: Sequence[Unseen]) -> dict[str, Score]:
    """Return the score of the predicted time, of macs and of memory access."""
    measured = [network.measured_ms for network in networks]
    macs = [network.macs for network in networks]
    access = [network.memory_access for network in networks]
    predicted = [network.predicted.predicted_ms for network in networks]
    pairs = order.equal_macs_pairs(macs, measured)

    def score(quantity: Sequence[float], times: Sequence[float]) -> Score:
        right = len(list(order.in_order(pairs, quantity, measured)))
        correlation = order.rank_correlation(quantity, measured)
        return Score(order.errors(times, measured), correlation, right, len(pairs))

    return {
        "predicted time": score(predicted, predicted),
        "macs": score(macs, order.scaled(macs, measured)),
        "memory access": score(access, order.scaled(access, measured)),
    }


def target_rows(networks: Sequence[Unseen]) -> list[list[str]]:
    """Return the cells of each target: its name, the measured number, the target, and its verdict."""
    score = scores(networks)["predicted time"]
    inside = statistics.mean(network.is_inside for network in networks)
    numbers: list[tuple[str, float | None, Target]] = [
        ("networks", len(networks), targets.UNSEEN_NETWORKS),
        ("median error", score.errors.median, targets.MEDIAN_ERROR),
        ("90th percentile of the error", score.errors.percentile_90, targets.PERCENTILE_90),
        ("Spearman", score.rank_correlation, targets.SPEARMAN),
        ("equal-macs pairs in the right order", score.share, targets.EQUAL_MACS_PAIRS),
        ("at least inside the 80 % interval", inside, targets.LEAST_INSIDE),
        ("at most inside the 80 % interval", inside, targets.MOST_INSIDE),
    ]
    return [
        [name, "-", str(target), "-"]
        if number is None
        else [name, f"{number:.3g}", *targets.cells(number, target)]
        for name, number, target in numbers
    ]


def score_rows(networks: Sequence[Unseen]) -> list[list[str]]:
    """Return the cells of each quantity that orders the networks."""
    return [
        [
            name,
            f"{100 * score.errors.median:.1f} %",
            f"{100 * score.errors.percentile_90:.1f} %",
            f"{score.rank_correlation:.3f}",
            "-" if score.share is None else f"{score.share:.2f}",
            f"{score.in_order} of {score.pairs}",
        ]
        for name, score in scores(networks).items()
    ]


def network_row(network: Unseen) -> list[str]:
    """Return the cells of a network."""
    low, high = network.predicted.low_ms, network.predicted.high_ms
    return [
        network.name,
        f"{network.measured_ms:.2f}",
        f"{network.predicted.predicted_ms:.2f}",
        f"{low:.2f} to {high:.2f}",
        "yes" if network.is_inside else "**no**",
        f"{100 * network.error:+.1f} %",
        f"{100 * network.coverage:.0f} %",
        f"{network.macs:,}",
        f"{network.memory_access:,}",
    ]


def page(
    profile: Profile,
    networks: Sequence[Unseen],
    errors: Mapping[str, str],
    rounds: int,
    packages: Mapping[str, str],
    load: tuple[float, float],
    drift: float,
) -> str:
    """Return the text of the file: the machine and its load, the targets, the order, and each network."""
    listed = ", ".join(f"{name} {version}" for name, version in packages.items())
    header = ("network", "measured ms", "predicted ms", "interval", "inside", "error", "coverage", "macs")
    quantity = ("quantity", "median error", "90th percentile", "Spearman", "pairs", "in the right order")
    return f"""\
# Predicted times, {profile.date}

`make benchmark-time` wrote this file on {profile.machine}, {os.cpu_count()} CPUs, {profile.threads} thread.
The load average was {load[0]:.2f} before the measurement, and {load[1]:.2f} after it.

Versions: {listed}.

The calibration had {profile.rounds} rounds, with a spread of {100 * profile.spread:.1f} %.
Measured times are medians of {rounds} alternating rounds at batch 1, half of them before and half after the calibration.
Anchors in the same rounds took {drift:.3f} times as long as in the calibration. They are not in the tables.

## Targets

{table(("quantity", "measured", "target", "reached"), target_rows(networks))}

## Order

{table(quantity, score_rows(networks))}

Macs and memory access are scaled to milliseconds by the median ratio of these networks, which favours them.
The macs of an equal-macs pair are within 25 %, and its times are more than 10 % apart.

## Networks

{table((*header, "memory access"), map(network_row, networks))}

{failed(errors)}
"""

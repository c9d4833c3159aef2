"""A trace against the fastest of other counters, at two image sizes."""

from __future__ import annotations

from benchmarks import targets, timing
from benchmarks.markdown import failed, table
from benchmarks.networks import MODELS, SIDES, network
from benchmarks.peers import PEERS, ours
from benchmarks.targets import Target
from benchmarks.timing import Timed

HEADER = ("milliseconds", "mbanalyze", "fastest peer / ours", "target", "reached", "fvcore / ours", *PEERS)


def target(name: str, side: int) -> Target:
    """Return the least ratio of a network at an image size."""
    factor = 1 if side == SIDES[0] else targets.LARGE_IMAGES
    return Target(factor * targets.AGAINST_PEERS[name], least=True)


def row(name: str, side: int, timed: dict[str, Timed]) -> list[str]:
    """Return the cells of a network from the times of all counters; those that failed have a dash."""
    mine = timed["mbanalyze"]
    peers = {peer: timed[peer] for peer in PEERS}
    ratio = min(each.median for each in peers.values() if not each.error) / mine.median
    fvcore = "-" if peers["fvcore"].error else f"{peers['fvcore'].median / mine.median:.0f}"
    return [
        f"{name}, {side} px",
        f"{1e3 * mine.median:.2f} ± {100 * mine.noise:.0f} %",
        f"**{ratio:.1f}**",
        *targets.cells(ratio, target(name, side)),
        fvcore,
        *("-" if each.error else f"{1e3 * each.median:.0f}" for each in peers.values()),
    ]


def measure(rounds: int) -> str:
    """Time each counter on every network at every size."""
    rows, errors = [], dict[str, str]()
    for side in SIDES:
        for name in timing.tracked(MODELS, f"counters at {side} px"):
            timed = timing.counters(network(name, side), side, {"mbanalyze": ours, **PEERS}, rounds)
            errors |= {f"{peer} on {name}, {side} px": t.error for peer, t in timed.items() if t.error}
            rows.append(row(name, side, timed))
    return f"{table(HEADER, rows)}\n\n{failed(errors)}"

"""Run other counters on the networks of the page about them: `python docs/run_counters.py` (some minutes).

It writes the totals to `counters.csv`, the named differences from our macs to `counter_differences.csv`, and the
waterfalls to `images/`. The page has its tables from these files.
With `--differences` it keeps the totals of the last run, and names the differences by our rules (some seconds).
"""

from __future__ import annotations

import csv
import dataclasses
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from mbanalyze import explain
from mbanalyze.conventions.known import CONVENTIONS
from mbanalyze.crosscheck.explained_totals import ExplainedTotals
from mbanalyze.crosscheck.explaining import counter_result
from mbanalyze.display.records import shape
from mbanalyze.sources.processes import Answer
from mbanalyze.sources.resolve import resolve

FOLDER = Path(__file__).parent
TOTALS, DIFFERENCES = FOLDER / "counters.csv", FOLDER / "counter_differences.csv"
NETWORKS = (
    *("mobilenet_v2", "resnet50", "densenet121", "efficientnet_b0", "regnet_y_400mf", "mnasnet1_0", "googlenet"),
    *("inception_v3", "squeezenet1_0", "vgg11", "vgg11_bn", "alexnet", "shufflenet_v2_x1_0", "mobilenet_v3_large"),
    *("convnext_tiny", "swin_t", "vit_b_16", "maxvit_t"),
)  # fmt: skip
"""Models of torchvision: convolutional networks, then those with attention."""
COUNTERS = (
    "fvcore",
    "flop-counter",
    "torchinfo",
    "ptflops",
    "ptflops-aten",
    "torchprofile",
    "calflops",
    "thop",
)
PICTURES = {
    "mobilenet_v2": ("fvcore", "torchinfo", "ptflops", "thop"),
    "vit_b_16": ("fvcore", "flop-counter", "torchinfo", "ptflops"),
}
"""The networks with a waterfall -> the counters in it."""


def totals(network: str, explanation: ExplainedTotals) -> list[dict[str, object]]:
    """Return the total of each counter with our macs."""
    subject = {
        "network": network,
        "input": " ".join(map(shape, explanation.report.input)),
        "macs": explanation.macs,
    }
    keys = ("counter", "version", "total", "unit", "unexplained")
    return [{**subject, **{key: getattr(each, key) for key in keys}} for each in explanation.counters]


def differences(network: str, explanation: ExplainedTotals) -> list[dict[str, object]]:
    """Return the named differences of each counter."""
    return [
        {"network": network, "counter": each.counter, "what": what, "amount": amount}
        for each in explanation.counters
        for what, amount in each.differences
    ]


def draw(network: str, explanation: ExplainedTotals, file: Path) -> None:
    """Draw the waterfall of a network."""
    from mbanalyze import plots

    shown = tuple(each for each in explanation.counters if each.counter in PICTURES[network])
    plots.save(plots.waterfall(dataclasses.replace(explanation, counters=shown)), file)


def picture(network: str) -> Path:
    """Return the file of a waterfall."""
    return FOLDER / f"images/counters_{network}.svg"


def write(file: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write rows with equal keys as CSV."""
    ordered = list(rows)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ordered[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(ordered)


def run(network: str) -> ExplainedTotals:
    """Run every counter on a network."""
    return explain(f"torchvision:{network}", counters=COUNTERS, time_limit=600)


def again(network: str) -> ExplainedTotals:
    """Return the stored totals of a network with the differences that our rules give."""
    report = resolve(f"torchvision:{network}").report(calls=True)
    with TOTALS.open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["network"] == network]
    results = (
        counter_result(CONVENTIONS[row["counter"]], row["version"], Answer(int(row["total"])), report.record)
        for row in rows
    )
    return ExplainedTotals(report, tuple(results))


def main() -> None:
    """Explain every network, and write the files."""
    found = {network: again(network) if "--differences" in sys.argv else run(network) for network in NETWORKS}
    write(TOTALS, (row for each in found.items() for row in totals(*each)))
    write(DIFFERENCES, (row for each in found.items() for row in differences(*each)))
    for network in PICTURES:
        draw(network, found[network], picture(network))


if __name__ == "__main__":
    main()

"""The tables of the page about other counters, from the files that `run_counters.py` writes."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from textwrap import indent

FOLDER = Path(__file__).parent
Row = dict[str, str]


def rows(file: str) -> list[Row]:
    """Return the rows of a CSV file in this folder."""
    with (FOLDER / file).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def table(header: list[str], lines: list[list[str]], left: int = 1) -> str:
    """Return a Markdown table whose first `left` columns are text, and all others numbers."""
    rule = ["---"] * left + ["---:"] * (len(header) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *lines]) + "\n"


def by_network(cell: Callable[[Row], str], *, ours: bool) -> str:
    """Return a table of networks by counters, with or without our macs and the input."""
    found = [(name, list(each)) for name, each in groupby(rows("counters.csv"), lambda row: row["network"])]
    lines = []
    for name, each in found:
        own = [each[0]["input"], f"{int(each[0]['macs']):,}"] if ours else []
        lines.append([name, *own, *map(cell, each)])
    header = ["network", *(["input", "our macs"] if ours else []), *(row["counter"] for row in found[0][1])]
    return table(header, lines, left=2 if ours else 1)


def ratio(row: Row) -> str:
    """The total over our macs; one that rounds to 1 without being equal has a sign for it."""
    if not row["total"]:
        return "failed"
    total, macs = int(row["total"]), int(row["macs"])
    text = f"{total / macs:.3f}"
    return f"≈\N{NO-BREAK SPACE}{text}" if text in ("1.000", "2.000") and total % macs else text


def total(row: Row) -> str:
    """The total as the counter gives it."""
    return f"{int(row['total']):,}" if row["total"] else "failed"


def differences(network: str) -> str:
    """Return the way from our macs to each counter's total, for one network, as a block that opens on demand."""
    parts = [row for row in rows("counter_differences.csv") if row["network"] == network]
    lines = []
    for row in (row for row in rows("counters.csv") if row["network"] == network):
        own = [each for each in parts if each["counter"] == row["counter"]]
        lines.append([f"**{row['counter']}** {row['version']}", "our macs", f"{int(row['macs']):,}"])
        lines += [["", f"`{each['what']}`", f"{int(each['amount']):+,}"] for each in own]
        lines += list(unexplained(row))
        lines.append(["", f"**total**, {row['unit']}", f"**{total(row)}**"])
    block = table(["counter", "difference", "amount"], lines, left=2)
    return '??? note "Every difference"\n\n' + indent(block, "    ")


def verdict() -> str:
    """Return a sentence on the totals that are explained, and one on each other total."""
    found = [row for row in rows("counters.csv") if row["total"]]
    left = [row for row in found if row["unexplained"] != "0"]
    lines = [
        f"{len(found) - len(left)} of {len(found)} totals are explained to the last multiply-accumulate."
    ]
    lines += [f"`{row['counter']}` has {row['unexplained']} more for {row['network']}." for row in left]
    return "\n".join(lines)


def unexplained(row: Row) -> Iterator[list[str]]:
    """A line for an amount that no rule explains."""
    if row["unexplained"] not in ("", "0"):
        yield ["", "unexplained", f"{int(row['unexplained']):+,}"]


PARTS: dict[str, Callable[[], str]] = {
    "counter_ratios": partial(by_network, ratio, ours=False),
    "counter_totals": partial(by_network, total, ours=True),
    "counters_verdict": verdict,
    "counters_mobilenet_v2": partial(differences, "mobilenet_v2"),
    "counters_vit_b_16": partial(differences, "vit_b_16"),
}
"""Name of a part of a page -> the function that returns it."""

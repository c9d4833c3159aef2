"""The macs of variants as another counter counts them: a column for its name, and a trace of each variant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mbanalyze.archs.options import Architecture
from mbanalyze.conventions.convention import Convention
from mbanalyze.report.network import TOTALS
from mbanalyze.sweep.arrays import Array
from mbanalyze.sweep.grid import GridError
from mbanalyze.sweep.plain_columns import Columns
from mbanalyze.sweep.traced import CountArguments, VariantError

if TYPE_CHECKING:
    import pandas as pd

Trace = Callable[[Sequence[CountArguments]], list[dict[str, Any] | None]]
"""A function that counts variants; None stands for one that is left out."""


def traced_macs(
    networks: Sequence[Architecture | str], batch: Mapping[str, int], convention: Convention, trace: Trace
) -> Array:
    """Return the macs of networks by traces that follow calls: int64, or Python integers beyond 64 bits.

    Args:
        networks: the networks or their references; all can be built.
        batch: the option `batch`, if it is given.
        convention: the convention.
        trace: counts variants.

    Raises:
        GridError: a trace fails, although the closed form is a network.
    """
    options = {**batch, "convention": convention.name}
    try:
        macs = [
            totals["macs"]
            for totals in trace([(network, (), dict(options)) for network in networks])
            if totals
        ]
    except VariantError as error:
        raise GridError(str(error)) from error
    return np.array(macs, np.int64 if max(map(abs, macs), default=0) < 2**63 else object)


def with_convention(rows: Columns | pd.DataFrame, label: str) -> Columns | pd.DataFrame:
    """Return rows with the column `convention` after the totals, or at the end without totals."""
    names = [str(name) for name in rows if name != "convention"]
    totals = [at for at, name in enumerate(names, 1) if name in TOTALS]
    end = max(totals, default=len(names))
    order = [*names[:end], "convention", *names[end:]]
    if isinstance(rows, Mapping):
        count = len(next(iter(rows.values())))
        column = np.full(count, label, object)
        return {name: column if name == "convention" else rows[name] for name in order}
    return rows.assign(convention=label)[order]

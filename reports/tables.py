"""The tables: variants with published figures, verdicts on the figures, and ShuffleNet V2's experiments."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mbanalyze.archs.options import Architecture
from mbanalyze.inputs.parsing import spell_options
from mbanalyze.literature.figures import entries
from mbanalyze.literature.verdicts import published
from mbanalyze.memory_access.experiments import Experiments
from mbanalyze.sweep.ablation import ablate
from mbanalyze.sweep.ablation_result import Ablation

FAMILIES = (
    *("alexnet", "googlenet", "inception", "mobilenet", "resnet"),
    *("shufflenet", "squeezenet", "vgg", "xception"),
)
"""The families with published figures."""
ORDER = {"model": True, "options": True, "alpha": False, "resolution": False}
"""Columns by which variants are sorted -> True if the smallest comes first."""


@functools.cache
def variants(family: str) -> pd.DataFrame:
    """Return every network of a family with published figures, with its costs and these figures.

    The columns are those of `ablate`, plus `model` in front and all other `options` as one text.
    """
    rows: dict[Architecture, pd.DataFrame] = {}
    for entry in entries():
        spec = entry.spec
        if entry.family == family and spec is not None and spec not in rows:
            rows[spec] = _row(entry.variant, spec, entry.options)
    frame = pd.concat(rows.values(), ignore_index=True)
    return frame.sort_values([*ORDER], ascending=[*ORDER.values()], ignore_index=True)


def _row(name: str, spec: Architecture, options: Mapping[str, Any]) -> pd.DataFrame:
    frame = ablate(spec).frame()
    frame.insert(0, "model", name)
    if "alpha" not in frame:
        frame.insert(1, "alpha", np.nan)
    others = {option: value for option, value in options.items() if option not in ORDER}
    frame.insert(3, "options", spell_options(others, " "))
    return frame


def tables() -> dict[str, str]:
    """The text of each file, by its name."""
    made = {"guidelines.md": f"# ShuffleNet V2's experiments\n\n{Experiments().to('markdown')}"}
    for family in FAMILIES:
        ablation = Ablation(variants(family))
        made[f"variants_{family}.md"] = f"# Variants: {family}\n\n{ablation.to('markdown')}"
        made[f"variants_{family}.csv"] = ablation.to("csv")
        made[f"published_{family}.md"] = (
            f"# Published figures: {family}\n\n{published(family).to('markdown')}"
        )
    return made

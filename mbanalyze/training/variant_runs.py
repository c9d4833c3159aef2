"""One run among many: a variant with a seed, as a job that any process can do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mbanalyze.clock.machine import threads_set
from mbanalyze.display.records import one_line
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.sources.references import summarize
from mbanalyze.training.epochs import Position
from mbanalyze.training.plan import TrainingPlan
from mbanalyze.training.train_network import train

LONGEST_NAME = 120
"""The largest number of characters of a folder's name."""


@dataclass(frozen=True, slots=True)
class VariantRun:
    """A variant with a seed.

    Attributes:
        what: the model without options, as for `train`.
        options: its options, with `resolution`.
        plan: the settings.
        seed: the seed.
    """

    what: Any
    options: Mapping[str, Any]
    plan: TrainingPlan
    seed: int

    @property
    def name(self) -> str:
        """The reference of the variant, with the seed."""
        model = (
            self.what
            if isinstance(self.what, str)
            else getattr(self.what, "__name__", type(self.what).__name__)
        )
        return spell_reference(model, {**self.options, "seed": self.seed})

    @property
    def folder(self) -> Path | None:
        """The folder of the run; None without a folder of runs."""
        return None if self.plan.runs is None else Path(self.plan.runs) / folder_name(self.name)


def folder_name(name: str) -> str:
    """Return the name of the folder of a run: its reference in characters that no shell reads.

    >>> folder_name("mobilenet_v1@alpha=0.5,resolution=32,seed=0")
    'mobilenet_v1-alpha=0.5-resolution=32-seed=0'
    """
    path, at, options = name.rpartition("@")
    text = re.sub(r"[^\w.=]+", "-", Path(path).name + at + options).strip("-")
    if len(text) <= LONGEST_NAME:
        return text
    return f"{text[: LONGEST_NAME - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def train_variant(run: VariantRun, progress: Callable[[Position], object] | None = None) -> dict[str, Any]:
    """Do a run or its remaining epochs, and return the record; if it fails, the reason under `error`."""
    plan = run.plan
    try:
        with threads_set(plan.threads):
            trained = train(
                run.what,
                data=plan.data_name,
                epochs=plan.epochs,
                batch=plan.batch,
                lr=plan.lr,
                optimizer=plan.optimizer,
                recipe=plan.recipe,
                seed=run.seed,
                device=plan.device,
                output=run.folder,
                resume=run.folder is not None,
                download=plan.download,
                progress=progress,
                **run.options,
            )
    except (ValueError, LookupError) as error:
        return {"error": one_line(f"{run.name}: {error or summarize(error)}")}
    return trained.record.as_dict()

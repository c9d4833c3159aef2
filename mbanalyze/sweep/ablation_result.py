"""The result of `ablate`: every variant of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from mbanalyze.conventions.convention_names import labelled
from mbanalyze.display import records
from mbanalyze.display.result import Result
from mbanalyze.inputs.typed import Sizes
from mbanalyze.literature.accuracy.agreement import AccuracySource, Shown, accuracy_sources
from mbanalyze.literature.accuracy.matching import OwnUse
from mbanalyze.report.network import CONVENTION
from mbanalyze.sweep.convention_macs import with_convention
from mbanalyze.sweep.plain_columns import Columns

if TYPE_CHECKING:
    import pandas as pd

    from mbanalyze.conventions.convention import Convention
    from mbanalyze.profiles.time_profile import Profile


@dataclass(frozen=True, eq=False, repr=False)
class Ablation(Result):
    """The variants of a network.

    Attributes:
        rows: the variants: plain columns of a known architecture, else a frame.
        shown: the network, source and value of each `top1`.
        own: the use of the user's accuracy; None without one.
        selected: True if the user selected sources.
        model: the user's name for the network, without options.
        input: the known shapes of the tensors that the first variant takes.
        convention: the convention of its macs: `CONVENTION`, or another counter's with its version.
        profile: the machine whose time is predicted; None if no time is.
    """

    json_key: ClassVar[str] = "variants"

    rows: Columns | pd.DataFrame
    shown: tuple[Shown, ...] = ()
    own: OwnUse | None = None
    selected: bool = False
    model: str = ""
    input: tuple[Sizes, ...] = ()
    convention: str = CONVENTION
    profile: Profile | None = None

    def __len__(self) -> int:
        return len(next(iter(self.rows.values()))) if isinstance(self.rows, Mapping) else len(self.rows)

    @cached_property
    def variants(self) -> pd.DataFrame:
        """One row for each variant; the resolution varies fastest.

        The columns are the options, the totals of a `Report` and, for a known architecture, `PUBLISHED_COLUMNS`.
        The frame of a factory has `complete` instead: False if its macs and flops are lower bounds.
        The frame of a pattern begins with `model` and has `error`, the reason of an incomplete count, or None.
        For models of a package it also has `input` and `counted_with` (versions and settings).
        With another counter's macs, `convention` names it, behind the totals.
        With a profile, `predicted_ms`, `low_ms` and `high_ms` follow.
        The metrics of the user's accuracy are the last columns.
        """
        import pandas as pd

        return pd.DataFrame(self.rows) if isinstance(self.rows, Mapping) else self.rows

    @cached_property
    def sources(self) -> tuple[AccuracySource, ...]:
        """The sources of `top1`, and how far other sources of the same variants differ."""
        return accuracy_sources(self.shown)

    def as_dict(self) -> dict[str, Any]:
        """Return the variants under the key `variants`, and the sources of their accuracy under `accuracy`."""
        return {
            "variants": self.records(),
            "accuracy": [source.as_dict() for source in self.sources],
            "own": None if self.own is None else self.own.as_dict(),
            "profile": self.profile and self.profile.settings,
        }

    def with_column(self, name: str, values: Any) -> Ablation:
        """Return the same ablation with a column added or replaced."""
        rows = self.rows
        return replace(
            self, rows={**rows, name: values} if isinstance(rows, Mapping) else rows.assign(**{name: values})
        )

    def under(self, convention: Convention) -> Ablation:
        """Return the same ablation, whose macs are those of a convention, with a column that names it."""
        rows = with_convention(self.rows, convention.label)
        return replace(self, rows=rows, convention=convention.label)

    @property
    def other_convention(self) -> Convention | None:
        """The convention of another counter that gave its macs; None for ours."""
        return labelled(self.convention)

    def frame(self) -> pd.DataFrame:
        """Return a copy of the variants."""
        return self.variants.copy()

    def records(self) -> list[dict[str, Any]]:
        """Return one dict for each variant; None is unknown."""
        return records.rows_of(self.rows)

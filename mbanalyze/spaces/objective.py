"""The quantity that a search in a space maximises: macs, or a function of the user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from mbanalyze.sources.references import load_function, summarize
from mbanalyze.spaces.candidate import Candidate
from mbanalyze.spaces.space import SpaceError

PROXY = "macs stand for accuracy here: a proxy, and no accuracy"
"""A sentence for every output of a search that maximises macs."""


@dataclass(frozen=True, slots=True)
class Objective:
    """The quantity to maximise.

    Attributes:
        name: `macs`, or the name or reference of the function.
        function: returns the value of a candidate; None for its macs.
    """

    name: str
    function: Callable[[Candidate], float] | None = None

    def of(self, candidate: Candidate) -> float:
        """Return the value of a candidate.

        Raises:
            SpaceError: the function fails, or returns no finite number.
        """
        if self.function is None:
            return candidate.costs["macs"]
        try:
            value = self.function(candidate)
            number = value.item() if hasattr(value, "item") else value
        except Exception as error:
            raise SpaceError(f"{self.name} failed on {candidate.reference}: {summarize(error)}") from error
        if isinstance(number, bool) or not isinstance(number, int | float) or not isfinite(number):
            raise SpaceError(
                f"{self.name} must return a finite number, not {value!r}, for {candidate.reference}"
            )
        return number


def find_objective(given: str | Callable[[Candidate], float] | None) -> Objective:
    """Return the objective that a user gives: `macs` (None), a function, or `file.py:function`.

    Raises:
        SpaceError: the text is neither `macs` nor the reference of a function.
        SourceError: the file or the function does not exist, or its import fails.
    """
    if given is None or given == "macs":
        return Objective("macs")
    if not isinstance(given, str):
        return Objective(f"{given.__module__}.{getattr(given, '__qualname__', type(given).__name__)}", given)
    if ":" not in given:
        raise SpaceError(
            f"no objective {given!r} in a space: give macs or your function, such as train.py:accuracy"
        )
    return Objective(given, load_function(given))

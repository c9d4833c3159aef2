"""A name that the user chose, against those that are known."""

from __future__ import annotations

import difflib
from collections.abc import Collection


class ChoiceError(ValueError):
    """A name that is none of the known ones: of a format, a grouping, a dtype or the like."""


def choose(what: str, given: str, known: Collection[str]) -> str:
    """Return `given` if it is one of `known`.

    Raises:
        ChoiceError: it is not; the message lists the known names.
    """
    if not isinstance(given, str) or given not in known:
        raise ChoiceError(f"unknown {what} {given!r}: choose one of {', '.join(known)}")
    return given


def nearest(given: object, known: Collection[str], *, most: int = 3) -> list[str]:
    """Return the names among `known` that are spelled most like `given`, the nearest first."""
    return difflib.get_close_matches(str(given), known, n=most, cutoff=0.4)

"""A name that the user gives, checked against the known names."""

from __future__ import annotations

import difflib
from collections.abc import Collection


class ChoiceError(ValueError):
    """An unknown name of a format, grouping, dtype or another choice."""


def choose(what: str, given: str, known: Collection[str]) -> str:
    """Return `given` if it is a known name.

    Raises:
        ChoiceError: `given` is unknown. The message lists the known names.
    """
    if not isinstance(given, str) or given not in known:
        raise ChoiceError(f"unknown {what} {given!r}: choose one of {', '.join(known)}")
    return given


def nearest(given: object, known: Collection[str], *, most: int = 3) -> list[str]:
    """Return up to `most` known names with a similar spelling, the most similar first."""
    return difflib.get_close_matches(str(given), known, n=most, cutoff=0.4)


def nearest_are(names: Collection[str]) -> str:
    """Return "nearest is NAME" or "nearest are NAME, NAME"; "" for no names."""
    return f"nearest {'is' if len(names) == 1 else 'are'} {', '.join(names)}" if names else ""


def meant(given: object, known: Collection[str]) -> str:
    """Return "did you mean ...? " with the known name that is probably meant; "" if none is similar enough."""
    near = difflib.get_close_matches(str(given), known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}? " if near else ""

"""The errors for references that name no model: what was probably meant, from the files and packages at hand."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from mbanalyze.archs import NAMES
from mbanalyze.inputs.choices import nearest, nearest_are
from mbanalyze.sources.definitions import factories, module_file, packages_with

MAX_LISTED = 8
"""The largest number of factories in an error."""


def unknown_model(reference: str, place: str) -> str:
    """Return the error for a reference without a factory, whose other part is `place`."""
    file = Path(place) if place.endswith(".py") else None
    if file and not file.is_file():
        return f"there is no file {place}"
    if not file and (packages := packages_with(place)):
        known = " or ".join(f"{package}:{place}" for package in packages)
        return f"{place} is not known in closed form: try {known}"
    if source := file or module_file(place):
        kind = "file" if file else "module"
        made = _listed([f"{place}:{name}" for name in factories(source)])
        examples = f": {made}" if made else f", such as {place}:build"
        return f"{place} is a Python {kind}: name the function or class in it that makes the model{examples}"
    near = nearest_are(nearest(reference, NAMES)) or f"known are {', '.join(NAMES)}"
    return (
        f"unknown model {reference!r}: {near}; "
        "for your own model give package.module:factory or file.py:factory"
    )


def known_factories(module: ModuleType, name: str) -> str:
    """Return the end of the error for an unknown factory `name`: those that the module has; "" if it has none."""
    public = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
    known = factories(Path(getattr(module, "__file__", None) or "")) or nearest(name, public)
    return f": it has {_listed(known)}" if known else ""


def _listed(names: list[str]) -> str:
    """Names with commas between them; beyond `MAX_LISTED`, their number."""
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")

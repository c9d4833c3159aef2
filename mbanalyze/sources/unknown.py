"""The errors for names of models and arguments that do not exist: what was probably meant."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from mbanalyze.archs import NAMES
from mbanalyze.archs.options import OptionError
from mbanalyze.inputs.choices import nearest, nearest_are
from mbanalyze.sources.definitions import factories, module_file, packages_with

MAX_LISTED = 8
"""The largest number of factories in an error."""


def unknown_model(reference: str, place: str) -> str:
    """Return the error for a reference without a factory, or with `::`, whose other part is `place`."""
    if place.endswith(":"):
        return f"malformed reference {reference!r}: write {reference.replace('::', ':')}"
    file = Path(place) if place.endswith(".py") else None
    if file and not file.is_file():
        return missing_file(place)
    if not file and (packages := packages_with(place)):
        known = " or ".join(f"{package}:{place}" for package in packages)
        return f"{place} is not known in closed form: try {known}"
    if source := file or module_file(place):
        kind = "file" if file else "module"
        made = _listed([f"{place}:{name}" for name in factories(source)])
        examples = f": {made}" if made else f", such as {place}:build"
        return f"{place} is a Python {kind}: name the function or class in it that makes the model{examples}"
    module, _, name = place.rpartition(".")
    if module and module_file(module):
        return f"{place} is not a module: for the function or class {name} of {module} write {module}:{name}"
    near = nearest_are(nearest(reference, NAMES)) or f"known are {', '.join(NAMES)}"
    return (
        f"unknown model {reference!r}: {near}; "
        "for your own model give package.module:factory, file.py:factory, or a file .onnx or .pt2"
    )


def missing_file(place: str) -> str:
    """Return the error for a file that does not exist; only Windows reads backslashes as separators of folders."""
    hint = ": write its path with forward slashes" if "\\" in place and sys.platform != "win32" else ""
    return f"there is no file {place}{hint}"


def check_arguments(name: str, factory: Callable[..., object], options: Mapping[str, Any]) -> None:
    """Raise `OptionError` for an option that is no argument of a factory.

    Args:
        name: the user's name for the factory.
        factory: a function or class; one without a readable signature takes every option.
        options: the options.
    """
    try:
        arguments = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return
    if any(argument.kind is argument.VAR_KEYWORD for argument in arguments):
        return
    known = [a.name for a in arguments if a.kind in (a.POSITIONAL_OR_KEYWORD, a.KEYWORD_ONLY)]
    for option in options:
        if option not in known:
            near = [f"did you mean {meant}?" for meant in get_close_matches(option, known, n=1)]
            listed = f"its arguments are {', '.join(known)}" if known else "it takes none"
            shape = "; the shape of its input states the size" * (option in ("batch", "resolution"))
            raise OptionError(f"{name} has no argument {option!r}: {' '.join([*near, listed])}{shape}")


def known_factories(module: ModuleType, name: str) -> str:
    """Return the end of the error for an unknown factory `name`: those that the module has; "" if it has none."""
    public = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
    known = factories(Path(getattr(module, "__file__", None) or "")) or nearest(name, public)
    return f": it has {_listed(known)}" if known else ""


def _listed(names: list[str]) -> str:
    """Names with commas between them; beyond `MAX_LISTED`, their number."""
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")

"""The hyper-parameters of an architecture: declared once as dataclass fields, checked and described from there."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import Field, field, fields
from typing import Any, ClassVar, Protocol, TypeVar, get_type_hints

from mbanalyze.cost import Op


class OptionError(ValueError):
    """An option that the architecture does not have, or a value that it cannot take."""


class Architecture(Protocol):
    """A network in closed form: a frozen dataclass of its hyper-parameters."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    paper: ClassVar[str]

    @property
    def resolution(self) -> int:
        """Height and width of the input, in pixels."""
        ...

    def ops(self, batch: int = 1) -> list[Op]:
        """Every operator of a forward pass on `batch` images, in order."""
        ...


A = TypeVar("A", bound=Architecture)


def option(default: float | bool | str, help: str, *, least: int = 1) -> Any:
    """A hyper-parameter: its default, one line about it, and for an integer the least value it takes.

    A float must be above zero.
    """
    return field(default=default, metadata={"help": help, "least": least})


def alpha() -> Any:
    """The width multiplier."""
    return option(1.0, "width multiplier: scales the channels of every layer")


def resolution(default: int = 224) -> Any:
    """The input size."""
    return option(default, "height and width of the input, in pixels")


def num_classes() -> Any:
    """The classifier's size."""
    return option(1000, "outputs of the classifier")


LARGEST = 10**9
"""No option goes beyond this: float arithmetic on channels is exact well past it."""


def check(spec: Architecture) -> None:
    """Raise `OptionError` unless every field holds a value of its type, in range."""
    hints = get_type_hints(type(spec))
    for declared in fields(spec):
        _check_value(declared, hints[declared.name], getattr(spec, declared.name))


def _check_value(declared: Field[Any], kind: type, value: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    least = declared.metadata["least"]
    if kind is int:
        good = number and isinstance(value, int) and least <= value <= LARGEST
        wanted = f"a whole number from {least} to {LARGEST}"
    elif kind is float:
        good = number and 0 < value <= LARGEST  # which nan and inf are not
        wanted = f"a number above 0, at most {LARGEST}"
    else:
        good, wanted = isinstance(value, kind), "true or false" if kind is bool else "a word"
    if not good:
        raise OptionError(f"{declared.name} must be {wanted}, not {value!r}")


def make(name: str, arch: type[A], options: Mapping[str, Any]) -> A:
    """`arch` with these options; `name` is what the user calls it."""
    known = [declared.name for declared in fields(arch)]
    for given in options:
        if given not in known:
            near = difflib.get_close_matches(given, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise OptionError(f"{name} has no option {given!r}: {hint}its options are {', '.join(known)}")
    return arch(**options)


def describe(arch: type[Architecture]) -> list[dict[str, Any]]:
    """The options of `arch`, one dict each: name, type, default and help."""
    hints = get_type_hints(arch)
    return [
        {
            "name": declared.name,
            "type": hints[declared.name].__name__,
            "default": declared.default,
            "help": declared.metadata["help"],
        }
        for declared in fields(arch)
    ]

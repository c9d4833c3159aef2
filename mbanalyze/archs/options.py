"""The hyper-parameters of an architecture: dataclass fields that are declared once, checked and described."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field, field, fields
from typing import Any, ClassVar, Protocol, TypeVar, get_args, get_type_hints

from mbanalyze.inputs.choices import nearest
from mbanalyze.ops.record import Op


class OptionError(ValueError):
    """An unknown or contradictory option of an architecture or factory, or a value outside its range."""


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


def unused_params(spec: Architecture) -> tuple[str, ...]:
    """Names of the parameters that a network has and inference does not read, if it says it has any."""
    names: tuple[str, ...] = getattr(spec, "unused_params", tuple)()
    return names


def option(
    default: float | bool | str,
    help: str,
    *,
    least: int = 1,
    choices: tuple[float, ...] | None = None,
) -> Any:
    """A hyper-parameter: its default, one line about it, and what values it takes.

    An integer is at least `least`, a float above zero, and a number one of `choices` where there are any. A
    word is one of those in its `Literal` annotation.
    """
    return field(default=default, metadata={"help": help, "least": least, "choices": choices})


def alpha(choices: tuple[float, ...] | None = None) -> Any:
    """The width multiplier."""
    return option(1.0, "width multiplier: scales the channels of every layer", choices=choices)


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
    hints = _hints(type(spec))
    for declared in fields(spec):
        value = getattr(spec, declared.name)
        if hasattr(value, "dtype") and value.ndim == 0:  # a NumPy number is as good as Python's
            value = value.item()
            object.__setattr__(spec, declared.name, value)
        if wrong := _wrong(declared, hints[declared.name], value):
            raise OptionError(wrong)


@functools.cache
def _hints(arch: type[Architecture]) -> dict[str, Any]:
    return get_type_hints(arch)


def _choices(declared: Field[Any], hint: Any) -> tuple[Any, ...] | None:
    """The values that a field is limited to, or None."""
    return get_args(hint) or declared.metadata["choices"]


_KINDS = {bool: "b", int: "i", float: "f"}
"""What NumPy calls these types; a value may be one of many variants."""


def _wrong(declared: Field[Any], hint: Any, value: Any) -> str | None:
    """The error message for a value of a field, or None if the value is valid."""
    kind = value.dtype.kind if hasattr(value, "dtype") else _KINDS.get(type(value))
    least, choices = declared.metadata["least"], _choices(declared, hint)
    if choices:
        good = value in choices and kind != "b"
        wanted = f"one of {', '.join(map(str, choices))}"
    elif hint is bool:
        good, wanted = kind == "b", "true or false"
    elif hint is int:
        good = kind == "i" and least <= value <= LARGEST
        wanted = f"a whole number from {least} to {LARGEST}"
    else:
        good = kind in ("i", "f") and 0 < value <= LARGEST  # which nan and inf are not
        wanted = f"a number above 0, at most {LARGEST}"
    return None if good else f"{declared.name} must be {wanted}, not {value!r}"


def is_numeric(arch: type[Architecture], name: str) -> bool:
    """Return True if an option of `arch` takes every number in its range."""
    hint = _hints(arch)[name]
    return hint in (int, float) and not _choices(arch.__dataclass_fields__[name], hint)


def checked(
    name: str, arch: type[Architecture], option: str, values: Sequence[Any], *, drop: bool = False
) -> list[Any]:
    """Return `values` of an option of `arch` in the option's type.

    Args:
        name: the user's name for `arch`, for error messages.
        arch: the architecture.
        option: the name of the option.
        values: the values to check.
        drop: leave out invalid values, unless all are invalid.

    Raises:
        OptionError: the option is unknown, or a value is invalid.
    """
    declared, hint = _known(name, arch, [option])[option], _hints(arch)[option]
    wrong = [_wrong(declared, hint, value) for value in values]
    kept = [value for value, problem in zip(values, wrong, strict=True) if problem is None]
    if len(kept) < len(values) and not (drop and kept):
        raise OptionError(next(filter(None, wrong)))
    return [float(value) if hint is float else value for value in kept]


def merge(name: str, implied: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the alias `name`: those it implies and those the user gives.

    Raises:
        OptionError: the user gives another value for an implied option.
    """
    for option, value in implied.items():
        if option in options and options[option] != value:
            raise OptionError(f"{name} implies {option}={value}: leave {option} out")
    return {**options, **implied}


def make(name: str, arch: type[A], options: Mapping[str, Any]) -> A:
    """Instantiate `arch`; `name` is the user's name for it.

    Raises:
        OptionError: an option is unknown, or its value is invalid.
    """
    _known(name, arch, options)
    return arch(**options)


def _known(name: str, arch: type[Architecture], options: Iterable[str]) -> dict[str, Field[Any]]:
    """The declared options of `arch`, after checking that `options` are among them."""
    known = {declared.name: declared for declared in fields(arch)}
    for given in options:
        if given not in known:
            hint = "".join(f"did you mean {near}? " for near in nearest(given, known, most=1))
            raise OptionError(f"{name} has no option {given!r}: {hint}its options are {', '.join(known)}")
    return known


def describe(arch: type[Architecture]) -> list[dict[str, Any]]:
    """The options of `arch`, one dict each: name, type, default, choices (or None) and help."""
    hints = _hints(arch)
    return [
        {
            "name": declared.name,
            "type": "str" if get_args(hints[declared.name]) else hints[declared.name].__name__,
            "default": declared.default,
            "choices": _choices(declared, hints[declared.name]),
            "help": declared.metadata["help"],
        }
        for declared in fields(arch)
    ]

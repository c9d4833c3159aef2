"""The options of an architecture: declared as dataclass fields, validated and described from the declarations."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field, field, fields
from typing import Any, ClassVar, TypeVar, get_args, get_type_hints

from mbanalyze.archs.builder import Builder
from mbanalyze.inputs.choices import nearest
from mbanalyze.ops.record import Op, Value


class OptionError(ValueError):
    """An unknown or contradictory option of an architecture or factory, or a value outside its range."""


class Architecture(ABC):
    """A network in closed form: a frozen dataclass whose fields are its options, validated on creation."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    paper: ClassVar[str]
    resolution: int

    def __post_init__(self) -> None:
        validate(self)

    def ops(self, batch: int = 1) -> list[Op]:
        """Return the operators of a forward pass on `batch` images, in order."""
        builder = Builder()
        self._forward(builder, builder.input(batch, 3, self.resolution, self.resolution))
        return builder.ops

    @abstractmethod
    def _forward(self, builder: Builder, x: Value) -> None:
        """Record the forward pass on the images `x`."""


ArchitectureT = TypeVar("ArchitectureT", bound=Architecture)


def unused_params(spec: Architecture) -> tuple[str, ...]:
    """Return the names of the parameters that inference does not read: `spec.unused_params()` if it exists."""
    names: tuple[str, ...] = getattr(spec, "unused_params", tuple)()
    return names


def option(
    default: float | bool | str, help: str, *, minimum: int = 1, choices: tuple[float, ...] | None = None
) -> Any:
    """Declare an option of an architecture as a dataclass field.

    Args:
        default: the value of the standard network.
        help: a one-line description.
        minimum: the smallest value of an integer; a float only has to be positive.
        choices: the allowed numbers; allowed strings come from the field's `Literal` annotation.
    """
    return field(default=default, metadata={"help": help, "minimum": minimum, "choices": choices})


def alpha(choices: tuple[float, ...] | None = None) -> Any:
    """Declare the width multiplier."""
    return option(1.0, "width multiplier: scales the channels of every layer", choices=choices)


def resolution(default: int = 224) -> Any:
    """Declare the size of the input."""
    return option(default, "height and width of the input, in pixels")


def num_classes() -> Any:
    """Declare the size of the classifier."""
    return option(1000, "outputs of the classifier")


MAX_VALUE = 10**9
"""The upper limit of every numeric option; float arithmetic on channels is exact well beyond it."""


def validate(spec: Architecture) -> None:
    """Raise `OptionError` unless every field holds a value of its type, in its range."""
    hints = _hints(type(spec))
    for declared in fields(spec):
        value = getattr(spec, declared.name)
        if hasattr(value, "dtype") and value.ndim == 0:  # a NumPy scalar
            value = value.item()
            object.__setattr__(spec, declared.name, value)
        if problem := _problem(declared, hints[declared.name], value):
            raise OptionError(problem)


@functools.cache
def _hints(arch: type[Architecture]) -> dict[str, Any]:
    return get_type_hints(arch)


def _choices(declared: Field[Any], hint: Any) -> tuple[Any, ...] | None:
    """The allowed values of a field, or None if any value of its type in range is allowed."""
    return get_args(hint) or declared.metadata["choices"]


_DTYPE_KINDS = {bool: "b", int: "i", float: "f"}
"""Python type -> NumPy's `dtype.kind`; the value of an option may be an array of variants."""


def _problem(declared: Field[Any], hint: Any, value: Any) -> str | None:
    """The error message for a value of a field, or None if the value is valid."""
    kind = value.dtype.kind if hasattr(value, "dtype") else _DTYPE_KINDS.get(type(value))
    minimum, choices = declared.metadata["minimum"], _choices(declared, hint)
    if choices:
        valid = value in choices and kind != "b"
        expected = f"one of {', '.join(map(str, choices))}"
    elif hint is bool:
        valid, expected = kind == "b", "true or false"
    elif hint is int:
        valid = kind == "i" and minimum <= value <= MAX_VALUE
        expected = f"a whole number from {minimum} to {MAX_VALUE}"
    else:
        valid = kind in ("i", "f") and 0 < value <= MAX_VALUE  # rejects nan and inf too
        expected = f"a number above 0, at most {MAX_VALUE}"
    return None if valid else f"{declared.name} must be {expected}, not {value!r}"


def is_numeric(arch: type[Architecture], name: str) -> bool:
    """Return True if an option of `arch` is a number without a list of choices."""
    hint = _hints(arch)[name]
    return hint in (int, float) and not _choices(arch.__dataclass_fields__[name], hint)


def validate_values(
    name: str, arch: type[Architecture], option: str, values: Sequence[Any], *, drop: bool = False
) -> list[Any]:
    """Return `values` of an option of `arch`, with numbers converted to the option's type.

    Args:
        name: the architecture's name in error messages.
        arch: the architecture.
        option: the option's name.
        values: the values to validate.
        drop: leave out invalid values, unless all values are invalid.

    Raises:
        OptionError: the option does not exist, or one of the values is invalid.
    """
    declared, hint = _fields_by_name(name, arch, [option])[option], _hints(arch)[option]
    problems = [_problem(declared, hint, value) for value in values]
    valid = [value for value, problem in zip(values, problems, strict=True) if problem is None]
    if len(valid) < len(values) and not (drop and valid):
        raise OptionError(next(filter(None, problems)))
    return [float(value) if hint is float else value for value in valid]


def merge(name: str, implied: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the alias `name`: those it implies and those the user gives.

    Raises:
        OptionError: the user gives another value for an implied option.
    """
    for option, value in implied.items():
        if option in options and options[option] != value:
            raise OptionError(f"{name} implies {option}={value}: leave {option} out")
    return {**options, **implied}


def make(name: str, arch: type[ArchitectureT], options: Mapping[str, Any]) -> ArchitectureT:
    """Return `arch` with these options; `name` is the architecture's name in error messages."""
    _fields_by_name(name, arch, options)
    return arch(**options)


def _fields_by_name(name: str, arch: type[Architecture], options: Iterable[str]) -> dict[str, Field[Any]]:
    """The fields of `arch` by name; an unknown option raises OptionError."""
    known = {declared.name: declared for declared in fields(arch)}
    for given in options:
        if given not in known:
            near = nearest(given, known, most=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise OptionError(f"{name} has no option {given!r}: {hint}its options are {', '.join(known)}")
    return known


def describe(arch: type[Architecture]) -> list[dict[str, Any]]:
    """Return one dict per option of `arch`: name, type, default, choices (or None) and help."""
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

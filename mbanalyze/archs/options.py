"""The options of an architecture: declared as dataclass fields, validated and described from the declarations."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import Field, field, fields
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

from mbanalyze.archs.builder import Builder
from mbanalyze.inputs.choices import meant
from mbanalyze.inputs.resolution import Resolution, as_resolution, sides, spell_resolution
from mbanalyze.inputs.typed import InputError
from mbanalyze.ops.record import Op, Value


class OptionError(ValueError):
    """An unknown or contradictory option of an architecture or factory, or a value outside its range."""


class Architecture(ABC):
    """A network in closed form: a frozen dataclass whose fields are its options, validated on creation."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    paper: ClassVar[str]
    resolution: Resolution
    in_channels: int

    def __post_init__(self) -> None:
        validate(self)

    def ops(self, batch: int = 1, *, training: bool = False) -> list[Op]:
        """Return the operators of a forward pass on `batch` images, in order, at inference or in training."""
        builder = Builder(training=training)
        self._forward(builder, builder.input(batch, self.in_channels, *sides(self.resolution)))
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
    default: float | bool | str,
    help: str,
    *,
    minimum: int = 1,
    choices: tuple[float, ...] | None = None,
    parser: Callable[[str], object] | None = None,
    quiet: bool = False,
) -> Any:
    """Declare an option of an architecture as a dataclass field.

    Args:
        default: the value of the standard network.
        help: a one-line description.
        minimum: the smallest value of an integer; a float only has to be positive.
        choices: the allowed numbers; allowed strings come from the field's `Literal` annotation.
        parser: reads a text, and raises `OptionError` for one that is malformed; None unless any text is possible.
        quiet: True to show the option only if it is given or differs from its default.
    """
    metadata = {"help": help, "minimum": minimum, "choices": choices, "parser": parser, "quiet": quiet}
    return field(default=default, metadata=metadata)


def alpha(choices: tuple[float, ...] | None = None) -> Any:
    """Declare the width multiplier."""
    return option(1.0, "width multiplier: scales the channels of every layer", choices=choices)


def resolution(default: int = 224) -> Any:
    """Declare the size of the input."""
    return option(default, "height and width of the input in pixels: 224, or 160x224 if they differ")


def in_channels() -> Any:
    """Declare the channels of the input."""
    return option(3, "channels of the input", quiet=True)


def num_classes() -> Any:
    """Declare the size of the classifier."""
    return option(1000, "outputs of the classifier")


MAX_VALUE = 10**9
"""The upper limit of every numeric option; float arithmetic on channels is exact well beyond it."""


def validate(spec: Architecture) -> None:
    """Raise `OptionError` unless every field holds a value of its type, in its range."""
    hints = _hints(type(spec))
    for declared in fields(spec):
        given = getattr(spec, declared.name)
        value = _valid(declared, hints[declared.name], given)
        if value is not given:
            object.__setattr__(spec, declared.name, value)


@functools.cache
def _hints(arch: type[Architecture]) -> dict[str, Any]:
    return get_type_hints(arch)


def _choices(declared: Field[Any], hint: Any) -> tuple[Any, ...] | None:
    """The allowed values of a field, or None if any value of its type in range is allowed."""
    return get_args(hint) if get_origin(hint) is Literal else declared.metadata["choices"]


def _valid(declared: Field[Any], hint: Any, given: Any) -> Any:
    """The value of a field, as Python's own number instead of NumPy's; `OptionError` if it is invalid."""
    value = given.item() if hasattr(given, "dtype") and given.ndim == 0 else given
    if hint == Resolution:
        return _valid_resolution(value)
    if problem := _problem(declared, hint, value):
        raise OptionError(problem)
    if declared.metadata["parser"]:
        declared.metadata["parser"](value)
    return value


def _valid_resolution(given: Any) -> Any:
    """A resolution, or arrays of variants, whose values have been validated one by one."""
    if any(hasattr(side, "dtype") for side in sides(given)):
        return given
    try:
        return as_resolution(given)
    except InputError as error:
        raise OptionError(str(error)) from None


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
    elif hint is str:
        valid, expected = isinstance(value, str), "text"
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
    """Return `values` of an option of `arch`, converted to the option's type.

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
    valid, errors = [], []
    for given in values:
        try:
            value = _valid(declared, hint, given)
        except OptionError as error:
            errors.append(error)
        else:
            valid.append(float(value) if hint is float else value)
    if errors and not (drop and valid):
        raise errors[0]
    return valid


def merge(name: str, implied: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the alias `name`: those it implies and those the user gives.

    Raises:
        OptionError: the user gives another value for an implied option.
    """
    for option, value in implied.items():
        if option in options and options[option] != value:
            raise OptionError(f"{name} implies {option}={value}: leave {option} out")
    return {**options, **implied}


def shown_options(spec: Architecture, given: Container[str]) -> dict[str, Any]:
    """Return the options of `spec` as its reference and JSON spell them; quiet defaults only if they are `given`."""
    values = {
        declared.name: value
        for declared in fields(spec)
        if (value := getattr(spec, declared.name)) != declared.default
        or not declared.metadata["quiet"]
        or declared.name in given
    }
    return {**values, "resolution": spell_resolution(spec.resolution)}


def make(name: str, arch: type[ArchitectureT], options: Mapping[str, Any]) -> ArchitectureT:
    """Return `arch` with these options; `name` is the architecture's name in error messages."""
    _fields_by_name(name, arch, options)
    return arch(**options)


def _fields_by_name(name: str, arch: type[Architecture], options: Iterable[str]) -> dict[str, Field[Any]]:
    """The fields of `arch` by name; an unknown option raises OptionError."""
    known = {declared.name: declared for declared in fields(arch)}
    for given in options:
        if given not in known:
            hint = meant(given, known)
            raise OptionError(f"{name} has no option {given!r}: {hint}its options are {', '.join(known)}")
    return known


def describe(arch: type[Architecture]) -> list[dict[str, Any]]:
    """Return one dict per option of `arch`: name, type, default, choices (or None) and help."""
    hints = _hints(arch)
    types = {bool: "bool", int: "int", float: "float", Resolution: "int or HxW"}
    return [
        {
            "name": declared.name,
            "type": types.get(hints[declared.name], "str"),
            "default": declared.default,
            "choices": _choices(declared, hints[declared.name]),
            "help": declared.metadata["help"],
        }
        for declared in fields(arch)
    ]

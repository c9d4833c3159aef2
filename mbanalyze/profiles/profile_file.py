"""The file of a profile: a JSON document with one line for each class."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from pathlib import Path

from mbanalyze._version import __version__
from mbanalyze.inputs.documents import DocumentError, read_text, require_shallow
from mbanalyze.inputs.json_values import (
    RecordError,
    expect,
    is_newer,
    present,
    value_of,
    without_duplicates,
)
from mbanalyze.inputs.typed import AnyPath
from mbanalyze.ops.cost import ITEM_SIZES
from mbanalyze.profiles.class_fit import ClassFit
from mbanalyze.profiles.time_profile import PROFILE_SCHEMA, SCHEMA_NAME, SCHEMA_NUMBER, Anchor, Profile
from mbanalyze.profiles.work import Work

_CONSTANTS = ("flop_ns", "activation_byte_ns", "weight_byte_ns", "overhead_ns")
_LARGEST, _MOST_DEVIATION = 1e18, 100.0
"""The limits of a constant and of the logarithm of a factor: beyond them, times overflow."""


class ProfileError(ValueError):
    """A file that is no profile, or that this version cannot read."""


def dumps(profile: Profile) -> str:
    """Return the text of a profile, with one line for each class and anchor."""
    lines = []
    for key, value in profile.as_dict().items():
        if key == "anchors":
            lines.append(_listed(key, "[]", list(map(json.dumps, value))))
        elif key in ("classes", "general"):
            entries = [f"{json.dumps(name)}: {json.dumps(fit)}" for name, fit in value.items()]
            lines.append(_listed(key, "{}", entries))
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _listed(key: str, brackets: str, entries: list[str]) -> str:
    body = ",\n".join(f"    {entry}" for entry in entries)
    return (
        f"  {json.dumps(key)}: {brackets[0]}\n{body}\n  {brackets[1]}"
        if entries
        else f'  "{key}": {brackets}'
    )


def read_profile(path: AnyPath) -> Profile:
    """Return the profile in a file.

    Raises:
        ProfileError: the file cannot be read, or is no profile, or is newer than this version.
    """
    try:
        where = Path(path)
    except TypeError as error:
        raise ProfileError(f"a profile is a Profile or the path of its file, not {path!r}") from error
    try:
        text = read_text(where)
    except FileNotFoundError:
        raise ProfileError(
            f"{where} does not exist: 'mbanalyze calibrate --output {where}' makes it"
        ) from None
    except DocumentError as error:
        raise ProfileError(f"cannot read {where}: {error}") from error
    except OSError as error:
        raise ProfileError(f"cannot read {where}: {error.strerror or error}") from error
    return loads(text, str(where))


def loads(text: str, name: str) -> Profile:
    """Parse the text of a profile, which error messages call `name`.

    Raises:
        ProfileError: the text is no profile, or is newer than this version.
    """
    try:
        document = expect(dict, json.loads(text, object_pairs_hook=without_duplicates), "the document")
        require_shallow(document)
        _require_schema(value_of(document, "schema", str), name)
        return _profile(document)
    except ProfileError:
        raise
    except (ValueError, RecursionError) as error:
        why = "its values are nested too deeply" if isinstance(error, RecursionError) else error
        raise ProfileError(f"{name} is no profile ({why}): make one with 'mbanalyze calibrate'") from error


def _require_schema(schema: str, name: str) -> None:
    if is_newer(schema, SCHEMA_NAME, SCHEMA_NUMBER):
        advice = f"upgrade mbanalyze; version {__version__} reads {PROFILE_SCHEMA}"
        raise ProfileError(f"{name} has schema {schema}: {advice}")
    if schema != PROFILE_SCHEMA:
        raise RecordError(f"its schema is {schema!r}, not {PROFILE_SCHEMA!r}")


def _profile(document: Mapping[str, object]) -> Profile:
    dtype = value_of(document, "dtype", str)
    if dtype not in ITEM_SIZES:
        raise RecordError(f"dtype is {dtype!r}")
    versions = value_of(document, "versions", dict)
    return Profile(
        value_of(document, "machine", str),
        value_of(document, "device", str),
        value_of(document, "threads", int),
        dtype,
        value_of(document, "date", str),
        {name: expect(str, version, name) for name, version in versions.items()},
        value_of(document, "rounds", int),
        _number(document, "spread"),
        _fits(document, "classes"),
        _fits(document, "general"),
        _number(document, "step_ns"),
        _number(document, "step_byte_ns"),
        _number(document, "launch_ns"),
        _number(document, "deviation", _MOST_DEVIATION),
        tuple(_anchor(expect(dict, each, "an anchor")) for each in value_of(document, "anchors", list)),
    )


def _anchor(record: Mapping[str, object]) -> Anchor:
    model, measured_ms = value_of(record, "model", str), _number(record, "measured_ms")
    if not measured_ms:
        raise RecordError(f"measured_ms of {model} is 0")
    return Anchor(model, measured_ms, _number(record, "predicted_ms"))


def _fits(document: Mapping[str, object], key: str) -> dict[str, ClassFit]:
    return {
        name: _fit(expect(dict, given, f"{key} {name!r}"))
        for name, given in value_of(document, key, dict).items()
    }


def _fit(record: Mapping[str, object]) -> ClassFit:
    constants = {key: _number(record, key) for key in _CONSTANTS}
    largest = value_of(record, "largest", dict)
    return ClassFit(
        **constants,
        deviation=_number(record, "deviation", _MOST_DEVIATION),
        samples=value_of(record, "samples", int),
        largest=Work(**{key: value_of(largest, key, int) for key in Work._fields}),
        in_place=value_of(record, "in_place", bool),
    )


def _number(record: Mapping[str, object], key: str, most: float = _LARGEST) -> float:
    """A number from 0 to `most`."""
    given = present(record, key)
    if type(given) not in (int, float) or not 0 <= given <= most:  # type: ignore[operator]
        raise RecordError(f"{key} is {reprlib.repr(given)}")
    return float(given)  # type: ignore[arg-type]

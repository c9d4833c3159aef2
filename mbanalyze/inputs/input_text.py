"""Inputs of a forward as text: read and written."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

from mbanalyze.inputs.parsing import unique
from mbanalyze.inputs.shape import FILLS, Shape, Values
from mbanalyze.inputs.strict_syntax import strict_syntax
from mbanalyze.inputs.typed import InputError, Sizes, is_shape, is_whole

EXAMPLES = "1,3,224,224, 0.5, int:5, nearest, true, null, '(16,16)' or '[1,2]'"


def parse_input(text: str) -> tuple[str | None, Any]:
    """Parse an input `[NAME=]VALUE`.

    VALUE is one of:

    - `1,3,224,224` or `1x3x224x224`, a shape, with an optional `:DTYPE`; empty for a tensor without dimensions;
    - `ones:SHAPE`, or another name of `FILLS`, for a tensor of this shape with values;
    - `tensor:[10,5,1]`, a tensor with these values, with an optional `:DTYPE`;
    - `int:5`, `0.5`, `true`, `false`, `null`, or a word such as `nearest`;
    - a JSON string, list or object, or a literal of Python such as `(16,16)`, without unknown escapes.

    Returns:
        The name of the forward's argument, or None for an input by position; and a `Shape`, `Values` or literal.

    >>> parse_input("ids=1,128:int64"), parse_input("scale=0.5"), parse_input("size=(16,16)")
    (('ids', Shape(1, 128, dtype='int64')), ('scale', 0.5), ('size', (16, 16)))

    Raises:
        InputError: the text is malformed.
    """
    try:
        name, value = _split_name(text.strip())
        return name, _parse(value)
    except InputError as error:
        raise InputError(f"malformed input {text!r}: {error}") from error


def spell_input(name: str | None, value: Any) -> str:
    """Write a name and a `Shape`, `Values` or literal as the text that `parse_input` reads.

    >>> spell_input("ids", Shape(1, 128, dtype="int64", fill="ones")), spell_input(None, 5)
    ('ids=ones:1,128:int64', 'int:5')

    Raises:
        InputError: no text stands for the value.
    """
    return _spell(value) if name is None else f"{name}={_spell(value)}"


def has_values(text: str) -> bool:
    """Return True if the text of an input states more than a shape: values of a tensor, or a literal.

    Raises:
        InputError: the text is malformed.
    """
    _, value = parse_input(text)
    return not isinstance(value, Shape) or value.fill is not None


def as_arguments(parsed: Iterable[tuple[str | None, Any]]) -> tuple[list[Any], dict[str, dict[str, Any]]]:
    """Return the positional inputs of `mbanalyze.count`, and `kwargs` with the named ones if there are any.

    Raises:
        ParseError: a name is given twice.
    """
    given = list(parsed)
    named = unique((name, value) for name, value in given if name is not None)
    by_place = [_LiteralTuple(value) if is_shape(value) else value for name, value in given if name is None]
    return by_place, {"kwargs": named} if named else {}


class _LiteralTuple(tuple[int, ...]):
    """A tuple of whole numbers by position that is no shape."""

    __slots__ = ()


_QUOTES = tuple("\"'[{(")
_SIZES = re.compile(r"([-+0-9,][-+0-9,x\s]*)?")
_WHOLE = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_WORD = re.compile(r"[^\W\d][\w./-]*")
_CONSTANTS = {
    **dict.fromkeys(("true", "True"), True),
    **dict.fromkeys(("false", "False"), False),
    **dict.fromkeys(("null", "None")),
    **{text: float(text) for text in ("NaN", "Infinity", "-Infinity")},
}


def _split_name(text: str) -> tuple[str | None, str]:
    """The name before the `=`, or None, and the rest."""
    name, equals, value = map(str.strip, text.partition("="))
    if not equals or text[0] in _QUOTES:
        return None, text
    if not name.isidentifier():
        raise InputError(f"{name!r} is not the name of an argument")
    return name, value


def _parse(text: str) -> Any:
    """The value that a text without a name stands for."""
    head, colon, rest = map(str.strip, text.partition(":"))
    if _SIZES.fullmatch(head):
        return Shape(*_parse_sizes(head), dtype=rest if colon else None)
    if text[0] in _QUOTES:
        return _parse_literal(text)
    if colon:
        return _parse_kind(head, rest)
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _FLOAT.fullmatch(text) and isfinite(float(text)):
        return float(text)
    if _WORD.fullmatch(text):
        return text
    raise InputError(f"give a shape or value, such as {EXAMPLES}")


def _parse_sizes(text: str) -> Sizes:
    try:
        sizes = tuple(int(size) for size in text.split("x" if "x" in text else ",") if text)
    except ValueError:
        sizes = (0,)
    if sizes and min(sizes) < 1:
        raise InputError("give sizes above 0, such as 1,3,224,224; a number is such as int:5 or 0.5")
    return sizes


def _parse_kind(kind: str, rest: str) -> Any:
    """The value of `KIND:REST`."""
    if kind in FILLS:
        sizes, colon, dtype = map(str.strip, rest.partition(":"))
        return Shape(*_parse_sizes(sizes), dtype=dtype if colon else None, fill=kind)
    if kind == "tensor":
        return _parse_tensor(rest)
    if kind != "int":
        raise InputError(f"unknown kind {kind!r}: choose one of {', '.join(FILLS)}, tensor, int")
    whole = _loads(int, rest) if _WHOLE.fullmatch(rest) else ...
    if whole is ...:
        raise InputError("give a whole number, such as int:5")
    return whole


def _parse_tensor(text: str) -> Values:
    values, colon, dtype = map(str.strip, text.partition(":"))
    found = _loads(json.loads, values)
    if not _is_numeric(found):
        raise InputError("give numbers, such as tensor:[10,5,1] or tensor:[[0.5,1],[2,3]]:float16")
    return Values(found, Shape(dtype=dtype).dtype if colon else None)


def _is_numeric(values: Any) -> bool:
    """True for a number, a boolean, or lists of these that are not empty."""
    if isinstance(values, list):
        return bool(values) and all(map(_is_numeric, values))
    return isinstance(values, bool | float) or is_whole(values)


def _parse_literal(text: str) -> Any:
    """A JSON value, or a literal of Python."""
    for loads in (json.loads, _literal_eval):
        found = _loads(loads, text)
        if found is not ...:
            return found
    advice = """write it as JSON, such as [1,2], {"a": 1} or "text", or as a tuple, such as (16,16)"""
    raise InputError(f"{advice}; a backslash in a text is written twice" if "\\" in text else advice)


def _literal_eval(text: str) -> Any:
    with strict_syntax():
        return ast.literal_eval(text)


def _loads(loads: Callable[[str], Any], text: str) -> Any:
    """The value that `loads` reads, or `...` if the text is malformed."""
    try:
        return loads(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return ...


def _spell(value: Any) -> str:
    """The text that `_parse` reads as `value`."""
    if isinstance(value, Shape):
        return _spell_shape(value)
    if isinstance(value, Values):
        return f"tensor:{json.dumps(value.values, separators=(',', ':'))}" + _suffix(value.dtype)
    if is_whole(value):
        return f"int:{int(value)}"
    if isinstance(value, str) and _WORD.fullmatch(value) and _parse(value) == value:
        return value
    for text in (_dumps(value), repr(value)):
        found = _loads(_parse, text) if text else ...
        if type(found) is type(value) and repr(found) == repr(value):
            return text
    raise InputError(f"an input of type {type(value).__name__} cannot be written as text")


def _spell_shape(shape: Shape) -> str:
    prefix = f"{shape.fill}:" if shape.fill else ""
    return prefix + ",".join(map(str, shape.sizes)) + _suffix(shape.dtype)


def _suffix(dtype: str | None) -> str:
    return f":{dtype}" if dtype else ""


def _dumps(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return ""

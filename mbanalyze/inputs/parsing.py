"""What people type: shapes of inputs, and values of options."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from decimal import Decimal
from math import isfinite
from typing import Any

from mbanalyze.inputs.typed import DTYPES, InputError, Shape, Typed


class ParseError(ValueError):
    """Text that is no option, list of values, range or count."""


def parse_input(text: str) -> tuple[str | None, Shape | Typed]:
    """'1,3,224,224', 'ids=1,128:int64' -> the name that the forward has for it, or None, and the shape.

    >>> parse_input("ids=1,128:int64")
    ('ids', Typed(shape=(1, 128), dtype='int64'))

    Raises:
        InputError: the shape is not whole numbers above 0 with commas between, or the type is unknown.
    """
    name, equals, rest = text.rpartition("=")
    sizes, colon, dtype = rest.partition(":")
    if equals and not name.strip().isidentifier():
        raise InputError(f"malformed input {text!r}: {name.strip()!r} is no argument's name")
    if colon and dtype not in DTYPES:
        raise InputError(f"malformed input {text!r}: a type is one of {', '.join(DTYPES)}")
    shape = parse_shape(sizes)
    return name.strip() or None, Typed(shape, dtype) if colon else shape


def parse_shape(text: str) -> Shape:
    """'1,3,224,224' -> (1, 3, 224, 224).

    Raises:
        InputError: it is not whole numbers above 0 with commas between.
    """
    try:
        shape = tuple(int(size) for size in text.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise InputError(f"malformed input {text!r}: give whole numbers above 0, such as 1,3,224,224")
    return shape


def parse_option(text: str) -> tuple[str, Any]:
    """'key=value' -> the key and the value it spells: an integer, number, boolean, null, list or string.

    In quotes it is a string whatever it spells.

    >>> parse_option("widths=[8,16]"), parse_option("shallow=true"), parse_option("stem=3x3")
    (('widths', [8, 16]), ('shallow', True), ('stem', '3x3'))

    Raises:
        ParseError: there is no key, or no `=`.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ParseError(f"malformed option {text!r}: give key=value")
    return key.strip(), _parse_value(value.strip())


LONGEST = 10**6
"""A range has so many values at most."""


def parse_axis(text: str) -> list[Any]:
    """'1,0.75,0.5' or '0.25:1.5:0.05' -> the values of an option; a value that is a list is written `[1,2]`.

    A range is start:stop:step, computed in decimals; the stop is part of it when a step lands on it.

    >>> parse_axis("0.5:0.7:0.1,1"), parse_axis("[8,16],[16,32]"), parse_axis("3x3,5x5")
    ([0.5, 0.6, 0.7, 1], [[8, 16], [16, 32]], ['3x3', '5x5'])

    Raises:
        ParseError: there is no value, or a range without one.
    """
    parts = [part.strip() for part in split(text)]
    if not all(parts):
        raise ParseError(f"malformed values {text!r}: give some with commas between, such as 1,0.75,0.5")
    return [value for part in parts for value in _range(part) or [_parse_value(part)]]


def split(text: str) -> list[str]:
    """`text` at the commas that are in no brackets.

    >>> split("alpha=0.75,widths=[8,16]")
    ['alpha=0.75', 'widths=[8,16]']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _range(text: str) -> list[int] | list[float]:
    """The values of a range; none where `text` is something else."""
    try:
        start, stop, step = map(Decimal, text.split(":"))
    except (ArithmeticError, ValueError):
        return []
    if not (start.is_finite() and stop.is_finite() and step.is_finite() and step):
        raise ParseError(f"malformed range {text!r}: give start:stop:step, such as 0.25:1.5:0.05")
    steps = (stop - start) / step
    if steps < 0:
        raise ParseError(f"malformed range {text!r}: no step of {step} leads from {start} to {stop}")
    if steps >= LONGEST:
        raise ParseError(f"malformed range {text!r}: it has more than {LONGEST:,} values")
    values = [start + i * step for i in range(int(steps) + 1)]
    whole = all(value == value.to_integral_value() for value in (start, step))
    return list(map(int, values)) if whole else list(map(float, values))


def parse_count(text: str, *, of_bytes: bool = False, least: int = 1) -> int:
    """'150M', '3.4 M', '5,000' -> a count; of bytes '120 MB' and '12 MiB' too.

    >>> parse_count("3.4 M"), parse_count("300,774,272"), parse_count("1.5 MiB", of_bytes=True)
    (3400000, 300774272, 1572864)

    Raises:
        ParseError: it is no whole number of at least `least`, with k, M, G or T behind it or not.
    """
    found = _COUNT.fullmatch(text.strip())
    count = Decimal(-1)
    if found and (of_bytes or not found[3]) and (found[2] or found[3] != "iB"):
        power = " kMGT".index(found[2].replace("K", "k") or " ")
        count = Decimal(re.sub("[_,]", "", found[1])) * (1024 if found[3] == "iB" else 1000) ** power
    if count < least or count != int(count):
        examples = "5000, 120 MB or 12 MiB" if of_bytes else "5000, 150M or 3.4 M"
        raise ParseError(f"malformed count {text!r}: give a whole number, such as {examples}")
    return int(count)


_COUNT = re.compile(r"((?:\d+(?:_\d+)*|\d{1,3}(?:,\d{3})+)(?:\.\d+)?)\s*([kKMGT]?)(i?B|)")


_WORDS = {"true": True, "false": False, "null": None}


def _parse_value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for number in (int, float):
        with suppress(ValueError):
            return number(text) if isfinite(float(text)) else text
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    if not (text.startswith("[") and text.endswith("]")):
        return text
    try:
        return json.loads(text)
    except ValueError:
        words = text[1:-1].rstrip(", ")
        if "[" in words or '"' in words:
            raise ParseError(f"malformed list {text!r}: write it as JSON, such as [1,[2,3]]") from None
        return [_parse_value(word.strip()) for word in words.split(",")]

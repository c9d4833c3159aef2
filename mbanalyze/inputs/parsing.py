"""Text that users type: options, model references, ranges and counts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from math import inf, isfinite
from typing import Any


class ParseError(ValueError):
    """Malformed text for an option, a list of values, a range or a count."""


def split_reference(text: str) -> tuple[str, dict[str, Any]]:
    """Split a model reference into a name and the options behind its last `@`.

    The `@` must be followed by `key=`; otherwise it belongs to the name, as in `dir@v1/net.py:build`.
    An `@` inside double quotes never separates.

    >>> split_reference("net.py:build@widths=[8,16],act=relu")
    ('net.py:build', {'widths': [8, 16], 'act': 'relu'})

    Raises:
        ParseError: an option is malformed or given twice.
    """
    *names, options = _split(text, "@")
    if not names or not re.match(r"\s*[^\W\d]\w*\s*=", options):
        return text, {}
    return "@".join(names), parse_options(options)


def spell_reference(name: str, options: Mapping[str, Any]) -> str:
    """Write a name and options as the model reference that `split_reference` reads.

    >>> spell_reference("mobilenet_v2", {"alpha": 0.75, "resolution": 192})
    'mobilenet_v2@alpha=0.75,resolution=192'
    """
    return f"{name}@{spell_options(options)}" if options else name


def parse_options(text: str) -> dict[str, Any]:
    """Parse options with commas between them.

    >>> parse_options("alpha=0.75,widths=[8,16]")
    {'alpha': 0.75, 'widths': [8, 16]}

    Raises:
        ParseError: an option is malformed or given twice.
    """
    return unique(map(parse_option, _split(text)))


def spell_options(options: Mapping[str, Any], separator: str = ",") -> str:
    """Write options as the text that `parse_options` reads.

    >>> spell_options({"widths": [8, 16], "shallow": True, "label": "1"})
    'widths=[8,16],shallow=true,label="1"'
    """
    return separator.join(f"{name}={_spell_value(value)}" for name, value in options.items())


def parse_option(text: str) -> tuple[str, Any]:
    """Parse key=value; the value is an integer, number, boolean, null, list or string.

    A value in double quotes is a JSON string.

    >>> parse_option("widths=[8,16]"), parse_option("shallow=true"), parse_option("stem=3x3")
    (('widths', [8, 16]), ('shallow', True), ('stem', '3x3'))

    Raises:
        ParseError: the key or `=` is missing, or the value is malformed.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ParseError(f"malformed option {text!r}: give key=value")
    return key.strip(), _parse_value(value.strip())


def unique(options: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Collect options into a dict.

    Raises:
        ParseError: an option is given twice.
    """
    collected: dict[str, Any] = {}
    for name, value in options:
        if name in collected:
            raise ParseError(f"{name} is given twice")
        collected[name] = value
    return collected


LONGEST = 10**6
"""The largest number of values in a range."""


def parse_axis(text: str) -> list[Any]:
    """Parse the values of an option: '1,0.75,0.5' or '0.25:1.5:0.05'.

    A range is start:stop:step in decimal arithmetic. It includes the stop if a step lands on it.

    >>> parse_axis("0.5:0.7:0.1,1"), parse_axis("[8,16],[16,32]"), parse_axis("3x3,5x5")
    ([0.5, 0.6, 0.7, 1], [[8, 16], [16, 32]], ['3x3', '5x5'])

    Raises:
        ParseError: a value is missing, or a range is empty or too long.
    """
    parts = [part.strip() for part in _split(text)]
    if not all(parts):
        raise ParseError(f"malformed values {text!r}: give values with commas between, such as 1,0.75,0.5")
    return [value for part in parts for value in _range(part) or [_parse_value(part)]]


def _split(text: str, separator: str = ",") -> list[str]:
    """The parts of `text` between separators outside brackets and double quotes."""
    parts, depth = [""], 0
    for piece in _PIECE.findall(text):
        depth = max(0, depth + (piece == "[") - (piece == "]"))
        if piece == separator and not depth:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|.', re.DOTALL)


def _range(text: str) -> list[int] | list[float]:
    """The values of a range, or an empty list if `text` is not a range."""
    try:
        numbers = [Decimal(part) for part in text.split(":")]
        start, stop, step = [*numbers, Decimal(0)] if len(numbers) == 2 else numbers
    except (ArithmeticError, ValueError):
        return []
    if not (start.is_finite() and stop.is_finite() and step.is_finite() and step):
        raise ParseError(f"malformed range {text!r}: give start:stop:step, such as 0.25:1.5:0.05")
    try:
        steps = (stop - start) / step
    except ArithmeticError:
        raise ParseError(f"malformed range {text!r}: its numbers are too far apart") from None
    if steps < 0:
        raise ParseError(f"malformed range {text!r}: a step of {step} does not lead from {start} to {stop}")
    if steps >= LONGEST:
        raise ParseError(f"malformed range {text!r}: it has more than {LONGEST:,} values")
    values = [start + i * step for i in range(int(steps) + 1)]
    whole = all(value == value.to_integral_value() for value in (start, step))
    return list(map(int, values)) if whole else list(map(float, values))


def parse_count(text: str, *, of_bytes: bool = False, least: int = 1) -> int:
    """Parse a count with an optional prefix k, M, G or T, or a power of ten such as 60e6.

    Args:
        of_bytes: accept a unit too: '120 MB' or '12 MiB'.
        least: the smallest count accepted.

    >>> parse_count("3.4 M"), parse_count("300,774,272"), parse_count("60e6")
    (3400000, 300774272, 60000000)
    >>> parse_count("1.5 MiB", of_bytes=True)
    1572864

    Raises:
        ParseError: the text is not a whole number of at least `least`.
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


_COUNT = re.compile(
    r"((?:\d+(?:_\d+)*|\d{1,3}(?:,\d{3})+)(?:\.\d+)?(?:[eE]\+?\d{1,2})?)\s*([kKMGT]?)(i?B|)", re.ASCII
)


def parse_milliseconds(text: str) -> float:
    """Parse a time in milliseconds.

    >>> parse_milliseconds("5"), parse_milliseconds("0.25 ms")
    (5.0, 0.25)

    Raises:
        ParseError: the text is not a number above 0.
    """
    with suppress(ValueError):
        if 0 < (milliseconds := float(text.strip().removesuffix("ms"))) < inf:
            return milliseconds
    raise ParseError(f"malformed time {text!r}: give milliseconds above 0, such as 5 or 0.25")


_WORDS = {"true": True, "false": False, "null": None}


def _parse_value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for number in (int, float):
        with suppress(ValueError):
            return number(text) if number is int or isfinite(float(text)) else text
    if text[:1] + text[1:][-1:] not in ("[]", '""'):
        return text
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    words = text[1:-1].rstrip(", ")
    if "[" in words or '"' in text:
        raise ParseError(f'malformed value {text!r}: write it as JSON, such as [1,[2,3]] or "text"')
    return [_parse_value(word.strip()) for word in words.split(",")]


def _spell_value(value: Any) -> str:
    """The text that `_parse_value` reads as `value`: in double quotes only if it needs them."""
    if value is None or isinstance(value, bool | list | tuple):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    text = str(value)
    if re.search(r'[\s,@"\[\]]|^$', text) or (isinstance(value, str) and _parse_value(text) != text):
        return json.dumps(text, ensure_ascii=False)
    return text

"""Text that users type: references, ranges and counts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbanalyze.inputs.parsing import (
    ParseError,
    parse_axis,
    parse_count,
    spell_reference,
    split_reference,
)

NAMES = ["mobilenet_v2", "timm:hf-hub:owner/name@main", "dir@v1/net.py:build", "dir@x=1/net.py:f"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=3),
    max_leaves=5,
)
TRICKY = [
    "",
    " ",
    "1",
    "1e3",
    "true",
    "NULL",
    "nan",
    "a,b=1",
    "a@b=1",
    '"',
    '"@x=\\"y',
    "[",
    "[1]",
    "x y",
    "\\",
    "\n",
]


@given(
    name=st.sampled_from(NAMES),
    options=st.dictionaries(
        st.from_regex(r"[^\W\d]\w*", fullmatch=True), VALUES | st.sampled_from(TRICKY), min_size=1
    ),
)
def test_a_spelled_reference_reads_back(name: str, options: dict[str, Any]) -> None:
    """split_reference is the inverse of spell_reference for every name and every type of option."""
    # repr, because 1 == 1.0 == True
    assert repr((name, options)) == repr(split_reference(spell_reference(name, options)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mobilenet_v2", ("mobilenet_v2", {})),
        ("mobilenet_v2@alpha=0.75,resolution=192", ("mobilenet_v2", {"alpha": 0.75, "resolution": 192})),
        ("a@b/net.py:f", ("a@b/net.py:f", {})),
        ("a@b/net.py:f@x=[1,2]", ("a@b/net.py:f", {"x": [1, 2]})),
        ("a@x=1@y=2", ("a@x=1", {"y": 2})),
        ('f@x="a@y=1"', ("f", {"x": "a@y=1"})),
        ("timm:hf-hub:owner/name@main", ("timm:hf-hub:owner/name@main", {})),
        ("net.py:f@", ("net.py:f@", {})),
    ],
)
def test_options_stand_behind_the_last_at_sign(text: str, expected: object) -> None:
    """Only text of the form key=... behind the last @ outside quotes is read as options."""
    assert expected == split_reference(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mobilenet_v2@alpha=1,alpha=2", "alpha is given twice"),
        ("mobilenet_v2@alpha=1,resolution", "malformed option 'resolution': give key=value"),
        ('mobilenet_v2@alpha="a"b"', 'malformed value \'"a"b"\': write it as JSON'),
    ],
)
def test_malformed_options_of_a_reference(text: str, message: str) -> None:
    """A repeated or malformed option raises ParseError."""
    with pytest.raises(ParseError, match=message):
        split_reference(text)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,0.75", [1, 0.75]),
        ("0.25:1.5:0.05", [i / 100 for i in range(25, 151, 5)]),
        ("0.1:0.35:0.1", [0.1, 0.2, 0.3]),
        ("224:96:-32,80", [224, 192, 160, 128, 96, 80]),
        ("[1,2],[3]", [[1, 2], [3]]),
        ("[[1,2],[3,4]],[5]", [[[1, 2], [3, 4]], [5]]),
        ("3x3,5x5", ["3x3", "5x5"]),
        ("true,false", [True, False]),
        ("a:b:c", ["a:b:c"]),
        ("3:3:1", [3]),
    ],
)
def test_values_are_read_as_written(text: str, values: list[object]) -> None:
    """Ranges use decimal arithmetic, and include their stop if a step lands on it."""
    assert values == parse_axis(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("150M", 150_000_000),
        ("3.4 M", 3_400_000),
        ("5000", 5000),
        ("1k", 1000),
        ("60e6", 60_000_000),
        ("1.5E+3", 1500),
        ("2K", 2000),
        ("0.5G", 500_000_000),
        ("1,000", 1000),
        ("300_774_272", 300_774_272),
    ],
)
def test_counts_have_units(text: str, expected: int) -> None:
    """A count may have a prefix, with or without a space."""
    assert expected == parse_count(text)


@pytest.mark.parametrize(
    "text",
    ["", "M", "1.5", "-3", "1e-6", "1.5e0", "e6", "1e", "1e100", "1 GB", "0.0001k", "nan", "1,00", "1,0000"],
)
def test_malformed_counts(text: str) -> None:
    """Malformed counts raise ParseError."""
    with pytest.raises(ParseError, match="malformed count"):
        parse_count(text)

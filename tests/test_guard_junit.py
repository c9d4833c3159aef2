"""JUnit reports of the guard, validated with the schema of Apache Ant."""

from __future__ import annotations

from functools import cache
from importlib.metadata import distribution
from typing import Any

import pytest
from lxml import etree
from outcomes import DW, LAYER, MODEL, OUTCOMES, spelled

from mbanalyze.guard import Outcome


@cache
def junit_schema() -> etree.XMLSchema:
    """Return the schema of Apache Ant's JUnit task, from a package that validates its own reports with it."""
    return etree.XMLSchema(file=str(distribution("reframe-hpc").locate_file("reframe/schemas/junit.xsd")))


def suite(outcome: Outcome) -> Any:
    """Return the only suite of a document, after validation."""
    document = etree.fromstring(outcome.to("junit").encode())
    junit_schema().assertValid(document)
    [found] = document
    return found


@pytest.mark.parametrize("name", OUTCOMES)
def test_junit_fits_its_schema(outcomes: dict[str, Outcome], name: str) -> None:
    """Every outcome fits the schema, and the suite counts its cases."""
    found = suite(outcomes[name])
    for attribute, path in [
        ("tests", "testcase"),
        ("failures", "testcase/failure"),
        ("errors", "testcase/error"),
    ]:
        assert len(found.findall(path)) == int(found.get(attribute))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name="small"', 'nom="small"'),
        ("<failure ", "<failed "),
        ("</failure>", "<b/></failure>"),
        ('id="0"', 'id="x"'),
    ],
)
def test_the_schema_rejects_broken_documents(outcomes: dict[str, Outcome], old: str, new: str) -> None:
    """A document with another attribute, element or type does not fit the schema."""
    text = outcomes["worse"].to("junit").replace("</failed>", "</failure>")
    assert old in text
    broken = text.replace(old, new)
    if new == "<failed ":
        broken = broken.replace("</failure>", "</failed>")
    assert not junit_schema().validate(etree.fromstring(broken.encode()))


def test_cases(outcomes: dict[str, Outcome]) -> None:
    """A growth is a failure, an unmeasurable model is an error, and a model that passes is neither."""
    small, other = suite(outcomes["could not measure"]).findall("testcase")
    assert (small.get("name"), small.get("classname")) == ("small", "my net.py:Net")
    assert (other.get("name"), other.get("classname")) == ("other", "my net.py:broken")
    assert small.find("failure").get("type") == "worse"
    assert f"my net.py:{DW} Block\nblocks.0.dw: params +8" in small.find("failure").text
    assert other.find("error").get("type") == "could not measure"
    assert "no weights" in other.find("error").get("message")
    [fine] = suite(outcomes["ok"]).findall("testcase")
    assert list(fine) == []


def test_a_damaged_lock_is_a_case(outcomes: dict[str, Outcome]) -> None:
    """A damaged lock has a test case."""
    *_, case = suite(outcomes["damaged"]).findall("testcase")
    assert (case.get("name"), case.find("error").get("type")) == ("mbanalyze.lock.json", "unusable lock")


def test_warnings_are_in_the_output(outcomes: dict[str, Outcome]) -> None:
    """A warning passes and is in the output of the suite."""
    found = suite(outcomes["warning"])
    assert found.get("failures") == "0"
    assert "\nwarning: small worse: params " in found.find("system-out").text
    assert "blocks.0.dw: params +8" in found.find("system-out").text


def test_hostile_names_in_junit(outcomes: dict[str, Outcome]) -> None:
    """Characters that XML does not allow are escaped, and markup stays text."""
    [case] = suite(outcomes["hostile"]).findall("testcase")
    assert spelled(MODEL) == case.get("name")
    assert f"\n{spelled(LAYER)}: params +3" in case.find("failure").text


def test_what_a_passing_model_measured(outcomes: dict[str, Outcome]) -> None:
    """The output of the suite has the totals, headroom and change of each model, and the growth of one that failed."""
    # 2 x 8 x (9 + 8) + 80 weights, 10 biases; (2 x 8 x (9 + 8)) x 64 + 80 macs
    assert suite(outcomes["ok"]).find("system-out").text.startswith("small: params 362, macs 17.49 k, flops ")
    assert suite(outcomes["ok"]).find("system-out").text.endswith("; unchanged")
    assert "16.49 k (1648.8 %) over the macs budget of 1.000 k" in (
        suite(outcomes["over budget"]).find("system-out").text
    )
    assert "params 362 -> 378, +16 (+4.4 %)" not in suite(outcomes["ok"]).find("system-out").text


def test_times(outcomes: dict[str, Outcome]) -> None:
    """Each case has the seconds that its model took, and the suite has their sum."""
    found = suite(outcomes["could not measure"])
    times = [float(case.get("time")) for case in found.findall("testcase")]

    assert all(time > 0 for time in times)
    assert float(found.get("time")) == pytest.approx(sum(times), abs=0.002)  # each is rounded to milliseconds

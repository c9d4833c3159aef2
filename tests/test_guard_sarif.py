"""SARIF reports of the guard, validated with the schema of OASIS."""

from __future__ import annotations

import json
import pickle
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from outcomes import COMMAND, DW, LAYER, OLD, OUTCOMES, PW, Project

from mbanalyze.guard import Outcome

if TYPE_CHECKING:
    import jsonschema


@cache
def sarif_schema() -> jsonschema.Draft7Validator:
    """Return the schema of OASIS, from a package with a copy of the JSON Schema Store."""
    import jsonschema  # it takes two seconds

    url = "https://json.schemastore.org/sarif-2.1.0.json"
    file = distribution("schemastore").locate_file("schemastore/cache.sqlite")
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT value FROM responses WHERE instr(value, ?)", [url.encode()])
        stored = [pickle.loads(value) for (value,) in rows]  # noqa: S301 (as trusted as the package's code)
    schema = json.loads(next(response["_content"] for response in stored if response["url"] == url))
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def sarif_run(outcome: Outcome) -> dict[str, Any]:
    """Return the only run of a document, after validation."""
    document = json.loads(outcome.to("sarif"))
    sarif_schema().validate(document)
    [run] = document["runs"]
    assert isinstance(run, dict)
    return run


def results(outcome: Outcome) -> list[tuple[str, str, str, int]]:
    """Return the rule, level, file and line of each result."""
    found = []
    for result in sarif_run(outcome)["results"]:
        [location] = result["locations"]
        physical = location["physicalLocation"]
        file = unquote(physical["artifactLocation"]["uri"])
        found.append((result["ruleId"], result["level"], file, physical["region"]["startLine"]))
    return found


@pytest.mark.parametrize("name", OUTCOMES)
def test_sarif_fits_its_schema(outcomes: dict[str, Outcome], name: str) -> None:
    """Every outcome fits the schema, lists the rules of its results, and reports success or failure."""
    run = sarif_run(outcomes[name])
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert {result["ruleId"] for result in run["results"]} == set(rules)
    assert len(rules) == len(set(rules))
    [invocation] = run["invocations"]
    assert outcomes[name].exit_code == invocation["exitCode"]
    assert (outcomes[name].exit_code < 2) == invocation["executionSuccessful"]


def broken_documents(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield copies of a document with one mistake each."""
    text = json.dumps(document)
    for old, new in [
        ('"level": "error"', '"level": "grave"'),
        ('"startLine": ', '"startLine": -'),
        ('"ruleId"', '"rule"'),
        ('"2.1.0"', '"2.1"'),
        ('"driver"', '"drivers"'),
    ]:
        assert old in text
        yield json.loads(text.replace(old, new))


def test_the_schema_rejects_broken_documents(outcomes: dict[str, Outcome]) -> None:
    """A document with another level, line, property or version does not fit the schema."""
    for document in broken_documents(json.loads(outcomes["worse"].to("sarif"))):
        assert not sarif_schema().is_valid(document)


def test_results(outcomes: dict[str, Outcome]) -> None:
    """A failing layer has a result at the line that makes it; a whole model has one at its definition in the policy."""
    assert results(outcomes["worse"]) == [("worse", "error", "my net.py", DW)] * 2
    assert results(outcomes["warning"]) == [("worse", "warning", "my net.py", DW)] * 2
    assert results(outcomes["layer over budget"]) == [("over-budget", "error", "my net.py", PW)] * 2
    assert results(outcomes["over budget"]) == [("over-budget", "error", "mbanalyze.toml", 2)]
    assert results(outcomes["better"]) == [("better", "note", "mbanalyze.toml", 2)]
    assert results(outcomes["damaged"]) == [("unusable-lock", "error", "mbanalyze.lock.json", 1)]
    assert results(outcomes["could not measure"])[-1] == ("could-not-measure", "error", "mbanalyze.toml", 6)
    assert results(outcomes["ok"]) == []


def test_layers_of_results(outcomes: dict[str, Outcome]) -> None:
    """A result names its layer, and its fingerprint is unique and the same in the next run."""
    found = sarif_run(outcomes["worse"])["results"]
    names = [result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] for result in found]
    assert names == ["blocks.0.dw", "blocks.1.dw"]
    uris = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in found}
    assert {"my%20net.py"} == uris
    assert len({json.dumps(result["partialFingerprints"]) for result in found}) == 2
    assert found == sarif_run(outcomes["worse"])["results"]


def test_at_most_a_hundred_layers(outcomes_project: Project) -> None:
    """Of 103 layers that grew, 100 have a result, and one more result counts the other three."""
    blocks = "options = { blocks = 103, bias = %s }"
    outcome = outcomes_project.check({"small": blocks % "false"}, {"small": blocks % "true"})
    *layers, rest = sarif_run(outcome)["results"]
    assert len(layers) == 100
    assert rest["message"]["text"] == "small: 3 more layers"


def test_hostile_names_in_sarif(outcomes: dict[str, Outcome]) -> None:
    """Braces and brackets in a name are neither placeholders nor links, and a layer keeps its exact name."""
    found = sarif_run(outcomes["hostile"])["results"]
    names = {result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] for result in found}
    assert {LAYER, COMMAND, OLD} == names
    for result in found:
        text = result["message"]["text"]
        assert "{{0}}" in text
        assert text.isprintable()
        assert not re.search(r"(?<!\\)\]\(", text)

"""Annotations for GitHub, read as GitHub's runner reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest
from outcomes import ADDED, COMMAND, DW, LAYER, MODEL, PW, Project, spelled

from mbanalyze import guard
from mbanalyze.guard import Outcome
from mbanalyze.guard.wording import headline


@dataclass(frozen=True)
class Annotation:
    """A workflow command as GitHub reads it."""

    level: str
    properties: dict[str, str]
    message: str


def commands(text: str) -> list[Annotation]:
    """Return the workflow commands in the output of a step, read as GitHub's runner reads them."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"\s*::(\w+)(?: (.*?))?::(.*)", line)
        assert match, line
        pairs = [pair.split("=", 1) for pair in (match[2] or "").split(",") if pair]
        properties = {key: unescaped(value, properties=True) for key, value in pairs}
        found.append(Annotation(match[1], properties, unescaped(match[3])))
    return found


def unescaped(text: str, *, properties: bool = False) -> str:
    """Return the text that an escaped value stands for."""
    codes = {"%0D": "\r", "%0A": "\n"} | ({"%3A": ":", "%2C": ","} if properties else {}) | {"%25": "%"}
    for code, letter in codes.items():
        text = text.replace(code, letter)
    return text


def test_growth_is_annotated_at_its_line(outcomes: dict[str, Outcome]) -> None:
    """The layers of both blocks share one annotation on the line that makes them, with their names and the next step."""
    outcome = outcomes["worse"]
    [found] = commands(outcome.to("github"))
    told, first, second, fix = found.message.split("\n")
    assert outcome.advice
    assert found.level == "error"
    assert {"file": "my net.py", "line": str(DW), "title": "small: worse"} == found.properties
    assert headline(outcome.models[0]) == told
    # a bias adds one parameter to each of 8 channels, and one addition to each of 8 x 8 x 8 outputs
    assert first.startswith("blocks.0.dw: params +8 (+11.1 %), flops +512 (")
    assert second.startswith("blocks.1.dw: params +8 (+11.1 %), flops +512 (")
    assert fix.endswith(f": {outcome.advice.command}")


@pytest.mark.parametrize(
    ("name", "level", "title"),
    [
        ("over budget", "error", "small: over budget"),
        ("missing from lock", "error", "other: missing from lock"),
        ("gone", "error", "other: gone"),
        ("not comparable", "error", "small: not comparable"),
        ("better", "notice", "small: better"),
        ("strict", "error", "small: better"),
    ],
)
def test_a_whole_model_is_annotated_at_the_policy(
    outcomes: dict[str, Outcome], name: str, level: str, title: str
) -> None:
    """A change that no layer explains is annotated at the policy's definition of the model."""
    [found] = commands(outcomes[name].to("github"))
    policy = outcomes[name].policy
    model = title.partition(":")[0]
    line = policy.models[model].line if model in policy.models else 1
    assert (level, title) == (found.level, found.properties["title"])
    assert ("mbanalyze.toml", str(line)) == (found.properties["file"], found.properties["line"])


def test_levels(outcomes: dict[str, Outcome]) -> None:
    """A limit of level `warn` gives a warning, the budget of a layer is annotated at its line, and a passing model has no annotation."""
    [warning] = commands(outcomes["warning"].to("github"))
    [budget] = commands(outcomes["layer over budget"].to("github"))
    assert ("warning", str(DW)) == (warning.level, warning.properties["line"])
    assert outcomes["warning"].advice is None
    assert ("error", str(PW), "small: over budget") == (
        budget.level,
        budget.properties["line"],
        budget.properties["title"],
    )
    assert "blocks.0.pw: params 64 > 60 (budget)" in budget.message
    assert outcomes["ok"].to("github") == ""


def test_a_broken_model_hides_no_other(outcomes: dict[str, Outcome]) -> None:
    """A model that cannot be measured is annotated, and so is another one that grew."""
    found = commands(outcomes["could not measure"].to("github"))
    assert [each.properties["title"] for each in found] == ["small: worse", "other: could not measure"]


def test_a_damaged_lock_is_annotated_once(outcomes: dict[str, Outcome]) -> None:
    """A damaged lock has one annotation, at the lock and not at each model."""
    [found] = commands(outcomes["damaged"].to("github"))
    assert (found.properties) == {
        "file": "mbanalyze.lock.json",
        "line": "1",
        "title": "mbanalyze guard: unusable lock",
    }
    assert "damaged" in found.message
    assert found.message.endswith("mbanalyze guard update" + found.message.rpartition("update")[2])


def test_a_missing_lock_is_annotated_at_the_policy(outcomes_project: Project) -> None:
    """A missing lock in CI has one annotation, at the policy."""
    policy = replace(
        outcomes_project.policy({"small": "", "other": ""}), lock=outcomes_project.folder / "none.json"
    )
    [found] = commands(guard.check(policy, ci=True).to("github"))
    assert (found.properties["file"], found.properties["line"]) == ("mbanalyze.toml", "1")


def test_at_most_ten_annotations(outcomes: dict[str, Outcome]) -> None:
    """Of twelve models that grew, nine are annotated and the tenth annotation counts the other three."""
    [result] = outcomes["worse"].models
    many = replace(outcomes["worse"], models=tuple(replace(result, name=f"m{i}") for i in range(12)))
    found = commands(many.to("github"))
    assert len(found) == 10
    assert [f"m{i}: worse" for i in range(9)] == [each.properties["title"] for each in found[:9]]
    assert found[9].message.startswith("3 more, about m9, m10, m11: ")
    ten = replace(many, models=many.models[:10])
    assert [f"m{i}: worse" for i in range(10)] == [
        each.properties["title"] for each in commands(ten.to("github"))
    ]


def test_hostile_names_in_annotations(outcomes: dict[str, Outcome]) -> None:
    """A workflow command stays on one line, and GitHub reads back the displayed names."""
    [found] = commands(outcomes["hostile"].to("github"))
    assert {
        "file": "my net.py",
        "line": str(ADDED),
        "title": f"{spelled(MODEL)}: worse",
    } == found.properties
    assert f"\n{spelled(LAYER)}: params +3" in found.message
    assert f"\n'{COMMAND}': params +3" in found.message

"""Findings of the guard: the lines of source that an outcome is about."""

from __future__ import annotations

from dataclasses import replace

from outcomes import DW, line_of

from mbanalyze.guard import Outcome
from mbanalyze.guard.changes import CountChange, LayerId
from mbanalyze.guard.findings import findings
from mbanalyze.guard.model_result import MODEL_VERDICTS, ModelResult
from mbanalyze.guard.source_location import layer_location, policy_location
from mbanalyze.guard.wording import headline


def test_outcomes_have_their_verdicts(outcomes: dict[str, Outcome]) -> None:
    """Each outcome of these tests has the verdict and the exit code in its name."""
    for verdict in MODEL_VERDICTS:
        assert verdict in {result.verdict for result in outcomes[verdict].models}
    assert {
        name: outcomes[name].exit_code for name in ("ok", "worse", "damaged", "warning", "better", "strict")
    } == {"ok": 0, "worse": 1, "damaged": 2, "warning": 0, "better": 0, "strict": 1}


def test_findings_match_the_exit_code(outcomes: dict[str, Outcome]) -> None:
    """An outcome has a finding of level `error` exactly if its exit code is not 0."""
    for outcome in outcomes.values():
        assert bool(outcome.exit_code) == any(finding.level == "error" for finding in findings(outcome))


def test_a_layer_has_the_line_that_makes_it(outcomes: dict[str, Outcome]) -> None:
    """A layer has the line of the call that makes it, a removed one that of a layer around it, and the model its class."""
    [result] = outcomes["worse"].models
    assert result.measured is not None
    lines = {
        path: layer_location(result.measured.locations, path, outcomes["worse"].policy, "small").line
        for path in ("", "head", "blocks", "blocks.0", "blocks.0.dw", "blocks.1.removed", "removed")
    }

    assert lines == {
        **dict.fromkeys(("", "removed"), line_of("class Net")),
        **dict.fromkeys(("blocks", "blocks.0", "blocks.1.removed"), line_of("self.blocks =")),
        "blocks.0.dw": DW,
        "head": line_of("self.head ="),
    }


def test_a_model_without_classes_of_the_project(outcomes: dict[str, Outcome]) -> None:
    """A layer without a class of the project has the line of the policy."""
    policy = outcomes["worse"].policy

    assert layer_location({}, "head", policy, "small") == policy_location(policy, "small")


def test_findings_take_turns(outcomes: dict[str, Outcome]) -> None:
    """The first findings name every model, and those of a model start with the line that grew most."""
    [result] = outcomes["worse"].models
    changes = tuple(
        CountChange("macs", 0, growth, "worse", layer=LayerId(path, "conv"))
        for path, growth in (("blocks.0.dw", 1), ("head", 2))
    )
    models = tuple(replace(result, name=name, changes=changes) for name in ("small", "other"))
    found = findings(replace(outcomes["worse"], models=models))

    assert [(each.result.name, each.changes[0].growth) for each in found if each.result] == [
        ("small", 2),
        ("other", 2),
        ("small", 1),
        ("other", 1),
    ]


def test_a_headline_shows_the_decisive_change() -> None:
    """A headline shows the total that is over its budget before one that only grew."""
    over = CountChange("params", None, 4, "over budget", limit=3)
    grown = CountChange("macs", 1, 2, "worse")

    assert headline(ModelResult("a", "over budget", 1, (grown, over))) == (
        "over budget: params 4, 1 (33.3 %) over the budget of 3"
    )
    assert headline(ModelResult("a", "worse", 1, (grown,))) == "worse: macs 1 -> 2, +1 (+100.0 %)"

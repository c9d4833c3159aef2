"""Budgets of predicted time in the guard: verdicts, formats, explanations and errors."""

from __future__ import annotations

import json
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import pytest
import small_profile
from commandline import Run
from guarded import POLICY, document_of, model_in, repository

from mbanalyze import count, guard
from mbanalyze.guard import load
from mbanalyze.guard.limits import GROWTH_METRICS
from mbanalyze.guard.view import OUTCOME_FORMATS
from mbanalyze.profiles.class_fit import ClassFit
from mbanalyze.profiles.profile_file import dumps
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.profiles.work import Work
from mbanalyze.pytest_plugin import ModelCost

LARGEST = Work(10**12, 10**12, 10**12)
ALEXNET = '[models.small]\nsource = "alexnet"\nprofile = "ci.json"\n'
TIME = 13.0
"""The time of AlexNet in milliseconds: five convolutions of 2 ms, and three linear layers of 1 ms."""


def fit(overhead_ns: float = 0.0, flop_ns: float = 0.0) -> ClassFit:
    """Return a class whose operators take a constant time, and a time for each flop."""
    return ClassFit(flop_ns, 0.0, 0.0, overhead_ns, 1, 0.0, LARGEST, in_place=True)


def profile(general: dict[str, ClassFit]) -> Profile:
    """Return a profile with the times of some kinds, and of kinds that take no time."""
    free = dict.fromkeys(
        ("relu", "relu6", "add", "batch_norm", "max_pool", "adaptive_avg_pool", "global_avg_pool"), fit()
    )
    return small_profile.profile(
        machine="a runner", classes={}, general=free | general, step_ns=0.0, deviation=log(1.1)
    )


CONSTANT = profile({"conv standard": fit(2e6), "linear": fit(1e6)})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a profile, as the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    (tmp_path / "ci.json").write_text(dumps(CONSTANT))
    return tmp_path


def policy(folder: Path, text: str) -> Path:
    """Write a policy into a folder."""
    (folder / "mbanalyze.toml").write_text(text)
    return folder / "mbanalyze.toml"


@pytest.mark.parametrize(
    ("budget", "code", "level"),
    [
        ("13", 0, None),
        ('"13 ms"', 0, None),
        ("12.75", 1, "error"),
        ('"12.75ms"', 1, "error"),
        ('{ max = 12.75, level = "warn" }', 0, "warn"),
        ('{ max = 1, level = "off" }', 0, None),
    ],
)
def test_a_budget_of_time(budget: str, code: int, level: str | None, folder: Path, run: Run) -> None:
    """A model fails if its predicted time is above its budget, in milliseconds."""
    policy(folder, f"{ALEXNET}budget = {{ predicted_ms = {budget} }}\n")
    assert run("guard", "update").code == 0
    said = model_in(document_of(run))

    assert said["exit"] == code
    assert [(c["metric"], c["after"], c["level"]) for c in said["changes"]] == (
        [("predicted_ms", TIME, level)] if level else []
    )
    assert said["totals"]["predicted_ms"] == (None if "off" in budget else TIME)


def test_every_format_has_the_time(folder: Path) -> None:
    """Every format names the total and its budget, and JSON and tables have the remainder."""
    file = policy(folder, f"{ALEXNET}budget = {{ predicted_ms = 10 }}\n")
    guard.update(load(file))
    outcome = guard.check(load(file))
    said = {name: outcome.to(name) for name in OUTCOME_FORMATS}

    # 3 ms above 10 ms
    words = "predicted ms 13.00, 3.000 (30.0 %) over the budget of 10.00"
    assert [name for name, text in said.items() if words in text.replace("%25", "%")] == [
        "table", "markdown", "github", "junit",
    ]  # fmt: skip
    assert "small: total: predicted ms 13.00 > 10.00 (budget)" in said["sarif"]
    assert "small,,total,predicted_ms,,13.0,10.0,over budget,error,," in said["csv"]
    assert json.loads(said["json"])["models"][0]["budgets"] == [
        {"metric": "predicted_ms", "max": 10.0, "level": "error", "headroom": -3.0, "percent": -30.0}
    ]
    policy(folder, f"{ALEXNET}budget = {{ predicted_ms = 20 }}\n")
    # 7 ms below 20 ms
    assert "7.000 (35.0 %) of 20.00" in guard.check(load(file)).to("table")
    assert "7 (35.0 %) of 20" in guard.check(load(file)).to("markdown")


def test_a_budget_of_layers(folder: Path, run: Run) -> None:
    """A budget of layers limits the time of each."""
    rules = '[models.small.layers."*"]\nbudget = { predicted_ms = 1.5 }\n'
    policy(folder, ALEXNET + rules)
    said = document_of(run)
    slow = [each["path"] for each in model_in(said)["changes"]]

    # the convolutions take 2 ms each
    assert slow == ["features.0", "features.3", "features.6", "features.8", "features.10"]
    assert "features.0" in run("guard", "explain").out


def test_the_lock_has_no_time(folder: Path, run: Run) -> None:
    """The lock does not record the time; another profile changes it without any change of the lock."""
    policy(folder, f"{ALEXNET}budget = {{ predicted_ms = 13 }}\n")
    assert run("guard", "update").code == 0
    before = (folder / "mbanalyze.lock.json").read_text()
    (folder / "ci.json").write_text(dumps(profile({"conv standard": fit(1e6), "linear": fit(1e6)})))

    # eight operators of 1 ms
    assert model_in(document_of(run))["totals"]["predicted_ms"] == 8.0
    assert run("guard", "update").code == 0
    assert (folder / "mbanalyze.lock.json").read_text() == before
    assert "predicted_ms" not in before
    assert "predicted_ms" not in GROWTH_METRICS


def test_an_explanation_of_time(folder: Path, run: Run) -> None:
    """An explanation has the time of each layer with its share, and the largest alpha and resolution that fit."""
    speed = profile(
        {kind: fit(flop_ns=0.01) for kind in ("conv standard", "conv depthwise", "conv pointwise", "linear")}
    )
    (folder / "ci.json").write_text(dumps(speed))
    policy(
        folder,
        '[models.small]\nsource = "mobilenet_v2"\nprofile = "ci.json"\nbudget = { predicted_ms = 5 }\n',
    )
    assert run("guard", "update").code == 0
    [said] = json.loads(run("guard", "explain", "--format", "json").out)["models"]
    [cause] = said["causes"]
    width = said["remedies"][0]

    # 0.01 ns for each flop of products
    def time(alpha: float) -> float:
        report = count("mobilenet_v2", alpha=alpha).only("conv", "linear")
        return (report.totals.flops or 0) * 0.01 / 1e6

    assert (cause["metric"], cause["limit"], cause["grew"]) == ("predicted_ms", 5.0, False)
    assert cause["after"] == pytest.approx(time(1.0))
    assert sum(layer["amount"] for layer in cause["layers"]) == pytest.approx(cause["after"])
    assert (width["option"], width["totals"]["predicted_ms"]) == (
        "alpha",
        pytest.approx(time(width["value"])),
    )
    assert time(width["value"]) <= 5 < time(width["value"] + 0.01)
    out = run("guard", "explain").out
    assert "small: cost by layer" in out
    assert f"{time(width['value']):.3f} predicted ms" in " ".join(out.split())


def changed(**values: Any) -> str:
    """Return the text of a profile with other values."""
    return dumps(replace(CONSTANT, **values))


@pytest.mark.parametrize(
    ("text", "rules", "reason"),
    [
        (None, "", "ci.json does not exist: 'mbanalyze calibrate --output "),
        ("{", "", "ci.json is no profile (Expecting"),
        (dumps(CONSTANT).replace("profile/1", "profile/2"), "", "has schema mbanalyze.profile/2: upgrade mbanalyze"),
        (
            changed(dtype="float16"),
            "",
            'is of float16, alexnet was counted in float32: set dtype = "float16", or use a profile of float32',
        ),
        (dumps(CONSTANT), 'dtype = "float16"\n', "is of float32, alexnet was counted in float16"),
        (changed(general={"conv standard": fit()}), "", "the profile has no times for relu (7), "),
    ],
    ids=["missing", "damaged", "newer", "profile in half", "model in half", "kinds"],
)  # fmt: skip
def test_a_profile_that_does_not_predict(
    text: str | None, rules: str, reason: str, folder: Path, run: Run
) -> None:
    """A model whose time its profile does not predict could not be measured, and one line says why."""
    (folder / "ci.json").unlink()
    if text is not None:
        (folder / "ci.json").write_text(text)
    policy(folder, f"{ALEXNET}{rules}budget = {{ predicted_ms = 13 }}\n")
    said = document_of(run)

    assert (said["exit"], model_in(said)["verdict"]) == (2, "could not measure")
    assert reason in model_in(said)["reason"]
    assert "\n" not in model_in(said)["reason"]
    assert not (folder / "mbanalyze.lock.json").exists()


def test_a_budget_without_a_profile(folder: Path, run: Run) -> None:
    """A budget without a profile could not be measured, and the reason says what to set."""
    policy(folder, '[models.small]\nsource = "alexnet"\nbudget = { predicted_ms = 13 }\n')

    assert model_in(document_of(run))["reason"] == (
        'budget on an unknown count: predicted_ms; predicted_ms needs a profile: set profile = "FILE.json"'
    )


def test_a_profile_without_a_budget_is_not_read(folder: Path, run: Run) -> None:
    """A profile is read for the models that have a budget of time."""
    policy(
        folder, 'profile = "none.json"\n[models.small]\nsource = "alexnet"\nbudget = { params = "62 M" }\n'
    )
    assert run("guard", "update").code == 0

    assert run("guard").code == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("profile = 1\n", "profile: expected a text, not 1"),
        ('profile = ""\n', "profile: expected a text that is not empty"),
        (f'{ALEXNET}max_increase = {{ predicted_ms = "1%" }}\n', "max_increase: unknown key 'predicted_ms'"),
        (f'{ALEXNET}budget = {{ predicted_ms = "13 s" }}\n', "budget.predicted_ms: malformed number '13 s'"),
        (f"{ALEXNET}budget = {{ predicted_ms = -1 }}\n", "budget.predicted_ms: malformed number '-1'"),
    ],
)
def test_mistakes_of_a_policy(text: str, problem: str, folder: Path, run: Run) -> None:
    """A wrong profile or limit is a mistake of the policy, in one line."""
    policy(folder, text if "models" in text else text + ALEXNET.replace('profile = "ci.json"\n', ""))
    ran = run("guard")

    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert problem in ran.err


def test_code_of_the_project(project: Path, run: Run) -> None:
    """A model of the project's own code is predicted in its process, with the profile that its policy names."""
    kinds = {"conv standard": 1.0, "conv depthwise": 2.0, "conv pointwise": 3.0, "linear": 4.0}
    speed = profile({"interpolate": fit(), **{kind: fit(1e6 * each) for kind, each in kinds.items()}})
    (project / "ci.json").write_text(dumps(speed))
    (project / "pyproject.toml").write_text(
        f'[tool.mbanalyze]\nprofile = "ci.json"\n{POLICY}budget = {{ predicted_ms = 20 }}\n'
    )
    said = model_in(document_of(run))

    # the stem, three blocks of a depthwise and two pointwise convolutions, and the head
    assert said["totals"]["predicted_ms"] == 1 + 3 * (2 + 2 * 3) + 4
    assert [(c["metric"], c["limit"]) for c in said["changes"]] == [("predicted_ms", 20.0)]


def test_a_base_needs_no_profile(folder: Path, run: Run) -> None:
    """`diff` compares counts with a commit whose profile is missing, and limits the predicted time of the present."""
    text = (folder / "ci.json").read_text()
    (folder / "ci.json").unlink()
    policy(folder, f"{ALEXNET}budget = {{ predicted_ms = 13 }}\n")
    repository(folder)
    (folder / "ci.json").write_text(text)

    assert run("guard", "diff", "--base", "HEAD").code == 0
    policy(folder, f"{ALEXNET}budget = {{ predicted_ms = 12 }}\n")
    assert run("guard", "diff", "--base", "HEAD").code == 1


def test_the_pytest_plugin(folder: Path) -> None:
    """`model_cost.check` takes a limit of the predicted time, with a profile."""
    cost = ModelCost("test", folder / "snapshots.json", update=False)

    cost.check("alexnet", [], max_predicted_ms=13, profile=folder / "ci.json")
    with pytest.raises(
        pytest.fail.Exception, match=r"predicted ms 13.00, 1.000 \(8.3 %\) over the budget of 12.00"
    ):
        cost.check("alexnet", [], max_predicted_ms="12 ms", profile="ci.json")
    with pytest.raises(pytest.fail.Exception, match="predicted_ms needs a profile"):
        cost.check("alexnet", [], max_predicted_ms=13)
    with pytest.raises(pytest.fail.Exception, match="does not exist"):
        cost.check("alexnet", [], max_predicted_ms=13, profile="none.json")

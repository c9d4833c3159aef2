"""Peaks of memory in the guard: their budgets, their growth, their places, and locks that do not record them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commandline import Run
from guarded import BUDGETS, POLICY, document_of, edit, forget_peaks, model_in, repository, total_in

from mbanalyze import count, guard
from mbanalyze.guard import load, lock
from mbanalyze.guard.changes import CountChange, differences, over_budget, unknown_budgets
from mbanalyze.guard.limits import BUDGET_METRICS, GROWTH_METRICS, Budget, parse_uniform_growth
from mbanalyze.guard.lock import DamagedLockError
from mbanalyze.guard.measurement import Measurement
from mbanalyze.guard.memory_peaks import LayerMemory, peaks_of
from mbanalyze.guard.policy import GuardedModel, Rules
from mbanalyze.guard.view import OUTCOME_FORMATS
from mbanalyze.inputs.parsing import parse_count
from mbanalyze.report.network import Report

# the depthwise convolution of block 1 reads and writes 80 x 16 x 16 elements of 4 bytes; in place, the largest
# is the convolution before it, which reads 16 x 16 x 16
PEAK, DEPLOYED = 2 * 80 * 256 * 4, (16 + 80) * 256 * 4
LACKS = "mbanalyze.lock.json lacks peak_bytes and peak_bytes_deployed of"
FIX = "to record them, run 'mbanalyze guard update"


def with_lower_peak(project: Path) -> None:
    """Let the lock of a project have half of the peak, at the stem."""
    file = project / "mbanalyze.lock.json"
    document = json.loads(file.read_text())
    document["models"]["small"]["totals"]["peak_bytes"] = PEAK // 2
    document["models"]["small"]["peaks"]["peak_bytes"]["path"] = "stem"
    file.write_text(json.dumps(document))


def test_the_totals_and_the_lock_have_the_peaks(project: Path, run: Run) -> None:
    """JSON has three peaks, and the lock two of them with their operators; a lock stays as it was when it is read."""
    totals = model_in(document_of(run))["totals"]
    text = (project / "mbanalyze.lock.json").read_text()
    locked = json.loads(text)["models"]["small"]

    assert (totals["peak_bytes"], totals["peak_bytes_deployed"]) == (PEAK, DEPLOYED)
    assert "peak_bytes_eager" in totals
    assert {key: n for key, n in locked["totals"].items() if "peak" in key} == {
        "peak_bytes": PEAK,
        "peak_bytes_deployed": DEPLOYED,
    }
    assert locked["peaks"] == {
        "peak_bytes": {"path": "blocks.1.filter", "kind": "conv"},
        "peak_bytes_deployed": {"path": "blocks.1.expand", "kind": "conv"},
    }
    assert lock.dumps(lock.loads(text, "lock")) == text


@pytest.mark.parametrize(
    ("budget", "code", "over"),
    [
        ('{ peak_bytes = "163.84 kB", peak_bytes_deployed = "96 KiB" }', 0, {}),
        ("{ peak_bytes = 163839 }", 1, {"peak_bytes": "blocks.1.filter"}),
        ('{ peak_bytes_deployed = "98 KB" }', 1, {"peak_bytes_deployed": "blocks.1.expand"}),
        ('{ peak_bytes = { max = "1 B", level = "warn" } }', 0, {"peak_bytes": "blocks.1.filter"}),
        ('{ peak_bytes_eager = { max = 1, level = "off" } }', 0, {}),
    ],
)
def test_a_budget_of_a_peak(budget: str, code: int, over: dict[str, str], project: Path, run: Run) -> None:
    """A budget can limit a peak, in units of bytes; a change says at which operator the peak is."""
    (project / "pyproject.toml").write_text(BUDGETS.format(budget=budget))
    said = document_of(run)

    assert said["exit"] == code
    assert {c["metric"]: c["after_at"] for c in model_in(said)["changes"]} == over


def test_a_peak_that_grew(project: Path, run: Run) -> None:
    """A peak that grew fails although no layer changed, and the text says where it was and where it is."""
    with_lower_peak(project)
    said = document_of(run)
    [change] = model_in(said)["changes"]
    places = "at blocks.1.filter (conv) instead of stem (conv)"

    assert (said["exit"], model_in(said)["verdict"]) == (1, "worse")
    assert change == {
        "path": "", "kind": "total", "metric": "peak_bytes", "before": PEAK // 2, "after": PEAK,
        "limit": PEAK // 2, "verdict": "worse", "level": "error", "before_at": "stem", "after_at": "blocks.1.filter",
    }  # fmt: skip
    out = run("guard").out
    assert f"peak bytes 81.92 kB -> 163.8 kB, +81.92 kB (+100.0 %), {places}" in out
    assert f"\npeak bytes {places}\n" in out
    assert run("guard", "update").code == 0
    assert run("guard").code == 0


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ('max_increase = { peak_bytes = "81.92 kB" }', 0),
        ('max_increase = { peak_bytes = "81.91 kB" }', 1),
        ('max_increase = { peak_bytes = "100%" }', 0),
        ('max_increase = "+20480"', 0),  # elements of four bytes
        ('max_increase = "+20479"', 1),
        ('max_increase = { peak_bytes = { max = 0, level = "warn" } }', 0),
    ],
)
def test_a_tolerated_growth_of_a_peak(rule: str, code: int, project: Path, run: Run) -> None:
    """A peak may grow by an amount of bytes, a percentage, or an amount of elements for all counts."""
    with_lower_peak(project)
    (project / "pyproject.toml").write_text(f"{POLICY}{rule}\n")

    assert run("guard").code == code


def test_a_peak_in_the_formats_of_ci(project: Path, run: Run) -> None:
    """A peak that grew is found at the line of its layer, also if the counts of other layers grew."""
    with_lower_peak(project)
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    line = 1 + (project / "net.py").read_text().splitlines().index(
        "        self.filter = nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False)"
    )
    sarif = json.loads(run("guard", "--format", "sarif").out)["runs"][0]["results"]
    found = {
        each["locations"][0]["physicalLocation"]["region"]["startLine"]: each["message"]["text"]
        for each in sarif
    }

    said = "total: peak bytes +81.92 kB (+100.0 %), at blocks.1.filter (conv) instead of stem (conv)"
    assert found[line] == f"small: {said}"
    annotations = run("guard", "--format", "github").out
    assert f"::error file=net.py,line={line}," in annotations
    assert said.replace("%", "%25") in annotations
    assert said in run("guard", "--format", "junit").out


def test_parameters_that_are_not_read_are_found_beside_layers(project: Path, run: Run) -> None:
    """Unused parameters, which no layer has, are a finding although the counts of a layer grew."""
    edit(
        project / "net.py",
        ("        self.head = ", "        self.aux = nn.Linear(64, 64)\n        self.head = "),
        ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"),
    )
    out = run("guard", "--format", "github").out

    assert "total: unused params +4.160 k" in out
    assert "total: params" not in out


def test_an_explanation_of_a_peak(project: Path, run: Run) -> None:
    """An explanation has both places and the tensors in memory at the peak, and the suggested width fits."""
    (project / "pyproject.toml").write_text(BUDGETS.format(budget='{ peak_bytes = "100 kB" }'))
    [said] = json.loads(run("guard", "explain", "--format", "json").out)["models"]
    [cause] = said["causes"]
    held = [(layer["path"], layer["kind"], layer["amount"]) for layer in cause["layers"]]

    assert [cause[key] for key in ("before_at", "after_at", "grew")] == [
        "blocks.1.filter",
        "blocks.1.filter",
        False,
    ]
    # the ReLU writes over the output of the convolution `expand`
    assert sorted(held) == [("blocks.1", "relu", PEAK // 2), ("blocks.1.filter", "conv", PEAK // 2)]
    [width] = said["remedies"]
    assert width["totals"]["peak_bytes"] <= 100_000
    out = run("guard", "explain").out
    assert "small: in memory at the peak, by layer\n" in out
    assert "\npeak bytes at blocks.1.filter (conv)\n" in out
    assert f"{width['totals']['peak_bytes'] / 1000:.2f} kB peak memory" in out


ROOT = """
import torch
from torch import nn

class Root(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        y = self.conv(x).relu()
        return torch.cat([y, y + 1])
"""


def test_an_explanation_of_two_peaks(project: Path, run: Run) -> None:
    """A layer with several tensors at the peaks has the kinds of all, also of those that one account merges."""
    (project / "root.py").write_text(ROOT)
    (project / "pyproject.toml").write_text(
        '[tool.mbanalyze.models.root]\nsource = "root.py:Root"\ninputs = ["1,1,8,8"]\n'
        "budget = { peak_bytes = 1, peak_bytes_deployed = 1 }\n"
    )
    row = next(line for line in run("guard", "explain").out.splitlines() if "(model)  cat" in line)

    # the sum and both values in the concatenation; the ReLU is a part of the convolution if deployed
    assert row.split("  ")[1:4] == ["cat + relu + add", "1.024 kB (100.0 %)", "768 B (75.0 %)"]


@pytest.mark.parametrize("policy", [POLICY, POLICY + "strict = true\n"], ids=["usual", "strict"])
def test_a_lock_without_peaks_passes(policy: str, project: Path, run: Run) -> None:
    """A lock of an earlier version passes, also if strict; one line names the command that records the peaks."""
    (project / "pyproject.toml").write_text(policy)
    file = project / "mbanalyze.lock.json"
    whole = file.read_text()
    forget_peaks(file)
    ran, said = run("guard"), document_of(run)

    assert (ran.code, ran.err, said["exit"], model_in(said)["verdict"]) == (0, "", 0, "ok")
    assert f"{LACKS} 1 model: {FIX}'\n" in ran.out
    assert said["incomplete"] == f"{LACKS} 1 model: {FIX}'"
    assert model_in(said)["unrecorded"] == ["peak_bytes", "peak_bytes_deployed"]
    assert "peak_bytes" not in model_in(said)["accepted"]
    updated = run("guard", "update")
    assert (updated.code, LACKS in updated.out, file.read_text()) == (0, False, whole)
    said = document_of(run)
    assert (said["incomplete"], model_in(said)["unrecorded"], LACKS in run("guard").out) == (None, [], False)


def test_a_lock_without_peaks_in_every_format(project: Path) -> None:
    """Every format but CSV, which lists changes, says what the lock lacks, and none makes it a failure."""
    forget_peaks(project / "mbanalyze.lock.json")
    outcome = guard.check(load(project / "pyproject.toml"))
    said = {name: outcome.to(name) for name in OUTCOME_FORMATS}

    assert outcome.exit_code == 0
    assert [name for name, text in said.items() if LACKS not in text] == ["csv"]
    assert said["github"].startswith(
        "::notice file=mbanalyze.lock.json,line=1,title=mbanalyze guard%3A incomplete lock::"
    )
    [result] = json.loads(said["sarif"])["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("incomplete-lock", "note")


def test_a_lock_without_peaks_still_guards(project: Path, run: Run) -> None:
    """With a lock of an earlier version, the other counts and the budgets of peaks still fail."""
    forget_peaks(project / "mbanalyze.lock.json")
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    said = document_of(run)
    assert (said["exit"], total_in(said, "params")) == (1, (10_314, 10_347))
    assert LACKS in run("guard").out

    (project / "pyproject.toml").write_text(BUDGETS.format(budget='{ peak_bytes = "1 kB" }'))
    assert {c["metric"] for c in model_in(document_of(run))["changes"] if c["verdict"] == "over budget"} == {
        "peak_bytes"
    }


def test_a_partial_update_of_a_lock_without_peaks(project: Path, run: Run) -> None:
    """An update of one model records its peaks, and keeps the other model; the command names the policy."""
    (project / "pyproject.toml").rename(project / "other.toml")
    (project / "other.toml").write_text(
        f"{POLICY}{POLICY.replace('models.small', 'models.other')}".replace("tool.mbanalyze.", "")
    )
    config = ("--config", "other.toml")
    assert run("guard", "update", *config).code == 0
    forget_peaks(project / "mbanalyze.lock.json")
    assert f"{LACKS} 2 models: {FIX} --config other.toml'" in run("guard", *config).out
    assert run("guard", "update", "other", *config).code == 0

    assert f"{LACKS} 1 model: " in run("guard", *config).out
    models = lock.loads((project / "mbanalyze.lock.json").read_text(), "lock").models
    assert {name: "peak_bytes" in each.totals for name, each in models.items()} == {
        "other": True,
        "small": False,
    }


def test_a_comparison_with_a_commit_has_peaks(project: Path, run: Run) -> None:
    """A commit is measured, not its lock: the peaks are compared although its lock does not have them."""
    forget_peaks(project / "mbanalyze.lock.json")
    repository(project)
    edit(project / "net.py", ("expansion=5", "expansion=6"))
    said = document_of(run, "diff", "--base", "HEAD")

    assert said["incomplete"] is None
    # 96 instead of 80 channels
    assert total_in(said, "peak_bytes") == (PEAK, PEAK * 6 // 5)
    assert "peak bytes at blocks.1.filter (conv)\n" in run("guard", "diff", "--base", "HEAD").out


def test_the_lock_of_this_project(tmp_path: Path) -> None:
    """The known networks pass with a lock of an earlier version, which is named, and with the written one."""
    root = Path(__file__).parents[1]
    policy = load(root / "pyproject.toml")
    text = "".join(f'[models.{name}]\nsource = "{model.source}"\n' for name, model in policy.models.items())
    (tmp_path / "mbanalyze.toml").write_text(text)
    here = load(tmp_path / "mbanalyze.toml")
    recorded = json.loads(policy.lock.read_text())
    for model in recorded["models"].values():
        model.pop("peaks", None)
        for peak in ("peak_bytes", "peak_bytes_deployed"):
            model["totals"].pop(peak, None)
    here.lock.write_text(json.dumps(recorded))

    old = guard.check(here, ci=True)
    assert (old.exit_code, old.incomplete.startswith(f"{LACKS} {len(policy.models)} models: ")) == (0, True)
    guard.update(here)
    new = guard.check(here, ci=True)
    assert (new.exit_code, new.incomplete) == (0, "")


@pytest.mark.parametrize(
    "peaks",
    [1, [], "x", {"peak_bytes": 1}, {"peak_bytes": {}}, {"peak_bytes": {"path": 1, "kind": "conv"}},
     {"peak_bytes": {"path": "stem"}}, {"peak_bytes": {"path": "stem", "kind": "conv", "held": 1}},
     {"peak_bytes": {"path": "stem", "kind": "conv", "held": [["stem", "conv", 1.5]]}}],
    ids=repr,
)  # fmt: skip
def test_peaks_that_are_none(peaks: Any, project: Path) -> None:
    """A lock whose peaks are something else is damaged."""
    document = json.loads((project / "mbanalyze.lock.json").read_text())
    document["models"]["small"]["peaks"] = peaks
    with pytest.raises(DamagedLockError):
        lock.loads(json.dumps(document), "lock")


@pytest.mark.parametrize("key", ["budget", "max_increase"])
@pytest.mark.parametrize("metric", ["peak_bytes", "peak_bytes_deployed", "peak_bytes_eager", "unused_params"])
def test_a_layer_has_no_peak(key: str, metric: str, project: Path, run: Run) -> None:
    """A rule of layers on a total that only a whole model has is a mistake of the policy."""
    rules = f'[tool.mbanalyze.models.small.layers."*"]\n{key} = {{ {metric} = 1 }}\n'
    (project / "pyproject.toml").write_text(POLICY + rules)
    ran = run("guard")

    assert (ran.code, ran.out) == (2, "")
    assert f"{key}: unknown key '{metric}'" in ran.err


def test_the_growth_of_the_eager_peak_is_not_limited(project: Path, run: Run) -> None:
    """A policy that limits the growth of the eager peak has a mistake: no lock records that peak."""
    (project / "pyproject.toml").write_text(POLICY + 'max_increase = { peak_bytes_eager = "1%" }\n')

    assert "max_increase: unknown key 'peak_bytes_eager'" in run("guard").err


def test_a_budget_of_the_eager_peak_needs_a_trace(project: Path, run: Run) -> None:
    """A budget of the eager peak of a closed form could not be measured, and the reason says what to set."""
    (project / "pyproject.toml").write_text(
        '[tool.mbanalyze.models.small]\nsource = "alexnet"\nbudget = { peak_bytes_eager = "1 GB" }\n'
    )

    assert model_in(document_of(run))["reason"] == (
        "budget on an unknown count: peak_bytes_eager; peak_bytes_eager needs a trace: set trace = true"
    )


def test_the_eager_peak() -> None:
    """A budget limits the eager peak of a trace, whose growth is no change."""

    def of(peak: int) -> Measurement:
        totals = dict.fromkeys(BUDGET_METRICS, 0) | {"peak_bytes_eager": peak}
        return Measurement("net.py:build", {}, "trace", ("1x2",), "float32", totals, ())

    rules = Rules({"peak_bytes_eager": Budget(10, "error")}, parse_uniform_growth("0", "error"))
    model = GuardedModel("small", "net.py:build", {}, ("1,2",), {}, rules)

    assert "peak_bytes_eager" not in GROWTH_METRICS
    assert [*differences(model, of(9), of(10))] == []
    assert unknown_budgets(model, of(10)) == ""
    assert over_budget(model, of(10)) == ()
    assert over_budget(model, of(11)) == (
        CountChange("peak_bytes_eager", None, 11, "over budget", "error", 10),
    )


def test_what_is_in_memory_adds_up() -> None:
    """The tensors of all layers at a peak add up to it, and a network without operators has no peak."""
    report = count("mobilenet_v2")
    peaks = peaks_of(report)
    assert [*peaks] == ["peak_bytes", "peak_bytes_deployed"]
    assert {metric: sum(held.bytes for held in peak.held) for metric, peak in peaks.items()} == {
        metric: report.total_counts()[metric] for metric in peaks
    }
    # the depthwise convolution reads 96 channels of 112 x 112 pixels, and writes 56 x 56 of each
    assert peaks["peak_bytes"].held == (
        LayerMemory("features.2.conv.0.2", "relu6", 96 * 112**2 * 4),
        LayerMemory("features.2.conv.1.0", "conv", 96 * 56**2 * 4),
    )
    assert peaks_of(Report("empty", {}, (), "trace", ())) == {}


@pytest.mark.parametrize("text", ["320 KB", "320KB", "320 kB", "312.5 KiB", "320000"])
def test_units_of_bytes(text: str) -> None:
    """A budget of a peak takes the units of bytes."""
    assert parse_count(text, of_bytes=True) == 320_000

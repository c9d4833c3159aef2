"""The text of the guard about models that pass, that are recorded, and that an update accepts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commandline import Run
from guarded import POLICY, document_of, edit, model_in

from mbanalyze import count

BUDGET = 'budget = { params = "20 k", macs = "4 M", flops = { max = 1, level = "off" } }\n'
TABLE = """\
[tool.mbanalyze.models.a]
source = "alexnet"
budget = { params = 61_100_841 }
[tool.mbanalyze.models.b]
source = "alexnet@resolution=63"
"""


def rows(out: str, *starts: str) -> list[str]:
    """Return the lines that start with one of some texts."""
    return [line for line in out.splitlines() if line.startswith(starts)]


def test_a_passing_model_says_its_totals(project: Path, run: Run) -> None:
    """Markdown has one row a model of exact totals and the change, and one row of headroom if it has budgets."""
    (project / "pyproject.toml").write_text(TABLE)
    assert run("guard", "update").code == 0
    ran = run("guard", "--format", "markdown")

    assert ran.code == 0
    totals = [count("alexnet", resolution=side).total_counts() for side in (224, 63)]
    listed = ("macs", "flops", "memory_access", "peak_bytes", "peak_bytes_deployed")
    costs = [" | ".join(f"{each[metric]:,}" for metric in listed) for each in totals]
    # the published 61,100,840 parameters are one below the budget
    assert rows(ran.out, "| a", "| b") == [
        f"| a | ok | 61,100,840 | {costs[0]} | none |",
        f"| b | ok | 61,100,840 | {costs[1]} | none |",
        "| a | 1 (0.0 %) of 61,100,841 |",
    ]


def test_headroom(project: Path, run: Run) -> None:
    """The headroom is the budget minus the measured total, in per cent of the budget; a budget that is off has none."""
    (project / "pyproject.toml").write_text(POLICY + BUDGET)
    said = model_in(document_of(run))
    total = said["totals"]

    assert said["accepted"] == {key: total[key] for key in said["accepted"]}
    assert [(each["metric"], each["max"], each["level"]) for each in said["budgets"]] == [
        ("params", 20_000, "error"),
        ("macs", 4_000_000, "error"),
    ]
    assert [each["headroom"] for each in said["budgets"]] == [
        20_000 - total["params"],
        4_000_000 - total["macs"],
    ]
    # 100 x (20,000 - 10,314) / 20,000
    assert said["budgets"][0]["percent"] == pytest.approx(48.43)
    assert "9.686 k (48.4 %) of 20.00 k" in run("guard").out


def test_a_budget_without_room(project: Path, run: Run) -> None:
    """A budget of zero has no percentage, and one that is exactly used has zero per cent left."""
    (project / "pyproject.toml").write_text(POLICY + "budget = { unused_params = 0, params = 10314 }\n")
    by_metric = {each["metric"]: each for each in model_in(document_of(run))["budgets"]}

    assert [by_metric["unused_params"][key] for key in ("headroom", "percent")] == [0, None]
    assert [by_metric["params"][key] for key in ("headroom", "percent")] == [0, 0]
    assert rows(run("guard").out, "small")[1].split("  ")[-2:] == ["0 (0.0 %) of 10.31 k", "0 of 0"]


def test_the_first_run_prints_what_it_recorded(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a lock, CI prints what it measured and the command to run, and the first run what it recorded."""
    (project / "mbanalyze.lock.json").unlink()
    monkeypatch.setenv("CI", "true")
    refused = run("guard")
    monkeypatch.delenv("CI")
    first = run("guard")

    assert [refused.code, first.code] == [2, 1]
    assert rows(refused.out, "small")[0].startswith("small  missing from lock  10.31 k")
    assert rows(first.out, "small")[0].startswith("small  recorded  10.31 k")
    assert "there is no mbanalyze.lock.json: run 'mbanalyze guard update' and commit it" in refused.out
    assert first.out.startswith("Model costs recorded in mbanalyze.lock.json\n")
    assert "1 recorded\n" in first.out


def test_an_update_says_accepted(project: Path, run: Run) -> None:
    """After an update, the changes and the model are accepted, an unchanged model is ok, and one is removed."""
    more = '[tool.mbanalyze.models.{}]\nsource = "alexnet"\n'
    (project / "pyproject.toml").write_text(POLICY + more.format("gone") + more.format("same"))
    assert run("guard", "update").code == 0
    (project / "pyproject.toml").write_text(POLICY + more.format("fresh") + more.format("same"))
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    out = run("guard", "update").out

    assert [line.split()[1] for line in rows(out, "small ", "fresh ", "same ", "gone ")] == [
        "accepted", "recorded", "ok", "removed",
    ]  # fmt: skip
    assert rows(out, "head ")[0].endswith("  accepted")
    assert "worse" not in out
    assert "1 accepted, 1 recorded, 1 ok, 1 removed\n" in out


def test_an_update_accepts_no_budget(project: Path, run: Run) -> None:
    """After an update, a model above its budget is not accepted, and the text says that the guard still fails."""
    (project / "pyproject.toml").write_text(POLICY + "budget = { params = 1 }\n")
    ran = run("guard", "update")

    assert (ran.code, rows(ran.out, "small")[0].split()[1:3]) == (0, ["over", "budget"])
    assert "the lock changes no budget: 'mbanalyze guard' still fails for small" in ran.out
    assert run("guard").code == 1


@pytest.mark.parametrize("command", [("guard", "update"), ("guard", "update", "small"), ("guard",)])
def test_a_pattern_without_layers_writes_no_lock(command: tuple[str, ...], project: Path, run: Run) -> None:
    """A layer pattern that fits nothing leaves the lock alone; the reason is said once, and no command is advised."""
    (project / "pyproject.toml").write_text(
        POLICY + 'layers = { "nothing.*" = { budget = { params = 1 } } }\n'
    )
    lock = project / "mbanalyze.lock.json"
    lock.unlink()
    ran = run(*command)

    assert (ran.code, lock.exists()) == (2, False)
    assert ran.out.count("nothing.*") == 1
    assert ran.out.splitlines()[-1] == (
        "mbanalyze.lock.json was not written, because a model could not be measured"
    )


def test_fifty_models_have_one_row_each(project: Path, run: Run) -> None:
    """Fifty models that pass are a table of fifty rows, none of which is wrapped at 80 columns."""
    names = [f"net_{i}" for i in range(50)]
    (project / "pyproject.toml").write_text(
        "".join(f'[tool.mbanalyze.models.{name}]\nsource = "alexnet@resolution=63"\n' for name in names)
    )
    assert run("guard", "update").code == 0
    out = run("guard").out

    assert [line.split()[0] for line in rows(out, "net_")] == names
    assert max(map(len, out.splitlines())) <= 80
    assert (
        len(out.splitlines()) == 50 + 7
    )  # the title, three lines of headings, a rule, a blank line and the sum


def test_json_says_what_was_written(project: Path, run: Run) -> None:
    """JSON says whether the lock was written, and has no accepted totals of a model without a record."""
    (project / "mbanalyze.lock.json").unlink()
    said = json.loads(run("guard", "--format", "json").out)

    assert (said["written"], model_in(said)["accepted"]) == (True, None)
    assert document_of(run)["written"] is False

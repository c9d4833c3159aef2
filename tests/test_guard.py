"""The guard: each costly change is caught with the layer that it is in, and nothing else is."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from commandline import Ran, Run
from guarded import NET, POLICY, edit, git, repository, write_project

from mbanalyze import count, guard
from mbanalyze.guard import lock
from mbanalyze.guard.limits import growths
from mbanalyze.guard.lock import LockError
from mbanalyze.guard.policy import load


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose lock is up to date, where tests work."""
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    guard.update(load(tmp_path / "pyproject.toml"))
    return tmp_path


def document(run: Run, *arguments: str) -> dict[str, Any]:
    """What `mbanalyze guard --format json` says."""
    ran = run("guard", *arguments, "--format", "json")
    said: dict[str, Any] = json.loads(ran.out)
    assert said["schema"] == "mbanalyze.guard/1"
    assert said["exit"] == ran.code
    return said


def model(said: dict[str, Any], name: str = "small") -> dict[str, Any]:
    """One model of it."""
    (found,) = (each for each in said["models"] if each["name"] == name)
    return found  # type: ignore[no-any-return]


def layers(said: dict[str, Any], verdict: str) -> dict[str, set[str]]:
    """Path -> metrics of the layers whose changes have a verdict."""
    found: dict[str, set[str]] = {}
    for change in model(said)["changes"]:
        if change["kind"] != "total" and change["verdict"] == verdict:
            found.setdefault(change["path"], set()).add(change["metric"])
    return found


def total(said: dict[str, Any], metric: str) -> tuple[int, int] | None:
    """What a total was and is, if it changed."""
    changes = (c for c in model(said)["changes"] if (c["kind"], c["metric"]) == ("total", metric))
    return next(((c["before"], c["after"]) for c in changes), None)


def test_nothing_changed(project: Path, run: Run) -> None:
    """Is ok."""
    said = document(run)

    assert (said["exit"], model(said)["verdict"], model(said)["changes"]) == (0, "ok", [])
    assert run("guard").out == "small  ok\n1 ok, against mbanalyze.lock.json\n"


BLOCKS = [f"blocks.{i}" for i in range(3)]


@pytest.mark.parametrize(
    ("changes", "worse"),
    [
        pytest.param(
            [("self.project = nn.Conv2d(wide, out, 1, bias=False)", "self.project = nn.Conv2d(wide, out, 1)")],
            {f"{block}.project" for block in BLOCKS},
            id="a bias switched on",
        ),
        pytest.param(
            [(", groups=wide, bias=False", ", bias=False")],
            {f"{block}.filter" for block in BLOCKS},
            id="a depthwise convolution made dense",
        ),
        pytest.param(
            [("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)")],
            {"head"},
            id="a classifier widened",
        ),
        pytest.param(
            [("            Block(c, c, expansion=5),\n", "            Block(c, c, expansion=5),\n" * 2)],
            {"blocks.2", "blocks.2.expand", "blocks.2.filter", "blocks.2.project"},
            id="one more block",
        ),
        pytest.param(
            [
                ("        self.project = ", "        self.squeeze = nn.Conv2d(wide, wide, 1)\n        self.project = "),
                ("        return self.project(functional.relu(self.filter(functional.relu(self.expand(x)))))",
                 ("        x = functional.relu(self.filter(functional.relu(self.expand(x))))\n"
                 "        return self.project(x * self.squeeze(x.mean((2, 3), keepdim=True)).sigmoid())")),
            ],
            {part for block in BLOCKS for part in (f"{block}.squeeze", block)},
            id="squeeze-and-excitation added",
        ),
        pytest.param(
            [("size=32", "size=48")],
            {"", "stem", *BLOCKS, *(f"{block}.{part}" for block in BLOCKS for part in ("expand", "filter", "project"))},
            id="resolution default changed",
        ),
        pytest.param(
            [("        return self.head(x.mean((2, 3)))", "        x = x.mean((2, 3))\n        return self.head(x) + self.head(x)")],
            {"head", ""},
            id="a head called twice",
        ),
        pytest.param(
            [("nn.Conv2d(3, c, 3, 2, 1, bias=False)", "nn.Conv2d(3, c, 3, 1, 1, bias=False)"),
             ("            Block(c, c),\n", "            Block(c, c, 2),\n")],
            {"stem", "blocks.0", "blocks.0.expand", "blocks.0.filter"},  # the last reads more
            id="a layer moved to higher resolution at equal params",
        ),
        pytest.param(
            [("            Block(c, c),\n", "            Block(c, c, expansion=5),#\n"),
             ("            Block(c, c, expansion=5),\n", "            Block(c, c),\n")],
            {"blocks.0", "blocks.0.expand", "blocks.0.filter", "blocks.0.project"},
            id="two changes that cancel",
        ),
    ],
)  # fmt: skip
def test_each_costly_change_is_caught(
    changes: list[tuple[str, str]], worse: set[str], project: Path, run: Run
) -> None:
    """With exit code 1, and the layers that it is in; the verdicts of text and JSON are one."""
    edit(project / "net.py", *changes)
    said = document(run)

    assert (said["exit"], model(said)["verdict"]) == (1, "worse")
    assert worse == layers(said, "worse").keys()
    assert run("guard").out.splitlines()[-1] == said["command"] == "mbanalyze guard update"
    assert run("guard", "update").code == 0
    assert document(run)["exit"] == 0


def test_what_cancels_leaves_the_totals_alone(project: Path, run: Run) -> None:
    """No total of the network changes when two of its blocks swap their expansion."""
    edit(
        project / "net.py",
        ("            Block(c, c),\n", "            Block(c, c, expansion=5),#\n"),
        ("            Block(c, c, expansion=5),\n", "            Block(c, c),\n"),
    )

    assert not [change for change in model(document(run))["changes"] if change["kind"] == "total"]


def test_a_block_more_is_told_from_those_behind_it(project: Path, run: Run) -> None:
    """The block that got another number is renamed, and costs what it did."""
    again = "            Block(c, c, expansion=5),\n"
    edit(project / "net.py", (again, again * 2))
    said = document(run)
    renamed = [(c["before"], c["after"]) for c in model(said)["changes"] if c["verdict"] == "renamed"]

    assert {("blocks.2", "blocks.3"), ("blocks.2.filter", "blocks.3.filter")} < {*renamed}
    # c = 16, 5 x 16 = 80 channels, 16 x 16 px: 16 x 80 + 80 x 9 + 80 x 16 = 3,280 weights
    before, after = total(said, "params") or (0, 0)
    assert after - before == 3280
    before, after = total(said, "macs") or (0, 0)
    assert after - before == 3280 * 16 * 16


def test_a_wider_network(run: Run, project: Path) -> None:
    """Alpha from 0.75 to 0.76, of a network in closed form, changes every layer whose channels do."""
    edit(
        project / "pyproject.toml",
        (POLICY, '[tool.mbanalyze.models.small]\nsource = "mobilenet_v1"\noptions = { alpha = 0.75 }\n'),
    )
    assert run("guard", "update").code == 0
    edit(project / "pyproject.toml", ("0.75", "0.76"))
    said = document(run)

    assert model(said)["verdict"] == "worse"
    reports = [count("mobilenet_v1", alpha=alpha) for alpha in (0.75, 0.76)]
    before, after = ({group.key: group.cost for group in report.by("module")} for report in reports)
    grown = {path for path in after if after[path] != before[path]}
    assert grown == layers(said, "worse").keys()
    # of 64 channels 48 are left either way, and of 128 96 and 97: from there on all grow
    assert "features.1.pointwise.0" not in grown
    assert {"features.2.pointwise.0", "features.13.pointwise.0"} < grown
    assert total(said, "macs") == tuple(report.totals.macs for report in reports)


def test_a_rename_is_no_growth(project: Path, run: Run) -> None:
    """A layer with another name, or all of them, passes and is reported as renamed; strictly it fails."""
    edit(project / "net.py", ("self.filter", "self.depthwise"))
    said = document(run)

    assert (said["exit"], model(said)["verdict"], model(said)["stale"]) == (0, "ok", True)
    renamed = {c["before"]: c["after"] for c in model(said)["changes"]}
    assert renamed == {f"{block}.filter": f"{block}.depthwise" for block in BLOCKS}
    edit(project / "pyproject.toml", ("source", "strict = true\nsource"))
    assert document(run)["exit"] == 1
    assert "the lock is out of date" in run("guard").out


def test_another_name_for_every_layer(project: Path, run: Run) -> None:
    """Is a rename too."""
    edit(
        project / "net.py",
        ("self.blocks", "self.features"),
        ("self.stem", "self.first"),
        ("self.head", "self.last"),
    )
    said = document(run)

    assert (said["exit"], {c["verdict"] for c in model(said)["changes"]}) == (0, {"renamed"})


def test_a_renamed_layer_that_grew(project: Path, run: Run) -> None:
    """Is both."""
    edit(
        project / "net.py",
        ("self.head = nn.Linear(2 * c, 10)", "self.last = nn.Linear(2 * c, 12)"),
        ("self.head(", "self.last("),
    )
    said = document(run)

    assert layers(said, "renamed") == {"last": {"path"}}
    # 2 x 32 weights and 2 biases more
    assert [
        (c["before"], c["after"])
        for c in model(said)["changes"]
        if (c["path"], c["metric"]) == ("last", "params")
    ] == [(330, 396)]


def test_a_smaller_model_passes(project: Path, run: Run) -> None:
    """With a notice, and strictly it fails, so that the lock cannot hide a growth later."""
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 9)"))
    said = document(run)

    assert (said["exit"], model(said)["verdict"], model(said)["stale"]) == (0, "better", True)
    assert layers(said, "better").keys() == {"head"}
    edit(project / "pyproject.toml", ("source", "strict = true\nsource"))
    assert (run("guard").code, run("guard").out.splitlines()[-1]) == (1, "mbanalyze guard update")


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ('"1,3,64,64"', '"2,3,64,64"', "input was 1x3x64x64, is 2x3x64x64"),
        ("source", 'dtype = "float16"\nsource', "dtype was float32, is float16"),
        ("source", 'mode = "train"\nsource', "method was trace, is trace train"),
    ],
)
def test_what_is_found_otherwise_is_not_comparable(
    before: str, after: str, what: str, project: Path, run: Run
) -> None:
    """Another input, precision or mode is exit code 2, until the lock has it too."""
    edit(project / "pyproject.toml", (before, after))
    said = document(run)

    assert (said["exit"], model(said)["verdict"], model(said)["reason"]) == (2, "not comparable", what)
    assert run("guard", "update", "small").code == 0
    assert run("guard").code == 0


def test_another_resolution_names_the_layers_that_grow(project: Path, run: Run) -> None:
    """Though a network in closed form that takes larger images is not comparable."""
    edit(
        project / "pyproject.toml",
        (POLICY, '[tool.mbanalyze.models.small]\nsource = "mobilenet_v2"\noptions = { resolution = 192 }\n'),
    )
    assert run("guard", "update").code == 0
    edit(project / "pyproject.toml", ("options = { resolution = 192 }\n", ""))
    said = document(run)

    assert (said["exit"], model(said)["reason"]) == (2, "input was 1x3x192x192, is 1x3x224x224")
    assert "features.18.0" in layers(said, "worse")


@pytest.mark.parametrize(
    ("key", "old", "verdict", "code"),
    [
        ("version", "0.0.1", "ok", 0),
        ("convention", "mbanalyze/0", "not comparable", 2),
    ],
)
def test_a_lock_of_another_tool(key: str, old: str, verdict: str, code: int, project: Path, run: Run) -> None:
    """Another convention is not comparable; another version is, as long as it counts the same."""
    file = project / "mbanalyze.lock.json"
    text = re.sub(rf'("{key}": )"[^"]*"', rf'\1"{old}"', file.read_text(), count=1)
    file.write_text(text)

    assert (model(document(run))["verdict"], run("guard").code) == (verdict, code)
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    assert (model(document(run))["verdict"], run("guard").code) == ("not comparable", 2)
    assert run("guard", "update", "small").code == 2
    assert run("guard", "update").code == 0
    assert run("guard").code == 0


def test_models_are_measured_on_their_own(project: Path, run: Run) -> None:
    """One that fails to import, one that leaves Python, and one whose operator nobody counts hide no other."""
    (project / "broken.py").write_text("import no_such_package\n")
    (project / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    (project / "strange.py").write_text(
        "import torch\nfrom torch import nn\nclass Strange(nn.Module):\n    def forward(self, x):\n        return torch.special.bessel_j0(x)\n"
    )
    sources = {
        "broken": "broken.py:net",
        "leaves": "leaves.py:net",
        "strange": "strange.py:Strange",
        "zoo": "mobilenet_v2",
    }
    inputs = 'inputs = ["1,3,64,64"]\n'
    more = "".join(
        f'[tool.mbanalyze.models.{name}]\nsource = "{source}"\n{inputs * (name != "zoo")}'
        for name, source in sources.items()
    )
    (project / "pyproject.toml").write_text(POLICY + more)
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    said = document(run)
    verdicts = {each["name"]: (each["verdict"], each["exit"]) for each in said["models"]}

    assert said["exit"] == 2
    assert verdicts == {
        "small": ("worse", 1),
        "broken": ("could not measure", 2),
        "leaves": ("could not measure", 2),
        "strange": ("could not measure", 2),
        "zoo": ("missing from lock", 1),
    }
    assert "no_such_package" in model(said, "broken")["reason"]
    assert "aten::special_bessel_j0 in the model" in model(said, "strange")["reason"]
    assert run("guard").out.splitlines()[-1] == "mbanalyze guard explain broken leaves strange"
    before = (project / "mbanalyze.lock.json").read_text()
    assert run("guard", "update").code == 2
    assert before == (project / "mbanalyze.lock.json").read_text()
    assert run("guard", "update", "zoo").code == 0


def test_operators_allowed_by_name(project: Path, run: Run) -> None:
    """May do without a count; their macs and flops are null in the lock."""
    edit(
        project / "net.py",
        ("        return self.head(", "        x = torch.special.bessel_j0(x)\n        return self.head("),
    )
    assert run("guard").code == 2
    edit(project / "pyproject.toml", ("source", 'allow_uncounted = ["aten::special_bessel_j0"]\nsource'))

    assert run("guard", "update").code == 0
    assert run("guard").code == 0


def test_models_do_not_see_each_others_modules(project: Path, run: Run) -> None:
    """Each has the helper beside its own file, the usual precision, and the policy's folder."""
    for name, width in (("x", 8), ("y", 32)):
        (project / name).mkdir()
        (project / name / "helper.py").write_text(f"WIDTH = {width}\n")
        (project / name / "m.py").write_text(
            "import os, sys, torch\nfrom torch import nn\nfrom helper import WIDTH\n"
            "def make():\n    net = nn.Conv2d(3, WIDTH, 3)\n    torch.set_default_dtype(torch.float64)\n"
            "    os.chdir('/')\n    sys.path.clear()\n    return net\n"
        )
    policy = "".join(
        f'[tool.mbanalyze.models.{name}]\nsource = "{name}/m.py:make"\ninputs = ["1,3,8,8"]\n'
        for name in ("x", "y")
    )
    (project / "pyproject.toml").write_text(policy + POLICY)
    assert run("guard", "update").code == 0
    known = lock.loads((project / "mbanalyze.lock.json").read_text(), "lock").models

    # 27 weights and a bias a channel
    assert [known[name].totals["params"] for name in ("x", "y")] == [8 * 28, 32 * 28]
    assert [known[name].dtype for name in ("x", "y", "small")] == ["float32"] * 3
    assert run("guard").code == 0


def test_unused_params_are_counted(project: Path, run: Run) -> None:
    """A layer that the forward never calls costs memory all the same, and may have a budget."""
    edit(
        project / "net.py",
        ("        self.head = ", "        self.aux = nn.Linear(64, 64)\n        self.head = "),
    )
    said = document(run)

    assert (said["exit"], model(said)["verdict"]) == (1, "worse")
    assert total(said, "unused_params") == (0, 64 * 64 + 64)
    (project / "pyproject.toml").write_text(BUDGETS.format(budget='{ unused_params = "4 k" }'))
    assert run("guard", "update").code == 0
    assert model(document(run))["verdict"] == "over budget"


def test_bytes_have_a_rule_of_their_own(project: Path, run: Run) -> None:
    """It holds where elements may grow; an amount for all counts is in elements."""
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    counts = ("params", "macs", "flops", "activations", "memory_access")
    off = ", ".join(f'{count} = {{ max = "0", level = "off" }}' for count in counts)
    (project / "pyproject.toml").write_text(
        POLICY.replace("source", f'max_increase = {{ {off}, memory_access_bytes = "0" }}\nsource')
    )
    assert layers(document(run), "worse") == {"head": {"memory_access_bytes"}}
    # 34 elements more: 33 params and an output, 136 bytes
    (project / "pyproject.toml").write_text(POLICY.replace("source", 'max_increase = "+65"\nsource'))
    assert document(run)["exit"] == 0
    (project / "pyproject.toml").write_text(POLICY.replace("source", 'max_increase = "+33"\nsource'))
    assert layers(document(run), "worse").keys() == {"head"}


def test_a_pattern_behind_another(project: Path, run: Run) -> None:
    """That leaves it no layer holds nothing, and so fails."""
    rules = '[tool.mbanalyze.models.small.layers.{}]\nlevel = "warn"\n'
    (project / "pyproject.toml").write_text(POLICY + rules.format('"*"') + rules.format("head"))

    assert "no layer is left for 'head'" in model(document(run))["reason"]
    (project / "pyproject.toml").write_text(POLICY + rules.format("head") + rules.format('"*"'))
    assert document(run)["exit"] == 0


def test_a_budget_of_what_nobody_knows(project: Path, run: Run) -> None:
    """Cannot be held, although the operator may do without a count."""
    (project / "net.py").write_text(
        "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return torch.special.bessel_j0(x)\nbuild = Net\n"
    )
    allowed = 'allow_uncounted = ["aten::special_bessel_j0"]\nbudget = { macs = "1 G" }\n'
    (project / "pyproject.toml").write_text(POLICY + allowed)
    said = document(run)

    assert (said["exit"], model(said)["verdict"]) == (2, "could not measure")
    assert "nothing is known of macs" in model(said)["reason"]
    rules = '[tool.mbanalyze.models.small.layers."*"]\nbudget = {{ flops = {} }}\n'
    for budget, code in (('"1 G"', 2), ('{ max = "1 G", level = "off" }', 1)):
        (project / "pyproject.toml").write_text(
            POLICY + allowed.splitlines()[0] + "\n" + rules.format(budget)
        )
        said = document(run)
        assert (said["exit"], "nothing is known of flops" in (model(said)["reason"] or "")) == (
            code,
            code == 2,
        )


def test_what_is_no_longer_known_is_worse(project: Path, run: Run) -> None:
    """A count in the lock that is null now, or the other way round."""
    allowed = POLICY + 'allow_uncounted = ["aten::special_bessel_j0"]\n'
    (project / "pyproject.toml").write_text(allowed)
    edit(project / "net.py", ("functional.relu(self.filter(", "torch.special.bessel_j0(self.filter("))
    said = document(run)
    unknown = [
        c for c in model(said)["changes"] if c["kind"] != "total" and None in (c["before"], c["after"])
    ]

    assert (said["exit"], unknown) == (0, [])  # of each block a ReLU is left, whose flops are known
    edit(project / "net.py", ("functional.relu(self.expand(x))", "self.expand(x)"))
    said = document(run)
    unknown = [c for c in model(said)["changes"] if c["path"] == "blocks.0" and c["metric"] == "flops"]
    assert [(c["after"], c["verdict"]) for c in unknown] == [(None, "worse")]
    assert run("guard", "update").code == 0
    (project / "net.py").write_text(NET)
    unknown = [
        c for c in model(document(run))["changes"] if c["path"] == "blocks.0" and c["metric"] == "flops"
    ]
    assert [(c["before"], c["verdict"]) for c in unknown] == [(None, "worse")]


def test_percentages_are_rounded_down() -> None:
    """One per cent of 199 is 1, and an amount is what it says."""
    assert [growths("1%", "error")["macs"].allowed(n, 4) for n in (99, 100, 199, 200)] == [0, 1, 1, 2]
    assert [growths("+3", "error")[count].allowed(199, 4) for count in ("macs", "memory_access_bytes")] == [
        3,
        12,
    ]
    assert growths({"memory_access_bytes": "+3"}, "error")["memory_access_bytes"].allowed(199, 4) == 3


def test_a_model_that_is_gone(project: Path, run: Run) -> None:
    """Fails until the lock forgets it."""
    edit(project / "pyproject.toml", ("models.small", "models.other"))
    said = document(run)

    assert {each["name"]: each["verdict"] for each in said["models"]} == {
        "other": "missing from lock",
        "small": "gone",
    }
    assert (said["exit"], said["command"]) == (1, "mbanalyze guard update")
    assert run("guard", "update").code == 0
    assert run("guard").code == 0


def test_no_lock(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written, to be reviewed, with exit code 1; a CI writes nothing, with exit code 2."""
    file = project / "mbanalyze.lock.json"
    before = file.read_text()
    file.unlink()
    monkeypatch.setenv("CI", "true")
    assert (run("guard").code, file.exists(), document(run)["exit"]) == (2, False, 2)
    assert "there is no mbanalyze.lock.json: run 'mbanalyze guard update' and commit it" in run("guard").out
    assert (run("guard", "update").code, file.exists()) == (2, False)
    assert "--allow-ci" in run("guard", "update").err
    monkeypatch.setenv("CI", "false")
    ran = run("guard")

    assert (ran.code, file.read_text()) == (1, before)
    assert "review and commit it" in ran.out
    assert ran.out.splitlines()[-1] == "git add mbanalyze.lock.json"
    assert run("guard").code == 0
    file.unlink()
    monkeypatch.setenv("CI", "1")
    assert (run("guard", "update", "--allow-ci").code, file.exists()) == (0, True)


BUDGETS = """
[tool.mbanalyze.models.small]
source = "net.py:build"
inputs = ["1,3,64,64"]
budget = {budget}
"""


@pytest.mark.parametrize(
    ("budget", "code", "over"),
    [
        ('{ macs = "20 M", params = "20 k", memory_access_bytes = "12 MiB" }', 0, set()),
        ('{ macs = "1 M" }', 1, {"macs"}),
        ("{ params = 9000, flops = 1 }", 1, {"params", "flops"}),
        (
            '{ memory_access_bytes = "100 kB", params_bytes = "12 MB", activations = "1 M" }',
            1,
            {"memory_access_bytes"},
        ),
        ("{ arithmetic_intensity = 0.5 }", 1, {"arithmetic_intensity"}),
        ('{ reads = "1k", writes = "1k", memory_access = "1k" }', 1, {"reads", "writes", "memory_access"}),
        ('{ macs = { max = "1 M", level = "warn" } }', 0, {"macs"}),
        ('{ macs = { max = "1 M", level = "off" } }', 0, set()),
    ],
)
def test_budgets(budget: str, code: int, over: set[str], project: Path, run: Run) -> None:
    """Any total of the report may have one, with a unit, and a level of its own."""
    (project / "pyproject.toml").write_text(BUDGETS.format(budget=budget))
    said = document(run)

    assert said["exit"] == code
    assert {c["metric"] for c in model(said)["changes"] if c["verdict"] == "over budget"} == over
    assert model(said)["verdict"] == ("over budget" if over else "ok")
    if code:
        assert said["command"] == "mbanalyze guard explain small"


def test_a_budget_of_layers(project: Path, run: Run) -> None:
    """A pattern gives each layer that fits it a budget; one that fits none cannot be held."""
    rules = '[tool.mbanalyze.models.small.layers."blocks.*.filter"]\nbudget = { params = 600 }\n'
    (project / "pyproject.toml").write_text(POLICY + rules)

    # 9 x 4 x 16 = 576, 9 x 5 x 16 = 720, and 576 weights
    assert layers(document(run), "over budget") == {"blocks.1.filter": {"params"}}
    (project / "pyproject.toml").write_text(POLICY + rules.replace("filter", "filtered"))
    said = document(run)
    assert (said["exit"], model(said)["verdict"]) == (2, "could not measure")
    assert "no layer is left for 'blocks.*.filtered'" in model(said)["reason"]


@pytest.mark.parametrize(
    ("rule", "code", "verdict"),
    [
        ('max_increase = "0"', 1, "worse"),
        ('max_increase = "0.5%"', 1, "worse"),
        ('max_increase = "1%"', 0, "ok"),
        ('max_increase = "+2 M"', 0, "ok"),
        (
            'max_increase = { params = "+100", flops = "1 k", macs = "1k", activations = 9, memory_access = "1k" }',
            0,
            "ok",
        ),
        ('max_increase = { params = "+100" }', 1, "worse"),
        ('level = "warn"', 0, "worse"),
        ('level = "off"', 0, "ok"),
        ('max_increase = { max = "0", level = "warn" }', 0, "worse"),
    ],
)
@pytest.mark.parametrize(
    "where", ["[tool.mbanalyze]\n{rule}\n", "[tool.mbanalyze.models.small]\n{rule}\n", "both"]
)
def test_growth_that_is_tolerated(
    rule: str, code: int, verdict: str, where: str, project: Path, run: Run
) -> None:
    """By the project, or by a model, which has the last word."""
    # 2 x 33 params of 8,810 are 0.7 %
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 12)"))
    heading = "[tool.mbanalyze.models.small]\n"
    text = POLICY if where.startswith("[tool.mbanalyze]") else POLICY.replace(heading, f"{heading}{rule}\n")
    top = {"both": '[tool.mbanalyze]\nmax_increase = "0"\nlevel = "error"\n'}.get(
        where, f"[tool.mbanalyze]\n{rule}\n" if where.startswith("[tool.mbanalyze]") else ""
    )
    (project / "pyproject.toml").write_text(top + text)
    said = document(run)

    assert (said["exit"], model(said)["verdict"]) == (code, verdict)


def test_growth_of_some_layers(project: Path, run: Run) -> None:
    """Has rules of its own; a percentage is of the whole model."""
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 12)"))
    rules = '[tool.mbanalyze.models.small.layers.head]\nmax_increase = "{}"\n'
    (project / "pyproject.toml").write_text(
        POLICY.replace("source", 'max_increase = "1%"\nsource') + rules.format("0")
    )
    assert layers(document(run), "worse").keys() == {"head"}
    (project / "pyproject.toml").write_text(POLICY + rules.format("50%"))
    said = document(run)
    assert not layers(said, "worse")
    assert {c["kind"] for c in model(said)["changes"] if c["verdict"] == "worse"} == {"total"}


def test_digits_that_look_alike_are_written_out(project: Path, run: Run) -> None:
    """A budget that is missed by one is not printed as if it were kept."""
    macs = count((project / "net.py:build").as_posix(), (1, 3, 64, 64)).totals.macs or 0
    (project / "pyproject.toml").write_text(BUDGETS.format(budget=f"{{ macs = {macs - 1} }}"))
    out = run("guard").out

    assert f"macs {macs:,}, over the budget of {macs - 1:,}" in out
    assert f"{macs - 1:,}" in run("guard", "--format", "markdown").out


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no policy in mbanalyze.toml or pyproject.toml"),
        ("[tool.mbanalyze]\n", "guards no model"),
        ("[tool.mbanalyze", "is not TOML"),
        ("[tool.mbanalyze]\nmodles = 1\n", "'modles': did you mean models?"),
        ("[tool.mbanalyze.models.a]\n", "models.a needs a source"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nbuget = {}\n', "did you mean budget?"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nbudget = { makros = 1 }\n', "known are params, macs"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nbudget = { macs = "20 Q" }\n', "malformed count '20 Q'"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nbudget = { macs = "20 MB" }\n', "malformed count '20 MB'"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nmax_increase = "-1%"\n', "malformed number '-1'"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nlevel = "loud"\n', "level is one of off, warn, error"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\ninputs = "1,3,64,64"\n', "a list of texts in brackets"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\ninputs = ["1,3,x"]\n', "malformed input '1,3,x'"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nmode = "fast"\n', "mode is one of eval, train"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nkeep = 1\n', "keep is one of False, True"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nstrict = "yes"\n', "strict is true or false"),
    ],
)  # fmt: skip
def test_a_policy_that_makes_no_sense(text: str, problem: str, project: Path, run: Run) -> None:
    """Is one line on stderr with exit code 2, and nothing is written."""
    (project / "pyproject.toml").write_text(text)
    (project / "mbanalyze.lock.json").unlink()
    ran = run("guard")

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert problem in ran.err
    assert not (project / "mbanalyze.lock.json").exists()


@pytest.mark.parametrize(
    "text",
    [
        'level = "warn"\n[tool.mbanalyze]\n[tool.mbanalyze.models.small]\nsource = "x"\n',
        '\n\n[ tool . mbanalyze . models . "small" ]\nsource = "x"\n',
        '[tool.mbanalyze.models.smaller]\nsource = "x"\n[tool.mbanalyze.models.small.budget]\nmacs = 1\n[tool.mbanalyze.models.small]\nsource = "x"\n',
        '[tool.mbanalyze.models]\n\nsmall = { source = "x" }\n',
    ],
)
def test_the_line_of_a_model(text: str, tmp_path: Path) -> None:
    """Is where its table begins, however that is written."""
    file = tmp_path / "pyproject.toml"
    file.write_text(text)

    assert load(file).models["small"].line == 3


def test_a_policy_is_found_from_below(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources and the lock are beside the policy, wherever the command is run; commands name what they need."""
    below = project / "sub" / "sub"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert run("guard").code == 0
    (project / "pyproject.toml").rename(project / "policy.toml")
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    ran = run("guard", "--config", "../../policy.toml")

    assert (ran.code, ran.out.splitlines()[-1]) == (1, "mbanalyze guard update --config ../../policy.toml")


def test_a_policy_in_a_file_of_its_own(project: Path, run: Run) -> None:
    """mbanalyze.toml has the same tables without a prefix; two policies are one too many."""
    (project / "mbanalyze.toml").write_text(POLICY.replace("tool.mbanalyze.", ""))
    assert "keep one" in run("guard").err
    (project / "pyproject.toml").write_text("[project]\n")

    assert run("guard").code == 0


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda text: text.replace("lock/1", "lock/2"), "upgrade mbanalyze"),
        (lambda text: "<<<<<<< HEAD\n" + text + "=======\n>>>>>>> other\n", "marks of a merge conflict"),
        (lambda text: text[:200], "is damaged"),
        (lambda _: "", "is damaged"),
        (lambda _: "[]", "is damaged"),
        (lambda text: text.replace('"params": 330', '"params": 331'), "do not add up"),
        (lambda text: text.replace('"params": 330', '"params": "x"'), "is damaged"),
        (lambda text: text.replace('"stem"', '"head"'), "'head' twice"),
        (lambda text: text.replace('"totals"', '"total"'), "no 'totals'"),
    ],
)  # fmt: skip
def test_a_lock_that_cannot_be_read(spoil: Any, problem: str, project: Path, run: Run) -> None:
    """Is exit code 2 in every format, and says what to do; a whole update mends all but a newer one."""
    file = project / "mbanalyze.lock.json"
    good = file.read_text()
    file.write_text(spoil(good))
    bad = file.read_text()
    assert bad != good
    said = document(run)

    assert (said["exit"], model(said)["verdict"]) == (2, "not comparable")
    assert problem in said["problem"]
    assert said["command"] == (
        "pip install --upgrade mbanalyze" if "upgrade" in problem else "mbanalyze guard update"
    )
    assert run("guard", "update", "small").code == 2
    newer = "upgrade" in problem
    assert run("guard", "update").code == (2 if newer else 0)
    assert file.read_text() == (bad if newer else good)


def test_a_lock_is_a_line_a_layer(project: Path) -> None:
    """Sorted as people count; what is read is what was written."""
    text = (project / "mbanalyze.lock.json").read_text()
    known = lock.loads(text, "lock")
    paths = [layer.path for layer in known.models["small"].layers]
    lines = [line for line in text.splitlines() if '"kinds"' in line]

    assert paths == [json.loads("{" + line.strip().rstrip(",") + "}").popitem()[0] for line in lines]
    assert paths == ["", "blocks.0", "blocks.0.expand", "blocks.0.filter", "blocks.0.project", *paths[5:]]
    assert lock.dumps(known) == text
    with pytest.raises(LockError):
        lock.loads(text.replace("mbanalyze.lock", "other"), "lock")


def test_a_lock_in_a_folder_that_is_not_there(project: Path, run: Run) -> None:
    """Is one line, and no folder is made."""
    (project / "pyproject.toml").write_text('[tool.mbanalyze]\nlock = "no/such/lock.json"\n' + POLICY)
    for command in ([], ["update"]):
        ran = run("guard", *command)
        assert (ran.code, ran.out, ran.err.count("\n"), "unexpected" in ran.err) == (2, "", 1, False)
    assert not (project / "no").exists()


def test_two_updates_at_once(project: Path) -> None:
    """Of different models, run side by side, both are in the lock, whichever ends last."""
    two = POLICY + POLICY.replace("models.small", "models.large")
    (project / "pyproject.toml").write_text(two)
    file = project / "mbanalyze.lock.json"
    (project / "net.py").write_text(NET)
    command = [sys.executable, "-m", "mbanalyze", "guard", "update", "--allow-ci"]
    started = [
        subprocess.Popen([*command, name], cwd=project, stdout=subprocess.DEVNULL)
        for name in ("small", "large")
    ]

    assert [process.wait() for process in started] == [0, 0]
    assert lock.loads(file.read_text(), "lock").models.keys() == {"small", "large"}


def test_updates_wait_for_each_other(project: Path) -> None:
    """While somebody holds the lock, an update does not write it."""
    policy = load(project / "pyproject.toml")
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    before = policy.lock.read_text()
    updating = threading.Thread(target=guard.update, args=(policy,))
    with lock.held(policy.lock):
        updating.start()
        updating.join(timeout=3)
        assert (updating.is_alive(), policy.lock.read_text()) == (True, before)
    updating.join()

    assert policy.lock.read_text() != before


def test_a_partial_update_leaves_the_others(project: Path, run: Run) -> None:
    """Also those that the policy does not name any more: they are gone, which is reported."""
    (project / "pyproject.toml").write_text(POLICY + POLICY.replace("models.small", "models.other"))
    assert run("guard", "update", "other").code == 0
    (project / "pyproject.toml").write_text(POLICY)
    assert run("guard", "update", "small").code == 0

    assert model(document(run), "other")["verdict"] == "gone"


def test_an_update_says_what_it_accepted(project: Path, run: Run) -> None:
    """With exit code 0, in JSON too."""
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    said = document(run, "update")

    assert (said["exit"], model(said)["verdict"], said["command"]) == (
        0,
        "worse",
        "git add mbanalyze.lock.json",
    )


@pytest.mark.parametrize("name", ["two words", "-q", "it's", "a\nb"])
def test_the_last_line_works_whatever_a_model_is_called(name: str, project: Path, run: Run) -> None:
    """Run in a shell, it mends what is wrong."""
    (project / "pyproject.toml").write_text(
        POLICY.replace("models.small", f"models.{json.dumps(name)}") + POLICY
    )
    assert run("guard", "update").code == 0
    edit(project / "pyproject.toml", (POLICY, POLICY.replace("source", "options = { alpha = 1.0 }\nsource")))
    (project / "pyproject.toml").write_text(
        (project / "pyproject.toml").read_text().replace("alpha = 1.0", "alpha = 2.0", 1)
    )
    command = run("guard").out.splitlines()[-1]
    assert command.startswith("mbanalyze guard update")

    assert run(*shlex.split(command)[1:]).code == 0
    assert run("guard").code == 0


def test_what_other_programs_print_stays_off_stdout(project: Path) -> None:
    """A model that starts one leaves JSON clean, and a ref can be counted."""
    (project / "net.py").write_text(
        NET
        + "\nimport os, atexit\nos.system('echo raw')\natexit.register(print, 'bye', file=__import__('sys').stderr)\n"
    )
    repository(project)
    command = [sys.executable, "-m", "mbanalyze", "guard"]
    ran = [
        subprocess.run(
            [*command, *rest, "--format", "json"], cwd=project, capture_output=True, text=True, check=False
        )
        for rest in ([], ["diff", "--base", "HEAD"])
    ]

    assert [json.loads(each.stdout)["exit"] for each in ran] == [each.returncode for each in ran] == [0, 0]
    assert "raw" in ran[0].stderr


KILLED = """
import os, signal
from pathlib import Path
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
from mbanalyze import cli
cli.main()
"""


def test_a_killed_update_leaves_the_old_lock(project: Path) -> None:
    """Even when it dies just before the new one would take its place."""
    file = project / "mbanalyze.lock.json"
    before = file.read_text()
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, "guard", "update", "--allow-ci"], cwd=project, check=False
    )

    assert (ran.returncode, file.read_text()) == (-9, before)


def test_outputs_of_several_formats(project: Path, run: Run) -> None:
    """Go to files while one is printed; a malformed or unwritable one is refused before anything is counted."""
    ran = run("guard", "--output", "json=a.json", "--output", "markdown=a.md")

    assert (ran.code, ran.out) == (0, run("guard").out)
    assert json.loads((project / "a.json").read_text()) == document(run)
    assert (project / "a.md").read_text() == run("guard", "--format", "markdown").out
    for wrong in ("json", "word=a.doc", "json=", "json=no/such/folder.json"):
        ran = run("guard", "--output", wrong)
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert run("guard", "--output", "json=b.json", "--output", "json=c.json").code == 2
    assert run("guard", "--format", "json", "update").code == 2


def test_githubs_summary(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gets the Markdown, behind what is there, where the format is GitHub's."""
    summary = project / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    run("guard")
    assert summary.read_text() == "before\n"
    run("guard", "--format", "github")

    assert summary.read_text() == "before\n" + run("guard", "--format", "markdown").out


def explained(run: Run, *arguments: str) -> tuple[Ran, dict[str, Any]]:
    """What `explain` says as JSON, of the one model that it explains."""
    ran = run("guard", "explain", *arguments, "--format", "json")
    (found,) = json.loads(ran.out)["models"]
    return ran, found


def test_explaining_a_growth(project: Path, run: Run) -> None:
    """Names the layers with their shares, and the lines of the classes that they come from."""
    edit(
        project / "net.py",
        (
            "nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False)",
            "nn.Conv2d(wide, wide, 3, stride, 1, groups=wide)",
        ),
        ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"),
    )
    ran, said = explained(run)
    (params,) = (cause for cause in said["causes"] if cause["metric"] == "params")
    lines = NET.splitlines()

    assert ran.code == 1
    # a bias for each of 64, 80 and 64 channels; 32 weights and a bias
    assert {(layer["path"], layer["amount"]) for layer in params["layers"]} == {
        ("blocks.0.filter", 64), ("blocks.1.filter", 80), ("blocks.2.filter", 64), ("head", 33),
    }  # fmt: skip
    assert sum(layer["share"] for layer in params["layers"]) == pytest.approx(1)
    places = {(layer["file"], layer["line"], layer["what"]) for layer in params["layers"]}
    assert places == {
        ("net.py", lines.index(f"class {name}(nn.Module):") + 1, name) for name in ("Block", "Net")
    }
    out = run("guard", "explain").out
    assert f"net.py:{lines.index('class Block(nn.Module):') + 1} Block" in out
    assert "33.2 %" in out


def test_explaining_finds_what_would_fit(project: Path, run: Run) -> None:
    """The largest width within the budget: it fits, and one step more does not."""
    macs = count((project / "net.py:build").as_posix(), (1, 3, 64, 64)).totals.macs or 0
    limit = macs * 3 // 4
    (project / "pyproject.toml").write_text(BUDGETS.format(budget=f"{{ macs = {limit} }}"))
    ran, said = explained(run)
    (remedy,) = said["remedies"]
    at = [
        count((project / "net.py:build").as_posix(), (1, 3, 64, 64), alpha=remedy["value"] + step).totals.macs
        or 0
        for step in (0, 0.01)
    ]

    assert (ran.code, remedy["option"], remedy["now"]) == (1, "alpha", 1)
    assert at[0] == remedy["totals"]["macs"] <= limit < at[1]
    assert said["tried"] == ["alpha", "resolution"]  # its images are resized, so that these change nothing
    out = run("guard", "explain", "small").out
    assert f"alpha={remedy['value']:g} would fit, where it is 1" in out
    assert "no smaller resolution alone would fit" in out


def test_explaining_finds_a_number_of_channels(project: Path, run: Run) -> None:
    """Where a factory takes one, called width."""
    edit(
        project / "net.py",
        ("def build(alpha=1.0):\n    return Net(alpha)", "def build(width=16):\n    return Net(width / 16)"),
    )
    (project / "pyproject.toml").write_text(BUDGETS.format(budget='{ params = "6 k" }'))
    (remedy,) = explained(run)[1]["remedies"]
    at = [
        count(
            (project / "net.py:build").as_posix(), (1, 3, 64, 64), width=remedy["value"] + more
        ).totals.params
        for more in (0, 1)
    ]

    assert (remedy["option"], remedy["now"]) == ("width", 16)
    assert at[0] == remedy["totals"]["params"] <= 6000 < at[1]


def test_explaining_a_network_in_closed_form(project: Path, run: Run) -> None:
    """Tries its width and its resolution; the source is the line of the policy."""
    policy = '[tool.mbanalyze.models.small]\nsource = "mobilenet_v2"\nbudget = { macs = "150 M" }\n'
    (project / "pyproject.toml").write_text("\n" + policy)
    assert run("guard", "update").code == 0
    said = explained(run)[1]
    found = {remedy["option"]: remedy["value"] for remedy in said["remedies"]}

    def fits(**options: Any) -> bool:
        return (count("mobilenet_v2", **options).totals.macs or 0) <= 150_000_000

    assert fits(alpha=found["alpha"])
    assert not fits(alpha=found["alpha"] + 0.01)
    assert fits(resolution=found["resolution"])
    assert not fits(resolution=found["resolution"] + 32)
    assert {(layer["file"], layer["line"]) for layer in said["causes"][0]["layers"]} == {
        ("pyproject.toml", 2)
    }
    assert not said["causes"][0]["grew"]
    edit(project / "pyproject.toml", ("150 M", "1 G"))
    assert run("guard", "explain").out == "nothing fails\n"


@pytest.fixture
def committed(project: Path) -> Path:
    """The project in a repository."""
    return repository(project)


def test_diff_needs_no_lock(committed: Path, run: Run) -> None:
    """A growth since a ref is caught in the working tree, with its layer, and leaves no folder behind."""
    (committed / "mbanalyze.lock.json").unlink()
    assert run("guard", "diff", "--base", "main").code == 0
    edit(committed / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    ran = run("guard", "diff", "--base", "main", "--format", "json")
    said = json.loads(ran.out)

    assert (ran.code, model(said)["verdict"]) == (1, "worse")
    assert layers(said, "worse").keys() == {"head"}
    assert said["command"] == "mbanalyze guard explain --base main small"
    assert run(*said["command"].split()[1:]).code == 1
    assert git(committed, "worktree", "list").count("\n") == 0
    assert not (committed / "mbanalyze.lock.json").exists()


def test_diff_looks_where_the_branch_left(committed: Path, run: Run) -> None:
    """What others made smaller on the base meanwhile is no growth here."""
    git(committed, "checkout", "--quiet", "-b", "topic")
    git(committed, "checkout", "--quiet", "main")
    edit(committed / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 9)"))
    git(committed, "commit", "--quiet", "--all", "--message=smaller")
    git(committed, "checkout", "--quiet", "topic")

    assert run("guard", "diff", "--base", "main").code == 0


def test_diff_of_a_smaller_model(committed: Path, run: Run) -> None:
    """Passes, strictly too: there is no lock that could be out of date."""
    edit(committed / "pyproject.toml", ("source", "strict = true\nsource"))
    edit(committed / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 9)"))
    ran = run("guard", "diff", "--base", "main")

    assert (ran.code, "better" in ran.out, "out of date" in ran.out) == (0, True, False)


def test_diff_and_the_policy_of_then(committed: Path, run: Run) -> None:
    """Options are those of then; a model that is new passes, and one that is gone is named."""
    edit(committed / "pyproject.toml", ("inputs", "options = { alpha = 1.5 }\ninputs"))
    assert run("guard", "diff", "--base", "HEAD").code == 1
    (committed / "pyproject.toml").write_text(
        POLICY.replace("models.small", "models.other").replace("build", "Net")
    )
    said = json.loads(run("guard", "diff", "--base", "HEAD", "--format", "json").out)

    assert said["exit"] == 0
    assert {each["name"]: each["verdict"] for each in said["models"]} == {"other": "ok", "small": "gone"}
    assert model(said, "other")["reason"].startswith("new since HEAD")


def test_diff_before_there_was_a_policy(committed: Path, run: Run) -> None:
    """The policy of now is held against the files of then."""
    git(committed, "rm", "--quiet", "--cached", "pyproject.toml")
    git(committed, "commit", "--quiet", "--message=without")
    edit(committed / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))

    assert run("guard", "diff", "--base", "HEAD").code == 1


def test_diff_of_a_policy_that_cannot_be_read_then(committed: Path, run: Run) -> None:
    """Is not taken for none."""
    good = (committed / "pyproject.toml").read_text()
    (committed / "pyproject.toml").write_text(good.replace("source", "unheard_of = 1\nsource"))
    git(committed, "commit", "--quiet", "--all", "--message=bad")
    (committed / "pyproject.toml").write_text(good)
    ran = run("guard", "diff", "--base", "HEAD")

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "at the ref, pyproject.toml: models.small has 'unheard_of'" in ran.err


@pytest.mark.parametrize(
    ("then", "code", "reason"),
    [
        ("import no_such_package\n", 2, "no_such_package"),
        ("def another():\n    pass\n", 0, "new since"),
        (None, 0, "new since"),
    ],
)
def test_diff_of_what_was_not_there(
    then: str | None, code: int, reason: str, committed: Path, run: Run
) -> None:
    """Where there was no policy, a missing file or factory is new, but a broken one could not be measured."""
    good = (committed / "net.py").read_text()
    git(committed, "rm", "--quiet", "--cached", "pyproject.toml")
    (committed / "net.py").unlink()
    if then is not None:
        (committed / "net.py").write_text(then)
    git(committed, "add", "--update")
    git(committed, "commit", "--quiet", "--message=before")
    (committed / "net.py").write_text(good)
    said = json.loads(run("guard", "diff", "--base", "HEAD", "--format", "json").out)

    assert said["exit"] == code
    assert reason in model(said)["reason"]


def test_diff_follows_a_policy_that_moved(committed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a model that has another name by its source."""
    (committed / "nets").mkdir()
    for name in ("net.py", "pyproject.toml"):
        git(committed, "mv", name, f"nets/{name}")
    monkeypatch.chdir(committed / "nets")
    assert run("guard", "diff", "--base", "HEAD").code == 0
    edit(committed / "nets" / "pyproject.toml", ("models.small", "models.tiny"))
    assert run("guard", "diff", "--base", "HEAD").code == 0
    edit(committed / "nets" / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    said = json.loads(run("guard", "diff", "--base", "HEAD", "--format", "json").out)

    assert {each["name"]: each["verdict"] for each in said["models"]} == {"tiny": "worse"}


def test_diff_heeds_neither_hooks_nor_the_environment_of_one(
    committed: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No hook runs for the checkout, and git's variables of a hook mislead nobody."""
    hook = committed / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {committed}/ran\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")

    assert run("guard", "diff", "--base", "main").code == 0
    assert not (committed / "ran").exists()


def test_diff_with_a_folder_elsewhere(
    committed: Path, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In python_path, a folder of the repository is that of the ref, and any other is as it is."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "widths.py").write_text("WIDTH = 10\n")
    edit(
        committed / "net.py",
        ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, WIDTH)"),
        ("import torch\n", "import torch\nfrom widths import WIDTH\n"),
    )
    edit(
        committed / "pyproject.toml",
        ("[tool", f'[tool.mbanalyze]\npython_path = ["{elsewhere}", "{committed}"]\n[tool'),
    )
    git(committed, "commit", "--quiet", "--all", "--message=widths")

    assert run("guard", "diff", "--base", "HEAD").code == 0
    edit(committed / "net.py", ("2 * c, WIDTH", "2 * c, WIDTH + 1"))
    assert run("guard", "diff", "--base", "HEAD").code == 1


def test_diff_of_an_installed_package(committed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is found in the working tree instead of the ref is refused, until python_path says where it is."""
    (committed / "lib" / "nets").mkdir(parents=True)
    (committed / "net.py").rename(committed / "lib" / "nets" / "__init__.py")
    policy = '[tool.mbanalyze.models.small]\nsource = "nets:build"\ninputs = ["1,3,64,64"]\n'
    (committed / "pyproject.toml").write_text(policy)
    git(committed, "add", "--all")
    git(committed, "commit", "--quiet", "--message=package")
    edit(committed / "lib" / "nets" / "__init__.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    command = [sys.executable, "-m", "mbanalyze", "guard", "diff", "--base", "HEAD"]
    env = {"PYTHONPATH": str(committed / "lib"), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(command, cwd=committed, env=env, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "nets was imported from" in ran.stderr
    installed = committed.parent / "site-packages"
    shutil.copytree(committed / "lib" / "nets", installed / "nets")
    elsewhere = {**env, "PYTHONPATH": str(installed)}
    ran = subprocess.run(command, cwd=committed, env=elsewhere, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    edit(committed / "pyproject.toml", ("[tool", '[tool.mbanalyze]\npython_path = ["lib"]\n[tool'))
    git(committed, "commit", "--quiet", "--all", "--message=path")
    edit(committed / "lib" / "nets" / "__init__.py", ("nn.Linear(2 * c, 11)", "nn.Linear(2 * c, 12)"))
    ran = subprocess.run(command, cwd=committed, env=env, capture_output=True, text=True, check=False)
    assert (ran.returncode, "worse" in ran.stdout) == (1, True)


@pytest.mark.parametrize("ref", ["no-such-branch", "--help", ""])
def test_a_ref_that_is_not_there(ref: str, committed: Path, run: Run) -> None:
    """Is one line that says how to fetch it."""
    ran = run("guard", "diff", "--base", ref)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)


def test_diff_outside_a_repository(project: Path, run: Run) -> None:
    """Is one line."""
    ran = run("guard", "diff", "--base", "main")

    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "not a git repository" in ran.err


def test_a_ref_whose_model_cannot_be_counted(committed: Path, run: Run) -> None:
    """Could not be measured; the message says at which ref."""
    good = (committed / "net.py").read_text()
    (committed / "net.py").write_text("import no_such_package\n")
    git(committed, "commit", "--quiet", "--all", "--message=broken")
    (committed / "net.py").write_text(good)
    said = json.loads(run("guard", "diff", "--base", "HEAD", "--format", "json").out)

    assert (said["exit"], model(said)["verdict"]) == (2, "could not measure")
    assert "at HEAD" in model(said)["reason"]

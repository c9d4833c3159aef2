"""The guard: each costly change is caught with the layer that it is in, and nothing else is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commandline import Ran, Run
from guarded import NET, POLICY, edit, git, repository, write_project

from mbanalyze import count, guard
from mbanalyze.guard import lock
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
    """Alpha from 0.75 to 0.76, of a network in closed form, changes every layer that has channels."""
    edit(
        project / "pyproject.toml",
        (POLICY, '[tool.mbanalyze.models.small]\nsource = "mobilenet_v1"\noptions = { alpha = 0.75 }\n'),
    )
    assert run("guard", "update").code == 0
    edit(project / "pyproject.toml", ("0.75", "0.76"))
    said = document(run)

    assert model(said)["verdict"] == "worse"
    assert {"features.0.0"} | {f"features.{i}.{j}" for i in range(1, 14) for j in (0, 3)} <= layers(
        said, "worse"
    ).keys() or layers(said, "worse")
    assert total(said, "macs") == (
        count("mobilenet_v1", alpha=0.75).totals.macs,
        count("mobilenet_v1", alpha=0.76).totals.macs,
    )


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
    assert run("guard").out.splitlines()[-1] == "mbanalyze report broken.py:net --input=1,3,64,64"
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
    assert "no layer fits 'blocks.*.filtered'" in model(said)["reason"]


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
    (committed / "pyproject.toml").write_text(POLICY.replace("models.small", "models.other"))
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


def test_diff_of_an_installed_package(committed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is found in the working tree instead of the ref is refused, until python_path says where it is."""
    (committed / "src" / "nets").mkdir(parents=True)
    (committed / "net.py").rename(committed / "src" / "nets" / "__init__.py")
    policy = '[tool.mbanalyze.models.small]\nsource = "nets:build"\ninputs = ["1,3,64,64"]\n'
    (committed / "pyproject.toml").write_text(policy)
    git(committed, "add", "--all")
    git(committed, "commit", "--quiet", "--message=package")
    edit(committed / "src" / "nets" / "__init__.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    command = [sys.executable, "-m", "mbanalyze", "guard", "diff", "--base", "HEAD"]
    env = {"PYTHONPATH": str(committed / "src"), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(command, cwd=committed, env=env, capture_output=True, text=True, check=False)

    assert ran.returncode == 2
    assert "nets was imported from" in ran.stderr
    edit(committed / "pyproject.toml", ("[tool", '[tool.mbanalyze]\npython_path = ["src"]\n[tool'))
    git(committed, "commit", "--quiet", "--all", "--message=path")
    edit(committed / "src" / "nets" / "__init__.py", ("nn.Linear(2 * c, 11)", "nn.Linear(2 * c, 12)"))
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

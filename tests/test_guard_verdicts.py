"""Verdicts of the guard: every costly change is reported with its layer, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commandline import Run
from guarded import POLICY, document_of, edit, layers_in, model_in, total_in

from mbanalyze import count
from mbanalyze.guard import lock


def test_nothing_changed(project: Path, run: Run) -> None:
    """An unchanged model is ok, and the command exits with 0."""
    said = document_of(run)

    assert (said["exit"], model_in(said)["verdict"], model_in(said)["changes"]) == (0, "ok", [])
    assert run("guard").out.splitlines() == [
        "Model costs against mbanalyze.lock.json",
        "                                                                  peak",
        "                                            memory      peak     bytes",
        "model  verdict   params     macs    flops   access     bytes  deployed  change",
        "─" * 78,
        "small  ok       10.31 k  2.052 M  4.201 M  434.3 k  163.8 kB  98.30 kB  none",
        "",
        "1 ok",
    ]


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
    """Every costly change exits with 1 and names the layers that grew; an update accepts it."""
    edit(project / "net.py", *changes)
    said = document_of(run)

    assert (said["exit"], model_in(said)["verdict"]) == (1, "worse")
    assert worse == layers_in(said, "worse").keys()
    assert run("guard").out.splitlines()[-1] == said["command"] == "mbanalyze guard update"
    assert run("guard", "update").code == 0
    assert document_of(run)["exit"] == 0


def test_swapped_expansions_leave_the_totals_alone(project: Path, run: Run) -> None:
    """Two blocks that swap their expansion change no total of the network."""
    edit(
        project / "net.py",
        ("            Block(c, c),\n", "            Block(c, c, expansion=5),#\n"),
        ("            Block(c, c, expansion=5),\n", "            Block(c, c),\n"),
    )

    assert not [change for change in model_in(document_of(run))["changes"] if change["kind"] == "total"]


def test_an_inserted_block_renames_those_after_it(project: Path, run: Run) -> None:
    """The blocks after an inserted one are renamed and cost the same as before."""
    again = "            Block(c, c, expansion=5),\n"
    edit(project / "net.py", (again, again * 2))
    said = document_of(run)
    renamed = [(c["before"], c["after"]) for c in model_in(said)["changes"] if c["verdict"] == "renamed"]

    assert {("blocks.2", "blocks.3"), ("blocks.2.filter", "blocks.3.filter")} < {*renamed}
    # c = 16, 5 x 16 = 80 channels, 16 x 16 px: 16 x 80 + 80 x 9 + 80 x 16 = 3,280 weights
    before, after = total_in(said, "params") or (0, 0)
    assert after - before == 3280
    before, after = total_in(said, "macs") or (0, 0)
    assert after - before == 3280 * 16 * 16


def test_a_wider_network(run: Run, project: Path) -> None:
    """A larger alpha of a network in closed form changes every layer whose channels grow."""
    edit(
        project / "pyproject.toml",
        (POLICY, '[tool.mbanalyze.models.small]\nsource = "mobilenet_v1"\noptions = { alpha = 0.75 }\n'),
    )
    assert run("guard", "update").code == 0
    edit(project / "pyproject.toml", ("0.75", "0.76"))
    said = document_of(run)

    assert model_in(said)["verdict"] == "worse"
    reports = [count("mobilenet_v1", alpha=alpha) for alpha in (0.75, 0.76)]
    before, after = ({group.key: group.cost for group in report.by("module")} for report in reports)
    grown = {path for path in after if after[path] != before[path]}
    assert grown == layers_in(said, "worse").keys()
    # of 64 channels 48 are left either way, and of 128 96 and 97: from there on all grow
    assert "features.1.pointwise.0" not in grown
    assert {"features.2.pointwise.0", "features.13.pointwise.0"} < grown
    assert total_in(said, "macs") == tuple(report.totals.macs for report in reports)


def test_a_rename_is_no_growth(project: Path, run: Run) -> None:
    """A renamed layer passes and is reported as renamed; it fails if the policy is strict."""
    edit(project / "net.py", ("self.filter", "self.depthwise"))
    said = document_of(run)

    assert (said["exit"], model_in(said)["verdict"], model_in(said)["stale"]) == (0, "ok", True)
    renamed = {c["before"]: c["after"] for c in model_in(said)["changes"]}
    assert renamed == {f"{block}.filter": f"{block}.depthwise" for block in BLOCKS}
    edit(project / "pyproject.toml", ("source", "strict = true\nsource"))
    assert document_of(run)["exit"] == 1
    assert "the lock is outdated" in run("guard", "--format", "markdown").out


def test_renaming_every_layer_is_no_growth(project: Path, run: Run) -> None:
    """A network whose layers all have new names passes."""
    edit(
        project / "net.py",
        ("self.blocks", "self.features"),
        ("self.stem", "self.first"),
        ("self.head", "self.last"),
    )
    said = document_of(run)

    assert (said["exit"], {c["verdict"] for c in model_in(said)["changes"]}) == (0, {"renamed"})


def test_a_renamed_layer_that_grew(project: Path, run: Run) -> None:
    """A layer that was renamed and grew is reported as both."""
    edit(
        project / "net.py",
        ("self.head = nn.Linear(2 * c, 10)", "self.last = nn.Linear(2 * c, 12)"),
        ("self.head(", "self.last("),
    )
    said = document_of(run)

    assert layers_in(said, "renamed") == {"last": {"path"}}
    # 2 x 32 weights and 2 biases more
    assert [
        (c["before"], c["after"])
        for c in model_in(said)["changes"]
        if (c["path"], c["metric"]) == ("last", "params")
    ] == [(330, 396)]


def test_a_smaller_model_passes(project: Path, run: Run) -> None:
    """A smaller model passes; it fails if the policy is strict, because a stale lock hides a later growth."""
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 9)"))
    said = document_of(run)

    assert (said["exit"], model_in(said)["verdict"], model_in(said)["stale"]) == (0, "better", True)
    assert layers_in(said, "better").keys() == {"head"}
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
def test_other_conditions_are_not_comparable(
    before: str, after: str, what: str, project: Path, run: Run
) -> None:
    """Another input, dtype or mode exits with 2 until the lock has it too."""
    edit(project / "pyproject.toml", (before, after))
    said = document_of(run)

    assert (said["exit"], model_in(said)["verdict"], model_in(said)["reason"]) == (2, "not comparable", what)
    assert run("guard", "update", "small").code == 0
    assert run("guard").code == 0


def test_another_resolution_names_the_layers_that_grow(project: Path, run: Run) -> None:
    """The result of a network with another resolution names the layers that grow, although it is not comparable."""
    edit(
        project / "pyproject.toml",
        (POLICY, '[tool.mbanalyze.models.small]\nsource = "mobilenet_v2"\noptions = { resolution = 192 }\n'),
    )
    assert run("guard", "update").code == 0
    edit(project / "pyproject.toml", ("options = { resolution = 192 }\n", ""))
    said = document_of(run)

    assert (said["exit"], model_in(said)["reason"]) == (2, "input was 1x3x192x192, is 1x3x224x224")
    assert "features.18.0" in layers_in(said, "worse")


@pytest.mark.parametrize(
    ("key", "old", "verdict", "code"),
    [
        ("version", "0.0.1", "ok", 0),
        ("convention", "mbanalyze/0", "not comparable", 2),
    ],
)
def test_a_lock_of_another_version(
    key: str, old: str, verdict: str, code: int, project: Path, run: Run
) -> None:
    """A lock of another convention is not comparable; one of another version is, unless a count changed."""
    file = project / "mbanalyze.lock.json"
    text = re.sub(rf'("{key}": )"[^"]*"', rf'\1"{old}"', file.read_text(), count=1)
    file.write_text(text)

    assert (model_in(document_of(run))["verdict"], run("guard").code) == (verdict, code)
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    assert (model_in(document_of(run))["verdict"], run("guard").code) == ("not comparable", 2)
    assert run("guard", "update", "small").code == 2
    assert run("guard", "update").code == 0
    assert run("guard").code == 0


def test_models_are_measured_in_isolation(project: Path, run: Run) -> None:
    """A model that cannot be imported, exits Python or has an uncounted operator hides no other model."""
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
    said = document_of(run)
    verdicts = {each["name"]: (each["verdict"], each["exit"]) for each in said["models"]}

    assert said["exit"] == 2
    assert verdicts == {
        "small": ("worse", 1),
        "broken": ("could not measure", 2),
        "leaves": ("could not measure", 2),
        "strange": ("could not measure", 2),
        "zoo": ("missing from lock", 1),
    }
    assert "no_such_package" in model_in(said, "broken")["reason"]
    assert "aten::special_bessel_j0 in the model" in model_in(said, "strange")["reason"]
    assert run("guard").out.splitlines()[-1] == "mbanalyze guard update small zoo"
    before = (project / "mbanalyze.lock.json").read_text()
    assert run("guard", "update").code == 2
    assert before == (project / "mbanalyze.lock.json").read_text()
    assert run("guard", "update", "zoo").code == 0


@pytest.mark.parametrize(
    ("models", "command"),
    [
        ({"small": "net.py:none"}, None),
        ({"small": "net.py:none", "other": "alexnet"}, "mbanalyze guard update other"),
        ({"broken": "net.py:none"}, None),
        ({"broken": "net.py:none", "small": "net.py:build"}, None),
    ],
)
def test_the_advice_beside_a_model_that_could_not_be_measured(
    models: dict[str, str], command: str | None, project: Path, run: Run
) -> None:
    """The reason is the advice on a model that could not be measured; the command is one that succeeds."""
    text = "".join(
        f'[tool.mbanalyze.models.{name}]\nsource = "{source}"\n'
        + 'inputs = ["1,3,64,64"]\n' * (":" in source)
        for name, source in models.items()
    )
    (project / "pyproject.toml").write_text(text)
    said = document_of(run)

    assert (said["exit"], said["command"]) == (2, command)
    assert run("guard").out.count("has no 'none'") == 1
    if command:
        assert run(*command.split()[1:]).code == 0


def test_allowed_operators_need_no_count(project: Path, run: Run) -> None:
    """An operator in allow_uncounted passes although it has no count."""
    edit(
        project / "net.py",
        ("        return self.head(", "        x = torch.special.bessel_j0(x)\n        return self.head("),
    )
    assert run("guard").code == 2
    edit(project / "pyproject.toml", ("source", 'allow_uncounted = ["aten::special_bessel_j0"]\nsource'))

    assert run("guard", "update").code == 0
    assert run("guard").code == 0


def test_models_do_not_see_each_others_modules(project: Path, run: Run) -> None:
    """Each model imports the helper next to its own file, and starts with the default dtype and folder."""
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


def test_a_model_that_is_gone(project: Path, run: Run) -> None:
    """A model that the policy no longer names fails until an update removes it from the lock."""
    edit(project / "pyproject.toml", ("models.small", "models.other"))
    said = document_of(run)

    assert {each["name"]: each["verdict"] for each in said["models"]} == {
        "other": "missing from lock",
        "small": "gone",
    }
    assert (said["exit"], said["command"]) == (1, "mbanalyze guard update")
    assert run("guard", "update").code == 0
    assert run("guard").code == 0

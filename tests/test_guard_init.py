"""`mbanalyze guard init`: the policy that it writes, and what it refuses."""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from commandline import Run
from guarded import NET, edit

from mbanalyze import count
from mbanalyze.guard import load, policy_file
from mbanalyze.guard.policy_text import NewModel, choose_name, model_table, round_up

INIT = ("guard", "init", "net.py:build", "--input", "1,3,64,64")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network and no policy, as the working directory."""
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    return tmp_path


def budgets_in(file: Path) -> dict[str, dict[str, int | float]]:
    """Return the budgets of each model of a policy."""
    return {
        name: {metric: each.maximum for metric, each in model.rules.budget.items()}
        for name, model in load(file).models.items()
    }


@pytest.mark.parametrize("pyproject", [True, False])
def test_the_new_policy_passes_and_catches_a_wider_network(pyproject: bool, folder: Path, run: Run) -> None:
    """The new policy passes with its lock; without headroom, a wider network is over its budget."""
    if pyproject:
        (folder / "pyproject.toml").write_text('[project]\nname = "x"\n')
    ran = run(*INIT, "--headroom", "0%")
    file = folder / ("pyproject.toml" if pyproject else "mbanalyze.toml")

    assert ran.code == 0
    assert [each.name for each in folder.glob("*.toml")] == [file.name]
    elements = count((folder / "net.py:build").as_posix(), (1, 3, 64, 64)).totals.memory_access
    # 27 x 16 in the stem, 16 x 64 + 9 x 64 + 64 x 16, 16 x 80 + 9 x 80 + 80 x 16, 16 x 64 + 9 x 64 + 64 x 32 in
    # the blocks, 32 x 10 + 10 in the head; 16 x 16 pixels, and 8 x 8 after the stride of the last block
    params = 432 + 2624 + 3280 + (1024 + 576 + 2048) + 330
    macs = (432 + 2624 + 3280 + 1024) * 256 + (576 + 2048) * 64 + 320
    # the depthwise convolution of block 1 reads and writes 80 x 16 x 16 elements of 4 bytes
    peak = 2 * 80 * 256 * 4
    budgets = {"params": params, "macs": macs, "memory_access": elements, "peak_bytes": peak}
    assert budgets_in(file) == {"net": budgets}
    commands = [line for line in ran.out.splitlines() if line.startswith(("mbanalyze ", "git "))]
    assert commands == [
        "mbanalyze guard update",
        f"git add {file.name} mbanalyze.lock.json",
        "mbanalyze guard",
    ]
    assert run("guard", "update").code == 0
    assert run("guard").code == 0
    edit(folder / "net.py", ("round(16 * alpha)", "round(17 * alpha)"))
    wider = run("guard")
    assert (wider.code, "over budget" in wider.out) == (1, True)


def test_headroom_leaves_room(folder: Path, run: Run) -> None:
    """A budget is the total plus the headroom, rounded up to four digits; 5% is the default."""
    assert run(*INIT).code == 0
    budgets = budgets_in(folder / "mbanalyze.toml")["net"]
    # 10,314 x 1.05 = 10,829.7; 2,052,416 x 1.05 = 2,155,036.8
    assert (budgets["params"], budgets["macs"]) == (10_830, 2_156_000)
    edit(folder / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    assert run("guard", "update").code == 0
    assert run("guard").code == 0


@pytest.mark.parametrize(
    ("total", "percent", "limit"),
    [
        (0, "5", 0),
        (1, "5", 2),
        (999, "0.1", 1000),
        (9999, "0", 9999),
        (99_999, "0.01", 100_100),
        (200, "100", 400),
    ],
)
def test_rounding_up(total: int, percent: str, limit: int) -> None:
    """A budget is never below the total plus its headroom, and is exact without headroom."""
    assert round_up(total, Decimal(percent)) == limit


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (0, "0"), (999, "999"), (1000, '"1 k"'), (16_980, '"16.98 k"'), (16_162, "16_162"),
        (1_000_000, '"1 M"'), (3_350_000, '"3.35 M"'), (5 * 10**12, '"5 T"'), (4 * 10**15, '"4000 T"'),
    ],
)  # fmt: skip
def test_amounts(limit: int, text: str) -> None:
    """A limit has a unit if that is exact in four digits, and the policy reads it as the same number."""
    table = model_table(NewModel("a", "alexnet", (), {"macs": limit}), "")
    policy = policy_file.loads(Path("mbanalyze.toml"), table)

    assert f"budget = {{ macs = {text} }}" in table
    assert policy.models["a"].rules.budget["macs"].maximum == limit


def test_an_amount_of_bytes() -> None:
    """A budget in bytes has the unit of bytes, and the policy reads it as the same number."""
    for metric in ("memory_access_bytes", "params_bytes", "peak_bytes", "peak_bytes_deployed"):
        table = model_table(NewModel("a", "alexnet", (), {metric: 6_323_000}), "")
        budgets = policy_file.loads(Path("mbanalyze.toml"), table).models["a"].rules.budget

        assert f'budget = {{ {metric} = "6.323 MB" }}' in table
        assert budgets[metric].maximum == 6_323_000


def test_options_of_the_report(folder: Path, run: Run) -> None:
    """Options apply to every model, also those of one reference; a policy gets several models at once."""
    more = ("--resolution", "96", "--batch", "2", "--set", "num_classes=7", "--headroom", "0")
    ran = run("guard", "init", "mobilenet_v1@alpha=0.25", "mobilenet_v1", *more)
    models = load(folder / "mbanalyze.toml").models
    shared = {"resolution": 96, "batch": 2, "num_classes": 7}

    assert ran.code == 0
    assert [model.options for model in models.values()] == [{"alpha": 0.25, **shared}, shared]
    assert [*models] == ["mobilenet_v1", "mobilenet_v1@resolution=96,batch=2,num_classes=7"]
    said = json.loads(run("report", "mobilenet_v1@alpha=0.25", *more[:6], "--format", "json").out)
    assert budgets_in(folder / "mbanalyze.toml")["mobilenet_v1"]["macs"] == said["totals"]["macs"]


def test_named_inputs_and_json(folder: Path, run: Run) -> None:
    """Inputs by name go into the policy, and JSON has the lines, the totals and the budgets."""
    ran = run("guard", "init", "net.py:build", "--alpha", "2.0", "--input", "x=1x3x64x64", "--format", "json")
    said = json.loads(ran.out)
    model = tomllib.loads((folder / "mbanalyze.toml").read_text())["models"]["net"]

    assert (model["source"], model["inputs"]) == ("net.py:build@alpha=2.0", ["x=1x3x64x64"])
    assert (said["schema"], said["written"]) == ("mbanalyze.new_policy/1", True)
    assert said["text"] + "\n" == (folder / "mbanalyze.toml").read_text()
    assert said["models"][0]["budget"]["params"] >= said["models"][0]["totals"]["params"]
    assert run("guard", "init", "alexnet", "--format", "csv").out.startswith(
        "model,metric,measured,budget\nalexnet,params,61100840,"
    )


def test_an_existing_policy_is_kept(folder: Path, run: Run) -> None:
    """A model is appended after everything that a policy has, with its line endings."""
    before = (
        b'[tool.mbanalyze]\r\nlock = "costs.json" # mine\r\n[tool.mbanalyze.models.a]\r\nsource = "alexnet"'
    )
    (folder / "pyproject.toml").write_bytes(before)
    ran = run(*INIT)
    after = (folder / "pyproject.toml").read_bytes()

    assert ran.code == 0
    assert after.startswith(before + b"\r\n\r\n[tool.mbanalyze.models.net]\r\n")
    assert after.count(b"\n") == after.count(b"\r\n")
    assert [*load(folder / "pyproject.toml").models] == ["a", "net"]
    assert "git add pyproject.toml costs.json" in ran.out
    assert not (folder / "mbanalyze.toml").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", 'tool = { mbanalyze = { models = { a = { source = "alexnet" } } } }\n'),
        ("pyproject.toml", '[tool.mbanalyze]\nmodels = { a = { source = "alexnet" } }\n'),
        ("mbanalyze.toml", 'models = { a = { source = "alexnet" } }\n'),
        ("mbanalyze.toml", "models = {}\n"),
    ],
)
def test_a_closed_table_is_left_to_a_person(name: str, text: str, folder: Path, run: Run) -> None:
    """A policy on one line is not rewritten: the lines to add are printed, and the exit code is 1."""
    (folder / name).write_text(text)
    ran = run(*INIT)

    assert (ran.code, (folder / name).read_text()) == (1, text)
    assert 'source = "net.py:build"' in ran.out.splitlines()
    assert f"{name} is unchanged" in ran.out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("nothing.py:build",), "could not measure nothing.py:build: there is no file nothing.py"),
        (("net.py:build",), "needs the shape of its input"),
        (("alexnet", "net.py:none"), "could not measure net.py:none"),
        (("alexnet", "alexnet"), "already guards alexnet as 'alexnet'"),
        (("alexnet@resolution=64", "--resolution", "63"), "resolution is given twice"),
        (("alexnet", "--headroom", "much"), "malformed headroom 'much': give a percentage, such as 5%"),
        (("alexnet", "--headroom", "-1%"), "malformed headroom '-1%'"),
        (("alexnet", "--input", "1,x"), "malformed input '1,x'"),
        (("alexnet", "--set", "x"), "malformed option 'x'"),
        (("alexnet", "--output", "mbanalyze.toml"), "give another file"),
        (("alexnet", "--config", "no/such/mbanalyze.toml"), "cannot write no/such/mbanalyze.toml"),
        ((), "MODEL"),
    ],
)
def test_a_refused_policy(arguments: tuple[str, ...], problem: str, folder: Path, run: Run) -> None:
    """A model that cannot be measured, or a wrong argument, is an error that says why, and nothing is written."""
    ran = run("guard", "init", *arguments)

    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert problem in ran.err
    assert not (folder / "mbanalyze.toml").exists()


def test_init_in_ci(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """CI writes no policy, unless it is allowed to."""
    monkeypatch.setenv("CI", "true")
    ran = run(*INIT)
    assert (ran.code, ran.out, [*folder.glob("*.toml")]) == (2, "", [])
    assert "CI does not write the policy" in ran.err

    assert run(*INIT, "--allow-ci").code == 0


def test_a_guarded_model_is_refused(folder: Path, run: Run) -> None:
    """A model that the policy guards already is an error, and one with other inputs gets another name."""
    assert run(*INIT).code == 0
    text = (folder / "mbanalyze.toml").read_text()
    again = run(*INIT, "--headroom", "50%")
    assert (again.code, (folder / "mbanalyze.toml").read_text()) == (2, text)
    assert "already guards net.py:build as 'net'" in again.err

    assert run("guard", "init", "net.py:build", "--input", "1,3,32,32").code == 0
    assert [*load(folder / "mbanalyze.toml").models] == ["net", "net_build"]


def test_a_policy_above(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy in a parent folder is named instead of a second one below it; a file may be chosen."""
    assert run(*INIT).code == 0
    (folder / "sub").mkdir()
    monkeypatch.chdir(folder / "sub")
    ran = run("guard", "init", "alexnet")
    assert (ran.code, [*(folder / "sub").iterdir()]) == (2, [])
    assert f"{folder / 'mbanalyze.toml'} has a policy" in ran.err

    ran = run("guard", "init", "alexnet", "--config", "costs.toml")
    assert (ran.code, [*load(folder / "sub" / "costs.toml").models]) == (0, ["alexnet"])
    assert "mbanalyze guard update --config costs.toml" in ran.out


@pytest.mark.parametrize(
    ("source", "taken", "name"),
    [
        ("net.py:build", (), "net"),
        ("a/b.py:small", (), "small"),
        ("my_package.nets:make_model", (), "nets"),
        ("timm:mobilenetv3_small_050", (), "mobilenetv3_small_050"),
        ("mobilenet_v2@alpha=0.5", (), "mobilenet_v2"),
        ("net.py:build", ("net",), "net_build"),
        ("mobilenet_v2@alpha=0.5", ("mobilenet_v2",), "mobilenet_v2@alpha=0.5"),
        ("alexnet", ("alexnet", "alexnet_2"), "alexnet_3"),
    ],
)  # fmt: skip
def test_names(source: str, taken: tuple[str, ...], name: str) -> None:
    """A model is called after its factory or file, and has a longer name if that is taken."""
    assert choose_name(source, taken) == name


@pytest.mark.parametrize("text", ['a"b', "a\\b", "ä b", "a.b", "a\x7fb", "a\tb", "a\nb"])
def test_any_text_is_valid_toml(text: str) -> None:
    """Names, sources and inputs are the same after TOML has read them."""
    read: dict[str, Any] = tomllib.loads(model_table(NewModel(text, text, (text,)), ""))

    assert read == {"models": {text: {"source": text, "inputs": [text]}}}

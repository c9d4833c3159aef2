"""The policy of the guard, and its mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import Run
from guarded import POLICY, edit

from mbanalyze.guard import load


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no policy in mbanalyze.toml or pyproject.toml"),
        ("", "run 'mbanalyze guard init net.py:build --input 1,3,64,64'"),
        ("[tool.mbanalyze]\n", "no guarded model"),
        ('[mbanalyze.models.a]\nsource = "x"\n', "rename [mbanalyze] to [tool.mbanalyze]"),
        ("[tool.mbanalyze", "is not valid TOML"),
        ("[tool.mbanalyze]\nmodles = 1\n", "unknown key 'modles': did you mean models?"),
        ("[tool.mbanalyze.models.a]\n", "models.a: no source"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nbuget = {}\n', "did you mean budget?"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nbudget = { makros = 1 }\n', "known keys are params, macs"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nbudget = { macs = "20 Q" }\n', "malformed count '20 Q'"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nbudget = { macs = "20 MB" }\n', "malformed count '20 MB'"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nmax_increase = "-1%"\n', "malformed number '-1'"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nlevel = "loud"\n', "models.a.level: unknown level 'loud': choose one of off, warn, error"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\ninputs = "1,3,64,64"\n', "a list of texts in brackets"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\ninputs = ["1,3,x"]\n', "malformed input '1,3,x'"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nmode = "fast"\n', "models.a.mode: unknown mode 'fast': choose one of eval, train"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nkeep = 1\n', "models.a.keep: expected true or false, not 1"),
        ('[tool.mbanalyze.models.a]\nsource = "x"\nstrict = "yes"\n', "models.a.strict: expected true or false, not 'yes'"),
    ],
)  # fmt: skip
def test_an_invalid_policy(text: str, problem: str, project: Path, run: Run) -> None:
    """An invalid policy is one line on stderr with exit code 2, and nothing is written."""
    (project / "pyproject.toml").write_text(text)
    (project / "mbanalyze.lock.json").unlink()
    ran = run("guard")

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert problem in ran.err
    assert not (project / "mbanalyze.lock.json").exists()


@pytest.mark.parametrize("text", ["", "[project]\nname = 'a'\n", "[tool.other]\nname = 'a'\n"])
def test_a_project_without_a_policy(text: str, project: Path, run: Run) -> None:
    """A pyproject.toml that --config names needs the table of the policy."""
    (project / "pyproject.toml").write_text(text)

    assert "pyproject.toml has no [tool.mbanalyze]: run 'mbanalyze guard init" in (
        run("guard", "--config", "pyproject.toml").err
    )


MISTAKES = """
[tool.mbanalyze]
levl = "warn"
allow_uncounted = [1, "a", 2]
max_increase = { macs = "1 Q", parms = "1" }
[tool.mbanalyze.models.a]
source = "mobilenet_v2@alpha=0.75"
options = { alpha = 1.0 }
inputs = ["1,x", "1,3,64,64", "a,b"]
[tool.mbanalyze.models."two\\nlines"]
source = "net.py:build@alpha=1,alpha=2"
layers = { "*" = { budget = { macs = -1, unused_params = 1 } } }
"""


def test_all_mistakes_are_reported_at_once(project: Path, run: Run) -> None:
    """Every mistake of a policy is one line on stderr that names its place."""
    (project / "pyproject.toml").write_text(MISTAKES)
    ran = run("guard")
    prefix = f"mbanalyze: error: {project / 'pyproject.toml'}: "

    assert (ran.code, ran.out) == (2, "")
    assert [line.removeprefix(prefix).rpartition(": ")[0] or line for line in ran.err.splitlines()] == [
        "unknown key 'levl'",
        "max_increase: unknown key 'parms'",
        "max_increase.macs: malformed count '1 Q'",
        "allow_uncounted",
        "allow_uncounted",
        "models.a.options.alpha: this option is in source too",
        "models.a.inputs: malformed input '1,x'",
        "models.a.inputs: malformed input 'a,b'",
        "models.two lines.source",
        "models.two lines.layers.*.budget: unknown key 'unused_params'",
        "models.two lines.layers.*.budget.macs: malformed count '-1'",
    ]


def test_a_source_with_options(project: Path) -> None:
    """Options in the source and in the table `options` are the same to the guard."""
    in_source = POLICY.replace("net.py:build", "net.py:build@alpha=2.0")
    in_table = POLICY + "options = { alpha = 2.0 }\n"
    models = []
    for text in (in_source, in_table):
        (project / "pyproject.toml").write_text(text)
        models.append(load(project / "pyproject.toml").models["small"])

    assert models[0] == models[1]
    assert (models[0].source, models[0].options) == ("net.py:build", {"alpha": 2.0})


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
    """The line of a model is the one on which its table begins, in any notation of TOML."""
    file = tmp_path / "pyproject.toml"
    file.write_text(text)

    assert load(file).models["small"].line == 3


def test_a_policy_is_found_from_a_subfolder(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources and the lock are relative to the policy, and advised commands name the policy that they need."""
    below = project / "sub" / "sub"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert run("guard").code == 0
    (project / "pyproject.toml").rename(project / "policy.toml")
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    ran = run("guard", "--config", "../../policy.toml")

    assert (ran.code, ran.out.splitlines()[-1]) == (1, "mbanalyze guard update --config ../../policy.toml")


def test_a_policy_in_mbanalyze_toml(project: Path, run: Run) -> None:
    """mbanalyze.toml has the same tables without a prefix; a second policy in the folder is an error."""
    (project / "mbanalyze.toml").write_text(POLICY.replace("tool.mbanalyze.", ""))
    assert "keep one" in run("guard").err
    (project / "pyproject.toml").write_text("[project]\n")

    assert run("guard").code == 0

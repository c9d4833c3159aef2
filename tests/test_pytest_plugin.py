"""The fixture `model_cost`, in real runs of pytest."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from guarded import NET, edit, forget_peaks
from warm import warm_python

from mbanalyze import __version__, count
from mbanalyze.guard import lock

TESTS = """
import pytest
from net import build


def test_limits(model_cost):
    report = model_cost.check(build(), (1, 3, 64, 64), max_macs="20 M", max_params="20 k")
    assert report.totals.params == {params}


def test_snapshot(model_cost):
    model_cost.snapshot(build(), (1, 3, 64, 64), name="small")


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_named_after_the_test(model_cost, alpha):
    model_cost.snapshot(build, "1,3,64,64", options={{"alpha": alpha}})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a network and its tests."""
    (tmp_path / "net.py").write_text(NET)
    params = count(f"{tmp_path}/net.py:build", (1, 3, 64, 64)).totals.params
    (tmp_path / "test_net.py").write_text(TESTS.format(params=params))
    return tmp_path


def run(project: Path, *arguments: str, ci: str = "", installed: bool = False) -> tuple[int, str]:
    """Run pytest and return its exit code and output.

    Args:
        project: the folder of the tests.
        arguments: options of pytest.
        ci: the value of the variable `CI`.
        installed: load every installed plugin, as users do. By default, only those that the test needs are loaded.
    """
    python = sys.executable if installed else warm_python()
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    path = os.pathsep.join([str(project), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "CI": ci, "PYTHONPATH": path}
    if not installed:
        command += ["-p", "mbanalyze.pytest_plugin", *(["-p", "xdist"] if "-n" in arguments else [])]
        env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    ran = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def test_a_project_over_its_life(project: Path) -> None:
    """The first run writes and fails, the next passes, growth fails, and an accepted growth passes."""
    file = project / "__model_costs__" / "test_net.json"
    code, out = run(project, ci="true", installed=True)
    assert (code, file.exists()) == (1, False)
    assert "1 passed" in out
    assert "test_net.json has no cost of 'small': write it outside of CI" in out
    code, out = run(project)
    assert (code, out.count("it was written: review and commit it")) == (1, 3)
    names = {"small", "test_named_after_the_test[0.5]", "test_named_after_the_test[2.0]"}
    assert names == lock.loads(file.read_text(), "lock").models.keys()
    assert run(project, ci="true")[0] == 0

    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    code, out = run(project, "-k", "not limits", ci="true")
    assert (code, re.findall(r"\d failed", out)) == (1, ["3 failed"])
    # 32 weights and a bias
    assert re.search(r"head +linear +\+33 ", out)
    before = file.read_text()
    code, out = run(project, "--model-cost-update", ci="true")
    assert (code, file.read_text()) == (4, before)
    assert "does not work in CI" in out
    assert run(project, "-k", "not limits", "--model-cost-update")[0] == 0
    assert run(project, "-k", "not limits", ci="true")[0] == 0


def test_a_snapshot_without_peaks(project: Path) -> None:
    """A snapshot of an earlier version passes, the summary says once what it lacks, and an update records that."""
    file = project / "__model_costs__" / "test_net.json"
    assert run(project, "-k", "named")[0] == 1
    forget_peaks(file)
    code, out = run(project, "-k", "named", "-W", "error", ci="true")

    assert code == 0
    assert out.count("lacks") == 1
    assert (
        "model_cost: test_net.json lacks peak_bytes and peak_bytes_deployed: "
        "to record them, run 'pytest --model-cost-update'\n"
    ) in out
    assert "lacks" not in run(project, "-k", "named", "--model-cost-update")[1]
    assert all(model.peaks for model in lock.loads(file.read_text(), "lock").models.values())


FAILING = {
    'model_cost.check(build(), (1, 3, 64, 64), max_macs="1 k")': "over the budget of 1.000 k",
    "model_cost.check(build(), [(1, 3, 64, 64)], max_memory_access_bytes='1 MB')": "memory access bytes",
    "model_cost.check(build(), torch.ones(1, 3, 8, 8), max_activations=1)": "activations",
    "model_cost.check(build(), (1, 3, 64, 64), max_peak_bytes='100 KB')": "the budget of 100.0 kB, at blocks.1.filter (conv)",
    "model_cost.check(build(), (1, 4, 64, 64), max_macs=1)": "could not measure the model",
    "model_cost.check(build(), (1, 3, 64, 64))": "no limits: choose from max_params",
    "model_cost.check(build(), (1, 3, 64, 64), max_makros=1)": "unknown limit 'max_makros'",
    "model_cost.check(build(), (1, 3, 64, 64), max_macs='1 Q')": "max_macs: malformed count '1 Q'",
    "model_cost.check(Strange(), (1, 3), max_macs=1)": "could not measure the model: not counted: aten::special_bessel_j0",
    "model_cost.snapshot(Strange(), (1, 3))": "could not measure test_9: not counted: aten::special_bessel_j0",
}


def test_a_failure_names_its_reason(project: Path) -> None:
    """The message of each failing test names the reason."""
    strange = "class Strange(torch.nn.Module):\n    def forward(self, x):\n        return torch.special.bessel_j0(x)\n"
    tests = "".join(f"def test_{i}(model_cost):\n    {body}\n" for i, body in enumerate(FAILING))
    (project / "test_net.py").write_text(f"import torch\nfrom net import build\n{strange}{tests}")
    code, out = run(project)
    failures = dict(re.findall(r"_+ (test_\d) _+\n(.*?)(?=\n_+ test_|\n=+ )", out, re.DOTALL))

    assert code == 1
    for i, said in enumerate(FAILING.values()):
        assert said in failures[f"test_{i}"]


INPUTS = """
import pytest
import torch
from mbanalyze import Shape


class Net(torch.nn.Module):
    def forward(self, x=None, mask=None, scale=1.0, size=None):
        assert size is None or isinstance(size, tuple)
        x = torch.ones(3) if x is None else x
        return x * scale if mask is None else x * mask * scale


@pytest.mark.parametrize(
    ("inputs", "options", "flops"),
    [
        ([], {}, 3),
        ((), {}, 1),
        ((2, 3), {}, 6),
        (Shape(2, 3, fill="ones"), {}, 6),
        (torch.ones(2, 3), {}, 6),
        ("2,3", {}, 6),
        ("x=ones:2,3", {}, 6),
        ([(2, 3), "mask=ones:3", "scale=0.5", "size=(2,2)"], {}, 12),
        ([(2, 3), (3,), 0.5, "(2,2)"], {}, 12),
        ([(2, 3)], {"kwargs": {"mask": Shape(3), "size": (2, 2)}}, 12),
        (["2,3", "mask=3"], {"kwargs": {"size": (2, 2)}}, 12),
    ],
)
def test_inputs(model_cost, inputs, options, flops):
    assert model_cost.check(Net(), inputs, options=options, max_macs=0).totals.flops == flops


def test_a_list_of_sizes(model_cost):
    model_cost.check(Net(), [2, 3], max_macs=0)
"""


def test_inputs(project: Path) -> None:
    """Inputs are as for `count`, or texts as for `--input`; a list of numbers is no shape."""
    (project / "test_net.py").write_text(INPUTS)
    code, out = run(project)

    assert (code, re.findall(r"\d+ passed|\d+ failed", out)) == (1, ["1 failed", "11 passed"])
    assert "could not measure the model: write an input as a shape in parentheses, such as (2, 3)" in out


def test_tolerated_growth_and_allowed_operators(project: Path) -> None:
    """A snapshot passes within max_increase and with operators in allow_uncounted."""
    body = "model_cost.snapshot(build(), (1, 3, 64, 64), max_increase='1%', allow_uncounted=['aten::special_bessel_j0'])"
    (project / "test_net.py").write_text(f"from net import build\ndef test_it(model_cost):\n    {body}\n")
    edit(
        project / "net.py",
        ("        return self.head(", "        x = torch.special.bessel_j0(x)\n        return self.head("),
    )
    assert run(project, "--model-cost-update")[0] == 0
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))

    assert run(project)[0] == 0


def test_a_damaged_snapshot(project: Path) -> None:
    """A damaged snapshot fails, and the named command replaces it; a newer one stays."""
    (project / "__model_costs__").mkdir()
    file = project / "__model_costs__" / "test_net.json"
    file.write_text("{")
    code, out = run(project, "-k", "snapshot")

    assert code == 1
    assert "test_net.json is damaged" in out
    assert "During handling" not in out
    assert "pytest --model-cost-update" in out
    assert run(project, "-k", "snapshot", "--model-cost-update")[0] == 0
    known = json.loads(file.read_text())
    file.write_text(json.dumps({**known, "schema": "mbanalyze.lock/2"}))
    code, out = run(project, "-k", "snapshot", "--model-cost-update")
    assert (code, "upgrade mbanalyze" in out) == (1, True)


NAMED = """
from net import build

class TestA:
    def test_it(self, model_cost):
        model_cost.snapshot(build(), (1, 3, 32, 32))

class TestB:
    def test_it(self, model_cost):
        model_cost.snapshot(build(2.0), (1, 3, 32, 32))

def test_two(model_cost):
    model_cost.snapshot(build(), (1, 3, 32, 32))
    model_cost.snapshot(build(2.0), (1, 3, 32, 32), name="a")

def test_twice(model_cost):
    model_cost.snapshot(build(), (1, 3, 32, 32))
    model_cost.snapshot(build(2.0), (1, 3, 32, 32))
"""


def test_snapshots_have_separate_names(project: Path) -> None:
    """Tests of two classes, and two snapshots of one test, do not share a snapshot."""
    (project / "test_net.py").write_text(NAMED)
    code, out = run(project, "--model-cost-update")
    names = {"TestA::test_it", "TestB::test_it", "test_two", "a", "test_twice"}

    assert (code, "3 passed" in out) == (1, True)
    assert "test_twice has two snapshots named 'test_twice': give each its own name" in out
    assert (
        names == lock.loads((project / "__model_costs__" / "test_net.json").read_text(), "lock").models.keys()
    )


def test_an_update_drops_snapshots_of_another_version(project: Path) -> None:
    """An update of one snapshot removes the snapshots that an older version counted."""
    assert run(project, "-k", "not limits", "--model-cost-update")[0] == 0
    file = project / "__model_costs__" / "test_net.json"
    edit(file, (f'"version": "{__version__}"', '"version": "0.0.1"'))
    assert run(project, "-k", "snapshot", "--model-cost-update")[0] == 0

    assert lock.loads(file.read_text(), "lock").models.keys() == {"small"}


def test_workers_share_a_file(project: Path) -> None:
    """The snapshots of parallel workers all end up in the file."""
    tests = "\n".join(
        f"def test_{i}(model_cost):\n    model_cost.snapshot(build(), (1, 3, 32, 32))\n" for i in range(8)
    )
    (project / "test_net.py").write_text(f"from net import build\n{tests}")
    assert run(project, "-n", "2", "--model-cost-update")[0] == 0
    file = project / "__model_costs__" / "test_net.json"

    assert lock.loads(file.read_text(), "lock").models.keys() == {f"test_{i}" for i in range(8)}


def test_an_unused_plugin_imports_no_torch(tmp_path: Path) -> None:
    """A run without the fixture does not import torch."""
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test_it():\n    assert 'torch' not in sys.modules\n"
    )

    assert run(tmp_path, installed=True)[0] == 0

"""The processes of the guard: no model's code changes the verdict on another model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from commandline import Run
from guarded import POLICY, document_of, git, model_in, places, replaced, repository
from hypothesis import given
from hypothesis import strategies as st

from mbanalyze.guard import load
from mbanalyze.guard.counting import measure_here
from mbanalyze.guard.runner import _measure_in_project, _parse, packages_of
from mbanalyze.sources.processes import Answer, NestedError, answers, run_each

pytestmark = pytest.mark.posix

MODEL = '[tool.mbanalyze.models.{name}]\nsource = "{file}.py:{factory}"\ninputs = ["1,3"]\n'
PATCHES = {
    "layer": "nn.Linear.forward = lambda s, x: x @ s.weight.t() @ s.weight\n",
    "formula": "from mbanalyze.ops.registry import REGISTRY\nREGISTRY['linear'] = lambda op: (0, 0)\n",
    "operator": "import torch\ntorch.Tensor.__add__ = lambda a, b: a\n",
    "guard": "import mbanalyze.guard.counting as c\nc.measure_here = None\n",
    "default": "import torch\ntorch.set_default_dtype(torch.float64)\n",
}
"""Code of one model that would change the cost of another one in the same process."""


def write_models(project: Path, names: list[str]) -> None:
    """Write a policy with models from files of the same names."""
    text = "".join(MODEL.format(name=name, file=name, factory="build") for name in names)
    (project / "pyproject.toml").write_text(text)


def test_no_model_changes_another(project: Path, run: Run) -> None:
    """A model that patches torch, the counter or the guard changes the verdict on no other model, in any order."""
    net = "from torch import nn\ndef build():\n    return nn.Linear(3, 3)\n"
    (project / "fine.py").write_text(net)
    for name, patch in PATCHES.items():
        (project / f"{name}.py").write_text(net + patch)
    write_models(project, ["fine"])
    assert run("guard", "update").code == 0
    for order in ([*PATCHES, "fine"], ["fine", *PATCHES]):
        write_models(project, order)
        said = document_of(run)
        assert [each["name"] for each in said["models"]] == order
        assert model_in(said, "fine")["verdict"] == "ok"


ENDINGS = {
    "leaves": ("os._exit(7)", "exit code 7"),
    "silent": ("os._exit(0)", "exit code 0"),
    "killed": ("os.kill(os.getpid(), 9)", "ended by SIGKILL, perhaps because it needs too much memory"),
    "faulty": ("os.kill(os.getpid(), 11)", "ended by SIGSEGV"),
    "interrupted": ("raise KeyboardInterrupt", "exit code 1"),
    "endless": ("ending('endless')", "RecursionError"),
    "exits": ("sys.exit(5)", "SystemExit: 5"),
    "hoards": ("os.fork() or time.sleep(100)", ""),
    "threads": ("threading.Thread(target=time.sleep, args=(100,)).start()", ""),
    "closes": ("os.closerange(0, 100)", ""),
    "silences": ("sys.stdout = sys.stderr = sys.__stdout__ = None", ""),
}
"""Code of a factory, and what the guard says about it; "" for a model that can be measured."""
CRASHES = f"""
import os, sys, threading, time
from torch import nn
def ending(name):
    exec({ {name: code for name, (code, _) in ENDINGS.items()}!r}[name])
    return nn.Linear(3, 3)
{"".join(f"def {name}(): return ending({name!r})" + chr(10) for name in ENDINGS)}
"""


def test_a_model_that_ends_its_process(project: Path, run: Run) -> None:
    """A model that ends, crashes or blocks its process could not be measured, and the others can."""
    (project / "net.py").write_text(CRASHES)
    models = "".join(MODEL.format(name=name, file="net", factory=name) for name in ENDINGS)
    (project / "pyproject.toml").write_text(models)
    said = document_of(run)

    assert said["exit"] == 2
    for name, (_, reason) in ENDINGS.items():
        found = model_in(said, name)
        assert found["verdict"] == ("could not measure" if reason else "missing from lock"), name
        assert reason in (found["reason"] or ""), name


PRINTS = """
import os, sys
from torch import nn
print("first")
print("second", file=sys.stderr)
def build():
    os.system("echo third")
    print("fourth \\udc80")
    return nn.Linear(3, 3)
"""


def test_models_print_to_stderr_in_order(project: Path, run: Run) -> None:
    """Everything that models print goes to stderr, model by model in the order of the policy."""
    for name in ("b", "a", "c"):
        (project / f"{name}.py").write_text(PRINTS.replace("first", f"first of {name}"))
    write_models(project, ["b", "a", "c"])
    ran = run("guard")
    one = "first of {}\nsecond\nthird\nfourth \\udc80\n"

    assert ran.err == one.format("b") + one.format("a") + one.format("c")


def test_processes_see_the_environment_of_the_call(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model is built with the environment variables and `sys.path` that its guard has at that time."""
    (project / "elsewhere").mkdir()
    (project / "elsewhere" / "widths.py").write_text("WIDTH = 3\n")
    (project / "net.py").write_text(
        "import os\nfrom torch import nn\nfrom widths import WIDTH\n"
        "def build():\n    return nn.Linear(WIDTH, int(os.environ['OUT']))\n"
    )
    (project / "pyproject.toml").write_text(MODEL.format(name="small", file="net", factory="build"))
    monkeypatch.syspath_prepend(project / "elsewhere")
    for out in (4, 5):
        monkeypatch.setenv("OUT", str(out))
        # weights and biases
        assert model_in(document_of(run))["totals"]["params"] == 3 * out + out


def test_an_explanation_runs_code_in_processes(project: Path, run: Run) -> None:
    """Options are tried in the process of each model: one that ends it leaves the others their suggestions."""
    factory = "def build(width=8):\n    if {}: os._exit(3)\n    return nn.Linear(3, width)\n"
    for name, condition in (("good", "False"), ("bad", "width < 8")):
        (project / f"{name}.py").write_text("import os\nfrom torch import nn\n" + factory.format(condition))
    write_models(project, ["good", "bad"])
    budget = "budget = { params = 20 }\n[tool.mbanalyze.models.bad]"
    text = (project / "pyproject.toml").read_text().replace("[tool.mbanalyze.models.bad]", budget)
    (project / "pyproject.toml").write_text(text + "budget = { params = 20 }\n")
    out = run("guard", "explain").out

    # 3 x 5 weights and 5 biases
    assert "good: width=5 fits instead of 8" in out
    assert "bad: no option could be tried: its code ended the process with exit code 3" in out
    assert "build" in out


def alive(process: int) -> bool:
    """Return True if a process runs."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


HANGS = """
import os, time
from pathlib import Path
def build():
    try:
        Path(f"{os.getpid()}.pid").touch()
        os.fork()
        while True:
            time.sleep(1)
    except BaseException:
        time.sleep(100)
"""


@pytest.mark.parametrize(("sent", "code"), [(2, 130), (15, 143), (9, -9)])
def test_an_interrupt_ends_every_process(sent: int, code: int, project: Path) -> None:
    """An interrupted or killed guard leaves no process behind, and does not wait for the models."""
    for name in ("a", "b"):
        (project / f"{name}.py").write_text(HANGS)
    write_models(project, ["a", "b"])
    command = [sys.executable, "-m", "mbanalyze", "guard"]
    guard = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started: list[int] = []
    while not started:
        assert guard.poll() is None
        time.sleep(0.05)
        started = [int(file.stem) for file in project.glob("*.pid")]
    guard.send_signal(sent)

    assert guard.wait(timeout=60) == code
    for _ in range(200):
        if not any(map(alive, started)):
            break
        time.sleep(0.05)
    assert not any(map(alive, started))


def test_a_ref_is_measured_in_processes(project: Path, run: Run) -> None:
    """A model at a git ref that ends its process hides no other model of that ref."""
    write_models(project, ["a", "b"])
    net = "from torch import nn\ndef build():\n    return nn.Linear(3, 3)\n"
    (project / "a.py").write_text(net)
    (project / "b.py").write_text(f"{net}import os\nos._exit(3)\n")
    repository(project)
    (project / "b.py").write_text(net)
    said = document_of(run, "diff", "--base", "HEAD")

    assert model_in(said, "a")["verdict"] == "ok"
    assert "its code ended the process with exit code 3" in model_in(said, "b")["reason"]
    assert git(project, "worktree", "list").count("\n") == 0


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=3), some, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, Any]]:
    """A model in closed form, and the answer that its process would give."""
    file = tmp_path_factory.mktemp("answer") / "mbanalyze.toml"
    file.write_text('[models.small]\nsource = "alexnet"\noptions = { resolution = 63 }\n')
    model = load(file).models["small"]
    before = Path.cwd(), list(sys.path)
    try:
        return model, json.loads(json.dumps(_measure_in_project(load(file), model)))
    finally:
        os.chdir(before[0])
        sys.path[:] = before[1]


def test_the_answer_of_a_process_is_complete(answer: tuple[Any, dict[str, Any]]) -> None:
    """An answer through JSON has the measurement of the model."""
    model, given_ = answer
    assert _parse(model, Answer(given_)).measurement == measure_here(model)[0].measurement
    assert _parse(model, Answer(problem="x")).reason == "x"


@given(st.data())
def test_no_answer_of_a_process_is_trusted(answer: tuple[Any, dict[str, Any]], data: st.DataObject) -> None:
    """Any answer of a process is a measurement whose counts are valid, or a reason."""
    model, right = answer
    wrong = replaced(right, data.draw(st.sampled_from(places(right))), data.draw(VALUES))
    found = _parse(model, Answer(wrong))

    assert bool(found.reason) == (found.measurement is None)
    if found.measurement:
        for layer in found.measurement.layers:
            for count in layer.counts.values():
                assert count is None or (count >= 0 and not isinstance(count, bool))


def test_a_package_of_the_project_is_not_imported_before(project: Path) -> None:
    """Packages of models are imported once for all processes, unless the project defines them itself."""
    text = (
        '[tool.mbanalyze.models.a]\nsource = "timm:x"\n[tool.mbanalyze.models.b]\nsource = "torchvision:x"\n'
    )
    (project / "pyproject.toml").write_text(text)
    assert packages_of(load(project / "pyproject.toml")) == ["torchvision", "timm"]
    (project / "timm").mkdir()
    (project / "torchvision.py").touch()
    assert packages_of(load(project / "pyproject.toml")) == []


def test_more_jobs_than_processors() -> None:
    """Answers come in the order of the jobs, however many there are, and progress counts the jobs."""
    ended: list[int] = []
    jobs = [partial(pow, 2, i) for i in range(20)]

    assert [answer.value for answer in run_each(jobs, ended.append)] == [2**i for i in range(20)]
    assert ended == list(range(1, 21))
    assert run_each([], ended.append) == []


def job(expression: str) -> Callable[[], object]:
    """Return a job that evaluates an expression."""
    return partial(eval, "(os := __import__('os')) and " + expression)


def test_a_process_is_reused() -> None:
    """A process runs as many jobs as `reuse` says, in order; without it, one. Torch has one thread in each."""
    jobs = [job("[os.getpid(), __import__('torch').get_num_threads()]")] * 5
    found = [answer.value for _, answer in answers(jobs, workers=1, reuse=2)]
    alone = [answer.value for _, answer in answers(jobs, workers=1)]

    assert [threads for _, threads in found] == [1] * 5
    assert [found.index(each) for each in found] == [0, 0, 2, 2, 4]
    assert len({process for process, _ in alone}) == 5


def test_a_job_that_ends_a_reused_process_harms_no_other() -> None:
    """A job after others starts again in a process of its own; if it ends that too, it alone has a problem."""
    ends = ["8", "os._exit(3)", "8", "__import__('time').sleep(60)", "os._exit(0)", "8"]
    found = dict(answers(list(map(job, ends)), workers=1, reuse=6, time_limit=3))

    assert [found[i].value for i in range(6)] == [8, None, 8, None, None, 8]
    assert [found[i].problem for i in (1, 3, 4)] == [
        "its code ended the process with exit code 3",
        "it took longer than 3 s",
        "its code ended the process with exit code 0",
    ]


def test_a_job_is_not_blamed_for_those_before_it(tmp_path: Path) -> None:
    """A job that fails only after others in the same process has its answer from another process."""
    marker = repr(str(tmp_path / "marker"))
    first_time = f"(os.path.exists({marker}) or os.mkdir({marker}) or os.kill(os.getpid(), 9))"
    found = dict(answers([job("8"), job(first_time)], workers=1, reuse=2))

    assert found == {0: Answer(8), 1: Answer(True)}


def test_a_progress_that_fails_ends_the_processes(project: Path) -> None:
    """An exception in the callback ends the processes, and the next call starts others."""

    def fail(_: int) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run_each([partial(pow, 2, 3)], fail)
    assert [answer.value for answer in run_each([partial(pow, 2, 3)], lambda _: None)] == [8]


def test_a_callback_cannot_start_processes() -> None:
    """Jobs that a callback of other jobs starts would wait for these without end, and are refused."""
    jobs = [partial(pow, 2, 3)]

    def count_too(_: int) -> None:
        list(answers(jobs))

    with pytest.raises(NestedError, match="progress"):
        run_each(jobs, count_too)
    assert [answer.value for answer in run_each(jobs, lambda _: None)] == [8]


def test_a_failure_shows_what_its_job_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """If the caller stops at the answer of a job while an earlier one runs, what the job printed is shown."""
    jobs = [job("__import__('time').sleep(60)"), job("print('the reason')")]
    ended = answers(jobs, workers=2, show=True)

    assert next(ended)[0] == 1
    ended.close()  # type: ignore[attr-defined]
    assert capfd.readouterr().err == "the reason\n"


def test_a_policy_of_closed_forms_starts_no_process(project: Path) -> None:
    """A closed form runs no code of the project, and is counted without torch."""
    (project / "pyproject.toml").write_text(
        POLICY.replace("net.py:build", "alexnet").replace('inputs = ["1,3,64,64"]\n', "")
    )
    code = (
        "import sys, subprocess\nsubprocess.Popen = None\nfrom mbanalyze import guard\n"
        "guard.check(guard.load(__import__('pathlib').Path('pyproject.toml')), ci=True)\nprint('torch' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True
    )

    assert ran.stdout == "False\n"

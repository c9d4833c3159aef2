"""The lock of the guard: reading, writing and updating it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from commandline import Run
from guarded import NET, POLICY, document_of, edit, model_in

from mbanalyze import guard
from mbanalyze.guard import load, lock
from mbanalyze.guard.lock import DamagedLockError, Lock, LockError, NewerLockError


def test_the_first_run_writes_the_lock(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run writes the lock and exits with 1; in CI it writes nothing and exits with 2."""
    file = project / "mbanalyze.lock.json"
    before = file.read_text()
    file.unlink()
    monkeypatch.setenv("CI", "true")
    assert (run("guard").code, file.exists(), document_of(run)["exit"]) == (2, False, 2)
    assert "there is no mbanalyze.lock.json: run 'mbanalyze guard update' and commit it" in run("guard").out
    assert (run("guard", "update").code, file.exists()) == (2, False)
    assert "--allow-ci" in run("guard", "update").err
    monkeypatch.setenv("CI", "false")
    ran = run("guard")

    assert (ran.code, file.read_text()) == (1, before)
    assert "mbanalyze.lock.json was written; review it and add it to a commit:\ngit add" in ran.out
    assert ran.out.splitlines()[-1] == "git add mbanalyze.lock.json"
    assert run("guard").code == 0
    file.unlink()
    monkeypatch.setenv("CI", "1")
    assert (run("guard", "update", "--allow-ci").code, file.exists()) == (0, True)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda text: text.replace("lock/1", "lock/2"), "upgrade mbanalyze"),
        (lambda text: "<<<<<<< HEAD\n" + text + "=======\n>>>>>>> other\n", "merge conflict markers"),
        (lambda text: text[:200], "is damaged"),
        (lambda _: "", "is damaged"),
        (lambda _: "[]", "is damaged"),
        (lambda text: text.replace('"params": 330', '"params": 331'), "do not add up"),
        (lambda text: text.replace('"params": 330', '"params": "x"'), "is damaged"),
        (lambda text: text.replace('"stem"', '"head"'), "duplicate key 'head'"),
        (lambda text: text.replace('"totals"', '"total"'), "key 'totals' is missing"),
    ],
)  # fmt: skip
def test_an_unusable_lock(spoil: Any, problem: str, project: Path, run: Run) -> None:
    """An unusable lock exits with 2 and names the fix; a full update replaces it unless it is newer."""
    file = project / "mbanalyze.lock.json"
    good = file.read_text()
    file.write_text(spoil(good))
    bad = file.read_text()
    assert bad != good
    said = document_of(run)

    assert (said["exit"], model_in(said)["verdict"]) == (2, "not comparable")
    assert problem in said["problem"]
    assert said["command"] == (
        "pip install --upgrade mbanalyze" if "upgrade" in problem else "mbanalyze guard update"
    )
    assert run("guard", "update", "small").code == 2
    newer = "upgrade" in problem
    assert run("guard", "update").code == (2 if newer else 0)
    assert file.read_text() == (bad if newer else good)


def test_a_lock_has_one_line_for_each_layer(project: Path) -> None:
    """A lock has one line for each layer in natural order, and reading it loses nothing."""
    text = (project / "mbanalyze.lock.json").read_text()
    known = lock.loads(text, "lock")
    paths = [layer.path for layer in known.models["small"].layers]
    lines = [line for line in text.splitlines() if '"kinds"' in line]

    assert paths == [json.loads("{" + line.strip().rstrip(",") + "}").popitem()[0] for line in lines]
    assert paths == ["", "blocks.0", "blocks.0.expand", "blocks.0.filter", "blocks.0.project", *paths[5:]]
    assert lock.dumps(known) == text
    with pytest.raises(LockError):
        lock.loads(text.replace("mbanalyze.lock", "other"), "lock")


def test_a_lock_in_a_missing_folder(project: Path, run: Run) -> None:
    """A lock in a missing folder is one line on stderr, and no folder is created."""
    (project / "pyproject.toml").write_text('[tool.mbanalyze]\nlock = "no/such/lock.json"\n' + POLICY)
    for command in ([], ["update"]):
        ran = run("guard", *command)
        assert (ran.code, ran.out, ran.err.count("\n"), "unexpected" in ran.err) == (2, "", 1, False)
    assert not (project / "no").exists()


def test_simultaneous_updates_keep_both_models(project: Path) -> None:
    """Two simultaneous updates of different models both end up in the lock."""
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


def test_an_update_leaves_no_file_behind(project: Path, run: Run) -> None:
    """An update changes no file of the project except the lock, not even one that git ignores."""
    before = {file for file in project.rglob("*") if "__pycache__" not in file.parts}
    assert run("guard", "update").code == 0

    assert before == {file for file in project.rglob("*") if "__pycache__" not in file.parts}


def test_updates_wait_for_each_other(project: Path) -> None:
    """An update does not write while another process holds the lock."""
    policy = load(project / "pyproject.toml")
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    before = policy.lock.read_text()
    updating = threading.Thread(target=guard.update, args=(policy,))
    with lock.exclusive(policy.lock):
        updating.start()
        updating.join(timeout=3)
        assert (updating.is_alive(), policy.lock.read_text()) == (True, before)
    updating.join()

    assert policy.lock.read_text() != before


def test_a_partial_update_keeps_the_other_models(project: Path, run: Run) -> None:
    """A partial update keeps the other models, also those that the policy no longer names."""
    (project / "pyproject.toml").write_text(POLICY + POLICY.replace("models.small", "models.other"))
    assert run("guard", "update", "other").code == 0
    (project / "pyproject.toml").write_text(POLICY)
    assert run("guard", "update", "small").code == 0

    assert model_in(document_of(run), "other")["verdict"] == "gone"


def test_an_update_lists_what_it_accepts(project: Path, run: Run) -> None:
    """An update exits with 0 and lists the accepted changes, also as JSON."""
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    said = document_of(run, "update")

    assert (said["exit"], model_in(said)["verdict"], said["command"]) == (
        0,
        "worse",
        "git add mbanalyze.lock.json",
    )


@pytest.mark.parametrize(
    "schema", ["mbanalyze.lock/0", "other/1", "mbanalyze.lock/1234567890", "mbanalyze.lock/2 "]
)
def test_a_lock_of_an_unknown_schema(schema: str) -> None:
    """A schema that no later version writes is damaged, which an update repairs."""
    with pytest.raises(DamagedLockError, match=r"damaged \(unknown schema"):
        lock.loads(json.dumps({"schema": schema}), "a.json")


def test_a_lock_of_a_later_schema() -> None:
    """A lock of a later version is not damaged, and its schema is named."""
    with pytest.raises(NewerLockError, match=r"a\.json has schema mbanalyze\.lock/2: upgrade mbanalyze"):
        lock.loads('{"schema": "mbanalyze.lock/2"}', "a.json")


@pytest.mark.parametrize(
    "changed", [{"version": "0"}, {"version": "~"}, {"convention": "0"}, {"convention": "~"}]
)
def test_a_lock_of_another_version(changed: dict[str, str]) -> None:
    """A lock is current if this version with its convention wrote it."""
    assert Lock().is_current
    assert not Lock(**changed).is_current  # type: ignore[arg-type]


def test_names_in_a_lock_are_readable() -> None:
    """A printable name keeps its letters, and another one is escaped."""
    assert '"\u00e9\u4e2d"' in lock.dumps(Lock(convention="\u00e9\u4e2d"))
    assert '"\\ud800\\u00e9"' in lock.dumps(Lock(convention="\ud800\u00e9"))


KILLED = """
import os, signal
from pathlib import Path
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
from mbanalyze import cli
cli.main()
"""


def test_a_killed_update_leaves_the_old_lock(project: Path) -> None:
    """An update that is killed before it replaces the lock leaves the old one."""
    file = project / "mbanalyze.lock.json"
    before = file.read_text()
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, "guard", "update", "--allow-ci"], cwd=project, check=False
    )

    assert (ran.returncode, file.read_text()) == (-9, before)

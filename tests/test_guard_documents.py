"""Damaged and hostile locks and policies: each ends in a verdict or in lines that name the mistake."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commandline import Run
from guarded import POLICY, document_of, model_in, places, replaced
from hypothesis import given
from hypothesis import strategies as st

from mbanalyze import guard
from mbanalyze.guard import load, lock
from mbanalyze.guard.counting import measure_here
from mbanalyze.guard.limits import (
    GROWTH_METRICS,
    LOCKED_METRICS,
    LOCKED_PEAKS,
    LimitError,
    parse_budget,
    parse_growth,
)
from mbanalyze.guard.lock import LockError
from mbanalyze.guard.model_result import evaluate
from mbanalyze.guard.outcome import Outcome
from mbanalyze.guard.policy import Policy, PolicyError
from mbanalyze.guard.view import OUTCOME_FORMATS
from mbanalyze.inputs import documents
from mbanalyze.inputs.parsing import ParseError

CLOSED = '[models.small]\nsource = "alexnet"\noptions = { resolution = 63 }\n'
DEEP = 100_000


def in_models(text: str, **values: Any) -> str:
    """Return the text of a lock with other values in its model."""
    document = json.loads(text)
    document["models"]["small"].update(values)
    return json.dumps(document)


HOSTILE_LOCKS: dict[str, Callable[[str], str]] = {
    "deep lists": lambda _: "[" * DEEP,
    "deep objects": lambda _: '{"a":' * DEEP,
    "deep options": lambda text: in_models(text).replace('"options": {', '"options": {"x": ' + "[" * 200 + "]" * 200 + ",", 1),
    "no dtype": lambda text: in_models(text, dtype=None),
    "unknown dtype": lambda text: in_models(text, dtype="x"),
    "a list for a dtype": lambda text: in_models(text, dtype=["float32"]),
    "a number for a source": lambda text: in_models(text, source=1),
    "a list for options": lambda text: in_models(text, options=[["a", 1]]),
    "numbers for inputs": lambda text: in_models(text, input=[1, 3]),
    "a text for inputs": lambda text: in_models(text, input="1x3"),
    "a list for layers": lambda text: in_models(text, layers=[]),
    "a list for a model": lambda text: json.dumps({**json.loads(text), "models": {"small": []}}),
    "a list for models": lambda text: json.dumps({**json.loads(text), "models": []}),
    "a number for a version": lambda text: json.dumps({**json.loads(text), "version": 1}),
    "a number for a schema": lambda text: json.dumps({**json.loads(text), "schema": 1}),
    "digits of another script": lambda text: text.replace("lock/1", "lock/\u0662"),
    "a huge number": lambda text: text.replace('"params": 330', '"params": ' + "3" * 5000),
    "a number above every count": lambda text: text.replace('"params": 330', f'"params": {10**101}'),
    "not a number": lambda text: text.replace('"params": 330', '"params": NaN'),
    "a fraction": lambda text: text.replace('"params": 330', '"params": 330.0'),
    "a number as text": lambda text: text.replace('"params": 330', '"params": "330"'),
    "a boolean": lambda text: text.replace('"params": 330', '"params": true'),
    "null": lambda _: "null",
    "a number": lambda _: "1",
    "a lone quote": lambda _: '"',
}  # fmt: skip


@pytest.mark.parametrize("spoil", HOSTILE_LOCKS.values(), ids=HOSTILE_LOCKS)
def test_a_hostile_lock_fails_in_every_format(spoil: Callable[[str], str], project: Path, run: Run) -> None:
    """A hostile lock exits with 2, has a verdict for each model and names the remedy, in every format."""
    file = project / "mbanalyze.lock.json"
    file.write_text(spoil(file.read_text()))
    (project / "pyproject.toml").write_text(
        POLICY.replace("net.py:build", "alexnet").replace('inputs = ["1,3,64,64"]\n', "")
    )
    outputs = [f"--output={name}={name}.txt" for name in OUTCOME_FORMATS]
    ran = run("guard", *outputs)
    said = json.loads((project / "json.txt").read_text())

    assert (ran.code, ran.err) == (2, "")
    assert (model_in(said)["verdict"], said["command"]) == ("not comparable", "mbanalyze guard update")
    assert "mbanalyze.lock.json is damaged" in said["problem"]
    for name in OUTCOME_FORMATS:
        text = (project / f"{name}.txt").read_text()
        assert text
        assert "unexpected" not in text
    assert run("guard", "explain").code == 2
    assert run("guard", "update").code == 0
    assert run("guard").code == 0


def a_lock(**counts: Any) -> str:
    """Return a lock of one model with one layer, whose counts add up."""
    values = dict.fromkeys(GROWTH_METRICS, 4) | counts
    layer = {"kinds": "linear", "output": "1x4", **{metric: values[metric] for metric in LOCKED_METRICS}}
    head = {"source": "net.py:build", "options": {}, "method": "trace", "input": ["1x4"], "dtype": "float32"}
    peaks = {metric: {"path": "head", "kind": "linear"} for metric in LOCKED_PEAKS}
    model = {**head, "totals": values, "peaks": peaks, "layers": {"head": layer}}
    return json.dumps({"schema": lock.SCHEMA, "convention": "c", "version": "1", "models": {"small": model}})


@pytest.mark.parametrize("metric", GROWTH_METRICS)
def test_a_count_is_a_whole_number(metric: str) -> None:
    """A lock has counts that are whole and not negative, or unknown, even if its layers add up."""
    for count in [0, 5, 10**100, None]:
        assert lock.loads(a_lock(**{metric: count}), "lock").models["small"].totals[metric] == count
    wrongs: list[Any] = [
        -1,
        0.5,
        4.0,
        10**100 + 1,
        True,
        False,
        "4",
        [],
        {},
        float("nan"),
        float("inf"),
        1e400,
    ]
    for wrong in wrongs:
        with pytest.raises(LockError, match="damaged"):
            lock.loads(a_lock(**{metric: wrong}), "lock")


@pytest.mark.parametrize("key", ["schema", "convention", "version", "models"])
def test_a_lock_has_every_key(key: str) -> None:
    """A lock without one of its keys is damaged."""
    document = json.loads(a_lock())
    del document[key]
    with pytest.raises(LockError, match=f"key '{key}' is missing"):
        lock.loads(json.dumps(document), "lock")


def test_every_value_of_a_lock_is_checked() -> None:
    """A lock with a fraction or a boolean at any place is damaged: no value of a lock is one."""
    document = json.loads(a_lock())
    for place in places(document):
        for value in (1.5, True):
            with pytest.raises(LockError, match="damaged"):
                lock.loads(json.dumps(replaced(document, place, value)), "lock")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([10**400, -(10**30), "", "1 M", "x" * 99]) | st.text(max_size=3),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=3), some, max_size=3),
    max_leaves=5,
)  # fmt: skip


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Policy, dict[str, Any]]:
    """A policy with a model in closed form, and the document of its lock."""
    file = tmp_path_factory.mktemp("known") / "mbanalyze.toml"
    file.write_text(CLOSED)
    guard.update(load(file))
    return load(file), json.loads(load(file).lock.read_text())


@given(st.data())
def test_a_changed_lock(known: tuple[Policy, dict[str, Any]], data: st.DataObject) -> None:
    """A lock with any value at any place is damaged, or can be compared, written and shown in every format."""
    policy, right = known
    wrong = replaced(right, data.draw(st.sampled_from(places(right))), data.draw(VALUES))
    try:
        found = lock.loads(json.dumps(wrong), "lock")
    except LockError:
        return
    assert lock.loads(lock.dumps(found), "lock") == found or "NaN" in lock.dumps(found)
    measured, _ = measure_here(policy.models["small"])
    outcome = Outcome(policy, "lock", (evaluate(measured, found),))
    for name in OUTCOME_FORMATS:
        outcome.to(name)


@given(st.integers(0, 10_000), st.integers(0, 50), st.text(alphabet='{}[]",:\\u0e1-\x00', max_size=5))
def test_a_lock_with_other_characters(start: int, length: int, text: str) -> None:
    """A lock in which any characters are replaced by others is damaged, or reads back unchanged."""
    whole = a_lock()
    start %= len(whole)
    try:
        found = lock.loads(whole[:start] + text + whole[start + length :], "lock")
    except LockError:
        return
    assert lock.loads(lock.dumps(found), "lock") == found or "NaN" in lock.dumps(found)


def toml(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(str(key))} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08x}" for c in value if not "\ud800" <= c <= "\udfff") + '"'
    return {"True": "true", "False": "false", "None": "1979-05-27"}.get(str(value), str(value))


FULL = {
    "lock": "locks.json",
    "python_path": ["lib"],
    "max_increase": "1%",
    "level": "warn",
    "strict": True,
    "allow_uncounted": ["aten::x"],
    "models": {
        "small": {
            "source": "alexnet@num_classes=10",
            "options": {"resolution": 63},
            "inputs": ["x=1,3"],
            "dtype": "float16",
            "mode": "eval",
            "trace": False,
            "real": False,
            "keep": False,
            "budget": {"macs": "20 M", "arithmetic_intensity": 0.5, "params_bytes": {"max": "1 MiB", "level": "off"}},
            "max_increase": {"params": "1%", "macs": "+2 M"},
            "level": "error",
            "strict": False,
            "allow_uncounted": [],
            "layers": {"*": {"budget": {"params": 2000}, "max_increase": "0", "level": "warn"}},
        }
    },
}  # fmt: skip


def policy_or_problems(file: Path) -> Policy | tuple[str, ...]:
    """Return the policy of a file, or its mistakes."""
    try:
        return load(file)
    except PolicyError as error:
        return error.problems


@given(st.data())
def test_a_changed_policy(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """A policy with any value at any place is read, or its mistakes are listed."""
    wrong = replaced(FULL, data.draw(st.sampled_from(places(FULL)[1:])), data.draw(VALUES))
    file = tmp_path_factory.getbasetemp() / "changed.toml"
    file.write_text(
        "".join(f"{toml(key)} = {toml(value)}\n" for key, value in wrong.items()), encoding="utf-8"
    )
    found = policy_or_problems(file)
    if not isinstance(found, Policy):
        assert found
        assert not any("is not valid TOML" in problem for problem in found)
        return
    for model in found.models.values():
        for growth in model.rules.growth.values():
            assert growth.allowed(10**30, 4) >= 0


def test_the_whole_policy_is_right(tmp_path: Path) -> None:
    """The policy whose values the other test changes is right."""
    file = tmp_path / "mbanalyze.toml"
    file.write_text("".join(f"{key} = {toml(value)}\n" for key, value in FULL.items()))

    assert load(file).models["small"].options == {"num_classes": 10, "resolution": 63}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = " + "[" * DEEP, "nested too deeply"),
        ("x = " + "{a = " * DEEP, "nested too deeply"),
        (POLICY + "options = { x = " + "[" * 150 + "]" * 150 + " }\n", "nested more than 100 times"),
        (POLICY + f"budget = {{ macs = {'9' * 5000} }}\n", "is not valid TOML"),
        (POLICY + f"budget = {{ macs = {'9' * 200} }}\n", "more than 100 digits"),
        (POLICY + 'max_increase = "1e999%"\n', "malformed number '1e999'"),
        (POLICY + 'max_increase = "1e99999999%"\n', "malformed number '1e99999999'"),
        (POLICY + 'max_increase = "nan%"\n', "malformed number 'nan'"),
        (POLICY + "budget = { macs = nan }\n", "malformed count 'nan'"),
        (POLICY + "budget = { arithmetic_intensity = inf }\n", "malformed number 'inf'"),
        (POLICY + "budget = { macs = true }\n", "expected a number or a text"),
        (POLICY + 'dtype = ["x"]\n', "unknown dtype ['x']"),
        (POLICY + "mode = { x = 1 }\n", "unknown mode {'x': 1}"),
        (POLICY + "source = 1\n", "is not valid TOML"),
        ("tool = 1\n", "no [tool.mbanalyze]"),
        ("[tool]\nmbanalyze = 1\n", "no [tool.mbanalyze]"),
        ('[tool.mbanalyze]\nlock = "a\\u0000b"\n' + POLICY, "is no path"),
        ('[tool.mbanalyze]\npython_path = ["a\\u0000b"]\n' + POLICY, "is no path"),
        ("\x00", "is not valid TOML"),
    ],
    ids=str.__len__,
)  # fmt: skip
def test_a_hostile_policy(text: str, problem: str, project: Path, run: Run) -> None:
    """A hostile policy is one line on stderr with exit code 2."""
    (project / "policy.toml").write_text(text)
    for command in ([], ["update"], ["explain"]):
        ran = run("guard", *command, "--config", "policy.toml")
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert problem in ran.err
        assert "unexpected" not in ran.err


def make_pipe(file: Path) -> None:
    """Make a pipe with a name."""
    os.mkfifo(file)


def make_socket(file: Path) -> None:
    """Make a socket."""
    with contextlib.chdir(file.parent), socket.socket(socket.AF_UNIX) as made:
        made.bind(file.name)


@pytest.mark.posix
@pytest.mark.parametrize(
    "make",
    [make_pipe, os.mkdir, make_socket, lambda file: file.symlink_to("/dev/zero")],
    ids=["pipe", "folder", "socket", "device"],
)
def test_only_regular_files_are_read(make: Callable[[Path], None], project: Path, run: Run) -> None:
    """A pipe, folder, socket or device is not read as a policy or as a lock."""
    make(project / "other")
    ran = run("guard", "--config", "other")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "it is not a regular file" in ran.err

    (project / "mbanalyze.lock.json").unlink()
    if make.__name__ == "<lambda>":
        (project / "pyproject.toml").write_text('[tool.mbanalyze]\nlock = "other"\n' + POLICY)
        assert "the lock must be inside the folder of the policy" in run("guard").err
        return
    make(project / "mbanalyze.lock.json")
    said = document_of(run)
    assert (said["exit"], model_in(said)["verdict"]) == (2, "not comparable")
    assert "it is not a regular file; remove it and run 'mbanalyze guard update'" in said["problem"]
    assert run("guard", "update").code == 2


@pytest.mark.posix
def test_a_file_has_a_limited_size(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy or a lock above the limit is not read; neither is one whose size the system does not tell."""
    size = (project / "mbanalyze.lock.json").stat().st_size
    monkeypatch.setattr(documents, "LARGEST", size - 1)
    assert f"more than {size - 1:,} bytes" in document_of(run)["problem"]
    monkeypatch.setattr(documents, "LARGEST", 10)
    assert "more than 10 bytes" in run("guard").err
    assert "more than 10 characters" in run("guard", "--config", "/proc/self/status").err


@pytest.mark.posix
@pytest.mark.parametrize(
    "place", ["../elsewhere.json", "/elsewhere.json", "sub/../../x", "link/lock.json", "loop"]
)
def test_a_lock_is_inside_its_project(place: str, project: Path, run: Run) -> None:
    """A lock outside the folder of its policy is one line on stderr, and nothing is written there."""
    outside = project.parent / f"{project.name}-outside"
    outside.mkdir()
    (project / "link").symlink_to(outside)
    (project / "loop").symlink_to("loop")
    (project / "pyproject.toml").write_text(f'[tool.mbanalyze]\nlock = "{place}"\n' + POLICY)
    for command in ([], ["update"], ["explain"], ["diff", "--base", "HEAD"]):
        ran = run("guard", *command)
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert ("is no path" if place == "loop" else "the lock must be inside") in ran.err
    assert not list(outside.iterdir())


@pytest.mark.posix
def test_a_lock_in_a_folder_below(project: Path, run: Run) -> None:
    """A lock may be in a folder below the policy, also by its whole path and through a link inside."""
    (project / "locks").mkdir()
    (project / "link").symlink_to("locks")
    for place in ("locks/a.json", f"{project}/locks/b.json", "link/c.json"):
        (project / "pyproject.toml").write_text(f'[tool.mbanalyze]\nlock = "{place}"\n' + POLICY)
        assert run("guard", "update").code == 0
    assert {file.name for file in (project / "locks").iterdir()} == {"a.json", "b.json", "c.json"}


@pytest.mark.parametrize("digits", ["\u0663", "\uff13", "\u0967", "3\u0663", "\u00b2", "+5 x", "1__0", "_1"])
def test_digits_of_another_script_are_no_numbers(digits: str, tmp_path: Path) -> None:
    """Only 0 to 9 are digits in budgets, in allowed growth and in inputs."""
    for parse in (parse_budget, parse_growth):
        with pytest.raises((ParseError, LimitError)):
            parse("macs", digits, "error")
    with pytest.raises((ParseError, LimitError)):
        parse_growth("macs", f"{digits}%", "error")
    with pytest.raises((ParseError, LimitError)):
        parse_budget("arithmetic_intensity", digits, "error")
    file = tmp_path / "mbanalyze.toml"
    file.write_text(f'[models.a]\nsource = "x"\ninputs = ["1,{digits}"]\n', encoding="utf-8")
    with pytest.raises(PolicyError, match="malformed input"):
        load(file)


def test_numbers_of_a_policy() -> None:
    """Spaces and underscores between digits are allowed, and a sign in front of a growth."""
    assert parse_budget("macs", " 1_000 ", "error").maximum == 1000
    assert parse_budget("macs", 1000, "error").maximum == 1000
    assert parse_growth("macs", "+5", "error").amount == 5
    assert parse_growth("macs", " 5", "error").amount == 5
    assert parse_growth("macs", "+ 1_0.5 %", "error").allowed(1000, 4) == 105
    assert parse_budget("arithmetic_intensity", 1e-7, "error").maximum == 1e-7
    assert parse_budget("arithmetic_intensity", ".5", "error").maximum == 0.5
    with pytest.raises(ParseError):
        parse_budget("macs", "+5", "error")


def test_names_of_any_characters_fit_a_lock(project: Path) -> None:
    """A lock holds names that have no UTF-8, and names of many digits."""
    digits = "9" * 5000
    policy = POLICY + POLICY.replace("models.small", f"models.{digits}")
    (project / "net.py").write_text(
        "from torch import nn\ndef build():\n"
        f"    return nn.ModuleDict({{'\\udc80': nn.Linear(64, 1), '{digits}': nn.Linear(64, 1)}})\n"
        "nn.ModuleDict.forward = lambda self, x: [f(x) for f in self.values()]\n"
    )
    (project / "pyproject.toml").write_text(policy)
    outcome = guard.update(load(project / "pyproject.toml"))
    known = lock.read(project / "mbanalyze.lock.json")

    assert outcome.exit_code == 0
    assert known
    assert known.models.keys() == {"small", digits}
    assert {"\udc80", digits} <= {layer.path for layer in known.models["small"].layers}

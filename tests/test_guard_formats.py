"""What the guard's formats for CI systems say, held to a reader of each, and to schemas from `tests/schemas.txt`."""

from __future__ import annotations

import json
import pickle
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest
from lxml import etree
from markdown_it import MarkdownIt

from mbanalyze import guard
from mbanalyze.guard.findings import findings
from mbanalyze.guard.formats.text import FORMATS
from mbanalyze.guard.formats.wording import headline
from mbanalyze.guard.judging import TOTAL, Change, Judged
from mbanalyze.guard.outcome import Outcome
from mbanalyze.guard.places import places_of
from mbanalyze.guard.policy import Policy, load

LAYER = "<script>|\n::error::x [bold](y)\x07]]>`*z*"
COMMAND = "::error file=a::b"
OLD = "##[error]c"
MODEL = "<script>|\n```\n::error::x,y:z 100%0A {0} [bold](y)\x07]]>`"
NET = f"""\
from torch import nn

class Block(nn.Module):
    def __init__(self, width, bias):
        super().__init__()
        self.dw = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=bias)
        self.pw = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x):
        return x + self.pw(self.dw(x))

class Net(nn.Module):
    def __init__(self, width=8, blocks=2, bias=False, classes=10):
        super().__init__()
        self.blocks = nn.Sequential(*[Block(width, bias) for _ in range(blocks)])
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.blocks(x).mean((2, 3)))

class Hostile(nn.Module):
    def __init__(self, bias=False):
        super().__init__()
        for name in {[LAYER, COMMAND, OLD]!r}:
            self.add_module(name, nn.Conv2d(3, 3, 1, bias=bias))

    def forward(self, x):
        for module in self.children():
            x = module(x)
        return x

def broken():
    raise RuntimeError("no weights\\n::error::here")
"""
BLOCK, HOSTILE = (NET[: NET.index(f"class {name}")].count("\n") + 1 for name in ("Block", "Hostile"))
"""The lines of these classes."""


@dataclass(frozen=True)
class Project:
    """A folder with a network, a policy and a lock."""

    folder: Path

    def policy(self, models: dict[str, str], head: str = "") -> Policy:
        """A policy of models, each with lines of TOML; one without a source is a small network."""
        lines = [head]
        for name, body in models.items():
            lines.append(f"[models.{json.dumps(name)}]" if name == MODEL else f"[models.{name}]")
            lines.append("" if "source" in body else 'source = "my net.py:Net"\ninputs = ["1,8,8,8"]')
            lines.append(body)
        path = self.folder / "mbanalyze.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return load(path)

    def check(self, before: dict[str, str], after: dict[str, str], head: str = "") -> Outcome:
        """What becomes of the models `after`, when `before` were agreed to."""
        guard.update(self.policy(before))
        return guard.check(self.policy(after, head))


def hostile(bias: bool) -> dict[str, str]:
    """A model whose name, and whose layers' names, say something in every format."""
    options = "true" if bias else "false"
    return {MODEL: f'source = "my net.py:Hostile"\ninputs = ["1,3,4,4"]\noptions = {{ bias = {options} }}'}


def damaged(project: Project) -> Outcome:
    """The lock has lost its end; it is left so."""
    policy = project.policy({"small": ""})
    policy.lock.write_text(policy.lock.read_text(encoding="utf-8")[:-10], encoding="utf-8")
    return guard.check(policy)


BIAS = "options = { bias = true }"
OUTCOMES = {
    "ok": lambda p: p.check({"small": ""}, {"small": ""}),
    "worse": lambda p: p.check({"small": ""}, {"small": BIAS}),
    "over budget": lambda p: p.check({"small": ""}, {"small": 'budget = { macs = "1 k" }'}),
    "layer over budget": lambda p: p.check(
        {"small": ""}, {"small": 'layers = { "*.pw" = { budget = { params = 60 } } }'}
    ),
    "missing from lock": lambda p: p.check({"small": ""}, {"small": "", "other": ""}),
    "gone": lambda p: p.check({"small": "", "other": ""}, {"small": ""}),
    "not comparable": lambda p: p.check({"small": ""}, {"small": 'dtype = "float16"'}),
    "could not measure": lambda p: p.check(
        {"small": "", "other": ""},
        {"small": BIAS, "other": 'source = "my net.py:broken"\ninputs = ["1,3,4,4"]'},
    ),
    "better": lambda p: p.check({"small": BIAS}, {"small": ""}),
    "strict": lambda p: p.check({"small": BIAS}, {"small": ""}, "strict = true"),
    "warning": lambda p: p.check({"small": ""}, {"small": BIAS}, 'level = "warn"'),
    "hostile": lambda p: p.check(hostile(False), hostile(True)),
    "damaged": damaged,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A repository, with a blank in the name of its file of networks."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "my net.py").write_text(NET, encoding="utf-8")
    return Project(folder)


@pytest.fixture(scope="module")
def outcomes(project: Project) -> dict[str, Outcome]:
    """An outcome of each kind."""
    return {name: make(project) for name, make in OUTCOMES.items()}


@dataclass(frozen=True)
class Annotation:
    """What GitHub makes of a workflow command."""

    level: str
    properties: dict[str, str]
    message: str


def commands(text: str) -> list[Annotation]:
    """The workflow commands in a step's output, read as GitHub's runner reads them."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"\s*::(\w+)(?: (.*?))?::(.*)", line)
        assert match, line
        pairs = [pair.split("=", 1) for pair in (match[2] or "").split(",") if pair]
        properties = {key: unescaped(value, properties=True) for key, value in pairs}
        found.append(Annotation(match[1], properties, unescaped(match[3])))
    return found


def unescaped(text: str, *, properties: bool = False) -> str:
    """What an escaped value stands for."""
    codes = {"%0D": "\r", "%0A": "\n"} | ({"%3A": ":", "%2C": ","} if properties else {}) | {"%25": "%"}
    for code, letter in codes.items():
        text = text.replace(code, letter)
    return text


def spelled(text: str) -> str:
    """A name as people are shown it."""
    return text.replace("\n", "\\n").replace("\x07", "\\x07")


def test_outcomes_are_what_they_are_called(outcomes: dict[str, Outcome]) -> None:
    """The outcomes that these tests look at have the verdicts that they are meant to have."""
    for verdict in guard.judging.VERDICTS:
        assert verdict in {judged.verdict for judged in outcomes[verdict].models}
    assert {
        name: outcomes[name].exit for name in ("ok", "worse", "damaged", "warning", "better", "strict")
    } == {"ok": 0, "worse": 1, "damaged": 2, "warning": 0, "better": 0, "strict": 1}


# ---------------------------------------------------------------- GitHub


def test_what_grew_is_told_at_its_class(outcomes: dict[str, Outcome]) -> None:
    """One annotation for both blocks, on the line of their class, with their names and what mends it."""
    outcome = outcomes["worse"]
    [found] = commands(FORMATS["github"](outcome))
    told, first, second, fix = found.message.split("\n")
    assert found.level == "error"
    assert {"file": "my net.py", "line": str(BLOCK), "title": "small: worse"} == found.properties
    assert headline(outcome.models[0]) == told
    # a bias adds one parameter to each of 8 channels, and one addition to each of 8 x 8 x 8 outputs
    assert first.startswith("blocks.0.dw: params +8 (+11.1 %), flops +512 (")
    assert second.startswith("blocks.1.dw: params +8 (+11.1 %), flops +512 (")
    assert fix.endswith(f": {outcome.advice[1]}")


@pytest.mark.parametrize(
    ("name", "level", "title"),
    [
        ("over budget", "error", "small: over budget"),
        ("missing from lock", "error", "other: missing from lock"),
        ("gone", "error", "other: gone"),
        ("not comparable", "error", "small: not comparable"),
        ("better", "notice", "small: better"),
        ("strict", "error", "small: better"),
    ],
)
def test_a_model_as_a_whole_is_told_at_its_policy(
    outcomes: dict[str, Outcome], name: str, level: str, title: str
) -> None:
    """What no layer is to blame for stands where the policy defines the model."""
    [found] = commands(FORMATS["github"](outcomes[name]))
    policy = outcomes[name].policy
    model = title.partition(":")[0]
    line = policy.models[model].line if model in policy.models else 1
    assert (level, title) == (found.level, found.properties["title"])
    assert ("mbanalyze.toml", str(line)) == (found.properties["file"], found.properties["line"])


def test_levels(outcomes: dict[str, Outcome]) -> None:
    """A rule that warns gives a warning, a budget of a layer is told at its class, and what is fine gives nothing."""
    [warning] = commands(FORMATS["github"](outcomes["warning"]))
    [budget] = commands(FORMATS["github"](outcomes["layer over budget"]))
    assert ("warning", str(BLOCK)) == (warning.level, warning.properties["line"])
    assert outcomes["warning"].advice[1] == ""
    assert ("error", str(BLOCK), "small: over budget") == (
        budget.level,
        budget.properties["line"],
        budget.properties["title"],
    )
    assert "blocks.0.pw: params 64, over the budget of 60" in budget.message
    assert FORMATS["github"](outcomes["ok"]) == ""


def test_one_that_cannot_be_measured_hides_no_other(outcomes: dict[str, Outcome]) -> None:
    """A model that raises is told, and so is the one beside it that grew."""
    found = commands(FORMATS["github"](outcomes["could not measure"]))
    assert [each.properties["title"] for each in found] == ["small: worse", "other: could not measure"]


def test_a_damaged_lock_is_told_once(outcomes: dict[str, Outcome]) -> None:
    """What is wrong with the lock is said at the lock, and not again for each model."""
    [found] = commands(FORMATS["github"](outcomes["damaged"]))
    assert (found.properties) == {
        "file": "mbanalyze.lock.json",
        "line": "1",
        "title": "mbanalyze guard: unusable lock",
    }
    assert "damaged" in found.message
    assert found.message.endswith("mbanalyze guard update" + found.message.rpartition("update")[2])


def test_no_lock_is_told_at_the_policy(project: Project) -> None:
    """In a CI without a lock there is one error, where the policy is."""
    policy = replace(project.policy({"small": "", "other": ""}), lock=project.folder / "none.json")
    [found] = commands(FORMATS["github"](guard.check(policy, ci=True)))
    assert (found.properties["file"], found.properties["line"]) == ("mbanalyze.toml", "1")


def test_few_annotations(outcomes: dict[str, Outcome]) -> None:
    """Of twelve models that grew, nine are told and the tenth annotation says that there are three more."""
    [judged] = outcomes["worse"].models
    many = replace(outcomes["worse"], models=tuple(replace(judged, name=f"m{i}") for i in range(12)))
    found = commands(FORMATS["github"](many))
    assert len(found) == 10
    assert [f"m{i}: worse" for i in range(9)] == [each.properties["title"] for each in found[:9]]
    assert found[9].message.startswith("3 more, about m9, m10, m11: ")
    ten = replace(many, models=many.models[:10])
    assert [f"m{i}: worse" for i in range(10)] == [
        each.properties["title"] for each in commands(FORMATS["github"](ten))
    ]


def test_hostile_names_in_annotations(outcomes: dict[str, Outcome]) -> None:
    """A workflow command is one line, and GitHub reads the names back as they are shown."""
    [found] = commands(FORMATS["github"](outcomes["hostile"]))
    assert {
        "file": "my net.py",
        "line": str(HOSTILE),
        "title": f"{spelled(MODEL)}: worse",
    } == found.properties
    assert f"\n{spelled(LAYER)}: params +3" in found.message
    assert f"\n'{COMMAND}': params +3" in found.message


# ---------------------------------------------------------------- JUnit


@cache
def junit_schema() -> etree.XMLSchema:
    """The schema of Apache Ant's JUnit task, from a package that validates its own reports with it."""
    return etree.XMLSchema(file=str(distribution("reframe-hpc").locate_file("reframe/schemas/junit.xsd")))


def suite(outcome: Outcome) -> Any:
    """The one suite of a document that is valid."""
    document = etree.fromstring(FORMATS["junit"](outcome).encode())
    junit_schema().assertValid(document)
    [found] = document
    return found


@pytest.mark.parametrize("name", OUTCOMES)
def test_junit_fits_its_schema(outcomes: dict[str, Outcome], name: str) -> None:
    """Every outcome fits the schema, and the suite counts its cases."""
    found = suite(outcomes[name])
    for attribute, path in [
        ("tests", "testcase"),
        ("failures", "testcase/failure"),
        ("errors", "testcase/error"),
    ]:
        assert len(found.findall(path)) == int(found.get(attribute))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name="small"', 'nom="small"'),
        ("<failure ", "<failed "),
        ("</failure>", "<b/></failure>"),
        ('"0"', '"x"'),
    ],
)
def test_the_junit_schema_refuses(outcomes: dict[str, Outcome], old: str, new: str) -> None:
    """A document with another attribute, element or type does not fit."""
    text = FORMATS["junit"](outcomes["worse"]).replace("</failed>", "</failure>")
    assert old in text
    broken = text.replace(old, new)
    if new == "<failed ":
        broken = broken.replace("</failure>", "</failed>")
    assert not junit_schema().validate(etree.fromstring(broken.encode()))


def test_cases(outcomes: dict[str, Outcome]) -> None:
    """A regression is a failure, what could not be found out an error, and what is fine neither."""
    small, other = suite(outcomes["could not measure"]).findall("testcase")
    assert (small.get("name"), small.get("classname")) == ("small", "my net.py:Net")
    assert (other.get("name"), other.get("classname")) == ("other", "my net.py:broken")
    assert small.find("failure").get("type") == "worse"
    assert f"my net.py:{BLOCK} Block\nblocks.0.dw: params +8" in small.find("failure").text
    assert other.find("error").get("type") == "could not measure"
    assert "no weights" in other.find("error").get("message")
    [fine] = suite(outcomes["ok"]).findall("testcase")
    assert list(fine) == []


def test_a_damaged_lock_is_a_case(outcomes: dict[str, Outcome]) -> None:
    """The lock has a case of its own where it cannot be read."""
    *_, case = suite(outcomes["damaged"]).findall("testcase")
    assert (case.get("name"), case.find("error").get("type")) == ("mbanalyze.lock.json", "unusable lock")


def test_warnings_are_in_the_output(outcomes: dict[str, Outcome]) -> None:
    """What only warns passes, and is in the suite's output."""
    found = suite(outcomes["warning"])
    assert found.get("failures") == "0"
    assert found.find("system-out").text.startswith("warning: small worse: params ")
    assert "blocks.0.dw: params +8" in found.find("system-out").text


def test_hostile_names_in_junit(outcomes: dict[str, Outcome]) -> None:
    """Characters that XML does not have are spelled out, and markup stays text."""
    [case] = suite(outcomes["hostile"]).findall("testcase")
    assert spelled(MODEL) == case.get("name")
    assert f"\n{spelled(LAYER)}: params +3" in case.find("failure").text


# ---------------------------------------------------------------- SARIF


@cache
def sarif_schema() -> jsonschema.Draft7Validator:
    """The schema of OASIS, from a package that keeps what the JSON Schema Store serves."""
    url = "https://json.schemastore.org/sarif-2.1.0.json"
    file = distribution("schemastore").locate_file("schemastore/cache.sqlite")
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT value FROM responses WHERE instr(value, ?)", [url.encode()])
        stored = [pickle.loads(value) for (value,) in rows]  # noqa: S301 (as trusted as the package's code)
    schema = json.loads(next(response["_content"] for response in stored if response["url"] == url))
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def sarif_run(outcome: Outcome) -> dict[str, Any]:
    """The one run of a document that is valid."""
    document = json.loads(FORMATS["sarif"](outcome))
    sarif_schema().validate(document)
    [run] = document["runs"]
    assert isinstance(run, dict)
    return run


def results(outcome: Outcome) -> list[tuple[str, str, str, int]]:
    """Of each result its rule, level, file and line."""
    found = []
    for result in sarif_run(outcome)["results"]:
        [location] = result["locations"]
        physical = location["physicalLocation"]
        file = unquote(physical["artifactLocation"]["uri"])
        found.append((result["ruleId"], result["level"], file, physical["region"]["startLine"]))
    return found


@pytest.mark.parametrize("name", OUTCOMES)
def test_sarif_fits_its_schema(outcomes: dict[str, Outcome], name: str) -> None:
    """Every outcome fits the schema, has the rules that it uses, and says whether it could be found out."""
    run = sarif_run(outcomes[name])
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert {result["ruleId"] for result in run["results"]} == set(rules)
    assert len(rules) == len(set(rules))
    [invocation] = run["invocations"]
    assert outcomes[name].exit == invocation["exitCode"]
    assert (outcomes[name].exit < 2) == invocation["executionSuccessful"]


def broken_documents(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The document with one thing in it wrong."""
    text = json.dumps(document)
    for old, new in [
        ('"level": "error"', '"level": "grave"'),
        ('"startLine": ', '"startLine": -'),
        ('"ruleId"', '"rule"'),
        ('"2.1.0"', '"2.1"'),
        ('"driver"', '"drivers"'),
    ]:
        assert old in text
        yield json.loads(text.replace(old, new))


def test_the_sarif_schema_refuses(outcomes: dict[str, Outcome]) -> None:
    """A document with another level, line, property or version does not fit."""
    for document in broken_documents(json.loads(FORMATS["sarif"](outcomes["worse"]))):
        assert not sarif_schema().is_valid(document)


def test_results(outcomes: dict[str, Outcome]) -> None:
    """Each layer that fails has a result at its class; a model has one where the policy defines it."""
    assert results(outcomes["worse"]) == [("worse", "error", "my net.py", BLOCK)] * 2
    assert results(outcomes["warning"]) == [("worse", "warning", "my net.py", BLOCK)] * 2
    assert results(outcomes["layer over budget"]) == [("over-budget", "error", "my net.py", BLOCK)] * 2
    assert results(outcomes["over budget"]) == [("over-budget", "error", "mbanalyze.toml", 2)]
    assert results(outcomes["better"]) == [("better", "note", "mbanalyze.toml", 2)]
    assert results(outcomes["damaged"]) == [("unusable-lock", "error", "mbanalyze.lock.json", 1)]
    assert results(outcomes["could not measure"])[-1] == ("could-not-measure", "error", "mbanalyze.toml", 6)
    assert results(outcomes["ok"]) == []


def test_layers_of_results(outcomes: dict[str, Outcome]) -> None:
    """A result names its layer, and has a fingerprint that is its own and the same in the next run."""
    found = sarif_run(outcomes["worse"])["results"]
    names = [result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] for result in found]
    assert names == ["blocks.0.dw", "blocks.1.dw"]
    uris = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in found}
    assert {"my%20net.py"} == uris
    assert len({json.dumps(result["partialFingerprints"]) for result in found}) == 2
    assert found == sarif_run(outcomes["worse"])["results"]


def test_few_results(project: Project) -> None:
    """Of 103 layers that grew, 100 have a result, and one says that there are three more."""
    blocks = "options = { blocks = 103, bias = %s }"
    outcome = project.check({"small": blocks % "false"}, {"small": blocks % "true"})
    *layers, rest = sarif_run(outcome)["results"]
    assert len(layers) == 100
    assert rest["message"]["text"] == "small: 3 more layers"


def test_hostile_names_in_sarif(outcomes: dict[str, Outcome]) -> None:
    """Braces and brackets in a name are no placeholder and no link; a layer's own name is kept as it is."""
    found = sarif_run(outcomes["hostile"])["results"]
    names = {result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] for result in found}
    assert {LAYER, COMMAND, OLD} == names
    for result in found:
        text = result["message"]["text"]
        assert "{{0}}" in text
        assert text.isprintable()
        assert not re.search(r"(?<!\\)\]\(", text)


# ---------------------------------------------------------------- text, Markdown, JSON


def test_hostile_names_in_text(outcomes: dict[str, Outcome]) -> None:
    """Markup is shown as it is, on one line, and no line is a command to GitHub's runner, in its old form either."""
    text = FORMATS["text"](outcomes["hostile"])
    assert f"{spelled(MODEL)}  worse: " in text
    assert f"\n{spelled(LAYER)} " in text
    for line in text.splitlines():
        assert line.isprintable()
        assert not line.lstrip().startswith("::")
        assert "##[" not in line


def test_commands_stay_on_their_line(project: Project) -> None:
    """The command that mends a model with a line break in its name is one line, in Markdown too."""
    outcome = project.check(hostile(False) | {"small": ""}, hostile(True) | {"small": ""})
    assert not set("\n\x07") & set(outcome.advice[1])
    *_, last = FORMATS["text"](outcome).splitlines()
    assert last.startswith("mbanalyze guard update ")
    assert len(FORMATS["markdown"](outcome).rpartition("```sh")[2].splitlines()) == 3


def test_hostile_names_in_markdown(outcomes: dict[str, Outcome]) -> None:
    """A reader of Markdown finds no markup in names, and the names as they are shown elsewhere."""
    text = FORMATS["markdown"](outcomes["hostile"])
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    assert "<script" not in text
    inside = [child for token in tokens if token.type == "inline" for child in token.children or []]
    assert {"text"} == {child.type for child in inside} - {"text_special"}
    assert not [token for token in tokens if token.type.startswith("html")]
    cells = [token for token in tokens if token.type == "inline"]
    texts = ["".join(child.content for child in cell.children or []) for cell in cells]
    assert texts.count(spelled(MODEL)) == 2
    assert spelled(LAYER) in texts


def test_hostile_names_in_json(outcomes: dict[str, Outcome]) -> None:
    """JSON gives the names back exactly."""
    [model] = json.loads(FORMATS["json"](outcomes["hostile"]))["models"]
    assert model["name"] == MODEL
    assert {"", LAYER, COMMAND, OLD} == {change["path"] for change in model["changes"]}


# ---------------------------------------------------------------- findings


def test_findings_say_what_the_exit_code_says(outcomes: dict[str, Outcome]) -> None:
    """There is an error exactly where the guard fails."""
    for outcome in outcomes.values():
        assert bool(outcome.exit) == any(finding.grade == "error" for finding in findings(outcome))


def test_places_at_once_are_those_one_by_one(outcomes: dict[str, Outcome]) -> None:
    """Looking for the places of all layers finds what looking for each does."""
    [judged] = outcomes["worse"].models
    assert judged.measured is not None
    assert judged.measured.facts is not None
    policy, paths = outcomes["worse"].policy, [layer.path for layer in judged.measured.facts.layers]
    one_by_one = [places_of(judged.measured, policy, [path]) for path in paths]

    assert places_of(judged.measured, policy, paths) == {
        path: p for found in one_by_one for path, p in found.items()
    }


def test_a_headline_tells_what_the_verdict_rests_on() -> None:
    """The total that is over its budget, and not one that merely grew."""
    over = Change("", TOTAL, "params", None, 4, "over budget", limit=3)
    grown = Change("", TOTAL, "macs", 1, 2, "worse")

    assert headline(Judged("a", "over budget", 1, (grown, over))) == (
        "over budget: params 4, over the budget of 3"
    )
    assert headline(Judged("a", "worse", 1, (grown,))) == "worse: macs 1 -> 2, +1 (+100.0 %)"

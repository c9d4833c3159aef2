"""What became of guarded models as SARIF 2.1.0, which code scanning and editors show: a result for each layer."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from mbanalyze._version import __version__
from mbanalyze.display.records import dump, one_line
from mbanalyze.guard.findings import UNUSABLE, Finding, by_layer, findings
from mbanalyze.guard.formats.wording import advice, brief, headline, name_of
from mbanalyze.guard.judging import TOTAL, Change, gravest
from mbanalyze.guard.outcome import Outcome

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LAYERS = 100
"""So many layers of one model have a result of their own."""
RULES = {
    "worse": "A count grew by more than the policy tolerates.",
    "over budget": "A count is more than its budget.",
    "better": "The model costs less than the lock says.",
    "renamed": "A layer has another name than in the lock, and costs the same.",
    "missing from lock": "The policy guards a model that the lock does not have.",
    "gone": "The lock has a model that the policy does not guard.",
    "not comparable": "The model was counted in another way than the lock's.",
    "could not measure": "What the model costs could not be found out.",
    UNUSABLE: "There is no lock, or it cannot be read.",
}


def sarif(outcome: Outcome) -> str:
    """One run, with a result for each layer that is to be mentioned, and for each model where no layer is."""
    results = list(_results(outcome))
    used = dict.fromkeys(result["ruleId"] for result in results)
    rules = [
        {"id": _id(rule), "name": _name(rule), "shortDescription": {"text": text}}
        for rule, text in RULES.items()
        if _id(rule) in used
    ]
    driver = {"name": "mbanalyze", "version": __version__, "rules": rules}
    invocation = {"executionSuccessful": outcome.exit != 2, "exitCode": outcome.exit}
    run = {"tool": {"driver": driver}, "invocations": [invocation], "results": results}
    return dump({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _results(outcome: Outcome) -> Iterator[dict[str, Any]]:
    """The results, the gravest first; those of layers past `LAYERS` in one at the line of the first of them."""
    left = {judged.name: LAYERS for judged in outcome.models}
    for finding in findings(outcome):
        layers = by_layer(finding.changes)
        if finding.judged is None or not layers or finding.grade == "note":
            yield _result(finding, _message(finding, outcome))
            continue
        name = finding.judged.name
        shown = layers[: left[name]]
        left[name] -= len(shown)
        for changes in shown:
            yield _result(
                finding, f"{name}: {name_of(changes[0])}: {', '.join(map(brief, changes))}", changes
            )
        if len(shown) < len(layers):
            yield _result(finding, f"{name}: {len(layers) - len(shown)} more layers")


def _message(finding: Finding, outcome: Outcome) -> str:
    if finding.judged is None:
        return f"{outcome.problem}; {': '.join(advice(outcome))}"
    fix = f"; {': '.join(advice(outcome))}" if finding.grade == "error" else ""
    return f"{finding.judged.name}: {headline(finding.judged)}{fix}"


def _result(finding: Finding, message: str, changes: Sequence[Change] = ()) -> dict[str, Any]:
    """A result; told from others in every run by its model, its layer, its rule and its level."""
    about = changes[0] if changes else None
    rule = gravest(changes) if changes else finding.rule
    model = finding.judged.name if finding.judged else None
    layer = None if about is None or about.kind == TOTAL else about.path
    key = json.dumps([model, about is not None, layer, rule, finding.grade])
    uri = quote(finding.place.file)
    physical = {
        "artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": finding.place.line},
    }
    location: dict[str, Any] = {"physicalLocation": physical}
    if layer is not None:
        location["logicalLocations"] = [{"fullyQualifiedName": layer or "(model)", "kind": "module"}]
    return {
        "ruleId": _id(rule),
        "level": finding.grade,
        "message": {"text": _literal(message)},
        "locations": [location],
        "partialFingerprints": {"mbanalyzeGuard/v1": hashlib.sha256(key.encode()).hexdigest()},
    }


def _literal(text: str) -> str:
    """A message that holds no placeholder and no link (SARIF 2.1.0, 3.11.5 and 3.11.6)."""
    braces = one_line(text).replace("{", "{{").replace("}", "}}")
    return re.sub(r"\](?=\()", r"\\]", braces)


def _id(rule: str) -> str:
    return rule.replace(" ", "-")


def _name(rule: str) -> str:
    return "".join(word.capitalize() for word in rule.split())

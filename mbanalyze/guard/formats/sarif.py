"""An outcome as SARIF 2.1.0 with a result for each layer, which code scanning and editors show."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from mbanalyze._version import __version__
from mbanalyze.display.records import json as to_json
from mbanalyze.display.records import one_line
from mbanalyze.guard.changes import Change, most_severe
from mbanalyze.guard.findings import INCOMPLETE_LOCK, UNUSABLE_LOCK, Finding, by_layer, findings
from mbanalyze.guard.outcome import Outcome
from mbanalyze.guard.wording import advice_lines, describe_briefly, headline, layer_label

SCHEMA_URL = "https://json.schemastore.org/sarif-2.1.0.json"
MAX_RESULTS = 100
"""The number of layers of one model that have a result of their own."""
RULES = {
    "worse": "A count grew by more than the policy tolerates.",
    "over budget": "A count is above its budget.",
    "better": "The model costs less than the lock records.",
    "renamed": "A layer has another name than in the lock, and the same cost.",
    "missing from lock": "The policy names a model that the lock does not contain.",
    "gone": "The lock contains a model that the policy does not name.",
    "not comparable": "The model and the lock were counted under different conditions.",
    "could not measure": "The cost of the model could not be measured.",
    UNUSABLE_LOCK: "There is no lock, or it cannot be read.",
    INCOMPLETE_LOCK: "An earlier version of mbanalyze wrote the lock, without some totals.",
}


def sarif(outcome: Outcome) -> str:
    """Return one run with a result for each layer with a finding, and for each model without such a layer."""
    results = list(_results(outcome))
    used = dict.fromkeys(result["ruleId"] for result in results)
    rules = [
        {"id": _id(rule), "name": rule.title().replace(" ", ""), "shortDescription": {"text": text}}
        for rule, text in RULES.items()
        if _id(rule) in used
    ]
    driver = {"name": "mbanalyze", "version": __version__, "rules": rules}
    invocation = {"executionSuccessful": outcome.exit_code != 2, "exitCode": outcome.exit_code}
    run = {"tool": {"driver": driver}, "invocations": [invocation], "results": results}
    return to_json({"$schema": SCHEMA_URL, "version": "2.1.0", "runs": [run]})


def _results(outcome: Outcome) -> Iterator[dict[str, Any]]:
    """The results, the most severe first; one result counts the layers beyond `MAX_RESULTS`."""
    left = {result.name: MAX_RESULTS for result in outcome.models}
    for finding in findings(outcome):
        layers = by_layer(finding.changes)
        if finding.result is None or not layers or finding.level == "note":
            yield _result(finding, _message(finding, outcome))
            continue
        name = finding.result.name
        shown = layers[: left[name]]
        left[name] -= len(shown)
        for changes in shown:
            details = ", ".join(map(describe_briefly, changes))
            yield _result(finding, f"{name}: {layer_label(changes[0])}: {details}", changes)
        if len(shown) < len(layers):
            yield _result(finding, f"{name}: {len(layers) - len(shown)} more layers")


def _message(finding: Finding, outcome: Outcome) -> str:
    about_lock = outcome.problem or outcome.incomplete
    first = f"{finding.result.name}: {headline(finding.result)}" if finding.result else about_lock
    advice = [": ".join(advice_lines(outcome))] if finding.level == "error" and outcome.advice else []
    return "; ".join([first, *advice])


def _result(finding: Finding, message: str, changes: Sequence[Change] = ()) -> dict[str, Any]:
    """A result; its fingerprint, which is the same in every run, is its model, layer, rule and level."""
    rule = most_severe(changes) if changes else finding.rule
    model = finding.result.name if finding.result else None
    layer = changes[0].layer if changes else None
    path = layer.path if layer else None
    key = json.dumps([model, bool(changes), path, rule, finding.level])
    physical = {
        "artifactLocation": {"uri": quote(finding.location.file), "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": finding.location.line},
    }
    location: dict[str, Any] = {"physicalLocation": physical}
    if layer:
        location["logicalLocations"] = [{"fullyQualifiedName": layer.path or "(model)", "kind": "module"}]
    return {
        "ruleId": _id(rule),
        "level": finding.level,
        "message": {"text": _literal(message)},
        "locations": [location],
        "partialFingerprints": {"mbanalyzeGuard/v1": hashlib.sha256(key.encode()).hexdigest()},
    }


def _literal(text: str) -> str:
    """A message without placeholders and links (SARIF 2.1.0, 3.11.5 and 3.11.6)."""
    braces = one_line(text).replace("{", "{{").replace("}", "}}")
    return re.sub(r"\](?=\()", r"\\]", braces)


def _id(rule: str) -> str:
    return rule.replace(" ", "-")

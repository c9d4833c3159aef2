"""What became of guarded models as JUnit's XML: a test case for each, as every CI shows them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mbanalyze._version import __version__
from mbanalyze.display.records import one_line
from mbanalyze.guard.findings import UNUSABLE, Finding, findings
from mbanalyze.guard.formats.wording import advice, headline, lines_of
from mbanalyze.guard.judging import Judged
from mbanalyze.guard.outcome import Outcome

SUITE = "mbanalyze guard"
LAYERS = 100
"""So many layers are told of one model."""


def junit(outcome: Outcome) -> str:
    """A suite with a case for each model, and for the lock where something is wrong with that.

    It fits the schema of Apache Ant's task and the one of Jenkins. The first asks for a host and for durations: what
    a model costs depends on neither, so they are always the same.
    """
    found = findings(outcome)
    cases = [_case(judged, found, outcome) for judged in outcome.models]
    if outcome.problem:
        cases.append(_element("testcase", name=outcome.policy.lock.name, classname=SUITE, time="0"))
        cases[-1].append(_verdict("error", UNUSABLE, outcome.problem, advice(outcome)))
    root = Element("testsuites")
    suite = SubElement(
        root,
        "testsuite",
        name=SUITE,
        package="mbanalyze",
        id="0",
        hostname="localhost",
        timestamp=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        time="0",
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
    )
    properties = SubElement(suite, "properties")
    properties.append(_element("property", name="mbanalyze", value=__version__))
    properties.append(_element("property", name="against", value=outcome.against))
    suite.extend(cases)
    SubElement(suite, "system-out").text = "\n".join(_remarks(found))
    SubElement(suite, "system-err")
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _case(judged: Judged, found: Iterable[Finding], outcome: Outcome) -> Element:
    """A model, which is called the same in every run: by its name, and by what the policy counts."""
    source = (
        judged.measured.model.source if judged.measured else judged.before.source if judged.before else ""
    )
    case = _element("testcase", name=judged.name, classname=source or SUITE, time="0")
    if judged.exit:
        mine = [finding for finding in found if finding.judged is judged and finding.grade == "error"]
        details = [line for finding in mine for line in _lines(finding)]
        kind = "error" if judged.exit == 2 else "failure"
        case.append(_verdict(kind, judged.verdict, headline(judged), [*details, *advice(outcome)]))
    return case


def _lines(finding: Finding) -> list[str]:
    place = finding.place
    return [one_line(f"{place.file}:{place.line} {place.what}"), *lines_of(finding.changes, LAYERS)]


def _remarks(found: Iterable[Finding]) -> Iterable[str]:
    """What does not fail, but is to be said."""
    for finding in found:
        if finding.grade != "error" and finding.judged:
            yield f"{finding.grade}: {one_line(finding.judged.name)} {headline(finding.judged)}"
            yield from _lines(finding)


def _verdict(kind: str, verdict: str, message: str, details: Iterable[str]) -> Element:
    element = _element(kind, type=verdict, message=message)
    element.text = "\n".join(details)
    return element


def _element(tag: str, **attributes: str) -> Element:
    """An element; XML has no characters that do not print, so they are spelled out."""
    return Element(tag, {name: one_line(value) for name, value in attributes.items()})

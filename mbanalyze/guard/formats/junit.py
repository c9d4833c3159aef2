"""An outcome as JUnit XML with a test case for each model, which most CI systems show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mbanalyze._version import __version__
from mbanalyze.display.records import one_line
from mbanalyze.guard.findings import UNUSABLE_LOCK, Finding, findings
from mbanalyze.guard.model_result import ModelResult
from mbanalyze.guard.outcome import Outcome
from mbanalyze.guard.wording import advice_lines, describe_layers, describe_measured, headline

SUITE = "mbanalyze guard"
LAYERS_PER_FINDING = 100
"""The number of layers that one finding lists."""


def junit(outcome: Outcome) -> str:
    """Return a test suite with a case for each model, and one for the lock if it is unusable.

    The document fits the schemas of Apache Ant's task and of Jenkins. The first requires a host, which is
    constant, because the cost of a model does not depend on it. A duration is the time to build and count a model.
    """
    found = findings(outcome)
    cases = [_case(result, found, outcome) for result in outcome.models]
    if outcome.problem:
        cases.append(_element("testcase", name=outcome.policy.lock.name, classname=SUITE, time="0"))
        cases[-1].append(_verdict("error", UNUSABLE_LOCK, outcome.problem, advice_lines(outcome)))
    root = Element("testsuites")
    seconds = sum(each.measured.seconds for each in outcome.models if each.measured)
    root.append(_suite(cases, seconds))
    properties = SubElement(root[0], "properties")
    properties.append(_element("property", name="mbanalyze", value=__version__))
    properties.append(_element("property", name="against", value=outcome.against))
    root[0].extend(cases)
    SubElement(root[0], "system-out").text = "\n".join([*_measured(outcome), *_remarks(found, outcome)])
    SubElement(root[0], "system-err")
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _suite(cases: Sequence[Element], seconds: float) -> Element:
    """The test suite without its content."""
    return Element(
        "testsuite",
        name=SUITE,
        package="mbanalyze",
        id="0",
        hostname="localhost",
        timestamp=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        time=f"{seconds:.3f}",
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
    )


def _case(result: ModelResult, found: Iterable[Finding], outcome: Outcome) -> Element:
    """The test case of a model; its name and class are the same in every run."""
    measured, before = result.measured, result.before
    source = measured.model.source if measured else before.source if before else ""
    time = f"{measured.seconds if measured else 0:.3f}"
    case = _element("testcase", name=result.name, classname=source or SUITE, time=time)
    if result.exit_code:
        errors = [finding for finding in found if finding.result is result and finding.level == "error"]
        details = [line for finding in errors for line in _lines(finding)]
        kind = "error" if result.exit_code == 2 else "failure"
        case.append(_verdict(kind, result.verdict, headline(result), [*details, *advice_lines(outcome)]))
    return case


def _lines(finding: Finding) -> list[str]:
    location = finding.location
    first = one_line(f"{location.file}:{location.line} {location.name}")
    return [first, *describe_layers(finding.changes, LAYERS_PER_FINDING)]


def _measured(outcome: Outcome) -> Iterator[str]:
    """The totals, headroom and change of each model that was measured, as lines."""
    for result in outcome.models:
        measured = describe_measured(result)
        if measured:
            yield f"{one_line(result.name)}: {measured}"


def _remarks(found: Iterable[Finding], outcome: Outcome) -> Iterator[str]:
    """The findings that do not fail the check, as lines."""
    for finding in found:
        if finding.level != "error" and finding.result:
            yield f"{finding.level}: {one_line(finding.result.name)} {headline(finding.result)}"
            yield from _lines(finding)
    if outcome.incomplete:
        yield f"note: {one_line(outcome.incomplete)}"


def _verdict(kind: str, verdict: str, message: str, details: Iterable[str]) -> Element:
    element = _element(kind, type=verdict, message=message)
    element.text = "\n".join(details)
    return element


def _element(tag: str, **attributes: str) -> Element:
    """An element; characters that XML does not allow are escaped."""
    return Element(tag, {name: one_line(value) for name, value in attributes.items()})

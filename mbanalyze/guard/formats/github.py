"""An outcome as GitHub workflow commands, which GitHub shows as annotations of the source."""

from __future__ import annotations

from collections.abc import Sequence

from mbanalyze.display.records import one_line
from mbanalyze.guard.findings import Finding, findings
from mbanalyze.guard.outcome import Outcome
from mbanalyze.guard.wording import advice_lines, describe_layers, headline

MAX_ANNOTATIONS = 10
"""The number of annotations of a step that GitHub shows."""
LAYERS_PER_ANNOTATION = 5
"""The number of layers that one annotation lists."""
COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def github(outcome: Outcome) -> str:
    """Return one annotation for each model and line, at most `MAX_ANNOTATIONS`; "" if there is nothing to say.

    The rules of escaping are those of `@actions/core`, `command.ts`.
    """
    found = findings(outcome)
    shown = found if len(found) <= MAX_ANNOTATIONS else found[: MAX_ANNOTATIONS - 1]
    lines = [_annotation(finding, outcome) for finding in shown]
    if len(shown) < len(found):
        lines.append(_remaining(found[len(shown) :]))
    return "".join(f"{line}\n" for line in lines)


def _annotation(finding: Finding, outcome: Outcome) -> str:
    result = finding.result
    first = headline(result) if result else one_line(outcome.problem or outcome.incomplete)
    advice = [": ".join(advice_lines(outcome))] if finding.level == "error" and outcome.advice else []
    return _command(
        COMMANDS[finding.level],
        "\n".join([first, *describe_layers(finding.changes, LAYERS_PER_ANNOTATION), *advice]),
        file=finding.location.file,
        line=str(finding.location.line),
        title=f"{one_line(result.name) if result else 'mbanalyze guard'}: {finding.rule}",
    )


def _remaining(found: Sequence[Finding]) -> str:
    """The last annotation, which counts the findings that are not shown."""
    names = dict.fromkeys(one_line(finding.result.name) for finding in found if finding.result)
    message = f"{len(found)} more, about {', '.join(names)}: see the job's log, or 'mbanalyze guard'"
    return _command(COMMANDS[found[0].level], message, title="mbanalyze guard")


def _command(name: str, message: str, **properties: str) -> str:
    """A workflow command on one line, with its message and properties escaped."""
    pairs = ",".join(f"{key}={_escape_property(value)}" for key, value in properties.items())
    return f"::{name} {pairs}::{_escape(message)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")

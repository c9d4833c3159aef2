"""What became of guarded models as GitHub's workflow commands, which it shows beside the source."""

from __future__ import annotations

from collections.abc import Sequence

from mbanalyze.display.records import one_line
from mbanalyze.guard.findings import Finding, findings
from mbanalyze.guard.formats.wording import advice, headline, lines_of
from mbanalyze.guard.outcome import Outcome

MOST = 10
"""GitHub shows so many annotations of a step."""
LAYERS = 5
"""So many layers are told in one annotation."""
COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def github(outcome: Outcome) -> str:
    """One annotation for each model and line, at most `MOST`; nothing where all is fine.

    The rules of escaping are those of `@actions/core`, `command.ts`.
    """
    found = findings(outcome)
    shown = found if len(found) <= MOST else found[: MOST - 1]
    lines = [_annotation(finding, outcome) for finding in shown]
    if len(shown) < len(found):
        lines.append(_remaining(found[len(shown) :]))
    return "".join(f"{line}\n" for line in lines)


def _annotation(finding: Finding, outcome: Outcome) -> str:
    judged = finding.judged
    told = headline(judged) if judged else one_line(outcome.problem)
    fix = [": ".join(advice(outcome))] if finding.grade == "error" else []
    return command(
        COMMANDS[finding.grade],
        "\n".join([told, *lines_of(finding.changes, LAYERS), *fix]),
        file=finding.place.file,
        line=str(finding.place.line),
        title=f"{one_line(judged.name) if judged else 'mbanalyze guard'}: {finding.rule}",
    )


def _remaining(found: Sequence[Finding]) -> str:
    """The last annotation, where there would be too many."""
    names = dict.fromkeys(one_line(finding.judged.name) for finding in found if finding.judged)
    told = f"{len(found)} more, about {', '.join(names)}: see the job's log, or 'mbanalyze guard'"
    return command(COMMANDS[found[0].grade], told, title="mbanalyze guard")


def command(name: str, message: str, **properties: str) -> str:
    """A workflow command on one line, which GitHub reads back as exactly this."""
    given = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name} {given}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

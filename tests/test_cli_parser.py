"""The parser of the command line: help by group, and errors in the words of the project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from commandline import Run

from mbanalyze.cli.arguments import UsageError
from mbanalyze.cli.parser import explain, summary
from mbanalyze.cli.program import make_app

FOREIGN = re.compile(
    r"Input should|Invalid value|Missing |No such|Got unexpected|requires an argument|does not take|Value error"
    r"|unable to parse|pydantic|Possible options|Did you mean|is not one of|\n"
)
"""Phrases of click, typer and pydantic."""
ROOT = typer.main.get_command(make_app())


def tree(command: Any = ROOT, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each command with its words."""
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from tree(below, *words, name)


COMMANDS = dict(tree())
for each in COMMANDS.values():
    each.callback = lambda **_: None
OPTIONS = [
    pytest.param(words, option, id=" ".join((*words, option.opts[0])))
    for words, command in COMMANDS.items()
    for option in command.params
    if option.param_type_name == "option"
]
REQUIRED = {
    "models": ["alexnet", "vgg11"],
    "model": ["alexnet"],
    "base": ["--base", "main"],
    "memory": ["--memory", "8 GB"],
    "run": ["run"],
}


def said(*words: str) -> str:
    """Return the error of the parser; "" if the command line parses. No command runs."""
    try:
        ROOT.main(list(words), "mbanalyze", standalone_mode=False)
    except typer.TyperException as error:
        return explain(error)
    except UsageError as error:
        return str(error)
    return ""


def required(words: tuple[str, ...]) -> list[str]:
    """Return the words that a command needs."""
    needed = [each.name for each in COMMANDS[words].params if each.required]
    return [word for name in needed for word in REQUIRED[name]]


@pytest.mark.parametrize(("words", "option"), OPTIONS)
def test_every_option_explains_itself(words: tuple[str, ...], option: Any) -> None:
    """A value that is missing, superfluous or of the wrong type is one line that names the option."""
    for flag in (*option.opts, *option.secondary_opts):
        if option.is_flag:
            assert said(*words, *required(words), f"{flag}=x") == f"{flag} takes no value: give {flag} alone"
            continue
        assert said(*words, *required(words), flag) == f"{flag} needs a value: write {flag} VALUE"
        for value in ("", "x", "1.5", "-1", "nan", "[", "9" * 5000):
            message = said(
                *words, *required(words), f"{flag}={value}" if flag[:2] == "--" else f"{flag}{value}"
            )
            assert not FOREIGN.search(message), message
            assert not message or option.opts[0] in message or flag in message
        kind = option.type_descriptor
        if kind.annotation in (int, float) and kind.parameter_info.parser is None:
            assert said(*words, *required(words), flag, "x").startswith(f"{option.opts[0]} must be a ")


def test_every_command_names_what_is_missing() -> None:
    """A command without one of its arguments names it, and its help."""
    for words, command in COMMANDS.items():
        path = " ".join(("mbanalyze", *words))
        needed = [param for param in command.params if param.required]
        for param in needed:
            others = [word for other in needed if other is not param for word in REQUIRED[other.name]]
            place = param.metavar or param.name.upper()
            what = place if param.param_type_name == "argument" else f"{param.opts[0]} {place}"
            assert said(*words, *others) == f"'{path}' needs {what}: see '{path} --help'"


WRONG = [
    ("reprot alexnet", "no command 'reprot': did you mean report?"),
    ("guard explan", "no command 'explan': did you mean explain?"),
    ("alexnet", "no command 'alexnet': did you mean 'mbanalyze report alexnet'?"),
    ("net.py:build", "no command 'net.py:build': did you mean 'mbanalyze report net.py:build'?"),
    ("zzz", "no command 'zzz': choose one of report, check, "),
    ("report alexnet --formt json", "no option --formt: did you mean --format?"),
    ("report alexnet --form json", "no option --form: did you mean --format?"),
    ("report alexnet -alpha 1", "no option -alpha: did you mean --alpha?"),
    ("report alexnet -z", "no option -z: see 'mbanalyze report --help'"),
    ("report alexnet --nonsense", "no option --nonsense: see 'mbanalyze report --help'"),
    (
        "--format json report alexnet",
        "no option --format here: options follow the command, see 'mbanalyze --help'",
    ),
    ("report alexnet --batch x", "--batch must be a whole number, not 'x'"),
    ("compare a b --top 0", "--top must be a whole number from 1, not '0'"),
    ("ablate alexnet --bits 65", "--bits must be a whole number from 1 to 64, not '65'"),
    ("guidelines --seconds nan", "--seconds must be a number from 0, not 'nan'"),
    ("report alexnet --mode test", "--mode must be eval or train, not 'test'"),
    ("search --max-macs many", "--max-macs: malformed count 'many': give a whole number"),
    (
        "report alexnet vgg11",
        "too many arguments for 'mbanalyze report': vgg11; see 'mbanalyze report --help'",
    ),
    (
        "ablate alexnet --alpha 1 0.75 0.5",
        "too many arguments for 'mbanalyze ablate': 0.75 0.5; write several values with commas between them",
    ),
    ("models x", "too many arguments for 'mbanalyze models': x; see 'mbanalyze models --help'"),
]


@pytest.mark.parametrize(("line", "message"), WRONG)
def test_what_is_wrong_and_what_to_do(line: str, message: str) -> None:
    """The message names what the user typed, and says what to type instead."""
    assert said(*line.split()).startswith(message)
    assert not FOREIGN.search(message)


def test_help_shows_every_summary_whole(run: Run) -> None:
    """The help of a group lists each command with its whole summary, on one line of 80 columns."""
    for words, command in COMMANDS.items():
        lines = run(*words, "--help").out.splitlines()
        for name, below in getattr(command, "commands", {}).items():
            assert [line.split(None, 1) for line in lines if line.startswith(f"  {name} ")] == [
                [name, summary(below)]
            ]
    shown = run("--help").out

    assert re.findall(r"^(\w+):$", shown, re.MULTILINE) == [
        "Options",
        "Count",
        "Capacity",
        "Time",
        "Explore",
        "Train",
        "Literature",
        "Guard",
    ]
    assert "..." not in shown.split("Count:")[1]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_fits_and_has_examples(run: Run, words: tuple[str, ...]) -> None:
    """The help of each command fits 80 columns and has an example."""
    shown = run(*words, "--help").out

    assert max(map(len, shown.splitlines())) <= 80
    assert not words or re.search(rf"^  mbanalyze {' '.join(words)}\b", shown, re.MULTILINE)

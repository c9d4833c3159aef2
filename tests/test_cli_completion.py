"""Shell completion: everything that it offers is accepted, and it knows the options of the model on the line."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from commandline import process

from mbanalyze import count, published
from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import describe
from mbanalyze.cli.completion import complete_model, complete_published, complete_searched
from mbanalyze.cli.program import make_app
from mbanalyze.sweep.candidates import _architectures


def offered(*words: str) -> list[str]:
    """Return what the last word completes to, as bash gets it."""
    typed = {
        "_MBANALYZE_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["mbanalyze", *words]),
        "COMP_CWORD": str(len(words)),
    }
    ran = process(**typed)

    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.split()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("report mobilenet_v", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"]),
        ("report mobilenet_v2 --by k", ["kind"]),
        ("report alexnet -f ", ["table", "markdown", "csv", "json", "html"]),
        ("models --format m", ["markdown"]),
        ("explain alexnet --counter pt", ["ptflops", "ptflops-aten"]),
        ("report alexnet --mode t", ["train"]),
        ("published mobilenet_v3_", ["mobilenet_v3_large", "mobilenet_v3_small"]),
        ("published xc", ["xception", "xception_like"]),
        ("search xc", ["xception"]),
        ("search al", ["all", "alexnet"]),
        ("report mobilenet_v2 --set al", ["alpha="]),
        ("report mobilenet_v2 --alpha 1 --set al", []),
        ("report mobilenet_v2@alpha=1 --set al", []),
        ("report alexnet --set al", []),
        ("ablate shufflenet_v1 --set gr", ["groups="]),
        ("search vgg16 --set n", ["num_classes="]),
        ("report net.py:build --set a", []),
        ("predict alexnet --profile p.json --by k", ["kind"]),
        ("report mobilenet_v2@alpha=[ --set a", []),
    ],
)
def test_words_complete(words: str, found: list[str]) -> None:
    """Completion offers names, choices and keys that start with the text, in the shell's own way."""
    assert offered(*words.split(" ")) == found


def test_values_of_settings() -> None:
    """After the key, the values of choices and switches are offered, where the shell keeps `key=` together."""
    typed = {
        "_MBANALYZE_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": "mbanalyze ablate shufflenet_v1 --set groups=",
    }
    switch = "mbanalyze report mobilenet_v1 --set shallow="

    printed = process(**typed).stdout
    assert [f'"groups={value}"' in printed for value in (1, 2, 3, 4, 8)] == [True] * 5
    assert '"groups="' not in printed
    assert '"shallow=true"' in process(**{**typed, "_TYPER_COMPLETE_ARGS": switch}).stdout


def test_an_alias_implies_its_options() -> None:
    """The options that a name of torchvision implies are not offered."""
    assert offered("report", "shufflenet_v2_x0_5", "--set", "al") == []
    assert offered("report", "shufflenet_v2", "--set", "al") == ["alpha="]


def test_every_name_is_accepted() -> None:
    """Each model can be counted, each published family has figures, and each searched family has networks."""
    assert all(count(name).rows for name in complete_model(""))
    assert all(published(name) for name in complete_published(""))
    assert all(_architectures(name) for name in complete_searched(""))
    assert set(ARCHS) < set(complete_searched(""))


ROOT: Any = typer.main.get_command(make_app())
CHOICES = [
    pytest.param(param, id=f"{name} {param.opts[0]}")
    for name, command in ROOT.commands.items()
    for param in command.params
    if (param.metavar or "").startswith("[") and param.type_descriptor.parameter_info.parser
    if param._custom_shell_complete
]


@pytest.mark.parametrize("param", CHOICES)
def test_every_choice_is_accepted(param: Any) -> None:
    """The parser of an option accepts every value that completion offers for it."""
    parse = param.type_descriptor.parameter_info.parser
    values = [item.value for item in param.shell_complete(None, "")]

    assert values
    assert [parse(value) for value in values] == values


def test_every_setting_is_one_of_the_network() -> None:
    """The keys are the options of the network, each once."""
    for name in ("mobilenet_v1", "shufflenet_v2"):
        assert offered("report", name, "--set", "") == [f"{each['name']}=" for each in describe(ARCHS[name])]

"""An mkdocs hook that fills in pages from the program and from other files of the repository.

`<!-- generated: NAME -->` becomes the part of that name. `<!-- section: FILE, HEADING -->` becomes the text under
that heading of a file in the root folder.
"""

from __future__ import annotations

import inspect
import re
import runpy
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path

import typer
from typer.testing import CliRunner

import mbanalyze
from mbanalyze import count
from mbanalyze.archs import ALIASES, ARCHS
from mbanalyze.archs.options import Architecture, describe
from mbanalyze.cli.program import make_app
from mbanalyze.conventions.known import CONVENTIONS
from mbanalyze.ops.derivations import Formula
from mbanalyze.ops.formulas import FORMULAS

ROOT = Path(__file__).parent.parent
GENERATED = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
SECTION = re.compile(r"^<!-- section: (\S+), (.*) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Return a page with its generated lines filled in; mkdocs calls this before it renders a page."""
    markdown = GENERATED.sub(lambda line: PARTS[line[1]](), markdown)
    return SECTION.sub(lambda line: section(line[1], line[2]), markdown)


def section(file: str, heading: str) -> str:
    """Return the text under a second-level heading; links to files that are not pages become plain text.

    Raises:
        LookupError: The file has no such heading.
    """
    found = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", (ROOT / file).read_text(), re.DOTALL | re.MULTILINE
    )
    if found is None:
        raise LookupError(f"{file} has no section {heading!r}")
    text = re.sub(r"\[([^]]+)\]\((?!docs/|https?:|#)[^)]+\)", r"\1", found[1])
    return text.replace("](docs/", "](").strip()


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Container[str] = ()) -> str:
    """Return a Markdown table; the columns of `numbers` are aligned to the right."""
    rule = ["---:" if name in numbers else "---" for name in header]
    lines = [header, rule, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def cited(text: str) -> str:
    """Return a text with its arXiv numbers as links."""
    return re.sub(r"arXiv:(\d+\.\d+)", r"[\g<0>](https://arxiv.org/abs/\1)", text)


def code(names: Iterable[str]) -> str:
    """Return names as code, separated by commas."""
    return ", ".join(f"`{name}`" for name in names)


def formulas() -> str:
    """Return every formula with its kinds: first those with a function, then those with a count for each element."""
    kinds: dict[Formula, list[str]] = {}
    for kind, formula in FORMULAS.items():
        kinds.setdefault(formula, []).append(kind)
    own = [
        derived(formula, names) for formula, names in kinds.items() if "<locals>" not in formula.__qualname__
    ]
    return "\n".join([*own, "## Kinds that compute each element alone\n", elements()])


def derived(formula: Formula, kinds: list[str]) -> str:
    """Return a formula with its shapes, its derivation and its code."""
    source = inspect.getsource(formula)
    shapes = re.findall(r"^    # (\[.*)\n", source, re.MULTILINE)
    body = re.sub(r'^    (""".*?"""|# \[.*?)\n', "", source, flags=re.DOTALL | re.MULTILINE)
    said = cited(inspect.getdoc(formula) or "")
    lines = [f"### {code(kinds)}", "", said, ""]
    if shapes:
        lines += ["```text", *shapes, "```", ""]
    return "\n".join([*lines, '??? note "The code"', "    ```python", *indented(body), "    ```", ""])


def indented(text: str) -> list[str]:
    """Return the lines of a text, indented as the content of a block."""
    return [f"    {line}".rstrip() for line in text.rstrip().splitlines()]


def elements() -> str:
    """Return the table of kinds with a count for each element: flops, operations and source."""
    kinds: dict[str, list[str]] = {}
    for kind, formula in FORMULAS.items():
        if "<locals>" in formula.__qualname__:
            kinds.setdefault(formula.__doc__ or "", []).append(kind)
    rows = []
    for said, names in kinds.items():
        derivation, _, source = said.partition("\n\nSource: ")
        flops, _, steps = derivation.partition(": ")
        rows.append([code(names), flops, steps.removesuffix("."), cited(source.removesuffix("."))])
    return table(["kind", "flops", "operations", "source"], rows)


def networks() -> str:
    """Return a table of all architectures with their default counts, then a section for each."""
    rows = []
    for name, arch in ARCHS.items():
        totals = count(name).totals
        link = f"[`{name}`](#{name})"
        rows.append(
            [link, f"{totals.params:,}", f"{totals.macs:,}", f"{totals.memory_access:,}", cited(arch.paper)]
        )
    counts = ["params", "macs", "memory access"]
    overview = table(["network", *counts, "paper"], rows, counts)
    return "\n".join([overview, *(network(name, arch) for name, arch in ARCHS.items())])


def network(name: str, arch: type[Architecture]) -> str:
    """Return the section of an architecture: its description, its options and other names of its variants."""
    options = table(
        ["option", "default", "values", "meaning"],
        [
            [
                f"`{each['name']}`",
                default(each["default"]),
                values(each["choices"], each["type"]),
                each["help"],
            ]
            for each in describe(arch)
        ],
    )
    aliases = [
        f"`{alias}` (" + ", ".join(f"`{key}={value}`" for key, value in given.items()) + ")"
        for alias, (known, given) in ALIASES.items()
        if known == name
    ]
    lines = [f"## {name}", "", inspect.getdoc(arch) or "", "", options]
    return "\n".join([*lines, f"torchvision's names: {', '.join(aliases)}.\n"] if aliases else lines)


def default(value: object) -> str:
    """Return a default as code; an empty text in double quotes."""
    return '`""`' if value == "" else f"`{value}`"


def values(choices: Iterable[object] | None, type: str) -> str:
    """Return the choices of an option, or else its type."""
    return code(map(str, choices)) if choices else type


def conventions() -> str:
    """Return a table of the conventions: whose rules they are, the unit of the total, and the need of a trace."""
    header = ("name", "rules of", "version", "total in", "needs a trace")
    return table(
        header,
        (
            (
                f"`{each.name}`",
                each.title,
                cited(each.version),
                each.unit,
                "yes" if each.needs_trace else "no",
            )
            for each in CONVENTIONS.values()
        ),
    )


def commands() -> str:
    """Return the help of every command at a width of 80 columns."""
    return "\n".join(
        f"## {' '.join(['mbanalyze', *path])}\n\n```text\n{printed_help(path)}```\n"
        for path in paths(typer.main.get_command(make_app()))
    )


def paths(command: object, *above: str) -> list[list[str]]:
    """Return a command and its subcommands, each as the words after `mbanalyze`."""
    below = getattr(command, "commands", {})
    return [[*above], *(path for name, each in below.items() for path in paths(each, *above, name))]


def printed_help(path: list[str]) -> str:
    """Return the output of `--help` for a command."""
    return (
        CliRunner().invoke(make_app(), [*path, "--help"], prog_name="mbanalyze", env={"COLUMNS": "80"}).stdout
    )


def api() -> str:
    """Return a marker for each exported name; mkdocstrings fills it in."""
    modules = ("archs", "layers", "__version__")
    return "\n\n".join(f"::: mbanalyze.{name}" for name in mbanalyze.__all__ if name not in modules)


PARTS: dict[str, Callable[[], str]] = {
    "formulas": formulas,
    "networks": networks,
    "conventions": conventions,
    "commands": commands,
    "api": api,
    **runpy.run_path(str(Path(__file__).with_name("counter_tables.py")))["PARTS"],
}
"""Name of a part -> the function that returns it."""

"""The parser of the command line: help with groups of commands, and errors in the words of this project."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperGroup

from mbanalyze.cli.arguments import UsageError, is_closed_form
from mbanalyze.inputs.choices import nearest
from mbanalyze.model_files.file_formats import MODEL_SUFFIXES, suffix_of


class CommandGroup(TyperGroup):
    """A command with subcommands: its help lists them by panel, each with its whole summary."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 (as the base class has it)
        """Write a section for each panel."""
        panels: dict[str, list[tuple[str, str]]] = {}
        width = max(map(len, self.commands))
        for name, command in self.commands.items():
            panel = getattr(command, "rich_help_panel", None) or "Commands"
            panels.setdefault(panel, []).append((f"{name:{width}}", summary(command)))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a subcommand.

        Raises:
            UsageError: it does not exist.
        """
        name = args[0]
        if name not in self.commands and not ctx.resilient_parsing and not name.startswith("-"):
            raise UsageError(_no_command(ctx, name, list(self.commands)))
        return super().resolve_command(ctx, args)


def summary(command: Any) -> str:
    """Return the first paragraph of a command's help, on one line."""
    return " ".join((command.help or "").split("\n\n")[0].split())


def _no_command(ctx: Any, name: str, known: list[str]) -> str:
    if ctx.parent is None and (":" in name or is_closed_form(name) or suffix_of(name) in MODEL_SUFFIXES):
        return f"no command {name!r}: did you mean 'mbanalyze report {name}'?"
    near = nearest(name, known, most=1)
    if near:
        return f"no command {name!r}: did you mean {near[0]}?"
    return f"no command {name!r}: choose one of {', '.join(known)}"


def explain(error: typer.TyperException) -> str:
    """Return what is wrong with the arguments, and what to do, in one line."""
    rewrite = _REWRITES.get(type(error).__name__)
    return rewrite(error) if rewrite else error.format_message()


def _see(error: Any) -> str:
    return f"see '{error.ctx.command_path} --help'"


def _no_option(error: Any) -> str:
    """An unknown option; the parser reads -alpha as --alpha first, and then as -a."""
    first = error.__context__
    given = first if type(first) is type(error) and len(first.option_name) > 2 else error
    name = given.option_name
    known = [flag for each in error.ctx.command.params for flag in (*each.opts, *each.secondary_opts)]
    near = [flag for flag in known if flag.startswith(name)] or given.possibilities
    if error.ctx.parent is None:
        return f"no option {name} here: options follow the command, {_see(error)}"
    return f"no option {name}: {f'did you mean {near[0]}?' if near and len(name) > 2 else _see(error)}"


def _wrong_use(error: Any) -> str:
    """An option without its value, or a switch with one."""
    if "requires" in error.message:
        return f"{error.option_name} needs a value: write {error.option_name} VALUE"
    return f"{error.option_name} takes no value: give {error.option_name} alone"


def _missing(error: Any) -> str:
    param = error.param
    place = param.metavar or param.name.upper()
    what = place if param.param_type_name == "argument" else f"{param.opts[0]} {place}"
    return f"'{error.ctx.command_path}' needs {what}: {_see(error)}"


def _bad_value(error: Any) -> str:
    """A value of the wrong type, outside its range, or refused by the parser of its option."""
    param, cause = error.param, error.__cause__
    name = param.opts[0] if param.param_type_name == "option" else param.metavar or param.name.upper()
    if not hasattr(cause, "errors"):
        return f"{name}: {error.message}"
    return f"{name} must be {_expected(param)}, not {cause.errors()[0]['input']!r}"


def _expected(param: Any) -> str:
    """The values that a parameter takes, in words."""
    kind = param.type_descriptor
    if kind.choices:
        return " or ".join(map(str, kind.choices))
    noun = {int: "a whole number", float: "a number"}.get(kind.annotation, "another value")
    least = "" if param.min is None else f" from {param.min}"
    return noun + least + ("" if param.max is None else f" to {param.max}")


def _extra(error: Any) -> str:
    """Words after the last argument; other errors of this type keep their message."""
    found = re.fullmatch(r"Got unexpected extra argument\(s\) \((.*)\)", error.message, re.DOTALL)
    if not found:
        return str(error.format_message())
    numbers = re.fullmatch(r"-?[\d.][-\d.,:x ]*", found[1])
    hint = "write several values with commas between them, such as 1,0.75" if numbers else _see(error)
    return f"too many arguments for '{error.ctx.command_path}': {found[1]}; {hint}"


_REWRITES = {
    "NoSuchOption": _no_option,
    "BadOptionUsage": _wrong_use,
    "MissingParameter": _missing,
    "BadParameter": _bad_value,
    "UsageError": _extra,
}
"""Functions that put an error of typer into words, by the name of its class, which is private."""

"""What the commands share: their arguments, and how they say that they are at work."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mbanalyze.archs import NAMES, find
from mbanalyze.inputs import parsing
from mbanalyze.literature import figures as published
from mbanalyze.sources import resolve as sources
from mbanalyze.sources.resolve import ResolvedModel


class UsageError(ValueError):
    """Arguments of a command that contradict each other."""


def is_closed_form(model: str) -> bool:
    """Return True if a model reference names an architecture."""
    return find(parsing.split_reference(model)[0]) is not None


def models(incomplete: str) -> list[str]:
    """Known architectures, for completion."""
    return [name for name in NAMES if name.startswith(incomplete)]


Model = Annotated[
    str,
    typer.Argument(
        help="A known architecture (see 'mbanalyze models'), torchvision:NAME, timm:NAME, "
        "transformers:CONFIG, package.module:factory or file.py:factory.",
        autocompletion=models,
        show_default=False,
    ),
]
Alpha = Annotated[float | None, typer.Option(help="Width multiplier.", show_default=False)]
Resolution = Annotated[
    int | None, typer.Option(help="Height and width of the input, in pixels.", show_default=False)
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any option of the architecture, or argument of the factory; repeatable.",
    ),
]
Batch = Annotated[int | None, typer.Option(help="Images in the input, 1 unless given.", show_default=False)]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="[NAME=]N,C,H,W[:DTYPE]",
        help="Shape of an input, such as 1,3,224,224 or ids=1,128:int64; repeatable.",
    ),
]


Output = Annotated[Path | None, typer.Option(help="Write to this file instead.", show_default=False)]


def families(incomplete: str) -> list[str]:
    """Families and networks that figures are published of, for completion."""
    names = dict.fromkeys(name for e in published.entries() for name in (e.family, e.variant))
    return [name for name in names if name.startswith(incomplete)]


def described(
    model: str,
    alpha: float | None,
    resolution: int | None,
    settings: list[str] | None,
    batch: int | None,
    inputs: list[str] | None,
) -> ResolvedModel:
    """What the arguments shared by `report` and `check` describe."""
    given = {"alpha": alpha, "resolution": resolution, "batch": batch}
    named = ((name, value) for name, value in given.items() if value is not None)
    options = parsing.unique([*named, *map(parsing.parse_option, settings or [])])
    shapes, keywords = shapes_of(inputs)
    if keywords:
        options["kwargs"] = keywords
    return sources.resolve(model, *shapes, **options)


def shapes_of(inputs: list[str] | None) -> tuple[list[Any], dict[str, Any]]:
    """What the forward takes by position, and by name.

    Raises:
        InputError: one is malformed.
        ParseError: a name is given twice.
    """
    parsed = list(map(parsing.parse_input, inputs or []))
    named = parsing.unique((name, shape) for name, shape in parsed if name is not None)
    return [shape for name, shape in parsed if name is None], named


@contextlib.contextmanager
def working(long: bool) -> Iterator[None]:
    """While the library works: a spinner on a terminal, and stdout kept for the result alone."""
    console = Console(stderr=True)
    spinner = console.status("counting") if long and console.is_terminal else None
    with _stdout_kept(), contextlib.redirect_stdout(sys.stderr), spinner or contextlib.nullcontext():
        yield


@contextlib.contextmanager
def _stdout_kept() -> Iterator[None]:
    """Inside the `with`, what other programs that are started here print goes where messages go."""
    sys.stdout.flush()
    try:
        ours = os.dup(1)
    except OSError:  # it is closed
        yield
        return
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(ours, 1)
        os.close(ours)

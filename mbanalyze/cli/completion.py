"""Shell completion: the values that a command takes, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import typer

from mbanalyze.archs import ARCHS, NAMES, find
from mbanalyze.archs.options import describe
from mbanalyze.inputs.parsing import ParseError, split_reference
from mbanalyze.model_files.file_formats import MODEL_SUFFIXES, suffix_of


def matching(names: Iterable[str], incomplete: str) -> list[str]:
    """Return the names that start with a text."""
    return [name for name in names if name.startswith(incomplete)]


def complete_model(incomplete: str) -> list[str]:
    """Return the architectures, and the model files of the current folder, whose name starts with a text.

    Without any, the shell completes the names of files itself, also those in other folders.
    """
    return matching([*NAMES, *_model_files()], incomplete)


def _model_files() -> list[str]:
    """The names of the model files in the current folder."""
    with suppress(OSError):
        return sorted(each.name for each in Path().iterdir() if suffix_of(each.name) in MODEL_SUFFIXES)
    return []


def complete_published(incomplete: str) -> list[str]:
    """Return the families and networks with published figures whose name starts with a text."""
    from mbanalyze.literature.figures import entries

    figured = [entry for entry in entries() if entry.figures]
    return matching(dict.fromkeys(name for e in figured for name in (e.family, e.variant)), incomplete)


def complete_searched(incomplete: str) -> list[str]:
    """Return the families and networks that `search` knows, and `all`."""
    from mbanalyze.literature.figures import families

    return matching(dict.fromkeys(["all", *families(), *ARCHS]), incomplete)


def complete_setting(context: typer.Context, incomplete: str) -> list[str]:
    """Return `key=`, or `key=value` of a choice, for the options of the architectures on the command line."""
    key, equals, _ = incomplete.partition("=")
    offered = dict.fromkeys(_settings(context))
    if equals:
        return [text for text in offered if text.startswith(incomplete) and text != f"{key}="]
    return matching(dict.fromkeys(f"{text.partition('=')[0]}=" for text in offered), incomplete)


def _settings(context: typer.Context) -> Iterator[str]:
    """Yield `key=`, and each `key=value`, of the options that are not given yet."""
    given = {text.partition("=")[0].strip() for text in context.params.get("set") or ()}
    given |= {name for name in ("alpha", "resolution") if context.params.get(name) is not None}
    for name, spelled in _networks(context):
        arch, implied = find(name) or (None, {})
        for option in describe(arch) if arch else ():
            if option["name"] not in given | implied.keys() | spelled:
                yield f"{option['name']}="
                for value in option["choices"] or (["true", "false"] if option["type"] == "bool" else ()):
                    yield f"{option['name']}={value}"


def _networks(context: typer.Context) -> Iterator[tuple[str, set[str]]]:
    """Yield the names on the command line, each with the options that follow it.

    Because `--set` has no value yet, the parser leaves the arguments of the command in `context.args`.
    """
    typed = next(iter(context.args), None)
    if "family" in context.params:
        from mbanalyze.literature.figures import families

        family = typed or context.params["family"]
        names = list(ARCHS) if family == "all" else families().get(family, [family])
        yield from ((name, set()) for name in names)
    elif model := typed or context.params.get("model"):
        with suppress(ParseError):
            name, options = split_reference(model)
            yield name, set(options)

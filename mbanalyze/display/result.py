"""The protocol of every result: data, records, a frame, text in any format, and displays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import singledispatch
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from mbanalyze.display import records
from mbanalyze.display.views import View
from mbanalyze.inputs.choices import choose

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console, ConsoleOptions, RenderResult

T = TypeVar("T")
Renderer = Callable[..., str]
"""A format: a function of a result, and of keywords for its view, that returns text."""


class Result(ABC):
    """A result that exports and displays itself.

    A subclass defines `as_dict` and `records`. The module `view` of its package registers its view, and is
    imported at the first display: results do not depend on how they are shown.
    """

    __slots__ = ()
    json_key: ClassVar[str] = ""
    """The key of `as_dict` whose value is the JSON text; "" for the whole document."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """Return the result as a JSON document."""

    @abstractmethod
    def records(self) -> list[dict[str, Any]]:
        """Return flat records with equal keys; unknown counts are None."""

    def columns(self) -> list[str]:
        """Return the keys of each record."""
        return list(next(iter(self.records()), {}))

    def frame(self) -> pd.DataFrame:
        """Return `records()` as a pandas DataFrame; counts that may be unknown are nullable integers."""
        return records.frame(self.records(), self.columns())

    def to(self, format: str = "table", **options: Any) -> str:
        """Return the result as text.

        Args:
            format: `table`, `markdown`, `csv` or `json`; some results have more.
            options: settings of the view, such as `width`, the cells that a table may take; by default any number.

        Raises:
            ChoiceError: the result does not have the format or a setting.
        """
        load_view(self)
        known = formats(self)
        render = known[choose("format", format, known)]
        check_settings(self, options)
        return render(self, **options)

    def __repr__(self) -> str:
        from mbanalyze.display.terminal import terminal_width

        return self.to("table", width=terminal_width())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from mbanalyze.display.terminal import renderable

        yield renderable(view_of(self), options.max_width)

    def _repr_html_(self) -> str:
        from mbanalyze.display.html import html

        return html(view_of(self))


class ResultSequence(Result, Sequence[T]):
    """A result that is a sequence of its `items`."""

    __slots__ = ()
    items: tuple[T, ...]

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)


@singledispatch
def view(result: Any, **options: Any) -> View:
    """Lay out a result; the module `view` of its package registers the function for it."""
    raise NotImplementedError(f"{type(result).__name__} has no view")


def table(result: Result, width: int | None = None, **options: Any) -> str:
    """A table without colour, at most `width` cells wide, or with all columns."""
    from mbanalyze.display.terminal import plain

    return plain(view_of(result, **options), width)


def markdown(result: Result, **options: Any) -> str:
    """Markdown tables of exact counts, with the notes below."""
    from mbanalyze.display.markdown import markdown

    options.pop("width", None)  # only a table has one
    return markdown(view_of(result, **options))


def csv(result: Result, **_: Any) -> str:
    """The records and nothing else; unknown is an empty cell."""
    return records.csv(result.records(), result.columns())


def json(result: Result, **_: Any) -> str:
    """The document of `as_dict`, or the value of its `json_key`; unknown is null."""
    document = result.as_dict()
    return records.json(document[result.json_key] if result.json_key else document)


FORMATS: Mapping[str, Renderer] = {"table": table, "markdown": markdown, "csv": csv, "json": json}
"""The formats of every result, by name."""


@singledispatch
def formats(_: Any) -> Mapping[str, Renderer]:
    """The formats of a result by name; a package's `view` registers more for its own results."""
    return FORMATS


def view_of(result: Result, **options: Any) -> View:
    """Lay out a result, importing its package's `view` first."""
    load_view(result)
    return view(result, **options)


def check_settings(result: Result, given: Iterable[str]) -> None:
    """Raise `ChoiceError` for a setting that the view lacks; a view with `**options` passes them on unchecked."""
    _, *parameters = signature(view.dispatch(type(result))).parameters.values()
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        for name in given:
            choose("setting", name, [*(parameter.name for parameter in parameters), "width"])


def load_view(result: Result) -> None:
    """Import the module `view` of the package that defines the result's class."""
    for kind in type(result).__mro__:
        package = kind.__module__.rpartition(".")[0]
        if package.startswith("mbanalyze."):
            import_module(f"{package}.view")
            return

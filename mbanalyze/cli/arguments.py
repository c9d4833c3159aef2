"""The arguments that several commands share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from mbanalyze.archs import find
from mbanalyze.cli.completion import complete_model, complete_setting, matching
from mbanalyze.conventions.convention_names import NAMES, find_convention
from mbanalyze.display.result import FORMATS
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.input_text import as_arguments, parse_input
from mbanalyze.inputs.parsing import parse_axis, parse_option, split_reference, unique
from mbanalyze.inputs.plot_size import parse_size
from mbanalyze.inputs.resolution import as_resolution, spell_resolution
from mbanalyze.inputs.typed import Mode
from mbanalyze.ops.cost import ITEM_SIZES

R = TypeVar("R")


class UsageError(ValueError):
    """Arguments of a command that are malformed or contradict each other."""


def is_closed_form(model: str, convention: str | None = None) -> bool:
    """Return True if a model reference names an architecture that a convention can count without a trace."""
    return find(split_reference(model)[0]) is not None and not needs_trace(convention)


def needs_trace(convention: str | None) -> bool:
    """Return True if the option `--convention` names a convention that needs a trace."""
    return convention is not None and find_convention(convention).needs_trace


def checked(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a parser for `typer.Option` whose error names the option and keeps the message of `parse`."""

    def parser(given: str) -> Any:
        try:
            return parse(given)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    return parser


def _plot_size(default: str) -> Any:
    """Declare the size of a plot, with its default in words."""
    return typer.Option(
        parser=checked(parse_size),
        metavar="WIDTHxHEIGHT",
        help=f"Size of the plot in inches, such as 8x5 (default {default}).",
        show_default=False,
    )


def choice(what: str, names: Collection[str], help: str, *flags: str) -> Any:
    """Declare an option with a fixed set of values.

    Args:
        what: the noun for error messages.
        names: the values.
        help: the help text.
        flags: the spellings of the option; by default the name of its parameter.
    """
    return typer.Option(
        *flags,
        parser=checked(lambda given: choose(what, given, names)),
        autocompletion=lambda incomplete: matching(names, incomplete),
        metavar=f"[{'|'.join(names)}]",
        help=help,
    )


def format_of(names: Collection[str]) -> Any:
    """Declare the option `--format` of a command that has these formats."""
    help = "Output format; by default that of the suffix of --output, or else table."
    return choice("format", names, help, "--format", "-f")


def model_argument(more: str = "", *, files: bool = True) -> Any:
    """Declare the argument that names a model; `more` ends its help, and exported files are named with `files`."""
    return typer.Argument(
        metavar="MODEL",
        help="An architecture (see 'mbanalyze models'), torchvision:NAME, timm:NAME, transformers:CONFIG, "
        "package.module:factory or file.py:factory. Options may follow: NAME@alpha=0.75,resolution=192."
        + " Or an exported file: net.onnx or net.pt2." * files
        + more,
        autocompletion=complete_model,
        show_default=False,
    )


def run_mode(more: str = "") -> Any:
    """Declare the option `--mode`; `more` ends its help."""
    return typer.Option(metavar="[eval|train]", help=f"Mode of the module in the forward pass{more}.")


def threads_option(default: str) -> Any:
    """Declare the option `--threads`, with its default in words."""
    return typer.Option(
        min=1,
        max=1024,
        metavar="N",
        help=f"Threads of torch on the CPU; by default {default}.",
        show_default=False,
    )


Model = Annotated[str, model_argument()]
Format = Annotated[str | None, format_of(FORMATS)]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead of stdout."),
]
Width = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Hide columns of tables that do not fit this width. By default, tables fit a terminal, "
        "and files and pipes get every column.",
        show_default=False,
    ),
]
Plot = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Also draw a plot: a .png, .svg or .pdf file.")
]
PlotSize = Annotated[Any, _plot_size("7x4")]  # a `Size`, which typer would read as two arguments
HighPlotSize = Annotated[Any, _plot_size("7 wide, and as high as its panels")]
Dtype = Annotated[
    str | None, choice("dtype", ITEM_SIZES, "Element type assumed for byte counts (default float32).")
]
Batch = Annotated[int | None, typer.Option(metavar="N", help="Images in the input (default 1).")]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="[NAME=]VALUE",
        help="An input of the forward; repeatable. A shape, such as 1,3,224,224 or ids=1,128:int64. "
        "Or a shape with values: zeros:1,8:int64, and ones, arange or rand likewise; or tensor:[10,5,1]. "
        "Or a value that is no tensor: int:5, 0.5, true, null, nearest, '(16,16)' or '[1,2]'.",
    ),
]
Trace = Annotated[bool, typer.Option("--trace", help="Trace the module instead of using the closed form.")]
RunMode = Annotated[Mode, run_mode()]
Real = Annotated[
    bool | None,
    typer.Option(
        "--real/--no-real",
        help="Trace on values, or on shapes only. By default, values are used if the network needs them.",
        show_default=False,
    ),
]
Keep = Annotated[
    bool, typer.Option("--keep", help="If a result depends on values, assume that every candidate is kept.")
]
Fused = Annotated[
    bool,
    typer.Option(
        "--fused",
        help="Memory access as an inference engine moves it: batch norm and activation are merged into the "
        "convolution or linear layer before them.",
    ),
]


Convention = Annotated[
    str | None,
    typer.Option(
        parser=checked(lambda given: find_convention(given).name),
        autocompletion=lambda incomplete: matching(NAMES, incomplete),
        metavar="NAME",
        help="Count macs by the rules of another counter or publication; the other columns are unchanged. "
        f"NAME is one of {', '.join(NAMES)}.",
        show_default=False,
    ),
]


Device = Annotated[str, typer.Option(metavar="NAME", help="Device that runs the networks: cpu or cuda.")]
Seconds = Annotated[float, typer.Option(min=0, max=3600, metavar="N", help="Time to spend on rounds.")]
Profile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.json",
        help="The speed of a machine, which predicts times: a file that 'mbanalyze calibrate' writes.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """The options of one network, without those of its input."""

    alpha: Annotated[float | None, typer.Option(metavar="NUMBER", help="Width multiplier.")] = None
    resolution: Annotated[
        str | None,
        typer.Option(
            parser=checked(lambda given: spell_resolution(as_resolution(given))),
            metavar="N|HxW",
            help="Height and width of the input in pixels: 224, or 160x224 if they differ.",
        ),
    ] = None
    set: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Any option of the architecture or argument of the factory; repeatable.",
            autocompletion=complete_setting,
        ),
    ] = None

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of `mbanalyze.count` and `mbanalyze.train`.

        Raises:
            ParseError: an option is malformed or given twice.
        """
        return _given({"alpha": self.alpha, "resolution": self.resolution}, self.set)


@dataclass(frozen=True, slots=True)
class ModelOptions(NetworkOptions):
    """The options of one model."""

    batch: Batch = None
    input: Input = None

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of `mbanalyze.count`.

        Raises:
            ParseError: an option is malformed or given twice.
            InputError: an input is malformed.
        """
        named = {"alpha": self.alpha, "resolution": self.resolution, "batch": self.batch}
        return {**_given(named, self.set), **inputs_of(self.input)[1]}

    @property
    def inputs(self) -> list[Any]:
        """The positional inputs of `mbanalyze.count`; errors as for `options`."""
        return inputs_of(self.input)[0]


def _given(named: Mapping[str, Any], texts: list[str] | None) -> dict[str, Any]:
    """The options that are given by name or as text."""
    given = [(name, value) for name, value in named.items() if value is not None]
    return unique([*given, *map(parse_option, texts or [])])


@dataclass(frozen=True, slots=True)
class GridOptions:
    """The options of a grid of models."""

    alpha: Annotated[
        str | None, typer.Option(metavar="VALUES", help="Width multipliers: 1,0.75,0.5 or 0.25:1.5:0.05.")
    ] = None
    resolution: Annotated[
        str | None, typer.Option(metavar="VALUES", help="Input sizes in pixels: 224,160x224 or 96:224:32.")
    ] = None
    rho: Annotated[
        str | None,
        typer.Option(
            metavar="VALUES",
            help="Resolution multipliers: fractions of the network's default input size, such as 1,0.857.",
        ),
    ] = None
    set: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUES",
            help="Any other option with its values, such as groups=1,2,3; repeatable.",
            autocompletion=complete_setting,
        ),
    ] = None

    def options(self, function: Callable[..., Any]) -> dict[str, list[Any]]:
        """Return the values of each option, for the keyword arguments of `function`.

        Raises:
            UsageError: `--rho` and `--resolution` are both given, or `--set` names a parameter of `function`.
            ParseError: an option is malformed or given twice.
        """
        if self.rho is not None and self.resolution is not None:
            raise UsageError("--rho and --resolution both set the input size: give one of them")
        named = {"alpha": self.alpha, "resolution": self.resolution, "rho": self.rho}
        given = [(name, values) for name, values in named.items() if values is not None]
        texts = unique([*given, *(_split_values(text, function) for text in self.set or [])])
        return {name: parse_axis(values) for name, values in texts.items()}


def refuse_own(name: str, function: Callable[..., Any]) -> None:
    """Raise `UsageError` if an option of `--set` is a parameter of `function`."""
    own = inspect.signature(function).parameters.get(name)
    if own and own.kind in (own.KEYWORD_ONLY, own.POSITIONAL_OR_KEYWORD):
        raise UsageError(
            f"--set {name} is an argument of the command, not an option of the model: see --help"
        )


def _split_values(text: str, function: Callable[..., Any]) -> tuple[str, str]:
    """The name and values of an option that is not a parameter of `function`."""
    name, equals, values = text.partition("=")
    if not name.strip() or not equals:
        raise UsageError(f"malformed option {text!r}: give key=values")
    refuse_own(name.strip(), function)
    return name.strip(), values


def inputs_of(texts: list[str] | None) -> tuple[list[Any], dict[str, dict[str, Any]]]:
    """Return the positional inputs, and the keyword argument `kwargs` with the named ones if there are any.

    Raises:
        InputError: an input is malformed.
        ParseError: a name is given twice.
    """
    return as_arguments(map(parse_input, texts or []))


def expand(command: Callable[..., R]) -> Callable[..., R]:
    """Replace each parameter of a command that takes a dataclass by the fields of the dataclass."""
    parameters = inspect.signature(command, eval_str=True).parameters.values()
    groups: dict[str, Any] = {p.name: p.annotation for p in parameters if is_dataclass(p.annotation)}

    @functools.wraps(command)
    def run(**given: Any) -> R:
        made = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        return command(**given, **made)

    expanded = [
        each.replace(kind=each.KEYWORD_ONLY)
        for p in parameters
        for each in (
            inspect.signature(groups[p.name], eval_str=True).parameters.values() if p.name in groups else [p]
        )
    ]
    run.__signature__ = inspect.Signature(expanded)  # type: ignore[attr-defined]
    return run

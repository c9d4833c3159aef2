"""A model reference -> something to count (`Subject`); and `count`, the library's one front door.

A reference is the name of a known architecture, `package.module:factory`, `path/to/file.py:factory`, an
architecture, or a `torch.nn.Module`.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mbanalyze.archs import ALIASES, ARCHS
from mbanalyze.archs.options import LARGEST, Architecture, OptionError, make, unused_params
from mbanalyze.cost import Shape, is_shape
from mbanalyze.report import Report, rows, versions

if TYPE_CHECKING:
    from torch import nn


class SourceError(LookupError):
    """A model reference that leads to no model."""


class InputError(ValueError):
    """An input that is missing, malformed, or given where none is taken."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to count.

    Attributes:
        name: what the user calls it.
        options: its hyper-parameters.
        inputs: what its forward takes: shapes, tensors, or containers of tensors.
        build: makes the real module, the same one each time.
        spec: its closed form, or None.
    """

    name: str
    options: Mapping[str, Any]
    inputs: tuple[Any, ...]
    build: Callable[[], nn.Module]
    spec: Architecture | None = None

    def report(self, *, trace: bool = False, dtype: str | None = None) -> Report:
        """The report: in closed form where there is one, unless `trace`.

        Args:
            dtype: what an element is taken to be in bytes; by default float32, or a traced module's own.

        Raises:
            ReportError: unknown dtype.
            ShapeError, TraceError: the input does not fit the network.
        """
        if self.spec is None or trace:
            return self.traced(self.build(), dtype)
        ops = self.spec.ops(batch=self.inputs[0][0])
        return Report(
            self.name,
            self.options,
            self.inputs,
            "closed-form",
            rows(ops),
            dtype or "float32",
            unused_params=unused_params(self.spec),
        )

    def traced(self, module: nn.Module, dtype: str | None = None) -> Report:
        """The report of tracing `module`, which `build` made."""
        from mbanalyze import trace
        from mbanalyze.operators import tensors

        inputs = trace.as_inputs(module, self.inputs)
        own_dtype = str(trace.floating_dtype(module, inputs)).removeprefix("torch.")
        seen = trace.trace(module, *inputs)
        return Report(
            self.name,
            self.options,
            tuple(tuple(tensor.shape) for tensor in tensors(inputs)),
            "trace",
            rows(seen.ops),
            dtype or own_dtype,
            seen.free,
            seen.unused_params,
            versions=versions("torch"),
        )


def count(what: str | Architecture | nn.Module, /, *inputs: Any, **options: Any) -> Report:
    """What a network costs, operator by operator.

    Args:
        what: a name from `mbanalyze models`, an architecture, a `torch.nn.Module`, or a factory of one as
            `package.module:factory` or `path/to/file.py:factory`.
        inputs: for a module or factory, what its forward takes: shapes such as `(1, 3, 224, 224)`, or tensors.
        options: hyper-parameters of the architecture, or arguments of the factory. Besides, for all of them
            `dtype` (what an element is taken to be where bytes are asked for); for an architecture `batch`,
            and `trace=True` to run the real module on shapes instead of the closed form.

    Raises:
        SourceError, OptionError, InputError: `what`, `options` or `inputs` make no model.
        ShapeError, TraceError: the input does not fit the network.
        ReportError: unknown dtype.

    >>> count("mobilenet_v2", alpha=0.75, resolution=192).totals.macs
    153941888
    """
    trace, dtype = options.pop("trace", False), options.pop("dtype", None)
    return subject(what, *inputs, **options).report(trace=trace, dtype=dtype)


def subject(what: str | Architecture | nn.Module, /, *inputs: Any, **options: Any) -> Subject:
    """What `count` counts; arguments and errors as there."""
    if isinstance(what, str) and what in ALIASES:
        name, implied = ALIASES[what]
        for option in implied.keys() & options:
            raise OptionError(f"{what} is {name} with {option}={implied[option]}: do not give {option} again")
        return _known(what, ARCHS[name], {**implied, **options}, inputs)
    for name, arch in ARCHS.items():
        if isinstance(what, str) and what == name:
            return _known(name, arch, options, inputs)
        if isinstance(what, arch):
            return _known(name, arch, {**asdict(what), **options}, inputs)
    if isinstance(what, str):
        name, build = what, _factory(what, options)
    elif "torch" in sys.modules and isinstance(what, sys.modules["torch"].nn.Module):
        if options:
            raise OptionError(f"a module is already built: it takes no {', '.join(options)}")
        name, build = type(what).__name__, lambda: what
    else:
        raise SourceError(f"cannot count {what!r}: give a model's name, an architecture or a module")
    if not inputs:
        raise InputError(f"{name} needs the shape of its input, such as 1,3,224,224")
    return Subject(name, options, tuple(map(_checked, inputs)), build)


def _known(name: str, arch: type[Architecture], options: dict[str, Any], inputs: tuple[Any, ...]) -> Subject:
    if inputs:
        raise InputError(f"{name} takes its input from resolution and batch, not as a shape")
    batch = options.pop("batch", 1)
    if not is_shape((batch,)) or not 1 <= batch <= LARGEST:
        raise InputError(f"batch must be a whole number from 1 to {LARGEST}, not {batch!r}")
    spec = make(name, arch, options)

    @functools.cache
    def build() -> nn.Module:
        from mbanalyze import models

        try:
            return models.build(spec)
        except (RuntimeError, MemoryError) as error:
            raise SourceError(f"cannot build {name}: {_said(error)}") from error

    side = spec.resolution
    return Subject(name, asdict(spec), ((int(batch), 3, side, side),), build, spec)


def _checked(given: Any) -> Any:
    """An input as it was given, once it makes sense."""
    if is_shape(given) and all(size > 0 for size in given):
        return tuple(map(int, given))
    if isinstance(given, tuple | list) and all(isinstance(size, int | float | str) for size in given):
        raise InputError(f"an input shape is whole numbers above 0, not {given!r}")
    return given


def _factory(reference: str, options: Mapping[str, Any]) -> Callable[[], nn.Module]:
    """What `package.module:factory` or `file.py:factory` builds with `options`."""
    place, _, name = reference.rpartition(":")
    if not place or not name:
        near = difflib.get_close_matches(reference, ARCHS, n=3, cutoff=0.4) or list(ARCHS)
        raise SourceError(
            f"unknown model {reference!r}: nearest are {', '.join(near)}; "
            "your own is package.module:factory or file.py:factory"
        )
    found: Any = _import(place)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except Exception as error:
            raise SourceError(f"{place} has no {name!r}") from error
    if not callable(found):
        raise SourceError(f"{reference} is a {type(found).__name__}, not something to call")

    @functools.cache
    def build() -> nn.Module:
        from torch import nn

        if isinstance(found, nn.Module) and not options:
            return found
        try:
            with _searching(_folder(place)):
                made = found(**options)
        except (Exception, SystemExit) as error:
            raise SourceError(f"{reference} raised {_said(error)}") from error
        if not isinstance(made, nn.Module):
            raise SourceError(f"{reference} returned a {type(made).__name__}, not a torch.nn.Module")
        return made

    return build


def _import(place: str) -> ModuleType:
    """The module at a dotted name, with the current directory searched first, or in a file."""
    file = Path(place)
    if place.endswith(".py") and not file.is_file():
        raise SourceError(f"there is no file {place}")
    try:
        with _searching(_folder(place)):
            return _load(file) if place.endswith(".py") else importlib.import_module(place)
    except (Exception, SystemExit) as error:
        raise SourceError(f"cannot import {place}: {_said(error)}") from error


def _folder(place: str) -> Path:
    """Where imports look first: beside the file, or where the user is."""
    return Path(place).parent.resolve() if place.endswith(".py") else Path.cwd()


def _load(file: Path) -> ModuleType:
    name = f"mbanalyze_source_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up by name
    spec.loader.exec_module(module)
    return module


@contextmanager
def _searching(folder: Path) -> Iterator[None]:
    """Inside the `with`, imports look in `folder` first."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(str(folder))


def _said(error: BaseException) -> str:
    """An exception in one line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def parse_shape(text: str) -> Shape:
    """'1,3,224,224' -> (1, 3, 224, 224).

    Raises:
        InputError: it is not whole numbers above 0 with commas between.
    """
    try:
        shape = tuple(int(size) for size in text.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise InputError(f"malformed input {text!r}: give whole numbers above 0, such as 1,3,224,224")
    return shape


def parse_option(text: str) -> tuple[str, Any]:
    """'key=value' -> the key and the value it spells: an integer, number, boolean, list or string.

    >>> parse_option("widths=[8,16]"), parse_option("shallow=true"), parse_option("stem=3x3")
    (('widths', [8, 16]), ('shallow', True), ('stem', '3x3'))

    Raises:
        OptionError: there is no key, or no `=`.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise OptionError(f"malformed option {text!r}: give key=value")
    return key.strip(), _parse_value(value.strip())


def _parse_value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text) if isfinite(float(text)) else text
    except ValueError:
        pass
    if not (text.startswith("[") and text.endswith("]")):
        return text
    try:
        return json.loads(text)
    except ValueError:
        words = text[1:-1].rstrip(", ")
        if "[" in words or '"' in words:
            raise OptionError(f"malformed list {text!r}: write it as JSON, such as [1,[2,3]]") from None
        return [_parse_value(word.strip()) for word in words.split(",")]

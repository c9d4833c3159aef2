"""A model reference -> something to count (`Subject`); and `count`, the library's one front door.

A reference is the name of a known architecture, `torchvision:NAME`, `timm:NAME`, `transformers:CONFIG`,
`package.module:factory`, `path/to/file.py:factory`, an architecture, a `torch.nn.Module`, or a function that
makes one.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from mbanalyze.archs import ALIASES, ARCHS
from mbanalyze.archs.options import LARGEST, Architecture, OptionError, make, unused_params
from mbanalyze.inputs.typed import InputError, Mode, Typed, is_shape
from mbanalyze.report.network import Report, versions
from mbanalyze.report.rows import rows
from mbanalyze.sources.references import PACKAGES, SourceError, refer, said

if TYPE_CHECKING:
    from torch import nn


Countable: TypeAlias = "str | Architecture | nn.Module | Callable[..., nn.Module]"
"""What can be counted."""


class Building:
    """A module, made when it is first asked for and only once; large weights are not filled unless wanted."""

    def __init__(self, name: str, make: Callable[[], nn.Module]) -> None:
        self.note: str | None = None
        self._name = name
        self._make = make
        self._made: dict[bool, nn.Module] = {}

    @classmethod
    def done(cls, module: nn.Module) -> Building:
        """One that is a module already."""
        building = cls(type(module).__name__, lambda: module)
        building._made = {False: module, True: module}
        return building

    def __call__(self, *, filled: bool = False) -> nn.Module:
        """The module.

        Args:
            filled: whether its weights are to hold what its maker fills them with.

        Raises:
            SourceError: it could not be made.
        """
        if filled not in self._made:
            import torch

            with torch.random.fork_rng(devices=[]):
                self._made[filled] = self._ordinary() if filled else self._weightless()
        return self._made[filled]

    def _weightless(self) -> nn.Module:
        from mbanalyze.sources.skip_init import skip_init

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # advice on how weights are filled is beside the point
                return self._checked(skip_init(self._make))
        except SourceError:
            raise
        except (Exception, SystemExit) as error:
            module = self._ordinary()
            self.note = f"built with its weights filled, as it could not be without: {said(error)}"
            return module

    def _ordinary(self) -> nn.Module:
        try:
            return self._checked(self._make())
        except SourceError:
            raise
        except (Exception, SystemExit) as error:
            raise SourceError(f"{self._name} raised {said(error)}") from error

    def _checked(self, made: object) -> nn.Module:
        from torch import nn

        if not isinstance(made, nn.Module):
            raise SourceError(f"{self._name} returned a {type(made).__name__}, not a torch.nn.Module")
        return made


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to count.

    Attributes:
        name: what the user calls it.
        options: its hyper-parameters.
        inputs: what its forward takes: shapes, `Typed` shapes, tensors, or containers of these.
        build: makes the real module, the same one each time.
        spec: its closed form, or None.
        keywords: what its forward takes by name.
    """

    name: str
    options: Mapping[str, Any]
    inputs: tuple[Any, ...]
    build: Building
    spec: Architecture | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)

    def report(
        self,
        *,
        trace: bool = False,
        dtype: str | None = None,
        mode: Mode = "eval",
        real: bool = False,
        keep: bool = False,
        shortcuts: bool = True,
    ) -> Report:
        """The report: in closed form where there is one, unless `trace` or what only a trace can do.

        Args:
            dtype: what an element is taken to be in bytes; by default float32, or a traced module's own.
            mode, real, keep, shortcuts: as in `trace.trace`.

        Raises:
            ChoiceError: unknown dtype.
            ShapeError, TraceError: the input does not fit the network.
        """
        if self.spec is None or trace or mode != "eval" or real or keep:
            return self._traced(dtype, mode=mode, real=real, keep=keep, shortcuts=shortcuts)
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

    def _traced(self, dtype: str | None, *, mode: Mode, real: bool, **settings: bool) -> Report:
        from mbanalyze.trace import tracer
        from mbanalyze.trace.forward_args import as_inputs, floating_dtype, tensor_leaves

        module = self.build(filled=real)
        inputs, keywords = as_inputs(module, self.inputs, self.keywords, real=real)
        own_dtype = str(floating_dtype(module, (inputs, keywords))).removeprefix("torch.")
        seen = tracer.trace(module, *inputs, keywords=keywords, mode=mode, real=real, **settings)
        notes = [self.build.note] if self.build.note else []
        notes += ["training mode"] * (mode == "train") + ["run on real tensors"] * real
        if seen.assumed:
            notes.append(f"assumed to keep every candidate: {', '.join(seen.assumed)}")
        return Report(
            self.name,
            self.options,
            tuple(tuple(tensor.shape) for tensor in tensor_leaves((inputs, keywords))),
            "trace",
            rows(seen.ops),
            dtype or own_dtype,
            seen.free,
            seen.unused_params,
            versions=versions("torch"),
            notes=tuple(notes),
        )


def count(what: Countable, /, *inputs: Any, **options: Any) -> Report:
    """What a network costs, operator by operator.

    Args:
        what: a name from `mbanalyze models`, an architecture, a `torch.nn.Module`, `torchvision:NAME`,
            `timm:NAME`, `transformers:CONFIG`, or a factory: a function or class, `package.module:factory`
            or `path/to/file.py:factory`.
        inputs: for a module or factory, what its forward takes: shapes such as `(1, 3, 224, 224)`, tensors, or
            containers of these. A source that publishes an input may do without.
        options: hyper-parameters of the architecture, or arguments of the factory. Besides, for all of them
            `dtype` (what an element is taken to be where bytes are asked for); `batch`, for architectures and
            published inputs; `trace=True` to run the real module on shapes instead of the closed form; and for
            what is traced `kwargs` (a dict of what its forward takes by name), `mode="train"`, `real=True`
            (run on values, not only on shapes), `keep=True`, and `shortcuts=False`, which takes torch's own word
            for every shape and changes nothing but the time (see `trace.trace`).

    Raises:
        SourceError, OptionError, InputError: `what`, `options` or `inputs` make no model.
        ShapeError, TraceError: the input does not fit the network.
        ChoiceError: unknown dtype.

    >>> count("mobilenet_v2", alpha=0.75, resolution=192).totals.macs
    153941888
    """
    names = ("trace", "dtype", "mode", "real", "keep", "shortcuts")
    settings = {name: options.pop(name) for name in names if name in options}
    return subject(what, *inputs, **options).report(**settings)


def subject(what: Countable, /, *inputs: Any, **options: Any) -> Subject:
    """What `count` counts; arguments and errors as there."""
    keywords = _keywords(options)
    if isinstance(what, str) and what in ALIASES:
        name, implied = ALIASES[what]
        for option in implied.keys() & options:
            raise OptionError(f"{what} is {name} with {option}={implied[option]}: do not give {option} again")
        return _known(what, ARCHS[name], {**implied, **options}, (*inputs, *keywords))
    for name, arch in ARCHS.items():
        if isinstance(what, str) and what == name:
            return _known(name, arch, options, (*inputs, *keywords))
        if isinstance(what, arch):
            return _known(name, arch, {**asdict(what), **options}, (*inputs, *keywords))
    if isinstance(what, str):
        return _referred(what, options, inputs, keywords)
    return _object(what, options, inputs, keywords)


def _known(name: str, arch: type[Architecture], options: dict[str, Any], inputs: tuple[Any, ...]) -> Subject:
    if inputs:
        raise InputError(f"{name} takes its input from resolution and batch, not as a shape")
    batch = _batch(options)
    spec = make(name, arch, options)

    def build() -> nn.Module:
        from mbanalyze import models

        return models.build(spec)

    side = spec.resolution
    return Subject(name, asdict(spec), ((batch, 3, side, side),), Building(name, build), spec)


def _keywords(options: dict[str, Any]) -> dict[str, Any]:
    """Take what the forward takes by name out of `options`."""
    keywords = options.pop("kwargs", None) or {}
    if not isinstance(keywords, Mapping):
        raise InputError(f"kwargs is a dict of what the forward takes by name, not {keywords!r}")
    return {name: _checked(given) for name, given in keywords.items()}


def _batch(options: dict[str, Any]) -> int:
    """Take the batch size out of `options`."""
    batch = options.pop("batch", 1)
    if not is_shape((batch,)) or not 1 <= batch <= LARGEST:
        raise InputError(f"batch must be a whole number from 1 to {LARGEST}, not {batch!r}")
    return int(batch)


def _referred(
    what: str, options: dict[str, Any], inputs: tuple[Any, ...], keywords: dict[str, Any]
) -> Subject:
    """A model that another package or the user's own code defines."""
    side, batch = None, 1
    if what.partition(":")[0] in PACKAGES and not inputs and not keywords:
        batch, side = _batch(options), options.pop("resolution", None)
        if side is not None and not (is_shape((side,)) and side > 0):
            raise InputError(f"resolution must be a whole number above 0, not {side!r}")
    reference = refer(what, options)
    if not inputs and not keywords:
        published = reference.published(batch, side) if reference.published else None
        if published is None:
            raise InputError(f"{what} needs the shape of its input, such as {reference.hint}")
        inputs, keywords = published
    return Subject(what, options, _all_checked(inputs), Building(what, reference.make), None, keywords)


def _object(what: Any, options: dict[str, Any], inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Subject:
    """A module, or a function or class that makes one."""
    module = "torch" in sys.modules and isinstance(what, sys.modules["torch"].nn.Module)
    if not module and not callable(what):
        raise SourceError(f"cannot count {what!r}: give a model's name, an architecture or a module")
    if module and options:
        raise OptionError(f"a module is already built: it takes no {', '.join(options)}")
    name = type(what).__name__ if module else getattr(what, "__name__", repr(what))
    if not inputs and not keywords:
        raise InputError(f"{name} needs the shape of its input, such as 1,3,224,224")
    building = Building.done(what) if module else Building(name, lambda: what(**options))
    return Subject(name, options, _all_checked(inputs), building, None, keywords)


def _all_checked(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    if inputs and is_shape(inputs):
        raise InputError(f"an input is a shape in parentheses, such as {inputs}")
    return tuple(map(_checked, inputs))


def _checked(given: Any) -> Any:
    """An input as it was given, once it makes sense."""
    if isinstance(given, Typed):
        return given
    if is_shape(given) and all(size > 0 for size in given):
        return tuple(map(int, given))
    if (
        isinstance(given, tuple | list)
        and given
        and all(isinstance(size, int | float | str) for size in given)
    ):
        raise InputError(f"an input shape is whole numbers above 0, not {given!r}")
    return given

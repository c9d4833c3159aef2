"""Resolving a model reference, architecture, module or factory; and `count`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from mbanalyze.archs import find, name_of
from mbanalyze.archs.options import MAX_VALUE, Architecture, OptionError, make, merge, shown_options
from mbanalyze.inputs.resolution import as_resolution, sides
from mbanalyze.inputs.typed import InputError, is_whole
from mbanalyze.model_files.file_formats import PT2, suffix_of
from mbanalyze.report.network import Report
from mbanalyze.sources.building import Built, build_once
from mbanalyze.sources.file_models import is_model_file, no_module, read_graph
from mbanalyze.sources.forward_inputs import needs_input, pop_keywords, valid_inputs
from mbanalyze.sources.input_advice import shape_refused
from mbanalyze.sources.pt2_models import resolve_pt2
from mbanalyze.sources.references import PACKAGES, SourceError, is_module, look_up, split_given
from mbanalyze.sources.resolved_model import ResolvedModel
from mbanalyze.sources.unknown import check_arguments

if TYPE_CHECKING:
    from mbanalyze.trace.tracer import Module

Countable: TypeAlias = "str | os.PathLike[str] | Architecture | Module | Callable[..., Module]"
"""A model reference, the path of a file, an architecture, a module, or a function or class that makes a module."""


def count(what: Countable, /, *inputs: Any, **options: Any) -> Report:
    """Count a network, operator by operator.

    Args:
        what: a model reference: a name from `mbanalyze models`, `torchvision:NAME`, `timm:NAME`,
            `transformers:CONFIG`, `package.module:factory` or `path/to/file.py:factory`, each with optional
            `@key=value,...`. Or a file that `torch.onnx.export` or `torch.export.save` wrote, as text or path:
            `path/to/net.onnx`, `Path("net.pt2")`. Or an architecture, a `torch.nn.Module`, or a function or class
            that makes one.
        inputs: the positional arguments of a module's forward. A plain tuple of whole numbers, such as
            `(1, 3, 224, 224)`, is the shape of a tensor, and so is a `Shape` anywhere. Everything else is passed
            unchanged. Inputs are optional for a forward without required arguments, and for models of a package
            that publishes an input. The inputs of a file are in the file, and its open sizes may be given.
        options: hyper-parameters of the architecture, or arguments of the factory. These names are special:

            - `batch`: the number of images, for architectures, published inputs and files.
            - `kwargs`: a dict of the keyword arguments of the forward, in which a shape is a `Shape`.
            - `dtype`: the element type assumed for byte counts.
            - `trace=True`: trace the module instead of using the closed form.
            - `mode="train"`: trace the forward pass in training mode, without the backward pass.
            - `real`: True to trace on values, False on shapes only; by default values are used if needed.
            - `keep=True`: if a result depends on values, assume that every candidate is kept.
            - `fused=True`: merge batch norms and activations, as `Report.fused` does.
            - `train=True`: count the forward pass in training mode, and add the cost of a training step.
            - `optimizer`: the optimizer of that step: `none`, `sgd` (default), `momentum` or `adam`.
            - `convention`: count macs as another counter does, such as `thop`; the other columns are unchanged.
            - `shortcuts=False`: let torch compute every shape; only the time differs (see `trace`).

    Raises:
        SourceError: `what` is not a model.
        ModelFileError: the file cannot be read, or has no module, and an option needs one.
        ParseError: the options in `what` are malformed.
        OptionError: an option is unknown, out of range or given twice, a flag is neither True nor False, or options
            contradict each other.
        InputError: an input is missing or malformed.
        ShapeError, TraceError: the input does not fit the network.
        ChoiceError: `dtype`, `mode`, `optimizer` or `convention` is unknown.

    >>> count("mobilenet_v2@alpha=0.75", resolution=192).totals.macs
    153941888
    """
    names = (
        *("trace", "dtype", "mode", "real", "keep", "shortcuts", "fused", "train", "optimizer"),
        "convention",
    )
    settings = {name: options.pop(name) for name in names if name in options}
    return resolve(what, *inputs, **options).report(**settings)


def resolve(what: Countable, /, *inputs: Any, **options: Any) -> ResolvedModel:
    """Resolve the arguments of `count`, without those of `ResolvedModel.report`; same errors."""
    what = os.fspath(what) if isinstance(what, os.PathLike) else what
    name, spelled = split_given(what, options) if isinstance(what, str) else (name_of(what) or "", {})
    options |= spelled
    keywords = pop_keywords(options)
    if found := find(name):
        arch, implied = found
        own = asdict(what) if is_dataclass(what) and not isinstance(what, type) else {}
        given = merge(name, implied, options)
        resolved = _from_architecture(name, arch, given, own, (*inputs, *keywords))
        return replace(resolved, defaults=shown_options(make(name, arch, implied), ()))
    if isinstance(what, str):
        return _from_reference(name, options, inputs, keywords)
    return _from_object(what, options, inputs, keywords)


def _from_architecture(
    name: str,
    arch: type[Architecture],
    options: dict[str, Any],
    own: Mapping[str, Any],
    inputs: tuple[Any, ...],
) -> ResolvedModel:
    """An architecture with the given options, and its `own` where none is given."""
    if inputs:
        raise InputError(shape_refused(name, inputs))
    batch = _pop_batch(options)
    spec = make(name, arch, {**own, **options})

    def build() -> Module:
        from mbanalyze import models

        return models.build(spec)

    shape = (batch, spec.in_channels, *sides(spec.resolution))
    return ResolvedModel(name, shown_options(spec, options), (shape,), build_once(name, build), spec)


def _from_reference(
    name: str, options: dict[str, Any], inputs: tuple[Any, ...], keywords: dict[str, Any]
) -> ResolvedModel:
    """A model in a file, or one that another package or the user's own code defines."""
    if suffix_of(name) == PT2:
        return resolve_pt2(name, options, inputs, keywords)
    if is_model_file(name):
        graph, shapes = read_graph(name, options, inputs, keywords)
        return ResolvedModel(name, options, shapes, lambda _: no_module(name), graph=graph)
    image, batch = None, 1
    if name.partition(":")[0] in PACKAGES and not inputs and not keywords:
        batch, image = _pop_batch(options), options.pop("resolution", None)
        image = None if image is None else as_resolution(image)
    reference = look_up(name, options)
    build = build_once(name, reference.make)
    if not inputs and not keywords:
        published = reference.published(batch, image) if reference.published else None
        if published is None and (reference.published or needs_input(build(False).module)):
            raise InputError(f"{name} needs the shape of its input, such as {reference.hint}")
        inputs, keywords = published or ((), {})
    return ResolvedModel(name, options, valid_inputs(inputs, keywords), build, None, keywords)


def _from_object(
    what: Any, options: dict[str, Any], inputs: tuple[Any, ...], keywords: dict[str, Any]
) -> ResolvedModel:
    """A module, or the module that a function or class makes."""
    built = is_module(what)
    if not built and not callable(what):
        raise SourceError(f"cannot count {what!r}: give a model's name, an architecture or a module")
    if built and options:
        raise OptionError(f"a module is already built and takes no options: leave out {', '.join(options)}")
    name = type(what).__name__ if built else getattr(what, "__name__", repr(what))
    if not built:
        check_arguments(name, what, options)
    build = (lambda _: Built(what)) if built else build_once(name, lambda: what(**options))
    if not inputs and not keywords and needs_input(build(False).module):
        raise InputError(f"{name} needs the shape of its input, such as (1, 3, 224, 224)")
    return ResolvedModel(name, options, valid_inputs(inputs, keywords), build, None, keywords)


def _pop_batch(options: dict[str, Any]) -> int:
    """Remove the batch size from `options` and return it."""
    batch = options.pop("batch", 1)
    if not is_whole(batch) or not 1 <= batch <= MAX_VALUE:
        raise InputError(f"batch must be a whole number from 1 to {MAX_VALUE}, not {batch!r}")
    return int(batch)

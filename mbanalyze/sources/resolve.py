"""Resolving a model reference, architecture, module or factory; and `count`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from mbanalyze.archs import find, name_of
from mbanalyze.archs.options import (
    MAX_VALUE,
    Architecture,
    OptionError,
    make,
    merge,
    shown_options,
    unused_params,
)
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.resolution import as_resolution, sides
from mbanalyze.inputs.typed import InputError, Mode, is_whole
from mbanalyze.report.network import Report, versions
from mbanalyze.report.rows import rows
from mbanalyze.report.run_step import RunStep
from mbanalyze.report.training import TRAINING_DTYPES, training_of
from mbanalyze.sources.building import Build, Built, build_once
from mbanalyze.sources.forward_inputs import needs_input, pop_keywords, valid_inputs
from mbanalyze.sources.input_advice import advise, shape_refused
from mbanalyze.sources.references import PACKAGES, SourceError, is_module, look_up, split_given
from mbanalyze.sources.unknown import check_arguments
from mbanalyze.training.optimizer_state import OPTIMIZERS

if TYPE_CHECKING:
    from mbanalyze.trace.forward_errors import NeedsValuesError
    from mbanalyze.trace.tracer import Module


_TRAINING = "forward pass in training mode; the backward pass is not counted"
"""The note on `mode="train"`."""
_TRAINED = "forward pass in training mode"
"""The note on `train=True`."""
_ON_VALUES = "run on real tensors"

Countable: TypeAlias = "str | Architecture | Module | Callable[..., Module]"
"""A model reference, an architecture, a module, or a function or class that makes a module."""


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model that can be counted.

    Attributes:
        name: the user's name for the model, without options.
        options: its hyper-parameters.
        inputs: the positional arguments of its forward: tuples of sizes, and as in `keywords`.
        build: makes the module; the argument is True to fill its weights. Each call returns the same module.
        spec: its closed form, or None.
        keywords: the keyword arguments of its forward: `Shape`s, tensors, containers of these, or any other value.
        defaults: the values of options that the name alone stands for.
    """

    name: str
    options: Mapping[str, Any]
    inputs: tuple[Any, ...]
    build: Build
    spec: Architecture | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def module(self) -> Module:
        """The module, with large weights not filled."""
        return self.build(False).module

    def report(
        self,
        *,
        trace: bool = False,
        dtype: str | None = None,
        mode: Mode = "eval",
        real: bool | None = None,
        keep: bool = False,
        shortcuts: bool = True,
        fused: bool = False,
        train: bool = False,
        optimizer: str | None = None,
    ) -> Report:
        """Count the model: in closed form if it has one and no argument requires a trace.

        Args:
            trace: trace the module even if the model has a closed form.
            dtype: the element type assumed for byte counts; by default float32, or a traced module's own.
            mode: as for `trace`.
            real: True to trace on values, False on shapes; by default on shapes, and on values if the forward
                needs them and the weights have values.
            keep: as for `trace`.
            shortcuts: as for `trace`.
            fused: merge batch norms and activations into the product before them, as `Report.fused` does.
            train: count the forward pass in training mode, and add the cost of a training step.
            optimizer: the optimizer of the training step: `none`, `sgd` (default), `momentum` or `adam`.

        Raises:
            ChoiceError: `dtype`, `mode` or `optimizer` is unknown, or PyTorch does not train in `dtype`.
            OptionError: a flag is neither True nor False, both `fused` and `train` are given, or `optimizer`
                without `train`.
            ShapeError, TraceError: the input does not fit the network.
        """
        choose("mode", mode, get_args(Mode))
        check_flags(trace=trace, real=real or False, keep=keep, shortcuts=shortcuts, fused=fused, train=train)
        check_training(train=train, fused=fused, optimizer=optimizer, dtype=dtype)
        if self.spec is None or trace or (mode != "eval" and not train) or real or keep:
            running: Mode = "train" if train else mode
            report = self._traced(dtype, mode=running, real=real, keep=keep, shortcuts=shortcuts)
        else:
            report = self._closed_form(self.spec, dtype, training=train)
        if train:
            return self._with_training(report, optimizer or "sgd")
        return report.fused() if fused else report

    def _with_training(self, report: Report, optimizer: str) -> Report:
        """The report with the cost of a training step, and notes on what the step that ran shows."""
        step, unknown = self._step(optimizer, report.dtype)
        found = training_of(report.ops, report.itemsize, report.frozen_weights, optimizer, step)
        notes = [_TRAINED if note == _TRAINING else note for note in report.notes]
        notes = [*dict.fromkeys([*notes, _TRAINED]), *unknown, *found.differences()]
        return replace(report, training=found, notes=tuple(notes), versions=versions("torch"))

    def _step(self, optimizer: str, dtype: str) -> tuple[RunStep | None, list[str]]:
        """A training step on tensors without data, and no note; or None, and a note with the reason."""
        from mbanalyze.trace import forward_args
        from mbanalyze.trace.forward_errors import NeedsValuesError
        from mbanalyze.trace.training_step import run_step

        module = self.module
        inputs, keywords = forward_args.as_inputs(module, self.inputs, self.keywords, real=False)
        try:
            step = run_step(module, *inputs, keywords=keywords, optimizer=optimizer, dtype=dtype)
        except NeedsValuesError as error:
            return None, [f"the peak of a training step is unknown: {error}"]
        counts = {
            "backward_macs": step.backward_macs,
            "saved_bytes": step.saved_bytes,
            "gradient_bytes": step.gradient_bytes,
            "optimizer_bytes": step.peak.split.optimizer_state,
        }
        return RunStep(step.peak.phase, step.peak.split._asdict(), counts), []

    def _closed_form(self, spec: Architecture, dtype: str | None, *, training: bool) -> Report:
        """The report of the closed form."""
        counted = rows(spec.ops(self.inputs[0][0], training=training))
        model, unused = (self.name, self.options, self.inputs), () if training else unused_params(spec)
        return Report(
            *model,
            "closed-form",
            counted,
            dtype or "float32",
            unused_params=unused,
            defaults=self.defaults,
        )

    def _traced(self, dtype: str | None, **settings: Any) -> Report:
        """The report of a trace; the error of a failing forward says which change of the inputs lets it run."""
        from mbanalyze.trace.forward_errors import TraceError

        def again(inputs: tuple[Any, ...], keywords: Mapping[str, Any]) -> Report:
            """Return the report with other inputs."""
            return replace(self, inputs=inputs, keywords=keywords).traced(dtype, **settings)

        try:
            return self.traced(dtype, **settings)
        except TraceError as error:
            advice = advise(self.inputs, self.keywords, again, training=settings["mode"] == "train")
            raise (TraceError(f"{error}: {advice}") if advice else error) from error.__cause__

    def traced(self, dtype: str | None, *, mode: Mode, real: bool | None, **settings: bool) -> Report:
        """Return the report of a trace on shapes, or on values if the forward needs them; errors as for `report`."""
        from mbanalyze.trace.forward_errors import NeedsValuesError, TraceError

        try:
            report, asked = self._trace(dtype, mode=mode, real=bool(real), **settings)
            if not asked or real is not None or not self._has_values():
                return report
        except NeedsValuesError as error:
            if real is not None or not self._has_values():
                raise TraceError(f"{error}: {_advice(error, forbidden=real is False)}") from error
            asked = error.operator
        report, _ = self._trace(dtype, mode=mode, real=True, **settings)
        reason = f"run on real tensors, because {asked} needs the values of a tensor"
        return replace(report, notes=tuple(reason if note == _ON_VALUES else note for note in report.notes))

    def _has_values(self) -> bool:
        """True if the weights and buffers have values, or can be built with them."""
        module = self.module
        return not any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))

    def _trace(self, dtype: str | None, *, mode: Mode, real: bool, **settings: bool) -> tuple[Report, str]:
        """The report of a trace on shapes or on values, and the operator that asked for values, or ""."""
        from mbanalyze.trace import forward_args
        from mbanalyze.trace.tracer import trace

        built = self.build(real)
        inputs, keywords = forward_args.as_inputs(built.module, self.inputs, self.keywords, real=real)
        own_dtype = str(
            forward_args.floating_dtype(built.module, (*inputs, *keywords.values()))
        ).removeprefix("torch.")
        seen = trace(
            built.module,
            *inputs,
            keywords=keywords,
            mode=mode,
            real=real,
            made_up=forward_args.has_fill(self.inputs, self.keywords),
            **settings,
        )
        notes = [built.note] if built.note else []
        notes += [_TRAINING] * (mode == "train") + [_ON_VALUES] * real
        notes += forward_args.other_inputs(inputs, keywords)
        if seen.assumed:
            notes.append(f"assumed to keep every candidate: {', '.join(seen.assumed)}")
        notes += [
            f"counted the costlier branch of a condition in {path or 'the model'}" for path in seen.branches
        ]
        given = (*inputs, *keywords.values())
        shapes = tuple(tuple(tensor.shape) for tensor in forward_args.tensor_leaves(given))
        report = Report(
            self.name,
            self.options,
            shapes,
            "trace",
            rows(seen.ops),
            dtype or own_dtype,
            seen.free,
            seen.unused_params,
            versions=versions("torch"),
            notes=tuple(notes),
            real=real,
            unseen=seen.unseen,
            defaults=self.defaults,
            outputs=seen.outputs,
            run=seen.memory.timeline,
            frozen_weights=seen.frozen_weights,
        )
        return report, seen.asked


def check_flags(**flags: object) -> None:
    """Raise `OptionError` for a flag that is neither True nor False: every text, such as "no", is true."""
    for name, flag in flags.items():
        if flag not in (True, False):
            raise OptionError(f"{name} must be True or False, not {flag!r}")


def check_training(*, train: bool, fused: bool, optimizer: str | None, dtype: str | None) -> None:
    """Raise an error, as `ResolvedModel.report` does, for options that contradict `train` or that training lacks."""
    if optimizer is not None:
        choose("optimizer", optimizer, OPTIMIZERS)
        if not train:
            raise OptionError("optimizer is about training: give train=True too")
    if train and fused:
        raise OptionError("fused is for inference and train for training: give one of them")
    if train and dtype is not None:
        choose("dtype of training", dtype, TRAINING_DTYPES)


def _advice(error: NeedsValuesError, *, forbidden: bool) -> str:
    """The way to count a model whose forward needs values."""
    keep = ", or --keep assumes that every candidate is kept" if error.can_keep else ""
    if forbidden:
        return f"--real runs on values{keep}"
    return f"build the model with weights that have values, instead of on the meta device{keep}"


def count(what: Countable, /, *inputs: Any, **options: Any) -> Report:
    """Count a network, operator by operator.

    Args:
        what: a model reference: a name from `mbanalyze models`, `torchvision:NAME`, `timm:NAME`,
            `transformers:CONFIG`, `package.module:factory` or `path/to/file.py:factory`, each with optional
            `@key=value,...`. Or an architecture, a `torch.nn.Module`, or a function or class that makes one.
        inputs: the positional arguments of a module's forward. A plain tuple of whole numbers, such as
            `(1, 3, 224, 224)`, is the shape of a tensor, and so is a `Shape` anywhere. Everything else is passed
            unchanged. Inputs are optional for a forward without required arguments, and for models of a package
            that publishes an input.
        options: hyper-parameters of the architecture, or arguments of the factory. These names are special:

            - `batch`: the number of images, for architectures and published inputs.
            - `kwargs`: a dict of the keyword arguments of the forward, in which a shape is a `Shape`.
            - `dtype`: the element type assumed for byte counts.
            - `trace=True`: trace the module instead of using the closed form.
            - `mode="train"`: trace the forward pass in training mode, without the backward pass.
            - `real`: True to trace on values, False on shapes only; by default values are used if needed.
            - `keep=True`: if a result depends on values, assume that every candidate is kept.
            - `fused=True`: merge batch norms and activations, as `Report.fused` does.
            - `train=True`: count the forward pass in training mode, and add the cost of a training step.
            - `optimizer`: the optimizer of that step: `none`, `sgd` (default), `momentum` or `adam`.
            - `shortcuts=False`: let torch compute every shape; only the time differs (see `trace`).

    Raises:
        SourceError: `what` is not a model.
        ParseError: the options in `what` are malformed.
        OptionError: an option is unknown, out of range or given twice, a flag is neither True nor False, or options
            contradict each other.
        InputError: an input is missing or malformed.
        ShapeError, TraceError: the input does not fit the network.
        ChoiceError: `dtype`, `mode` or `optimizer` is unknown.

    >>> count("mobilenet_v2@alpha=0.75", resolution=192).totals.macs
    153941888
    """
    names = ("trace", "dtype", "mode", "real", "keep", "shortcuts", "fused", "train", "optimizer")
    settings = {name: options.pop(name) for name in names if name in options}
    return resolve(what, *inputs, **options).report(**settings)


def resolve(what: Countable, /, *inputs: Any, **options: Any) -> ResolvedModel:
    """Resolve the arguments of `count`, without those of `ResolvedModel.report`; same errors."""
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
    """A model that another package or the user's own code defines."""
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

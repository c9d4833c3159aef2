"""A model that can be counted, in closed form or by a trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

from mbanalyze.archs.options import Architecture, OptionError, unused_params
from mbanalyze.conventions.convention_names import find_convention
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.typed import Mode
from mbanalyze.report.network import Report, versions
from mbanalyze.report.rows import rows
from mbanalyze.sources.building import Build
from mbanalyze.sources.file_models import recorded, refuse_settings
from mbanalyze.sources.input_advice import advise
from mbanalyze.sources.training_report import FORWARD_ALONE, check_training, with_trained_graph, with_training

if TYPE_CHECKING:
    from mbanalyze.model_files.onnx_file.onnx_graph import OnnxGraph
    from mbanalyze.trace.forward_errors import NeedsValuesError
    from mbanalyze.trace.tracer import Module

_ON_VALUES = "run on real tensors"


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
        graph: the graph of an ONNX file, which is counted instead of a module; otherwise None.
    """

    name: str
    options: Mapping[str, Any]
    inputs: tuple[Any, ...]
    build: Build
    spec: Architecture | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    graph: OnnxGraph | None = None

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
        calls: bool = False,
        convention: str | None = None,
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
            calls: trace the module, and follow the calls that conventions of counting need.
            convention: count macs as another counter does, as `Report.under` does. Most conventions need a trace.

        Raises:
            ChoiceError: `dtype`, `mode`, `optimizer` or `convention` is unknown, or PyTorch does not train in
                `dtype`.
            OptionError: a flag is neither True nor False, `fused` or `convention` is given with `train`, or
                `optimizer` without `train`.
            ConventionError: the convention counts something, and the network runs no operator.
            ShapeError, TraceError: the input does not fit the network.
        """
        choose("mode", mode, get_args(Mode))
        check_flags(trace=trace, real=real or False, keep=keep, shortcuts=shortcuts, fused=fused, train=train)
        check_training(train=train, fused=fused, convention=convention, optimizer=optimizer, dtype=dtype)
        calls = calls or (convention is not None and find_convention(convention).needs_trace)
        if self.graph is not None:
            running = mode if mode != "eval" else None
            settings = {"trace": trace, "mode": running, "real": real, "keep": keep}
            refuse_settings(self.name, **settings, convention=calls and convention)
            report = recorded(self.name, self.options, self.graph, self.inputs, dtype)
            if train:
                return with_trained_graph(report, optimizer or "sgd")
        elif self.spec is None or trace or calls or (mode != "eval" and not train) or real or keep:
            report = self._traced(
                dtype,
                mode="train" if train else mode,
                real=real,
                keep=keep,
                shortcuts=shortcuts,
                calls=calls,
            )
        else:
            report = self._closed_form(self.spec, dtype, training=train)
        if train:
            return with_training(report, optimizer or "sgd", self.module, self.inputs, self.keywords)
        report = report.fused() if fused else report
        return report if convention is None else report.under(convention)

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

    def _trace(
        self, dtype: str | None, *, mode: Mode, real: bool, calls: bool, **settings: Any
    ) -> tuple[Report, str]:
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
            follow=_followed() if calls else None,
            **settings,
        )
        notes = [built.note] if built.note else []
        notes += [FORWARD_ALONE] * (mode == "train") + [_ON_VALUES] * real
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
            calls=seen.calls,
        )
        return report, seen.asked


def _followed() -> tuple[str, ...]:
    """The functions that a trace with calls follows."""
    from mbanalyze.conventions.known import FOLLOWED

    return FOLLOWED


def check_flags(**flags: object) -> None:
    """Raise `OptionError` for a flag that is neither True nor False: every text, such as "no", is true."""
    for name, flag in flags.items():
        if flag not in (True, False):
            raise OptionError(f"{name} must be True or False, not {flag!r}")


def _advice(error: NeedsValuesError, *, forbidden: bool) -> str:
    """The way to count a model whose forward needs values."""
    keep = ", or --keep assumes that every candidate is kept" if error.can_keep else ""
    if forbidden:
        return f"--real runs on values{keep}"
    return f"build the model with weights that have values, instead of on the meta device{keep}"

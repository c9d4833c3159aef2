"""The largest batch that a network trains and infers within some memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mbanalyze.capacity.batches import MOST, first_batch, largest_batch
from mbanalyze.capacity.graph_fitting import UNTRAINED, graph_peak, graph_shapes
from mbanalyze.capacity.peak import CapacityError
from mbanalyze.capacity.resized import BatchedInputs
from mbanalyze.display.records import finite
from mbanalyze.display.result import Result
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.parsing import parse_count, spell_reference
from mbanalyze.inputs.typed import is_whole
from mbanalyze.peak_memory.timeline import Account
from mbanalyze.report.network import versions
from mbanalyze.report.training import TRAINING_DTYPES
from mbanalyze.sources.resolve import Countable, resolve
from mbanalyze.sources.resolved_model import ResolvedModel
from mbanalyze.training_cost.optimizer_state import OPTIMIZERS

if TYPE_CHECKING:
    from mbanalyze.trace.training_step import MemoryPeak

FIT_SCHEMA = "mbanalyze.fit/1"

Purpose = Literal["training", "inference"]


@dataclass(frozen=True, slots=True)
class LargestBatch:
    """The largest batch that fits, and the memory that it takes.

    Attributes:
        purpose: "training", a step with the optimizer, or "inference", a forward in eval mode without gradients.
        batch: the batch; 0 if not even the first one fits, or if the network cannot be trained.
        peak: the most memory held at once with it; None if it is 0.
        next_bytes: the peak with a batch larger by one, which does not fit; None if the network does not run with it.
        reason: the reason that the network cannot be trained, or "".
    """

    purpose: Purpose
    batch: int
    peak: MemoryPeak | None = None
    next_bytes: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Fit(Result):
    """The largest batches of a network within some memory.

    Attributes:
        model: the network's name.
        options: its options.
        input: the shapes of its inputs that have a batch, without it.
        memory_bytes: the memory.
        optimizer: the optimizer of the training.
        dtype: the element type that the network was cast to; None for its own.
        batches: the largest batch for training, then for inference.
        defaults: the values of options that the network's name alone stands for.
        account: the account of the peaks of a file without a module; None for steps that ran.
    """

    model: str
    options: Mapping[str, Any]
    input: tuple[tuple[int, ...], ...]
    memory_bytes: int
    optimizer: str
    dtype: str | None
    batches: tuple[LargestBatch, ...]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    account: Account | None = None

    @property
    def reference(self) -> str:
        """The model and its options as every command takes them, without defaults."""
        default = self.defaults.items()
        return spell_reference(self.model, dict(each for each in self.options.items() if each not in default))

    @property
    def training(self) -> LargestBatch:
        """The largest batch that trains."""
        return self.batches[0]

    @property
    def inference(self) -> LargestBatch:
        """The largest batch that infers."""
        return self.batches[1]

    @property
    def fits(self) -> bool:
        """True if any batch fits, at least for inference."""
        return any(each.batch for each in self.batches)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as the JSON document of schema `FIT_SCHEMA`."""
        return {
            "schema": FIT_SCHEMA,
            "model": self.model,
            "options": {name: finite(value) for name, value in self.options.items()},
            "input": [list(sizes) for sizes in self.input],
            "memory_bytes": self.memory_bytes,
            "optimizer": self.optimizer,
            "dtype": self.dtype,
            "account": self.account,
            "versions": versions("onnx" if self.account else "torch"),
            "batches": self.records(),
        }

    def records(self) -> list[dict[str, Any]]:
        """Return one record for training and one for inference: the batch, its peak, and the content of the peak."""
        return [
            {
                "purpose": each.purpose,
                "batch": each.batch,
                "reason": each.reason,
                "peak_bytes": each.peak.bytes if each.peak else None,
                "next_peak_bytes": each.next_bytes,
                "phase": each.peak.phase if each.peak else None,
                **{f"{name}_bytes": size for name, size in _content(each.peak).items()},
            }
            for each in self.batches
        ]


CONTENTS = ("params", "buffers", "gradients", "optimizer_state", "activations", "temporaries")
"""The contents of memory, as `MemorySplit` has them."""


def _content(peak: MemoryPeak | None) -> dict[str, int | None]:
    return peak.split._asdict() if peak else dict.fromkeys(CONTENTS)


Progress = Callable[[str], None]
"""A callback for the name of the step that begins."""


def fit(
    what: Countable,
    memory: str | int,
    /,
    *inputs: Any,
    optimizer: str = "sgd",
    dtype: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Fit:
    """Find the largest batch that a network trains, and the largest that it infers, within some memory.

    The peak of a training step includes parameters, buffers, gradients and the state of the optimizer. It equals that
    of PyTorch's `MemTracker` on a CPU. Steps run on tensors without data, and both batches are measured, and the next
    larger ones too. The memory of the framework, of kernels, and gaps between allocations are not included.

    A file of ONNX has no module to train. Its peak is that of its weights and of its activations by the account
    `ideal`.

    Args:
        what: the network, as `mbanalyze.count` takes it.
        memory: bytes, or text such as "8 GB", "512 MB" or "8 GiB".
        inputs: the inputs of its forward, as for `count`. The first size of the first shape is the batch, and so is
            the first size of any other shape that equals it.
        optimizer: `none`, `sgd`, `momentum` or `adam`.
        dtype: the element type that the network is cast to; by default its own.
        progress: callback for the name of the step that begins.
        options: hyper-parameters of the network, as for `count`.

    Raises:
        ChoiceError: `optimizer` or `dtype` is unknown.
        ParseError: `memory` is malformed.
        CapacityError: the inputs have no batch, the options give one, or a file fixes it.
        OptionError, InputError, SourceError: the network could not be built.
        TraceError: a forward or a step raised.

    >>> fit("squeezenet1_1", "1 GB", resolution=64).training.batch
    645
    """
    choose("optimizer", optimizer, OPTIMIZERS)
    if dtype is not None:
        choose("dtype", dtype, TRAINING_DTYPES)
    limit = _bytes(memory)
    if "batch" in options:
        raise CapacityError("the batch is the result: leave out batch")
    model = resolve(what, *inputs, **options)
    steps = _Steps(model, optimizer, dtype, progress or (lambda _: None))
    batches = steps.training(limit), steps.largest("inference", limit)
    account: Account | None = None if model.graph is None else "ideal"
    found = (steps.shapes, limit, optimizer, dtype, batches, model.defaults, account)
    return Fit(model.name, model.options, *found)


def _bytes(memory: str | int) -> int:
    """The bytes of a memory."""
    if isinstance(memory, str):
        return parse_count(memory, of_bytes=True)
    if not is_whole(memory) or memory < 1:
        raise CapacityError(f"memory must be a whole number of bytes, or text such as '8 GB', not {memory!r}")
    return int(memory)


class _Steps:
    """Measures the peaks of one network.

    Attributes:
        shapes: the shapes of the inputs with a batch, without it.
    """

    def __init__(self, model: ResolvedModel, optimizer: str, dtype: str | None, progress: Progress) -> None:
        self._model = model
        self._inputs = BatchedInputs(model.inputs, model.keywords)
        self.shapes = (
            self._inputs.shapes() if model.graph is None else graph_shapes(model.name, model, model.graph)
        )
        self._optimizer = optimizer
        self._dtype = dtype
        self._progress = progress
        self._found: dict[tuple[Purpose, int], MemoryPeak | ValueError] = {}

    def training(self, memory: int) -> LargestBatch:
        """Return the largest batch that trains, or the reason that none does; errors as for `largest`."""
        from mbanalyze.trace.forward_errors import UntrainableError

        if self._model.graph is not None:
            return LargestBatch("training", 0, reason=UNTRAINED)
        try:
            return self.largest("training", memory)
        except UntrainableError as error:
            return LargestBatch("training", 0, reason=str(error))

    def largest(self, purpose: Purpose, memory: int) -> LargestBatch:
        """Return the largest batch that fits.

        Raises:
            TraceError: the network runs neither with a batch of one nor with one of two.
        """

        def peak(batch: int) -> int | None:
            found = self._peak(purpose, batch)
            return None if isinstance(found, ValueError) else found.bytes

        batch = largest_batch(peak, memory)
        first, alone = first_batch(peak), self._peak(purpose, 1)
        if isinstance(alone, ValueError) and peak(first) is None:
            raise alone
        after = batch + 1 if batch else first
        found = self._peak(purpose, batch) if batch else None
        assert not isinstance(found, ValueError)
        return LargestBatch(purpose, batch, found, None if batch == MOST else peak(after))

    def _peak(self, purpose: Purpose, batch: int) -> MemoryPeak | ValueError:
        """The peak with a batch, or the error of a step that raised; measured once."""
        key = purpose, batch
        if key not in self._found:
            self._progress(f"{purpose} with a batch of {batch}")
            self._found[key] = self._measured(purpose, batch)
        return self._found[key]

    def _measured(self, purpose: Purpose, batch: int) -> MemoryPeak | ValueError:
        from mbanalyze.trace.forward_args import as_inputs
        from mbanalyze.trace.forward_errors import TraceError
        from mbanalyze.trace.training_step import run_forward, run_step

        if self._model.graph is not None:
            return graph_peak(self._model, self._model.graph, batch, self._dtype)
        module, given = self._model.module, self._inputs.resized(batch)
        try:
            inputs, keywords = as_inputs(module, *given)
            if purpose == "inference":
                return run_forward(module, *inputs, keywords=keywords, dtype=self._dtype)
            step = run_step(module, *inputs, keywords=keywords, optimizer=self._optimizer, dtype=self._dtype)
            return step.peak
        except TraceError as error:
            return error

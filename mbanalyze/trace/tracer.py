"""`trace`, which runs a module on tensors without data and records every operator.

The forward runs on meta tensors under `torch.inference_mode`. Weights stay where they are: only their shapes are
used. The module is restored afterwards, also when its forward raises.
"""

from __future__ import annotations

import copy
import gc
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from threading import RLock, get_ident
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.jit import ScriptModule

from mbanalyze.inputs.typed import Mode
from mbanalyze.ops.calls import Calls
from mbanalyze.ops.record import Op
from mbanalyze.peak_memory.timeline import Timeline
from mbanalyze.trace.call_recorder import CallRecorder
from mbanalyze.trace.deferred import finish
from mbanalyze.trace.execution import Execution
from mbanalyze.trace.forward_errors import TraceError, errors_named
from mbanalyze.trace.leaf_modules import LeafRule, leaf_forwards, leaf_rule, leaf_rules
from mbanalyze.trace.lifetimes import NO_MEMORY, EagerMemory
from mbanalyze.trace.module_stack import ModuleStack, tracked_by
from mbanalyze.trace.module_tree import lazy_param, named_modules, named_params
from mbanalyze.trace.operator_timer import OperatorTimer
from mbanalyze.trace.param_memory import InterleavedError
from mbanalyze.trace.recorder import Recorder
from mbanalyze.trace.restore import preserve_state
from mbanalyze.trace.storage import Storages
from mbanalyze.trace.surroundings.autocast import follow_autocast
from mbanalyze.trace.surroundings.devices import any_device
from mbanalyze.trace.surroundings.eager import run_eagerly
from mbanalyze.trace.threads import Threads, follow_threads
from mbanalyze.trace.torch_internals import COMPILED_CALL, tree_map_only, unwrapped, wraps_tensors
from mbanalyze.trace.unseen import unseen_work

Module: TypeAlias = nn.Module
"""A PyTorch module, for annotations in packages that do not import torch."""

_LOCK = RLock()  # a trace changes the forward of each module, and global state of torch

_RUNNING: list[Threads] = []
"""The threads of the traces that run, of which one at a time holds the lock."""

_SHALLOW = 50
"""The levels of modules, and the calls of a count itself, for which the usual limit of recursion is enough."""

_MAX_VALUES = 2**16
"""The most elements of a floating-point input that keeps its values."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The operators of one forward pass.

    Attributes:
        ops: every operator that does work, in order.
        outputs: the numbers of the activations that the forward returned, inputs included.
        free: how often each operator without cost ran (views, allocations, dropout in eval mode), by name.
        unused_params: the names of the parameters that the forward never read.
        assumed: the operators whose output depends on values, and was assumed to keep every candidate.
        branches: the modules with a conditional operator whose costlier branch was counted.
        unseen: reasons to believe that some work was not recorded; empty for a complete trace.
        asked: an operator that needed values; the forward caught its error and continued. Otherwise "".
        frozen_weights: the numbers of the weights that require no gradient.
        memory: the storages that operators allocated.
        calls: the calls of modules and functions, if they were followed.
        times: nanoseconds of each operator, if they were timed.
    """

    ops: tuple[Op, ...]
    outputs: tuple[int, ...]
    free: dict[str, int]
    unused_params: tuple[str, ...]
    assumed: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    asked: str = ""
    frozen_weights: frozenset[int] = frozenset()
    memory: EagerMemory = field(default=NO_MEMORY, compare=False)
    calls: Calls | None = field(default=None, compare=False)
    times: tuple[float, ...] = field(default=(), compare=False)

    @property
    def eager(self) -> Timeline:
        """The account `eager` of peak memory: the storages that PyTorch holds while the forward runs in Python."""
        return self.memory.timeline()


@contextmanager
def alone() -> Iterator[None]:
    """Let one trace run at a time, without the garbage collector: most objects of a trace live until its end.

    A tensor in a cycle of references therefore stays in memory.
    """
    if any(running.follows_this_thread() for running in _RUNNING if running.main_thread != get_ident()):
        raise TraceError("a forward counts a module in a thread of its own: count it before")
    with _LOCK:
        enabled = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if enabled:
                gc.enable()


@alone()
def trace(
    model: nn.Module,
    *inputs: Any,
    keywords: Mapping[str, Any] | None = None,
    mode: Mode = "eval",
    real: bool = False,
    keep: bool = False,
    shortcuts: bool = True,
    made_up: bool = False,
    follow: Collection[str] | None = None,
    timer: OperatorTimer | None = None,
) -> Trace:
    """Run `model` on shapes and record every operator.

    Args:
        model: any module, with its weights on any device, `meta` included.
        inputs: tensors, or containers of tensors. Integers and small tensors keep their values.
        keywords: the same for keyword arguments of the forward.
        mode: "train" to count the operators of training mode; no gradients are computed.
        real: run on the data of the inputs, which takes the time of a forward pass.
        keep: assume that operators whose output depends on values (`nonzero`, non-maximum suppression) keep
            every candidate.
        shortcuts: compute output shapes of slow operators without PyTorch, which changes no result.
        made_up: run an operator on shapes if it does not accept the values of its arguments.
        follow: record the calls of modules, and of these functions of PyTorch, such as `torch.matmul`.
        timer: time each operator; the operators run on values.

    Raises:
        NeedsValuesError: the forward needs the values of a tensor, and `real` is False.
        TraceError: the forward raised; the message names the innermost module that was running.
    """
    model = unwrapped(model)
    modules, arguments = named_modules(model), (inputs, keywords or {})
    given, params = modules, named_params(modules)
    if lazy_param(params):
        model = _with_shapes(model, modules, arguments, mode, real=real)
        modules = named_modules(model)
        params = named_params(modules)
    storages = _storages(params, modules)
    real = real or timer is not None
    execution = Execution(storages, real=real, keep=keep, made_up=made_up)
    execution.timer = timer
    recorder = Recorder(execution, ModuleStack(), shortcuts=shortcuts)
    threads = Threads(recorder)
    calls = None if follow is None else CallRecorder(recorder, follow, given)
    surroundings = _surroundings(modules, arguments, execution, threads)
    with errors_named(model, recorder), surroundings:
        rules = leaf_rules() if shortcuts and not real and not calls else {}
        args, kwargs = _add_inputs(*arguments, storages, real=real)
        _allow_nesting(modules)
        prepared = _prepared(modules, mode, recorder, threads, rules, calls)
        with prepared, calls.following() if calls else nullcontext(), recorder:
            returned = finish(model(*args, **kwargs))
    ops, outputs = threads.record(storages.written(returned))
    if calls and len(ops) != len(recorder.ops):
        raise TraceError("the calls of a forward that uses other threads cannot be followed")
    if timer and len(ops) != len(recorder.ops):
        raise TraceError("the operators of a forward that uses other threads cannot be timed")
    return Trace(
        ops,
        outputs,
        threads.free(),
        storages.unread_params(),
        tuple(execution.assumed),
        threads.branches(),
        unseen_work(modules, recorder, threads, returned),
        execution.asked,
        frozenset(storages.frozen),
        storages.lifetimes.memory(),
        calls.calls() if calls else None,
        timer.nanoseconds() if timer else (),
    )


@contextmanager
def _listed(threads: Threads) -> Iterator[None]:
    """Keep the threads of a trace in `_RUNNING`, and pause the trace whose forward counts this module, if any."""
    with _RUNNING[-1].paused() if _RUNNING else nullcontext():
        _RUNNING.append(threads)
        try:
            yield
        finally:
            _RUNNING.remove(threads)


@contextmanager
def _surroundings(
    modules: Mapping[str, nn.Module],
    arguments: tuple[tuple[Any, ...], Mapping[str, Any]],
    execution: Execution,
    threads: Threads,
) -> Iterator[None]:
    """The contexts of a forward, after which `modules`, the arguments and global state are as before."""
    with (
        _listed(threads),
        preserve_state(modules.values(), arguments, real=execution.real),
        torch.inference_mode(),
        any_device(threads.follows_this_thread),
        follow_autocast(threads.entered),
        run_eagerly(threads.follows_this_thread),
        execution.saved,
        follow_threads(threads),
    ):
        yield


def _storages(params: Mapping[str, nn.Parameter], modules: Mapping[str, nn.Module]) -> Storages:
    """The memory of the parameters, all of which need a shape."""
    if lazy := lazy_param(params):
        raise TraceError(f"{lazy} has no shape yet: run the module once on a real input first")
    try:
        return Storages(params, modules)
    except InterleavedError as error:
        raise TraceError(str(error)) from error


def _with_shapes(
    model: nn.Module,
    modules: Mapping[str, nn.Module],
    arguments: tuple[tuple[Any, ...], Mapping[str, Any]],
    mode: Mode,
    *,
    real: bool,
) -> nn.Module:
    """A copy of a lazy model, whose parameters have the shapes that they take in its forward."""
    copied = copy.deepcopy(model).train(mode == "train")
    execution = Execution(Storages({}), real=real, keep=False)
    recorder = Recorder(execution, ModuleStack(), shortcuts=True)
    surroundings = _surroundings(modules, arguments, execution, Threads(recorder))
    with errors_named(model, recorder), surroundings:
        args, kwargs = _add_inputs(*arguments, execution.storages, real=real)
        with recorder:
            finish(copied(*args, **kwargs))
    return copied


def _allow_nesting(modules: Mapping[str, nn.Module]) -> None:
    """Raise Python's limit of recursion for deeply nested modules, to each of which a trace adds a call.

    The limit is restored with the other settings. It stays for other models, because it is one for all threads.
    """
    depth = max(path.count(".") for path in modules)
    if depth > _SHALLOW:
        sys.setrecursionlimit(min(sys.getrecursionlimit() + depth + _SHALLOW, 2**31 - 1))


@contextmanager
def _prepared(
    modules: Mapping[str, nn.Module],
    mode: Mode,
    recorder: Recorder,
    threads: Threads,
    rules: Mapping[type[nn.Module], LeafRule],
    calls: CallRecorder | None,
) -> Iterator[None]:
    """Set the mode of all modules, and let their forwards tell the recorders when they run."""
    training = mode == "train"
    tracked = tracked_by(recorder.module_stack, threads.stack_of)
    leaf_forward = leaf_forwards(recorder, tracked)
    usual: list[tuple[dict[str, Any], Any]] = []
    for path, module in modules.items():
        state = module.__dict__
        rule = leaf_rule(module, rules)
        forward = leaf_forward(module, path, rule) if rule else tracked(module.forward, path)
        if calls:
            forward = calls.followed(forward, module, path)
        if isinstance(module, ScriptModule):
            for part in module.modules():
                recorder.execution.saved.callback(setattr, part, "training", part.training)
                part.training = training
        else:
            if "forward" not in state:
                usual.append((state, state.get("training")))
            state["training"] = training  # `train()` may be overridden
            if COMPILED_CALL in state:
                state[COMPILED_CALL] = None
        state["forward"] = forward
    try:
        yield
    finally:
        for state, was_training in usual:  # what else has changed is restored with everything
            state.pop("forward", None)
            state["training"] = was_training


def _add_inputs(
    inputs: tuple[Any, ...], keywords: Mapping[str, Any], storages: Storages, *, real: bool
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of the forward, whose tensors are the first activations; large ones without data unless `real`."""

    def added(tensor: Tensor) -> Tensor:
        """The tensor that takes the place of one."""
        if tensor.is_nested and tensor.layout is torch.strided:
            raise TraceError("a nested tensor of this layout has no sizes: make it with layout=torch.jagged")
        known = storages.knows(tensor)
        storages.add_input(tensor)
        if wraps_tensors(tensor):
            return tensor  # a nested tensor and the like, which hold the tensors that operators see
        if real:
            return tensor.detach()
        if known or (tensor.is_floating_point() and tensor.numel() > _MAX_VALUES):
            return storages.to_meta(tensor).detach()
        return storages.twin(tensor)

    if not keywords and all(type(given) is Tensor for given in inputs):
        return tuple(map(added, inputs)), {}
    arguments: tuple[tuple[Any, ...], dict[str, Any]] = tree_map_only(Tensor, added, (inputs, dict(keywords)))
    return arguments

"""`run_step` and `run_forward`, which run a module on tensors without data and find the most memory held at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mbanalyze.trace.deferred import finish
from mbanalyze.trace.forward_args import tensor_leaves
from mbanalyze.trace.forward_errors import TraceError, UntrainableError
from mbanalyze.trace.module_stack import ModuleStack
from mbanalyze.trace.module_tree import lazy_param, named_modules, named_params
from mbanalyze.trace.torch_internals import unwrapped
from mbanalyze.trace.tracer import alone
from mbanalyze.trace.training_step.allocations import Allocations
from mbanalyze.trace.training_step.made_optimizers import MAKERS, STATELESS
from mbanalyze.trace.training_step.measured import MemoryPeak, TrainingStep
from mbanalyze.trace.training_step.on_cpu import OnCPU
from mbanalyze.trace.training_step.saved_tensors import SavedTensors
from mbanalyze.trace.training_step.stand_ins import StandIns
from mbanalyze.trace.training_step.surroundings import step_errors, surroundings

Loss: TypeAlias = Callable[[Any], Tensor]
"""A function from the outputs of a forward to the number that a step makes smaller."""


@alone()
def run_step(
    model: nn.Module,
    *inputs: Any,
    keywords: Mapping[str, Any] | None = None,
    optimizer: str = "sgd",
    loss: Loss | None = None,
    dtype: str | None = None,
) -> TrainingStep:
    """Run a step of a running training without data: forward, backward and the update of the parameters.

    If the optimizer keeps state, it is the second step, because the first one ends with making that state.
    Gradients are None when it starts, as after `zero_grad()`. Outputs and loss stay until its end.
    The optimizer updates one parameter at a time, as PyTorch does by default on a CPU.
    The default on a GPU, `foreach`, holds more temporaries at once.

    Args:
        model: any module, with its weights on any device, `meta` included. It stays as it was.
        inputs: tensors, or containers of tensors; only their shapes are used.
        keywords: the same for keyword arguments of the forward.
        optimizer: a key of `MAKERS`.
        loss: a function from the outputs to the loss; by default the sum of their elements.
        dtype: the name of an element type for all floating-point tensors, as after `model.to(dtype)`.

    Raises:
        NeedsValuesError: the forward needs the values of a tensor.
        TraceError: the step raised, or there is nothing to train.
    """
    with _prepared(model, (inputs, keywords or {}), dtype, train=True) as run:
        trained = [param for param in run.params if param.requires_grad]
        if not trained:
            raise UntrainableError("no parameter requires a gradient, so there is nothing to train")
        make = MAKERS[optimizer]
        update = make(trained) if make else None
        for param in trained:
            param.register_post_accumulate_grad_hook(run.hold_gradient)  # type: ignore[no-untyped-call]
        if optimizer not in STATELESS:
            _step(run, loss or _sum, update)
            run.start_again(trained, update)
        return _step(run, loss or _sum, update)


@alone()
def run_forward(
    model: nn.Module,
    *inputs: Any,
    keywords: Mapping[str, Any] | None = None,
    dtype: str | None = None,
) -> MemoryPeak:
    """Run the forward in eval mode under `torch.no_grad`, without data; arguments and errors as `run_step`."""
    with _prepared(model, (inputs, keywords or {}), dtype, train=False) as run:
        with run.allocations:
            outputs = finish(run.model(*run.args, **run.kwargs))
        del outputs
        return run.allocations.peak


@dataclass(frozen=True, slots=True)
class _Run:
    """A model whose parameters and buffers have no data, its arguments, and what follows it."""

    model: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    params: list[nn.Parameter]
    stack: ModuleStack
    allocations: Allocations

    def hold_gradient(self, param: Tensor) -> None:
        """Count the gradient of a parameter as one."""
        if param.grad is not None:
            self.allocations.hold([param.grad], "gradients")

    def start_again(self, trained: list[nn.Parameter], update: Optimizer | None) -> None:
        """Drop the gradients, and forget the first step but for the state of the optimizer."""
        for param in trained:
            param.grad = None
        states = update.state.values() if update else ()
        self.allocations.hold(tensor_leaves([dict(state) for state in states]), "optimizer_state")
        self.allocations.hold(self.model.buffers(), "buffers")  # the first step may have replaced one
        self.allocations.restart(kept=("params", "buffers", "optimizer_state"))
        self.allocations.hold(tensor_leaves((self.args, self.kwargs)), "activations")


@contextmanager
def _prepared(model: nn.Module, arguments: Any, dtype: str | None, *, train: bool) -> Iterator[_Run]:
    """The model and its arguments without data; everything is as before at the end."""
    model = unwrapped(model)
    modules, stack = named_modules(model), ModuleStack()
    if lazy := lazy_param(named_params(modules)):
        raise TraceError(f"{lazy} has no shape yet: run the module once on a real input first")
    stand_ins = StandIns(getattr(torch, dtype) if dtype else None)
    with step_errors(model, stack), surroundings(modules, arguments, stack, train=train):
        params, buffers = stand_ins.replace(modules.values())
        args, kwargs = stand_ins.of_all(arguments)
        stand_ins.release_buffers()
        allocations = Allocations(stand_ins)
        allocations.hold(params, "params")
        allocations.hold(buffers, "buffers")
        del buffers
        allocations.hold(tensor_leaves((args, kwargs)), "activations")
        with stand_ins.mode, OnCPU():
            yield _Run(model, args, dict(kwargs), params, stack, allocations)


def _step(run: _Run, loss: Loss, update: Optimizer | None) -> TrainingStep:
    """One step, whose outputs and loss are in memory until it ends, as variables of a training loop are."""
    allocations = run.allocations
    saved = SavedTensors(run.stack, allocations)
    with allocations:
        with saved:
            outputs = run.model(*run.args, **run.kwargs)
            number = loss(outputs)
        allocations.phase = "backward"
        if not number.requires_grad:
            raise UntrainableError("the loss depends on no parameter that requires a gradient")
        number.backward()  # type: ignore[no-untyped-call]
        gradients = allocations.bytes_of("gradients")
        allocations.phase = "optimizer"
        if update:
            update.step()
    work, by_path = allocations.backward, dict(saved.by_path)
    macs = None if work.uncounted else work.macs
    return TrainingStep(
        allocations.peak, sum(by_path.values()), by_path, gradients, macs, tuple(work.uncounted)
    )


def _sum(outputs: Any) -> Tensor:
    """The sum of the elements of all outputs that depend on a parameter; of complex ones, their real parts."""
    needed = [tensor for tensor in finish(outputs) if tensor.requires_grad]
    sums = [(tensor.real if tensor.is_complex() else tensor).sum() for tensor in needed]
    if not sums:
        raise UntrainableError("no output depends on a parameter that requires a gradient")
    return sum(sums[1:], sums[0])

"""Random modules keep the promises of a count; `make fuzz` tries many more of them than a test run does."""

from __future__ import annotations

import gc
import itertools
import operator
import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from grammar import Program, parts_called, programs, programs_of
from grammar_parts import EXCLUDED, GROUPS, Part
from hypothesis import HealthCheck, given, note, settings
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from mbanalyze import Report, count
from mbanalyze.ops.formulas import GATHERS
from mbanalyze.report.rows import Row
from mbanalyze.trace.forward_errors import TraceError

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
"""The number of random modules; without it, the tests run the same few each time."""


class OtherProducts(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The products that torch's counter does not count: by vectors, and bilinear ones."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Add a product by a vector, or `x1 W x2` of each sample: first `W x2`, then its inner product with `x1`."""
        name = func._schema.name.removeprefix("aten::")
        if name in ("mv", "dot", "vdot", "addmv"):
            self.macs += args[name == "addmv"].numel()
        elif name == "_trilinear":
            left, weight, right = args[:3]
            self.macs += weight.shape[0] * left.numel() * (right.shape[-1] + 1)
        return func(*args, **(kwargs or {}))


def witness(program: Program) -> int:
    """Return the multiply-accumulates that torch's counter finds in a forward pass on the CPU.

    The pass runs attention and recurrent layers as the products that compose them: fused ones are not counted.
    Parameters require no gradients: the counter hooks those that a module takes, and fails in inference mode.
    """
    net, others = program.build().requires_grad_(False), OtherProducts()
    with unfused(), torch.no_grad(), FlopCounterMode(display=False) as flops, others:
        net(program.tensor())
    return int(flops.get_total_flops()) // 2 + others.macs


@contextmanager
def unfused() -> Iterator[None]:
    """Switch off the fused path of transformers, fused attention, oneDNN, and pools of threads.

    torch's counter does not see the operators of another thread.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    onednn = torch._C._get_mkldnn_enabled()  # the public switch warns of another one that it sets
    submit = ThreadPoolExecutor.submit
    torch.backends.mha.set_fastpath_enabled(False)
    torch._C._set_mkldnn_enabled(False)
    ThreadPoolExecutor.submit = _run_at_once  # type: ignore[method-assign,assignment]
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]
        torch.backends.mha.set_fastpath_enabled(fast)
        torch._C._set_mkldnn_enabled(onednn)


def _run_at_once(_: Any, function: Any, *args: Any) -> Future[Any]:
    """Stand for `submit` of a pool, without a thread."""
    done: Future[Any] = Future()
    done.set_result(function(*args))
    return done


MAKERS = ("random", "sequence", "cosine_window", "blackman_window", "bartlett_window", "kaiser_window")
"""The kinds of operators that compute a tensor from numbers."""


CONTIGUOUS_ON_CPU: dict[str, Callable[[Tensor], Tensor]] = {
    "batch_norm": lambda x: functional.batch_norm(x, x.new_zeros(x.shape[1]), x.new_ones(x.shape[1])),
    "batch_norm_training": lambda x: functional.batch_norm(x, None, None, training=True),
    "log_sigmoid": functional.logsigmoid,
}
"""Kinds of operators whose output is contiguous on a CPU, and has the layout of the input elsewhere."""


class State:
    """Everything that a count has to leave as it was."""

    def __init__(self, net: nn.Module, *inputs: Tensor) -> None:
        given = {f"input {i}": tensor for i, tensor in enumerate(inputs)}
        held: dict[str, Tensor] = {**dict(net.named_parameters()), **dict(net.named_buffers()), **given}
        self.tensors = {
            name: (tensor, tensor.grad if tensor.is_leaf else None) for name, tensor in held.items()
        }
        self.facts = {name: _facts(tensor, versions=name not in given) for name, tensor in held.items()}
        self.values = {name: tensor.detach().clone() for name, tensor in held.items()}
        self.attributes = {path: _attributes(module) for path, module in net.named_modules()}
        self.random = random.getstate(), torch.get_rng_state().numpy().tobytes(), str(np.random.get_state())
        self.modes = (
            *(torch.is_grad_enabled(), torch.is_inference_mode_enabled(), gc.isenabled()),
            *(torch.is_autocast_enabled("cpu"), torch.backends.mha.get_fastpath_enabled()),
        )

    def differences(self, now: State) -> list[str]:
        """Return the names of everything that differs."""
        return [
            *(f"the object {name}" for name in self.tensors if not _same(self.tensors[name], now.tensors.get(name))),
            *(f"{name}: {fact}" for name, fact in self.facts.items() if fact != now.facts.get(name)),
            *(f"elements of {name}" for name, of in self.values.items() if not _equal(of, now.values.get(name))),
            *(f"attributes of {path!r}" for path, of in self.attributes.items() if not _same(of, now.attributes.get(path))),
            *("random states" for _ in range(self.random != now.random)),
            *("modes" for _ in range(self.modes != now.modes)),
        ]  # fmt: skip


def _facts(tensor: Tensor, *, versions: bool) -> tuple[Any, ...]:
    counted = not tensor.is_inference() and (versions or "version" not in EXCLUDED)
    version = tensor._version if counted else None
    return tensor.dtype, tensor.shape, tensor.stride(), tensor.requires_grad, tensor.is_inference(), version


def _attributes(module: nn.Module) -> list[Any]:
    """The attributes of a module, and the content of those that are containers."""
    found: list[Any] = []
    for name, value in module.__dict__.items():
        found += [name, value]
        if isinstance(value, dict):
            found += [*value, *value.values()]
        elif isinstance(value, list):
            found += value
    return found


def _same(a: Any, b: Any) -> bool:
    return b is not None and len(a) == len(b) and all(map(operator.is_, a, b))


def _equal(a: Tensor, b: Tensor | None) -> bool:
    return b is not None and a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num())


def report_of(program: Program, net: nn.Module, *inputs: Any, **options: Any) -> Report:
    """Count the module of a program, and check that it and its inputs are left as they were."""
    tensors = [each for each in inputs if isinstance(each, Tensor)]
    before = State(net, *tensors)
    try:
        return count(net, *inputs, mode=program.mode, **options)
    finally:
        assert before.differences(State(net, *tensors)) == [], options


def check_failure(program: Program, **options: Any) -> None:
    """Check that a forward that raises leaves the module as it was."""
    failing = replace(program, forward=(*program.forward[:-1], "raise KeyError('stop')"))
    given = failing.tensor() if options else failing.sizes()
    with pytest.raises(TraceError, match="stop"):
        report_of(failing, failing.build(), given, **options)


def check_same_rows(report: Report, other: Report) -> None:
    """Check that two reports have the same rows, in every column, and the same parameters that nothing reads."""
    differing = [pair for pair in itertools.zip_longest(report.rows, other.rows) if pair[0] != pair[1]]
    assert differing[:1] == []
    assert report.unused_params == other.unused_params


def device_decides(row: Row) -> bool:
    """True for an operator that keeps the order of permuted dimensions; on a CPU, its output is contiguous."""
    return row.op.kind in CONTIGUOUS_ON_CPU and row.op.output[0].strides is not None


def check_params(program: Program, net: nn.Module, report: Report) -> None:
    """Check that the parameters are those of the layers that the forward reads, each counted once."""
    params = dict(net.named_parameters())
    unused = {name for name in params if name.split(".")[0] in program.unused}

    assert sum(param.numel() for name, param in params.items() if name not in unused) == report.totals.params
    assert unused == set(report.unused_params)


def check_batch(program: Program, net: nn.Module) -> None:
    """Check that a batch of four costs twice a batch of two, except for the weights and buffers that it reads."""
    two, four = (report_of(program, net, program.sizes(batch)) for batch in (2, 4))

    assert len(two.rows) == len(four.rows)
    pairs = zip(map(doubled, two.rows, four.rows), map(counts, four.rows), strict=True)
    assert [pair for pair in pairs if pair[0] != pair[1]] == []


def counts(row: Row) -> tuple[Any, ...]:
    """The kind of a row and its counts; a lookup reads no more than its table, and is compared without."""
    cost = row.cost
    reads = None if row.op.kind in {*GATHERS, "embedding_bag"} else cost.reads
    return row.op.kind, cost.params, cost.macs, cost.flops, cost.activations, reads, cost.writes


def doubled(row: Row, larger: Row) -> tuple[Any, ...]:
    """The counts of a row for a batch twice as large; a row that reads the same costs the same.

    A constant that the forward makes, such as a first state, is a buffer that may grow with the batch.
    """
    kind, params, *amounts = counts(row)
    if row.op.operands and row.op.operands == larger.op.operands:
        return counts(row)
    stored = sum(size for *_, size in stored_values(row) & stored_values(larger))
    macs, flops, activations, reads, writes = (None if amount is None else 2 * amount for amount in amounts)
    return kind, params, macs, flops, activations, None if reads is None else reads - stored, writes


def stored_values(row: Row) -> set[tuple[str, int, int, int]]:
    """The weights and buffers that a row reads, each with its number, offset and elements."""
    return {
        (value.role, value.number, value.offset, value.size) for value in (*row.op.weights, *row.op.buffers)
    }


def check(program: Program) -> None:
    """Check everything that a count promises of a module."""
    net = program.build()
    report = report_of(program, net, program.sizes())
    assert report.complete, report.uncounted
    assert witness(program) == report.totals.macs
    assert [row for row in report.rows if not row.op.operands and row.op.kind not in MAKERS] == []
    check_params(program, net, report)
    check_same_rows(report, report_of(program, net, program.sizes(), shortcuts=False))
    check_failure(program)
    if not EXCLUDED & {f"{part.name} real" for part in program.parts}:
        real = report_of(program, net, program.tensor(), real=True)
        if not any(map(device_decides, report.rows)):
            check_same_rows(report, real)
        check_failure(program, real=True)
    if program.batchwise:
        check_batch(program, net)


@pytest.mark.filterwarnings("ignore")  # of PyTorch, about the modules
@pytest.mark.parametrize("group", GROUPS)
def test_each_part(group: str) -> None:
    """Each part of the grammar, alone in a module, is counted exactly."""
    for part in GROUPS[group]:
        if part.name not in EXCLUDED:
            program = next(programs_of(part))
            try:
                check(program)
            except AssertionError as error:
                error.add_note(program.script())
                raise


def test_a_parametrisation_in_inference_mode() -> None:
    """Weight normalisation inside `torch.inference_mode` is counted exactly, and the counter of torch counts it."""
    part = Part("4", "nn.utils.parametrizations.weight_norm(nn.Linear({last}, {k}))", batchwise=False)
    init = "self.m1 = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))"
    forward = ("with torch.inference_mode():", "    t1 = self.m1(t0)", "return t1")
    program = Program((init,), forward, (2, 4, 4, 4), False, "eval", False, (), (part,))

    check(program)
    # 2 * 4 * 4 positions of 4 channels in and 3 out: 32 * 4 * 3
    assert witness(program) == 384


@pytest.mark.parametrize("kind", CONTIGUOUS_ON_CPU)
def test_a_device_decides_a_layout(kind: str) -> None:
    """A CPU makes the output for a permuted tensor contiguous, and the meta device does not."""
    run, permuted = CONTIGUOUS_ON_CPU[kind], torch.rand(2, 4, 6).transpose(1, 2)

    assert (run(permuted).is_contiguous(), run(permuted.to("meta")).is_contiguous()) == (True, False)


@pytest.mark.filterwarnings("ignore")  # of PyTorch, about the modules
@pytest.mark.xfail(strict=True, reason="a fault, because of which the parts are left out")
@pytest.mark.parametrize("name", sorted(EXCLUDED))
def test_each_excluded_part_breaks_a_promise(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is in `EXCLUDED` only as long as some module with its parts breaks a promise."""
    monkeypatch.setitem(globals(), "EXCLUDED", EXCLUDED - {name})
    for part in parts_called(name):
        for program in itertools.islice(programs_of(part, EXCLUDED), 10):
            check(program)


@pytest.mark.filterwarnings("ignore")  # of PyTorch, about the modules
@settings(
    max_examples=EXAMPLES or 100,
    derandomize=not EXAMPLES,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(programs())
def test_random_modules(program: Program) -> None:
    """A random module is counted exactly, the same in every way of counting, and left as it was.

    Its macs are those of torch's counter, its parameters those of its layers, and its cost grows with the batch.
    """
    note(program.script())
    check(program)

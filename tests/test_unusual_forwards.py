"""Forwards that use threads, contexts, wrappers and deferred work are counted, or the report is incomplete."""

from __future__ import annotations

import asyncio
import queue
import threading
import types
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from mbanalyze import Shape, count
from mbanalyze.report.network import Report
from mbanalyze.trace.forward_errors import TraceError

WAYS: Mapping[str, Mapping[str, Any]] = {
    "shapes": {},
    "no shortcuts": {"shortcuts": False},
    "values": {"real": True},
}
EVERY_WAY = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


class Net(nn.Module):
    """Two layers, and a forward that a test gives."""

    def __init__(self, forward: Callable[[Any, Tensor], Any], width: int = 8) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, width), nn.Linear(8, width)
        self.weight = nn.Parameter(torch.ones(8, 8))
        self.function = forward

    def forward(self, x: Tensor) -> Any:
        """Run the given forward."""
        return self.function(self, x)


def kinds(report: Report) -> list[str]:
    """Return the kind of each row."""
    return [row.op.kind for row in report.rows]


# Wrappers


class Delegating(nn.Module):
    """A wrapper that asks what it wraps for unknown attributes."""

    def __init__(self, default: bool = False) -> None:
        super().__init__()
        self.model, self.head = torch.compile(nn.Linear(8, 4)), nn.Linear(4, 100)
        self.default = default

    def forward(self, x: Tensor) -> Tensor:
        """Run both parts."""
        out: Tensor = self.head(self.model(x))
        return out

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return None if self.__dict__["default"] else getattr(super().__getattr__("model"), name)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("default", [False, True])
def test_a_wrapper_that_delegates_is_not_replaced(default: bool) -> None:
    """The operators of a wrapper count, although it answers for a compiled module or has a default."""
    report = count(Delegating(default), (1, 8))

    assert (report.totals.macs, report.totals.params) == (32 + 400, 36 + 500)


def circular(module: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve an image that continues on its other side."""
    return functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="circular"), weight, bias)


@pytest.mark.parametrize("of_class", [False, True])
def test_a_patched_convolution_runs(of_class: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced `_conv_forward` of a module or of its class runs, as without shortcuts."""
    conv: Any = nn.Conv2d(3, 4, 3, padding=1)
    if of_class:
        monkeypatch.setattr(nn.Conv2d, "_conv_forward", circular)
    else:
        conv._conv_forward = types.MethodType(circular, conv)
    counted = [count(nn.Sequential(conv), (1, 3, 8, 8), shortcuts=each) for each in (True, False)]

    assert counted[0].rows == counted[1].rows
    assert "pad" in kinds(counted[0])


def test_a_patched_function_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced `functional.linear` runs."""
    linear = functional.linear
    monkeypatch.setattr(functional, "linear", lambda x, w, b=None: linear(x, w, b) * 2)

    assert kinds(count(nn.Sequential(nn.Linear(8, 4)), (1, 8))) == ["linear", "mul"]


def test_a_patched_input_check_runs() -> None:
    """A replaced `_check_input_dim` of a batch norm runs."""
    norm: Any = nn.BatchNorm2d(3)
    norm._check_input_dim = lambda x: x + x

    assert kinds(count(nn.Sequential(norm), (1, 3, 4, 4))) == ["add", "batch_norm"]


class Doubling(TorchFunctionMode):
    """Doubles every linear layer."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        return out * 2 if func is functional.linear else out


@EVERY_WAY
def test_a_function_mode_runs(way: Mapping[str, Any]) -> None:
    """Operators that a function mode adds are counted."""

    def forward(net: Net, x: Tensor) -> Any:
        with Doubling():
            return net.a(x)

    assert kinds(count(Net(forward), (1, 8), **way)) == ["linear", "mul"]


# Contexts


@EVERY_WAY
def test_autocast_in_a_forward(way: Mapping[str, Any]) -> None:
    """Autocast casts weight, bias and input, in the order in which PyTorch does."""

    def forward(net: Net, x: Tensor) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return torch.softmax(net.a(x), 1)

    report = count(Net(forward), (2, 8), **way)

    assert kinds(report) == ["copy", "copy", "copy", "linear", "softmax"]
    assert [row.op.operands[0].shape for row in report.rows[:3]] == [(8,), (8, 8), (2, 8)]


def test_autocast_can_be_left_and_disabled() -> None:
    """Outside of autocast, and in a disabled context in it, nothing is cast."""

    def forward(net: Net, x: Tensor) -> Any:
        with torch.autocast("cpu"), torch.autocast("cpu", enabled=False):
            x = net.a(x)
        return net.b(x)

    assert kinds(count(Net(forward), (2, 8))) == ["linear", "linear"]


def test_autocast_keeps_its_lists() -> None:
    """A loss is cast back to float32, and a concatenation takes the widest type."""

    def forward(_: Net, x: Tensor) -> Any:
        half = x.bfloat16()
        with torch.autocast("cpu"):
            return functional.mse_loss(half, half), torch.cat([half, x])

    shapes, values = (count(Net(forward), (2, 8), **way) for way in ({}, {"real": True}))

    assert kinds(shapes) == kinds(values)


def casting(net: Net, x: Tensor) -> Any:
    """Run two layers, the first of them in autocast."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = net.a(x)
    return net.b(x.float())


def casting_in_pool(net: Net, x: Tensor) -> Any:
    """Run the same in a pool of threads."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(casting, net, x).result()


def casting_in_thread(net: Net, x: Tensor) -> Any:
    """Run the same in a thread."""
    found: list[Tensor] = []
    thread = threading.Thread(target=lambda: found.append(casting(net, x)))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("forward", [casting_in_pool, casting_in_thread])
@EVERY_WAY
def test_autocast_in_a_thread(forward: Callable[[Any, Tensor], Any], way: Mapping[str, Any]) -> None:
    """Autocast in a thread of the forward casts as it does without the thread."""
    rows = count(Net(casting), (2, 8), **way).rows

    assert [row.op.kind for row in rows] == ["copy", "copy", "copy", "linear", "copy", "linear"]
    assert rows == count(Net(forward), (2, 8), **way).rows


def test_autocast_concerns_one_thread() -> None:
    """A thread of the forward casts nothing while another one is in autocast, and the other way round."""

    def forward(net: Net, x: Tensor) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16), ThreadPoolExecutor(1) as pool:
            x = pool.submit(net.a, x).result()
        return net.b(x)

    assert kinds(count(Net(forward), (2, 8))) == ["linear", "linear"]


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps", "xpu"])
@EVERY_WAY
def test_a_device_that_is_missing(device: str, way: Mapping[str, Any]) -> None:
    """A forward may name a device that the machine does not have."""

    def forward(net: Net, x: Tensor) -> Any:
        x = x.to(device) + torch.zeros(8, device=device) + torch.tensor([1.0] * 8, device=device)
        x = x + torch.arange(8, device=torch.device(device)) + x.new_tensor([2.0] * 8)
        return net.a(x)

    report = count(Net(forward), (2, 8), **way)

    assert (report.totals.macs, report.complete) == (2 * 64, True)


def test_a_module_is_moved_in_its_forward() -> None:
    """A module that moves to CUDA in its forward is on the CPU afterwards."""
    net = Net(lambda net, x: net.a.cuda()(x.cuda()))

    assert count(net, (2, 8)).totals.macs == 128
    assert net.a.weight.device.type == "cpu"
    assert net.a(torch.ones(2, 8)).shape == (2, 8)


@EVERY_WAY
def test_out_is_a_buffer(way: Mapping[str, Any]) -> None:
    """`out=` may be a real buffer."""
    buffer = torch.zeros(2, 8)

    assert count(Net(lambda _, x: torch.add(x, x, out=buffer) * buffer), (2, 8), **way).totals.flops == 32
    assert torch.equal(buffer, torch.zeros(2, 8))


def test_an_overwritten_buffer_has_no_values() -> None:
    """A buffer that takes the result of an operator without data has no values to decide by."""

    def forward(net: Net, x: Tensor) -> Any:
        steps = torch.zeros(2, 8)
        steps.copy_(x)
        return net.a(x) if steps.sum() > 0 else net.b(net.a(x))

    assert count(Net(forward), (2, 8)).real
    assert count(Net(forward), (2, 8)).notes[0].startswith("run on real tensors, because")


@EVERY_WAY
def test_spectral_norm_in_training(way: Mapping[str, Any]) -> None:
    """The power iteration of the old spectral norm is counted: 2 x 64, then 64 and 8, then the layer."""
    report = count(nn.utils.spectral_norm(nn.Linear(8, 8)), (2, 8), mode="train", **way)

    assert report.totals.macs == 2 * 64 + 64 + 8 + 2 * 64


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_steps_of_a_batch_first_layer_are_transposed(layer: Any, bidirectional: bool) -> None:
    """The output of a recurrent layer with `batch_first` has to be copied to be flat, in every way of counting."""
    rnn = layer(8, 4, batch_first=True, bidirectional=bidirectional)

    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = rnn

        def forward(self, x: Tensor) -> Any:
            return self.rnn(x)[0].reshape(-1)

    reports = [count(Flat(), (2, 5, 8), **way) for way in WAYS.values()]

    assert "copy" in kinds(reports[0])
    assert reports[0].rows == reports[1].rows == reports[2].rows


def test_vmap_of_a_module() -> None:
    """A module and a functional call under `torch.vmap` are counted."""

    def forward(net: Net, x: Tensor) -> Any:
        params: dict[str, Tensor] = dict(net.a.named_parameters())
        called = torch.vmap(lambda each: torch.func.functional_call(net.a, params, (each,)))(x)
        return torch.vmap(net.b)(called)

    assert count(Net(forward), (16, 8)).totals.macs == 2 * 16 * 64


def test_views_of_an_empty_dimension() -> None:
    """Views along a dimension of no elements are free."""

    def forward(_: Net, x: Tensor) -> Any:
        return torch.stack(x[:, :0].unbind(1) or (x,))

    for given in ((2, 8), torch.ones(2, 8)):
        assert count(Net(forward), given).uncounted == ()
    assert count(Net(forward), torch.ones(2, 8), real=True).uncounted == ()


# Threads


def in_pool(net: Net, x: Tensor) -> Any:
    """Multiply by two weights, in a pool of threads."""
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(lambda weight: x @ weight, [net.weight, net.a.weight]))


def in_old_pool(net: Net, x: Tensor) -> Any:
    """Run two layers, in another kind of pool."""
    with ThreadPool(2) as pool:
        return sum(pool.map(lambda layer: layer(x), [net.a, net.b]))


def in_threads(net: Net, x: Tensor) -> Any:
    """Run two layers, each in a thread of its own."""
    found: dict[int, Tensor] = {}
    layers = enumerate((net.a, net.b))
    threads = [threading.Thread(target=lambda i, m: found.update({i: m(x)}), args=each) for each in layers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found[0] + found[1]


@pytest.mark.parametrize("forward", [in_pool, in_old_pool, in_threads])
@EVERY_WAY
def test_threads_of_a_forward_are_counted(
    forward: Callable[[Any, Tensor], Any], way: Mapping[str, Any]
) -> None:
    """The operators of threads that the forward starts are counted: twice 4 x 64."""
    report = count(Net(forward), (4, 8), **way)

    assert (report.totals.macs, report.complete) == (2 * 256, True)


def test_rows_of_threads_have_one_order() -> None:
    """Rows and numbers are those of the forward without threads, in every run."""

    def alone(net: Net, x: Tensor) -> Any:
        return net.a(x) + net.b(x)

    rows = count(Net(alone), (4, 8)).rows

    assert [count(Net(in_threads), (4, 8)).rows for _ in range(5)] == [rows] * 5


def test_a_pool_is_free_afterwards() -> None:
    """A pool that outlives the count computes on values afterwards."""
    with ThreadPoolExecutor(1) as pool:
        report = count(Net(lambda net, x: pool.submit(net.a, x).result()), (4, 8))
        assert report.totals.macs == 256
        assert pool.submit(torch.dot, torch.ones(2), torch.ones(2)).result() == 2


class Worker:
    """A thread that exists before the count, and applies a function to what it is given."""

    def __init__(self) -> None:
        self.given: queue.Queue[Any] = queue.Queue()
        self.done: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self.work, daemon=True).start()

    def work(self) -> None:
        """Apply functions until the process ends."""
        while True:
            function, argument = self.given.get()
            try:
                self.done.put(function(argument))
            except Exception as error:
                self.done.put(error)

    def __call__(self, function: Callable[[Tensor], Any], argument: Tensor) -> Any:
        """Return the result of another thread, or the argument if it failed."""
        self.given.put((function, argument))
        result = self.done.get()
        return argument if isinstance(result, Exception) else result


@pytest.mark.parametrize("way", [{}, {"real": True}], ids=str)
@pytest.mark.parametrize("what", ["module", "function"])
def test_work_of_another_thread_is_never_complete(what: str, way: Mapping[str, Any]) -> None:
    """If a thread that cannot be followed works for the forward, the report is incomplete and says why."""
    worker = Worker()
    parts: dict[str, Callable[[Net], Callable[[Tensor], Any]]] = {
        "module": lambda net: net.a,
        "function": lambda net: lambda x: x @ net.weight,
    }
    report = count(Net(lambda net, x: worker(parts[what](net), x) * 2), (4, 8), **way)

    assert not report.complete
    assert "thread of its own" in report.unseen[0]
    assert "incomplete: " in str(report)


def test_another_thread_uses_the_model() -> None:
    """A thread that only uses the model is not disturbed, and its operators are not counted."""
    model = nn.Sequential(*[nn.Linear(8, 8) for _ in range(30)]).eval()
    errors: list[str] = []
    used = [0]
    stop = threading.Event()

    def use() -> None:
        while not stop.is_set():
            try:
                assert model(torch.ones(1, 8)).device.type == "cpu"
                used[0] += 1
            except Exception as error:
                errors.append(repr(error))

    thread = threading.Thread(target=use)
    thread.start()
    reports = [count(model, (1, 8)) for _ in range(20)]
    stop.set()
    thread.join()

    assert errors == []
    assert used[0] > 0
    assert {len(report.rows) for report in reports} == {30}


def replaced_functions(_: Any = None) -> list[Any]:
    """Return True for each function of torch that works as a trace needs it: compilation, devices, autocast."""

    def initialised(device: Any) -> bool:
        try:
            device._lazy_init()
        except (AssertionError, RuntimeError):
            return False
        return True

    compiled = torch.compile(nn.Identity())
    return [
        type(compiled) is nn.Identity,
        *map(initialised, (torch.cuda, torch.xpu)),
        torch.autocast("cuda")._enabled,
    ]


@pytest.mark.filterwarnings("ignore:.*CUDA is not available")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(torch.cuda.is_available() or torch.xpu.is_available(), reason="a device is present")
def test_a_bystander_has_the_functions_of_torch() -> None:
    """While a forward compiles nothing and has all devices, a thread that is not of the trace compiles and has none."""
    bystander, found = Worker(), []

    def forward(net: Net, x: Tensor) -> Any:
        with ThreadPoolExecutor(1) as pool:
            own = pool.submit(replaced_functions).result()
        found.extend([replaced_functions(), own, bystander(replaced_functions, x)])
        return net.a(x)

    before = replaced_functions()
    count(Net(forward), (1, 8))

    assert found == [[True] * 4, [True] * 4, [False] * 4]
    assert (before, replaced_functions()) == ([False] * 4, [False] * 4)


# Deferred work


def generated(net: Net, x: Tensor) -> Iterator[Any]:
    """Run two layers, one at a time."""
    yield net.a(x)
    yield net.b(x)


async def awaited(net: Net, x: Tensor) -> Any:
    """Run two layers in a coroutine."""
    return net.a(net.b(x))


def looped(net: Net, x: Tensor) -> Any:
    """Run a coroutine in an event loop."""
    return asyncio.run(awaited(net, x))


async def waiting(net: Net, x: Tensor) -> Any:
    """Wait for a timer."""
    await asyncio.sleep(0.01)
    return net.a(net.b(x))


DEFERRED: dict[str, Callable[[Any, Tensor], Any]] = {
    "generator": generated,
    "coroutine": awaited,
    "event loop": looped,
    "map": lambda net, x: {"steps": map(net.a, [x, x])},
    "timer": waiting,
    "future": lambda net, x: [ThreadPoolExecutor(1).submit(net.a, net.b(x))],
}


@pytest.mark.parametrize("name", DEFERRED)
@EVERY_WAY
def test_deferred_work_is_counted(name: str, way: Mapping[str, Any]) -> None:
    """Work that has not run when the forward returns is counted: two layers of 64."""
    report = count(Net(DEFERRED[name]), (1, 8), **way)

    assert (report.totals.macs, report.complete) == (2 * 64, True)


async def stream(net: Net, x: Tensor) -> AsyncIterator[Any]:
    """Yield a layer's output, asynchronously."""
    yield net.a(x)


def test_an_asynchronous_generator_is_refused() -> None:
    """An asynchronous generator is refused with advice."""
    with pytest.raises(TraceError, match="count a module that consumes it"):
        count(Net(stream), (1, 8))


def test_a_coroutine_in_an_event_loop() -> None:
    """In a running event loop, as in a notebook, a coroutine is counted unless it waits."""

    async def counted(forward: Callable[[Any, Tensor], Any]) -> Report:
        return count(Net(forward), (1, 8))

    assert asyncio.run(counted(awaited)).totals.macs == 128
    with pytest.raises(TraceError, match="count a module that runs it"):
        asyncio.run(counted(waiting))


# Refusals that the forward catches


def swallowing(net: Net, x: Tensor) -> Any:
    """Scale by a value, or leave out the second layer."""
    y = net.a(x)
    try:
        return net.b(y) * float(y.sum())
    except RuntimeError:
        return y


def test_a_refusal_that_is_caught() -> None:
    """If a forward catches the error of a missing value, it runs on values, or the report is incomplete."""
    report, shapes = count(Net(swallowing), (1, 8)), count(Net(swallowing), (1, 8), real=False)

    assert (report.totals.macs, report.real, report.complete) == (128, True, True)
    assert not shapes.complete
    assert "went on without them" in shapes.unseen[0]


def test_a_hidden_operator_that_is_caught() -> None:
    """If a forward catches the refusal of a higher-order operator, the report is incomplete."""
    map_rows = torch.ops.higher_order.map_impl

    def forward(net: Net, x: Tensor) -> Any:
        try:
            return map_rows(net.a, (x,), ())
        except RuntimeError:
            return net.b(x)

    report = count(Net(forward), (1, 8))

    assert not report.complete
    assert "hides what it runs" in report.unseen[0]


def test_a_layer_that_ran_unseen() -> None:
    """If a layer ran and no operator read its weight, the report is incomplete."""

    def forward(net: Net, x: Tensor) -> Any:
        with torch._C._DisableTorchDispatch():
            net.a.cpu()(torch.ones(1, 8))
        return net.b(x)

    report = count(Net(forward), (1, 8))

    assert not report.complete
    assert report.unseen == ("a ran, but no operator was seen to read its weight",)


# TorchScript


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_a_script_module_is_counted() -> None:
    """The graph of a scripted module runs operator by operator, alone or as a part."""
    script: Any = torch.jit.script(nn.Sequential(nn.Linear(8, 4), nn.ReLU()))
    for module in (script, nn.Sequential(script)):
        for way in WAYS.values():
            report = count(module, (1, 8), **way)
            assert (report.totals.macs, report.totals.params, report.unused_params) == (32, 36, ())
    assert script.training


# Loops and conditions


def test_a_condition_with_a_value_runs_its_branch() -> None:
    """A condition on given values runs the branch that they select."""

    def forward(net: Net, x: Tensor) -> Any:
        return torch.cond(x.sum() > 0, lambda x: net.a(net.b(x)), net.a, (x,))

    macs = [count(Net(forward), given).totals.macs for given in (torch.ones(1, 8), -torch.ones(1, 8), (1, 8))]

    assert macs == [128, 64, 128]
    assert count(Net(forward), (1, 8)).notes == ("counted the costlier branch of a condition in the model",)


def test_a_loop_on_values() -> None:
    """`while_loop` runs on values, and is refused by name on shapes."""
    from torch._higher_order_ops.while_loop import while_loop

    def forward(net: Net, x: Tensor) -> Any:
        start = (torch.zeros((), dtype=torch.int64, device=x.device) + x.sum().long() * 0, x)
        return while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, net.a(y)), start)  # type: ignore[no-untyped-call]

    assert count(Net(forward), (1, 8)).totals.macs == 3 * 64
    with pytest.raises(TraceError, match="while_loop"):
        count(Net(forward), (1, 8), real=False)


@pytest.mark.filterwarnings("ignore::UserWarning")
@EVERY_WAY
def test_flexible_attention(way: Mapping[str, Any]) -> None:
    """Flexible attention is attention: two products of 2 heads x 4 x 4 scores x 8. A score function adds its flops."""
    from torch.nn.attention.flex_attention import flex_attention

    def flops(change: Callable[..., Tensor]) -> int:
        report = count(Net(lambda _, x: flex_attention(x, x, x, score_mod=change)), (1, 2, 4, 8), **way)
        assert report.totals.macs == 2 * 2 * 4 * 4 * 8
        return report.totals.flops or 0

    assert flops(lambda score, *_: score * 2) - flops(lambda score, *_: score) == 2 * 4 * 4


# Advice


@pytest.mark.parametrize("real", [None, False])
def test_advice_for_missing_values_works(real: bool | None) -> None:
    """Each advice of an error is followed, and works."""

    def forward(_: Net, x: Tensor) -> Any:
        return x[x > 0]

    with torch.device("cpu" if real is False else "meta"):
        net = Net(forward)
    with pytest.raises(TraceError) as refused:
        count(net, (4, 8), real=real)

    message = str(refused.value)
    assert "or --keep assumes that every candidate is kept" in message
    assert count(net, (4, 8), real=real, keep=True).complete
    if real is False:
        assert "--real runs on values" in message
        assert count(net, (4, 8), real=True).complete
    else:
        assert "build the model with weights that have values" in message
        assert count(Net(forward), (4, 8)).complete


def test_advice_is_given_only_where_it_works() -> None:
    """An operator that --keep does not know gets no such advice; an error without missing values gets none."""
    item, wrong = Net(lambda net, x: x * x.sum().item()), Net(lambda net, x: net.a(x[..., :3]))

    with pytest.raises(TraceError, match=r"may need the values of a tensor\): --real runs on values$"):
        count(item, (4, 8), real=False)
    with pytest.raises(TraceError, match=r"must have same reduction dim, but got \[4, 3\] X \[8, 8\]$"):
        count(wrong, (4, 8))


@pytest.mark.parametrize("keyword", [False, True])
def test_a_tuple_that_was_meant_as_a_shape(keyword: bool) -> None:
    """A tuple that reaches a layer gets the advice to write a Shape."""
    given: dict[str, Any] = {"kwargs": {"input": (1, 8)}} if keyword else {"kwargs": {"input": [(1, 8)][0]}}

    with pytest.raises(TraceError, match=r"write Shape\(\.\.\.\)"):
        count(nn.Linear(8, 4), **given)


class Batches(nn.Module):
    """Layers on a nested tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer on all rows."""
        out: Tensor = self.layer(x).relu()
        return out


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_nested_tensor() -> None:
    """A jagged tensor of 3 and 5 rows costs what its 8 rows cost; another layout is refused with advice."""
    rows = [torch.ones(3, 8), torch.ones(5, 8)]
    report = count(Batches(), torch.nested.nested_tensor(rows, layout=torch.jagged))

    assert (report.totals.macs, report.totals.flops, report.complete) == (8 * 32, 8 * 32 * 2 + 2 * 32, True)
    with pytest.raises(TraceError, match=r"make it with layout=torch\.jagged"):
        count(Batches(), torch.nested.nested_tensor(rows))


# Tasks in unusual places


def test_a_pool_inside_a_branch() -> None:
    """A branch that is selected may use a pool, also after the forward has used one."""

    def forward(net: Net, x: Tensor) -> Any:
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(net.a, x).result()
            return torch.cond(x.sum() > 0, lambda y: pool.submit(net.b, y).result(), net.a, (first,))

    assert count(Net(forward), torch.ones(1, 8)).totals.macs == 128
    with pytest.raises(TraceError, match="a branch that may not run uses a thread of its own"):
        count(Net(forward), (1, 8), real=False)


def test_a_branch_that_is_dropped_changes_nothing() -> None:
    """The trial of a branch leaves the elements that it wrote as they were."""
    steps = torch.zeros(())

    def counted(net: Net, x: Tensor) -> Tensor:
        steps.add_(1)
        return net.a(x)  # type: ignore[no-any-return]

    def forward(net: Net, x: Tensor) -> Any:
        out = torch.cond(x.sum() > 0, lambda y: counted(net, y), lambda y: y.clone(), (x,))
        return net.b(out) if steps.item() > 1 else out

    assert count(Net(forward), (1, 8)).totals.macs == 64
    assert steps == 0


def test_a_condition_in_a_thread_is_noted() -> None:
    """The note on a condition is there if the condition stands in another thread."""

    def forward(net: Net, x: Tensor) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(torch.cond, x.sum() > 0, net.a, lambda y: y + 0, (x,)).result()

    assert "the costlier branch" in count(Net(forward), (1, 8)).notes[0]


def test_a_map_of_threads_has_the_paths_of_its_layers() -> None:
    """Each layer that a pool maps has its own row."""

    class Layers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Sequential(nn.Linear(8, 8)) for _ in range(4)])

        def forward(self, x: Tensor) -> Any:
            with ThreadPool(2) as pool:
                return pool.map(lambda layer: layer(x), list(self.layers))

    paths = [row.op.path for row in count(Layers(), (1, 8)).rows]

    assert sorted(paths) == [f"layers.{i}.0" for i in range(4)]


def test_methods_of_pools_keep_their_signatures() -> None:
    """The names of a pool's own parameters are free for the task, and `func` may be named."""

    def named(x: Tensor, *, pool: nn.Module) -> Any:
        return pool(x)

    def forward(net: Net, x: Tensor) -> Any:
        with ThreadPoolExecutor(1) as pool, ThreadPool(1) as other:
            first = pool.submit(named, x, pool=net.a).result()
            return other.apply_async(func=net.b, args=(first,)).get()

    assert count(Net(forward), (1, 8)).totals.macs == 128


def test_a_count_in_a_thread_of_a_counted_forward_is_refused() -> None:
    """A forward that counts a module in a thread gets an error, and does not wait for ever."""

    def forward(net: Net, x: Tensor) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(count, nn.Linear(8, 8), (1, 8)).result()

    with pytest.raises(TraceError, match="in a thread of its own: count it before"):
        count(Net(forward), (1, 8))


@EVERY_WAY
def test_a_count_in_a_counted_forward(way: Mapping[str, Any]) -> None:
    """A forward that counts a module, in autocast and with a layer of its own, has the rows of one that does not."""
    reports: list[Report] = []

    def forward(net: Net, x: Tensor) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            reports.append(count(inner, (2, 8), **way))
            x = net.a(x)
        return net.b(x.float())

    net = Net(forward)
    inner = nn.Sequential(net.a, nn.Softmax(1), Net(casting), Net(in_threads))
    report = count(net, (2, 8), **way)

    assert count(Net(casting), (2, 8), **way).rows == report.rows
    assert report.complete
    assert kinds(reports[0])[:8] == ["linear", "softmax", "copy", "copy", "copy", "linear", "copy", "linear"]
    assert reports[0].complete


def test_a_dataclass_that_holds_deferred_work() -> None:
    """A generator in a dataclass that a forward returns is run."""

    @dataclass
    class Result:
        steps: Any

    assert count(Net(lambda net, x: Result(net.a(x) for _ in range(2))), (1, 8)).totals.macs == 128


def test_the_event_loop_of_the_caller_stays() -> None:
    """A coroutine is counted in an event loop of its own."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        count(Net(awaited), (1, 8))
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


STORE: list[Any] = []


class Lazy(nn.Module):
    """A lazy layer, and a forward that changes its surroundings."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.layer, self.device = nn.LazyLinear(4), device

    async def forward(self, x: Tensor) -> Tensor:
        """Store a tensor and change settings, then run the layer."""
        STORE.append(x)
        torch.set_default_dtype(torch.float64)
        out: Tensor = self.layer(x.to(self.device))
        return out


def test_the_first_forward_of_a_lazy_model_changes_nothing() -> None:
    """A lazy model is counted as others are: its surroundings are restored, devices may be missing."""
    assert count(Lazy("cuda"), (2, 8)).totals.params == 36
    assert (STORE, torch.get_default_dtype()) == ([], torch.float32)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_a_parameter_beside_a_scripted_module() -> None:
    """A loose parameter is a constant, also if a submodule is scripted."""

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.script = torch.jit.script(nn.Linear(8, 8))
            self.loose = [nn.Parameter(torch.ones(8, 8))]

        def forward(self, x: Tensor) -> Any:
            return self.script(x) @ self.loose[0]

    assert count(Both(), (1, 8)).totals.macs == 128


def filled(*sizes: int, dtype: str = "int64") -> Shape:
    """A shape that is filled with ones."""
    return Shape(*sizes, dtype=dtype, fill="ones")


LOOKUPS: Mapping[str, tuple[Callable[[Any, Tensor], Any], tuple[int, ...]]] = {
    "embedding": (lambda net, i: functional.embedding(i, net.a.weight), (2,)),
    "index_select": (lambda net, i: net.a.weight.index_select(1, i), (2,)),
    "gather": (lambda net, i: net.a.weight.gather(1, i), (2, 2)),
    "gather from a constant": (lambda _, i: torch.ones(1, 8).gather(1, i), (1, 2)),
    "index": (lambda _, i: torch.ones(8)[i], (2,)),
}


@pytest.mark.parametrize("index", [8, -9])
@pytest.mark.parametrize("name", LOOKUPS)
@EVERY_WAY
def test_an_index_that_is_given_and_out_of_range(name: str, index: int, way: Mapping[str, Any]) -> None:
    """A lookup of an index that the caller gave and the table does not have is the error of the forward."""
    forward, shape = LOOKUPS[name]

    with pytest.raises(TraceError, match=f"[Ii]ndex.*out of (range|bounds)|{index}"):
        count(Net(forward), torch.full(shape, index), **way)
    assert count(Net(forward), torch.full(shape, 7), **way).totals.writes


def test_given_and_made_up_values_that_an_operator_refuses() -> None:
    """Ones that an input asks for stand for any matrix; a given matrix without an inverse is an error."""
    net = Net(lambda _, x: torch.linalg.inv(x))

    assert kinds(count(net, filled(3, 3, dtype="float32"))) == ["inverse"]
    assert kinds(count(net, (3, 3))) == ["inverse"]
    with pytest.raises(TraceError, match="could not be completed"):
        count(net, torch.ones(3, 3))


def test_a_made_up_index_stands_for_any() -> None:
    """An index that an input fills in may be outside of the table."""
    narrow = Net(lambda _, i: torch.ones(1, 1).gather(1, i))
    table = Net(lambda net, i: functional.embedding(i + 7, net.a.weight))

    assert kinds(count(narrow, filled(1, 2)))[-1] == "gather"
    assert kinds(count(table, filled(2))) == ["add", "embedding"]

"""A trace leaves the model, its inputs and global state as they were, whatever the forward does."""

from __future__ import annotations

import contextlib
import functools
import gc
import random
import sys
import threading
import time
import types
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import hostile_forwards
import numpy as np
import pytest
import torch
from hostile_forwards import (
    CACHE,
    COUNTS,
    HOSTILE,
    NEEDS_VALUES,
    Helper,
    Key,
    Memory,
    Net,
    Registry,
    attribute,
    change_classes,
    clamp,
    default,
    nothing,
    set_data,
    set_data_and_freeze,
    set_storage,
    swap,
    table,
)
from torch import Tensor, nn

from mbanalyze import count
from mbanalyze.trace.forward_errors import TraceError
from mbanalyze.trace.restore import preserve_state
from mbanalyze.trace.torch_internals import dispatch_modes
from mbanalyze.trace.tracer import trace

CASES = [
    pytest.param(real, act, id=f"{act.__name__}-{'real' if real else 'shapes'}")
    for act in HOSTILE
    for real in (False, True)
    if real or act not in NEEDS_VALUES
]


def of_tensor(tensor: Tensor) -> list[Any]:
    """Everything about a tensor that could change."""
    inference = tensor.is_inference()
    layout = [tensor.size(), tensor.stride(), tensor.storage_offset(), tensor.dtype, tensor.device]
    flags = [type(tensor), tensor.requires_grad, tensor.is_leaf, inference]
    hooks = [dict(tensor._backward_hooks or {}), tensor._post_accumulate_grad_hooks]
    held = [tensor.untyped_storage().data_ptr(), None if inference else tensor._version]
    return [id(tensor), *layout, *flags, *hooks, *held, tensor.detach().numpy().tobytes()]


def look(value: Any, seen: dict[int, Any]) -> Any:
    """The identity of a value, and of everything that it holds."""
    if id(value) in seen or isinstance(value, str | int | float | type(None)):
        return id(value)
    seen[id(value)] = value
    content = of_tensor(value) if isinstance(value, Tensor) else None
    if isinstance(value, np.ndarray | bytearray):
        content = [bytes(value)]
    return [id(value), type(value), content, [look(held, seen) for held in held_by(value)]]


def held_by(value: Any) -> list[Any]:
    """Keys, elements, variables, slots and attributes of a value."""
    found: list[Any] = []
    if isinstance(value, Tensor):
        found.append(value.grad if value.is_leaf else None)
    elif isinstance(value, dict | types.MappingProxyType):
        found += (*value.keys(), *value.values())
    elif isinstance(value, list | tuple | set | deque):
        found += value
    elif isinstance(value, types.FunctionType):
        found += (*(cell.cell_contents for cell in value.__closure__ or ()), value.__defaults__)
    elif isinstance(value, functools.partial):
        found.append(value.args)
    elif isinstance(value, Memory):
        found += (getattr(value, name, "missing") for name in ("tensor", "steps"))
    if hasattr(value, "__dict__") and not isinstance(value, type):
        found.append(value.__dict__)
    return found


def process() -> dict[str, Any]:
    """The settings and random states of the process."""
    hooks = vars(nn.modules.module)
    return {
        "modes": (
            torch._C._len_torch_function_stack(),
            torch._C._len_torch_dispatch_stack(),
        ),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "types": (torch.get_default_dtype(), torch.get_default_device(), torch.is_autocast_enabled("cpu")),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "threads": torch.get_num_threads(),
        "backends": (
            torch.backends.mha.get_fastpath_enabled(),
            torch.backends.cudnn.benchmark,
            torch.backends.mkldnn.enabled,
        ),
        "printing": dict(vars(torch._tensor_str.PRINT_OPTS)),
        "warnings": list(warnings.filters),
        "numpy": (np.geterr(), str(np.random.get_state())),
        "python": (gc.isenabled(), sys.getrecursionlimit(), random.getstate()),
        "random": torch.get_rng_state().tolist(),
        "hooks": [dict(hooks[name]) for name in sorted(hooks) if name.startswith("_global_") and hooks[name]],
    }


def picture(net: Net, *given: Any) -> dict[str, Any]:
    """The state of a module, of what functions and classes hold, and of the process."""
    seen: dict[int, Any] = {}
    settings = process()
    with torch.inference_mode(mode=False), contextlib.ExitStack() as stack:
        stack.enter_context(torch._C._DisableTorchDispatch())
        stack.enter_context(torch._C.DisableTorchFunction())
        return {
            "settings": settings,
            "net": look(net, seen),
            "given": look(list(given), seen)[2:],
            "classes": [[(n, id(v)) for n, v in vars(c).items()] for c in (Net, Helper, Key, Registry)],
            "table": look(Net.table, seen),
            "globals": look([CACHE, hostile_forwards.LAST, COUNTS, vars(hostile_forwards).get("LATE")], seen)[
                2:
            ],
            "functions": look([default, attribute], seen)[2:],
            "cached": table.cache_info().currsize,
        }


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Remove what hostile forwards leave when they run outside of a trace."""
    with preserve_state([Net(nothing)], [(CACHE, default, *HOSTILE)], real=True):
        yield


def run(net: Net, x: Any, *, real: bool) -> None:
    """Count a module; its forward may raise."""
    with contextlib.suppress(TraceError):
        count(net, x, real=real)


@pytest.mark.parametrize("fail", [False, True], ids=["ends", "raises"])
@pytest.mark.parametrize(("real", "act"), CASES)
def test_a_hostile_forward_changes_nothing(act: Any, real: bool, fail: bool) -> None:
    """The model, its input and the process are unchanged, bit for bit, also when the forward raises."""
    net, x = Net(act, fail=fail), torch.ones(2, 4)
    before = picture(net, x)
    run(net, x, real=real)
    after = picture(net, x)

    for aspect, value in before.items():
        assert value == after[aspect], aspect


@pytest.mark.parametrize("act", HOSTILE, ids=lambda act: act.__name__)
def test_a_hostile_forward_does_something(act: Any) -> None:
    """Without a trace, each hostile forward changes what the test above compares."""
    net, x = Net(act), torch.ones(2, 4)
    before = picture(net, x)
    with contextlib.suppress(RuntimeError, TypeError), torch.no_grad():
        net(x)
    after = picture(net, x)
    net.__dict__.pop("guard", None)  # leaves the mode
    modes: list[Any] = dispatch_modes()
    for mode in reversed(modes):
        mode.__exit__(None, None, None)  # else `torch.compile` of PyTorch 2.7 compiles nothing later

    assert before != after


@pytest.mark.parametrize(
    "make", [lambda: nn.BatchNorm2d(3), lambda: nn.InstanceNorm2d(3, track_running_stats=True)]
)
def test_statistics_of_normalisations_are_restored(make: Callable[[], nn.Module]) -> None:
    """In training mode with real tensors, normalisations write statistics without saying so in their schema."""
    net = nn.Sequential(make())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    count(net, torch.rand(2, 3, 8, 8), real=True, mode="train")

    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize("real", [False, True])
def test_a_pending_backward_pass_works(real: bool) -> None:
    """A graph that was recorded before a trace is still valid afterwards."""
    net = Net(clamp)
    loss = net.fc(torch.ones(1, 4, requires_grad=True)).sum()
    count(net, torch.ones(2, 4), real=real)
    loss.backward()

    assert net.fc.weight.grad is not None


@pytest.mark.parametrize("act", [set_data, set_data_and_freeze, set_storage, swap, change_classes])
def test_the_model_can_be_trained_afterwards(act: Any) -> None:
    """Parameters are leaves that require gradients, and no inference tensors."""
    net = Net(act)
    run(net, torch.ones(2, 4), real=True)
    net.act = nothing
    net(torch.ones(2, 4)).sum().backward()

    assert net.fc.weight.grad is not None
    assert not any(param.is_inference() for param in net.parameters())


class Cached(nn.Module):
    """A step of attention that adds to a cache that is handed in."""

    def __init__(self) -> None:
        super().__init__()
        self.key = nn.Linear(8, 8)

    def forward(self, x: Tensor, cache: Any, *, extra: dict[str, Any]) -> Tensor:
        """Add a key."""
        cache.tensor = torch.cat([cache.tensor, self.key(x)], 1)
        extra["seen"].append(x)
        out: Tensor = cache.tensor.sum(1)
        return out


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("make", [Memory, Helper], ids=["slots", "attributes"])
def test_objects_that_are_handed_in_are_restored(make: Callable[[], Any], real: bool) -> None:
    """A cache with 16 keys has them after a trace too, and the next step runs."""
    net, cache, extra = Cached(), make(), {"seen": [1]}
    cache.tensor = keys = torch.zeros(1, 16, 8)
    traced = trace(net, torch.zeros(1, 1, 8), cache, keywords={"extra": extra}, real=real)

    assert [op.kind for op in traced.ops] == ["linear", "cat", "reduce"]
    assert cache.tensor is keys
    assert extra == {"seen": [1]}
    assert net(torch.zeros(1, 1, 8), cache, extra=extra).shape == (1, 8)


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("real", [False, True])
def test_a_replaced_gradient_is_restored(real: bool, width: int) -> None:
    """A gradient is the same tensor after a forward that assigns another one, also one with equal elements."""

    class Assigning(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            self.weight.grad = torch.ones(width, width)
            return super().forward(x)

    net = Assigning(width, width)
    net.weight.grad = grad = torch.ones(width, width)

    # width rows by width inputs by width outputs
    assert count(net, (width, width), real=real).totals.macs == width**3
    assert net.weight.grad is grad


def test_what_a_function_notes_stays_unless_it_is_a_tensor() -> None:
    """A list outside of the model keeps what the forward appended, so that hooks may report what they see."""
    seen: list[Any] = []
    count(Net(lambda net, x: seen.append(x.shape)), torch.ones(2, 4))
    assert seen == [(2, 4)]

    count(Net(lambda net, x: seen.append(x)), torch.ones(2, 4))
    assert seen == [(2, 4)]


def test_what_cannot_be_restored_is_named() -> None:
    """A storage that was freed cannot come back; the error names its tensor, and others are restored."""

    def free(net: Any, x: Any) -> None:
        net.fc.weight.untyped_storage().resize_(0)
        net.plain.data = torch.zeros(1)
        net.steps.requires_grad_()

    net = Net(free)
    with pytest.raises(TraceError, match=r"cannot be restored: fc\.weight \(its storage was resized\)"):
        count(net, (2, 4))

    assert (net.plain.shape, net.steps.requires_grad) == ((2, 2), False)


def test_the_error_of_a_forward_is_kept() -> None:
    """If the forward raises and something cannot be restored, the error is that of the forward."""

    def free(net: Any, x: Any) -> None:
        net.fc.weight.untyped_storage().resize_(0)
        raise KeyError("mine")

    with pytest.raises(TraceError, match="raised KeyError"):
        count(Net(free), (2, 4))


class Grumpy:
    """An object that answers no question."""

    def __getattribute__(self, name: str) -> Any:
        """Raise."""
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        """Raise."""
        raise RuntimeError("eq")

    def __hash__(self) -> int:
        """Be a key."""
        return 1

    def __bool__(self) -> bool:
        """Raise."""
        raise RuntimeError("bool")

    def __len__(self) -> int:
        """Raise."""
        raise RuntimeError("len")


class Delegating:
    """A proxy that answers every name."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        """Note the name."""
        self.asked.append(name)
        return self


class Posing:
    """An object whose class and attributes are properties."""

    __slots__ = ("held",)

    @property
    def __class__(self) -> Any:
        """Raise."""
        raise RuntimeError("class")

    @__class__.setter
    def __class__(self, value: Any) -> None:
        """Raise."""
        raise RuntimeError("class")

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        """Raise."""
        raise RuntimeError("dict")


def nested(depth: int) -> list[Any]:
    """Return lists in lists."""
    inner: list[Any] = [1]
    for _ in range(depth):
        inner = [inner]
    return inner


def circular() -> list[Any]:
    """Return a list that holds itself."""
    found: list[Any] = []
    found.append(found)
    return found


STRANGE: dict[str, Callable[[], Any]] = {
    "grumpy": Grumpy,
    "key": lambda: {Grumpy(): 1},
    "posing": Posing,
    "lock": threading.Lock,
    "thread": threading.Thread,
    "file": lambda: sys.stdout,
    "generator": lambda: (i for i in range(3)),
    "iterator": lambda: iter([1, 2]),
    "circular": circular,
    "deep": lambda: nested(10_000),
    "long": lambda: list(range(1_000_000)),
    "system": random.SystemRandom,
    "package": lambda: torch,
    "proxy": lambda: weakref.proxy(Key()),
    "sparse": lambda: nn.Parameter(torch.eye(3).to_sparse()),
    "csr": lambda: torch.eye(3).to_sparse_csr(),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "jagged": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
    "quantised": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    "complex": lambda: torch.ones(3, dtype=torch.complex64).conj(),
    "lazy": lambda: nn.LazyLinear(3).weight,
    "inference": lambda: torch.inference_mode()(torch.ones)(3),
    "meta": lambda: torch.ones(3, device="meta"),
    "empty": lambda: torch.ones(0),
    "computed": lambda: torch.ones(3, requires_grad=True) * 2,
    "readonly": lambda: np.broadcast_to(np.ones(1), (3,)),
    "objects": lambda: np.array([{}, None], dtype=object),
    "script": lambda: torch.jit.trace(  # type: ignore[no-untyped-call]
        nn.Linear(2, 2), torch.ones(1, 2)
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("real", [False, True], ids=["shapes", "real"])
@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_attribute_does_not_disturb_a_trace(name: str, real: bool) -> None:
    """Objects that answer no questions, are circular or deep, and tensors without storage are left alone."""
    net, strange = Net(nothing), STRANGE[name]()
    net.__dict__["strange"] = strange
    net.__dict__["held"] = [strange]
    report = count(net, torch.ones(2, 4), real=real)

    assert report.totals.macs == 32  # 2 * 4 * 4
    assert net.__dict__["strange"] is strange
    assert net.__dict__["held"][0] is strange


def test_no_name_is_asked_of_a_proxy() -> None:
    """A proxy that answers every name is not asked for one."""
    net, proxy = Net(nothing), Delegating()
    net.__dict__["proxy"] = proxy
    count(net, torch.ones(2, 4))

    assert proxy.asked == []


def write_sparse(net: Any) -> None:
    """Write to a sparse tensor and to a complex one."""
    net.sparse._values().zero_()
    net.wave.data.mul_(2)
    net.wave.data = torch.zeros(2)


def test_elements_of_other_layouts_are_restored() -> None:
    """Values of a sparse tensor and of a complex one are written back."""
    net: Any = Net(nothing)
    net.sparse, net.wave = torch.eye(3).to_sparse(), torch.ones(3, dtype=torch.complex64).conj()
    with preserve_state([net], (), real=True):
        write_sparse(net)

    assert torch.equal(net.sparse.to_dense(), torch.eye(3))
    assert torch.equal(net.wave, torch.ones(3, dtype=torch.complex64))
    assert net.wave.is_conj()


@torch.library.custom_op("mbanalyze_tests::add_one", mutates_args=())
def add_one(x: Tensor) -> Tensor:
    """Add one, to the argument as well."""
    x.data.numpy()[:] += 1
    return x.clone()


@torch.library.custom_op("mbanalyze_tests::restart", mutates_args=(), schema="(Tensor[] xs) -> Tensor")
def restart(xs: list[Tensor]) -> Tensor:
    """Write to tensors in a list."""
    xs[0].data.numpy()[:] = 0
    return xs[0].clone()


@pytest.mark.parametrize("real", [False, True])
def test_operators_of_users_that_hide_their_writes(real: bool) -> None:
    """A custom operator that writes to a buffer, against its schema, changes nothing for good."""

    def act(net: Any, x: Any) -> None:
        add_one(net.plain)
        restart([net.tensors[0]])

    net: Any = Net(act)
    count(net, torch.ones(2, 4), real=real)

    assert torch.equal(net.plain, torch.ones(2, 2))
    assert torch.equal(net.tensors[0], torch.ones(2))


def test_a_forward_that_loads_numpy_leaves_no_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a forward is the first to load NumPy's random numbers, its seed does not decide those of the user."""
    numpy_random = np.random

    class Seeds(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            sys.modules["numpy.random"] = numpy_random
            np.random.seed(0)
            return x + 1

    seeded = str(np.random.RandomState(0).get_state())
    monkeypatch.delitem(sys.modules, "numpy.random")
    count(Seeds(), (1, 3))

    assert str(np.random.get_state()) != seeded


def test_counts_in_two_threads_leave_the_collector_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A count that waits for another one does not take over that the garbage collector is off."""
    enable, started, go_on = gc.enable, threading.Event(), threading.Event()

    class Waits(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            started.set()
            go_on.wait(10)
            return x + 1

    class Slow(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            time.sleep(0.2)  # in which a late `gc.enable` of the first count happens
            return x + 1

    def enable_late() -> None:
        time.sleep(0.1)
        enable()

    monkeypatch.setattr(gc, "enable", enable_late)
    threads = [threading.Thread(target=count, args=(make(), (1, 3))) for make in (Waits, Slow)]
    threads[0].start()
    started.wait(10)
    threads[1].start()
    time.sleep(0.1)  # the second count waits for the first
    go_on.set()
    for thread in threads:
        thread.join()
    on = gc.isenabled()
    enable()

    assert on

"""A trace leaves the model, its inputs and global state as they were, whatever the forward does."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import random
import sys
import threading
import types
import warnings
import weakref
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from mbanalyze import count
from mbanalyze.trace.tracer import TraceError

CACHE: dict[str, Any] = {}
LAST: Any = None
COUNTS = np.zeros(3)


@functools.lru_cache
def table(size: int) -> Tensor:
    """Return a tensor, and keep it."""
    return torch.zeros(size)


@dataclass(slots=True)
class Memory:
    """A helper with slots."""

    tensor: Any = None
    steps: Any = None


class Helper:
    """A plain helper whose class holds a cache."""

    cache: Any = None

    def __init__(self) -> None:
        self.tensor: Any = None
        self.deep = ([{}],)


class Registry(dict[str, Any]):
    """A dict that counts its writes, and has attributes."""

    def __setitem__(self, key: str, value: Any) -> None:
        """Refuse to be written to by others than its own method."""
        raise TypeError("use add")

    def add(self, key: str, value: Any) -> None:
        """Add an entry."""
        super().__setitem__(key, value)


class Tracked(list[Any]):
    """A list with an attribute."""

    last: Any = None


class Key:
    """A key of a weak dict."""


def counter() -> Callable[[Any], int]:
    """Return a function that closes over a dict and a number."""
    kept: dict[str, Any] = {}
    calls = 0

    def keep(value: Any) -> int:
        nonlocal calls
        calls += 1
        kept["x"] = value
        return calls

    return keep


def default(value: Any, kept: list[Any] = []) -> int:  # noqa: B006 (a cache of the kind that is tested)
    """Keep a value in a default argument."""
    kept.append(value)
    return len(kept)


def attribute(value: Any) -> None:
    """Keep a value in an attribute of itself."""
    attribute.last = value  # type: ignore[attr-defined]


class Net(nn.Module):
    """A module with every kind of state, whose forward does something hostile first."""

    shared: Any = None
    table: list[Any] = []  # noqa: RUF012 (a cache of the kind that is tested)

    def __init__(self, act: Callable[[Net, Tensor], object], *, fail: bool = False) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("steps", torch.zeros(3))
        self.steps: Tensor
        self.plain = torch.ones(2, 2)
        self.tensors = [torch.ones(2), {"a": torch.arange(3)}]
        self.memory = Memory(steps=[1])
        self.helper = Helper()
        self.registry = Registry(a=1)
        self.tracked = Tracked([1, 2])
        self.recent: deque[Any] = deque([1, 2], maxlen=2)
        self.default: defaultdict[str, list[Any]] = defaultdict(list)
        self.counted = Counter("aab")
        self.ordered = OrderedDict(a=1, b=2)
        self.chained: ChainMap[str, Any] = ChainMap({}, {"b": 1})
        self.space = types.SimpleNamespace(a=1)
        self.view = types.MappingProxyType({"inner": [1]})
        self.array = np.arange(6.0).reshape(2, 3)
        self.key = Key()
        self.weak: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary({self.key: 1})
        self.raw = bytearray(b"abc")
        self.keep = counter()
        self.partial = functools.partial(list.append, [])
        self.unlisted = (nn.Linear(2, 2),)
        self.act, self.fail = act, fail
        self.fc.bias.grad = torch.ones(4)
        self.fc.bias.register_hook(lambda grad: grad)
        self.fc.weight.flag = {"a": 1}  # type: ignore[attr-defined]

    @functools.cached_property
    def made(self) -> Tensor:
        """A tensor that is made on first use."""
        return torch.zeros(2)

    def forward(self, x: Tensor, *given: Any) -> Tensor:
        """Do what is to be undone."""
        self.act(self, x)
        if self.fail:
            raise RuntimeError("enough")
        out: Tensor = self.fc(x)
        return out


def set_data(net: Net, x: Tensor) -> None:
    net.fc.weight.data = functional.normalize(net.fc.weight.data, dim=-1)


def set_data_of_another_shape(net: Net, x: Tensor) -> None:
    net.steps.data = torch.ones(2, 7)
    net.fc.weight.data = net.fc.weight.data[:2].double()


def set_data_and_freeze(net: Net, x: Tensor) -> None:
    net.fc.weight.data = net.fc.weight.data * 2
    net.fc.weight.requires_grad_(False)


def write_data(net: Net, x: Tensor) -> None:
    net.fc.weight.data.mul_(2)
    net.tensors[0].data.add_(1)
    net.unlisted[0].weight.data.zero_()


def clamp(net: Net, x: Tensor) -> None:
    with torch.no_grad():
        net.fc.weight.clamp_(-0.1, 0.1)
        net.steps.add_(1)
        net.plain.add_(1)


def write_from_numpy(net: Net, x: Tensor) -> None:
    net.steps.numpy()[0] = 7
    net.fc.weight.detach().numpy()[0] = 7
    net.array[0] = 9


def write_from_c(net: Net, x: Tensor) -> None:
    ctypes.memset(net.fc.weight.data_ptr(), 1, 8)
    torch.from_dlpack(net.plain)[0] = 5


def normalise(net: Net, x: Tensor) -> None:
    functional.batch_norm(torch.rand(5, 4), net.norm.running_mean, net.norm.running_var, training=True)
    functional.instance_norm(torch.rand(5, 4, 3), net.norm.running_mean, net.norm.running_var)
    torch.native_batch_norm(
        torch.rand(5, 4), None, None, net.norm.running_mean, net.norm.running_var, True, 0.1, 0
    )


def train(net: Net, x: Tensor) -> None:
    net.train(not net.training)
    net.norm(x)


def swap(net: Net, x: Tensor) -> None:
    torch.utils.swap_tensors(net.plain, torch.zeros(5, dtype=torch.int32))


def set_storage(net: Net, x: Tensor) -> None:
    with torch.no_grad():
        net.fc.weight.set_(torch.ones(2, 8))
    net.plain.resize_(3)
    net.steps.unsqueeze_(0).t_()


def take_gradients(net: Net, x: Tensor) -> None:
    net.fc.weight.grad = torch.ones(4, 4)
    net.fc.bias.grad.zero_()  # type: ignore[union-attr]
    net.norm.bias.grad = None


def drop_gradients(net: Net, x: Tensor) -> None:
    net.zero_grad()


def hook(net: Net, x: Tensor) -> None:
    net.fc.weight.register_hook(lambda grad: grad * 0)
    net.fc.bias.register_hook(lambda grad: grad * 0)
    net.fc.weight.register_post_accumulate_grad_hook(lambda param: None)
    net.fc.register_forward_hook(lambda module, args, out: out)
    nn.modules.module.register_module_forward_hook(lambda module, args, out: None)


class Special(nn.Parameter):
    """Another class of parameters."""


def change_classes(net: Net, x: Tensor) -> None:
    net.fc.weight.__class__ = Special
    net.norm.__class__ = nn.BatchNorm2d  # type: ignore[assignment]
    net.helper.__class__ = Key  # type: ignore[assignment]


def set_attributes_of_tensors(net: Net, x: Tensor) -> None:
    net.fc.weight.flag["b"] = x  # type: ignore[attr-defined]
    net.fc.bias.flag = x  # type: ignore[attr-defined]
    net.plain.__dict__ = {"x": 1}


def exchange_parameters(net: Net, x: Tensor) -> None:
    net.fc.weight = nn.Parameter(torch.zeros(4, 4))
    del net.fc.bias
    net.fc.register_parameter("bias", None)
    net.fc.extra = nn.Linear(2, 2)
    net._buffers.pop("steps")


def replace_dicts(net: Net, x: Tensor) -> None:
    net.fc.__dict__ = dict(net.fc.__dict__)
    net.helper.__dict__ = {"deep": 1}
    net._modules = dict(net._modules)


def fill_slots(net: Net, x: Tensor) -> None:
    net.memory.tensor = x
    net.memory.steps.append(x)
    del net.memory.steps


def fill_containers(net: Net, x: Tensor) -> None:
    net.registry.add("x", x)
    net.tracked.append(x)
    net.tracked.last = x
    net.recent.append(x)
    net.default["x"].append(x)
    net.counted["x"] += 1
    net.ordered.move_to_end("a")
    net.ordered["x"] = x
    net.chained["x"] = x
    net.space.x = x
    net.view["inner"].append(x)
    net.weak[x] = x
    net.raw[0] = 0
    net.partial(x)


def fill_deep_containers(net: Net, x: Tensor) -> None:
    net.helper.deep[0][0]["x"] = x
    net.helper.deep[0].append(x)
    net.tensors[1]["b"] = x  # type: ignore[index, call-overload]


def reorder(net: Net, x: Tensor) -> None:
    net.ordered["a"] = net.ordered.pop("a")
    net.tensors.reverse()
    first = next(iter(net.fc._parameters))
    net.fc._parameters[first] = net.fc._parameters.pop(first)


def fill_classes(net: Net, x: Tensor) -> None:
    type(net).shared = x
    net.table.append(x)
    Helper.cache = x
    Helper.late = x  # type: ignore[attr-defined]


def fill_globals(net: Net, x: Tensor) -> None:
    global LAST, LATE  # noqa: PLW0603 (a cache of the kind that is tested)
    LAST = LATE = CACHE["x"] = x
    COUNTS[0] += 1


def fill_functions(net: Net, x: Tensor) -> None:
    net.keep(x)
    default(x)
    attribute(x)
    table(5)
    net.made  # noqa: B018 (a cached property)


def draw(net: Net, x: Tensor) -> None:
    random.random()
    np.random.random()
    torch.rand(1)


def leave_modes(net: Net, x: Tensor) -> None:
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_float32_matmul_precision("high")
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_autocast_enabled("cpu", True)
    torch.backends.mha.set_fastpath_enabled(False)
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    torch.autograd.set_detect_anomaly(True)
    torch.set_printoptions(precision=1)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    gc.enable()
    sys.setrecursionlimit(sys.getrecursionlimit() + 1)


def leave_inference_mode(net: Net, x: Tensor) -> None:
    net.guard = torch.inference_mode(not torch.is_inference_mode_enabled())  # type: ignore[assignment]
    net.guard.__enter__()  # type: ignore[operator]


def leave_a_function_mode(net: Net, x: Tensor) -> None:
    torch.overrides.BaseTorchFunctionMode().__enter__()


class Watch(TorchDispatchMode):
    """A mode that runs every operator."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def leave_a_dispatch_mode(net: Net, x: Tensor) -> None:
    Watch().__enter__()  # type: ignore[no-untyped-call]


def write_to_inputs(net: Net, x: Tensor) -> None:
    x.mul_(2)


HOSTILE: tuple[Callable[[Net, Tensor], object], ...] = (
    set_data,
    set_data_of_another_shape,
    set_data_and_freeze,
    write_data,
    clamp,
    write_from_numpy,
    write_from_c,
    normalise,
    train,
    swap,
    set_storage,
    take_gradients,
    drop_gradients,
    hook,
    change_classes,
    set_attributes_of_tensors,
    exchange_parameters,
    replace_dicts,
    fill_slots,
    fill_containers,
    fill_deep_containers,
    reorder,
    fill_classes,
    fill_globals,
    fill_functions,
    draw,
    leave_modes,
    leave_inference_mode,
    leave_a_function_mode,
    leave_a_dispatch_mode,
    write_to_inputs,
)
NEEDS_VALUES = {write_data, write_from_numpy, write_from_c, normalise}
"""Those that write to elements past the dispatcher, or to weights: a trace on shapes cannot see it."""


def of_tensor(tensor: Tensor) -> list[Any]:
    """Everything about a tensor that could change."""
    inference = tensor.is_inference()
    layout = [tensor.size(), tensor.stride(), tensor.storage_offset(), tensor.dtype, tensor.device]
    flags = [type(tensor), tensor.requires_grad, tensor.is_leaf, inference]
    hooks = [dict(tensor._backward_hooks or {}), tensor._post_accumulate_grad_hooks]  # type: ignore[attr-defined]
    held = [tensor.untyped_storage().data_ptr(), None if inference else tensor._version]
    return [id(tensor), *layout, *flags, *hooks, *held, tensor.detach().numpy().tobytes()]


def look(value: Any, seen: dict[int, Any]) -> Any:
    """The identity of a value, and of everything that it holds."""
    if id(value) in seen or isinstance(value, str | int | float | type(None)):
        return id(value)
    seen[id(value)] = value
    found: list[Any] = [id(value), type(value)]
    if isinstance(value, Tensor):
        found += of_tensor(value)
        found.append(look(value.grad, seen) if value.is_leaf else None)
    elif isinstance(value, np.ndarray | bytearray):
        found.append(bytes(value))
    elif isinstance(value, dict):
        found += [(id(key), look(held, seen)) for key, held in dict.items(value)]
    elif isinstance(value, list | tuple | set | deque):
        found += [look(held, seen) for held in value]
    elif isinstance(value, types.MappingProxyType):
        found.append(look(dict(value), {}) if "inner" not in value else look(value["inner"], seen))
    elif isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        found += [look(held, seen) for held in (*cells, value.__defaults__)]
    elif isinstance(value, functools.partial):
        found.append(look(value.args, seen))
    if isinstance(value, Memory):
        found += [look(getattr(value, name, "missing"), seen) for name in ("tensor", "steps")]
    if hasattr(value, "__dict__") and not isinstance(value, type):
        found.append(look(value.__dict__, seen))
    return found


def process() -> dict[str, Any]:
    """The settings and random states of the process."""
    hooks = vars(nn.modules.module)
    return {
        "modes": (
            len(torch.overrides._get_current_function_mode_stack()),
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
            "globals": look([CACHE, LAST, COUNTS, globals().get("LATE")], seen)[2:],
            "functions": look([default, attribute], seen)[2:],
            "cached": table.cache_info().currsize,
        }


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Remove what hostile forwards leave when they run outside of a trace."""
    from mbanalyze.trace.restore import preserve_state

    with preserve_state([Net(attribute)], [(CACHE, default, *HOSTILE)], real=True):
        yield


def run(net: Net, x: Any, *, real: bool) -> None:
    """Count a module; its forward may raise."""
    with contextlib.suppress(TraceError):
        count(net, x, real=real)


@pytest.mark.parametrize("fail", [False, True], ids=["ends", "raises"])
@pytest.mark.parametrize("real", [False, True], ids=["shapes", "real"])
@pytest.mark.parametrize("act", HOSTILE, ids=lambda act: act.__name__)
def test_a_hostile_forward_changes_nothing(act: Any, real: bool, fail: bool) -> None:
    """The model, its input and the process are unchanged, bit for bit, also when the forward raises."""
    net, x = Net(act, fail=fail), torch.ones(2, 4)
    if act in NEEDS_VALUES and not real:
        pytest.skip("a trace on shapes cannot see it")
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

    assert before != after

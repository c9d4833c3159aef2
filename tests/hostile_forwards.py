"""A module with every kind of state, and forwards that change it in every way."""

from __future__ import annotations

import ctypes
import functools
import gc
import random
import sys
import types
import warnings
import weakref
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import BaseTorchFunctionMode
from torch.utils import swap_tensors
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.dlpack import from_dlpack

CACHE: dict[str, Any] = {}
LAST: Any = None
LATE: Any
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
        self.deep: tuple[list[Any], ...] = ([{}],)


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

    def __init__(self, act: Callable[[Any, Any], object], *, fail: bool = False) -> None:
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
        self.fc.bias.register_hook(lambda grad: grad)  # type: ignore[no-untyped-call]
        self.fc.weight.flag = {"a": 1}  # type: ignore[attr-defined]

    @functools.cached_property
    def made(self) -> Tensor:
        """A tensor that is made on first use."""
        return torch.zeros(2)

    def forward(self, x: Tensor, *given: Any) -> Tensor:
        """Change the state."""
        self.act(self, x)
        if self.fail:
            raise RuntimeError("enough")
        out: Tensor = self.fc(x)
        return out


def set_data(net: Any, x: Any) -> None:
    """Replace the data of a weight."""
    net.fc.weight.data = functional.normalize(net.fc.weight.data, dim=-1)


def set_data_of_another_shape(net: Any, x: Any) -> None:
    """Replace data by others of another shape and dtype."""
    net.steps.data = torch.ones(2, 7)
    net.fc.weight.data = net.fc.weight.data[:2].double()


def set_data_and_freeze(net: Any, x: Any) -> None:
    """Replace the data of a weight and freeze it."""
    net.fc.weight.data = net.fc.weight.data * 2
    net.fc.weight.requires_grad_(False)


def write_data(net: Any, x: Any) -> None:
    """Write to weights through `data`."""
    net.fc.weight.data.mul_(2)
    net.tensors[0].data.add_(1)
    net.unlisted[0].weight.data.zero_()


def clamp(net: Any, x: Any) -> None:
    """Write to weights and buffers in place."""
    with torch.no_grad():
        net.fc.weight.clamp_(-0.1, 0.1)
        net.steps.add_(1)
        net.plain.add_(1)


def write_from_numpy(net: Any, x: Any) -> None:
    """Write to tensors through NumPy, and to an array."""
    net.steps.numpy()[0] = 7
    net.fc.weight.detach().numpy()[0] = 7
    net.array[0] = 9


def write_from_c(net: Any, x: Any) -> None:
    """Write to tensors through a pointer and through DLPack."""
    ctypes.memset(net.fc.weight.data_ptr(), 1, 8)
    from_dlpack(net.plain)[0] = 5


def normalise(net: Any, x: Any) -> None:
    """Update statistics by operators whose schema does not say so."""
    functional.batch_norm(torch.rand(5, 4), net.norm.running_mean, net.norm.running_var, training=True)
    functional.instance_norm(torch.rand(5, 4, 3), net.norm.running_mean, net.norm.running_var)
    torch.native_batch_norm(
        torch.rand(5, 4), None, None, net.norm.running_mean, net.norm.running_var, True, 0.1, 0
    )


def train(net: Any, x: Any) -> None:
    """Switch the mode and update statistics."""
    net.train(not net.training)
    net.norm(x)


def swap(net: Any, x: Any) -> None:
    """Exchange a tensor for another one."""
    swap_tensors(net.plain, torch.zeros(5, dtype=torch.int32))  # type: ignore[no-untyped-call]


def set_storage(net: Any, x: Any) -> None:
    """Give tensors another storage, size and layout."""
    with torch.no_grad():
        net.fc.weight.set_(torch.ones(2, 8))
    net.plain.resize_(3)
    net.steps.unsqueeze_(0).t_()


def take_gradients(net: Any, x: Any) -> None:
    """Set, write to and remove gradients."""
    net.fc.weight.grad = torch.ones(4, 4)
    net.fc.bias.grad.zero_()
    net.norm.bias.grad = None


def drop_gradients(net: Any, x: Any) -> None:
    """Remove all gradients."""
    net.zero_grad()


def hook(net: Any, x: Any) -> None:
    """Register hooks of tensors, of a module and of all modules."""
    net.fc.weight.register_hook(lambda grad: grad * 0)
    net.fc.bias.register_hook(lambda grad: grad * 0)
    net.fc.weight.register_post_accumulate_grad_hook(lambda param: None)
    net.fc.register_forward_hook(lambda module, args, out: out)
    nn.modules.module.register_module_forward_hook(lambda module, args, out: None)


class Special(nn.Parameter):
    """Another class of parameters."""


def change_classes(net: Any, x: Any) -> None:
    """Change the classes of a parameter, a module and an object."""
    net.fc.weight.__class__ = Special
    net.norm.__class__ = nn.BatchNorm2d
    net.helper.__class__ = Key


def set_attributes_of_tensors(net: Any, x: Any) -> None:
    """Set attributes of tensors."""
    net.fc.weight.flag["b"] = x
    net.fc.bias.flag = x
    net.plain.__dict__ = {"x": 1}


def exchange_parameters(net: Any, x: Any) -> None:
    """Replace and remove parameters and buffers."""
    net.fc.weight = nn.Parameter(torch.zeros(4, 4))
    del net.fc.bias
    net.fc.register_parameter("bias", None)
    net.fc.extra = nn.Linear(2, 2)
    net._buffers.pop("steps")


def replace_dicts(net: Any, x: Any) -> None:
    """Replace the dicts that hold attributes."""
    net.fc.__dict__ = dict(net.fc.__dict__)
    net.helper.__dict__ = {"deep": 1}
    net._modules = dict(net._modules)


def fill_slots(net: Any, x: Any) -> None:
    """Set, fill and delete slots."""
    net.memory.tensor = x
    net.memory.steps.append(x)
    del net.memory.steps


def fill_containers(net: Any, x: Any) -> None:
    """Write to containers of every class."""
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


def fill_deep_containers(net: Any, x: Any) -> None:
    """Write to containers in tuples in containers."""
    net.helper.deep[0][0]["x"] = x
    net.helper.deep[0].append(x)
    net.tensors[1]["b"] = x


def reorder(net: Any, x: Any) -> None:
    """Change the order of elements and parameters."""
    net.ordered["a"] = net.ordered.pop("a")
    net.tensors.reverse()
    first = next(iter(net.fc._parameters))
    net.fc._parameters[first] = net.fc._parameters.pop(first)


def fill_classes(net: Any, x: Any) -> None:
    """Store a tensor in classes."""
    type(net).shared = x
    net.table.append(x)
    Helper.cache = x
    Helper.late = x  # type: ignore[attr-defined]


def fill_globals(net: Any, x: Any) -> None:
    """Store a tensor in global variables."""
    global LAST, LATE  # noqa: PLW0603 (a cache of the kind that is tested)
    LAST = LATE = CACHE["x"] = x
    COUNTS[0] += 1


def fill_functions(net: Any, x: Any) -> None:
    """Store a tensor in closures, defaults, attributes and caches of functions."""
    net.keep(x)
    default(x)
    attribute(x)
    table(5)
    net.made  # noqa: B018 (a cached property)


def draw(net: Any, x: Any) -> None:
    """Draw random numbers."""
    random.random()
    np.random.random()
    torch.rand(1)


def leave_modes(net: Any, x: Any) -> None:
    """Change settings of the process."""
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
    torch._tensor_str.PRINT_OPTS.precision = 1
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    gc.enable()
    sys.setrecursionlimit(sys.getrecursionlimit() + 1)


def leave_inference_mode(net: Any, x: Any) -> None:
    """Enter or leave the inference mode for good."""
    net.guard = torch.inference_mode(not torch.is_inference_mode_enabled())
    net.guard.__enter__()


def leave_a_function_mode(net: Any, x: Any) -> None:
    """Enter a mode that intercepts functions, for good."""
    mode: Any = BaseTorchFunctionMode()
    mode.__enter__()


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A mode that runs every operator."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def leave_a_dispatch_mode(net: Any, x: Any) -> None:
    """Enter a mode that intercepts operators, for good."""
    mode: Any = Watch()  # type: ignore[no-untyped-call]
    mode.__enter__()


def write_to_inputs(net: Any, x: Any) -> None:
    """Write to the input."""
    x.mul_(2)


def nothing(net: Any, x: Any) -> None:
    """Change nothing."""


HOSTILE: tuple[Callable[[Any, Any], object], ...] = (
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
NEEDS_VALUES = {write_data, write_from_numpy, write_from_c}
"""Those that write to elements past the dispatcher, or to weights: a trace on shapes cannot see it."""

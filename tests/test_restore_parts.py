"""Each part of a snapshot restores exactly what changed."""

from __future__ import annotations

import functools
import gc
import random
import sys
import textwrap
import types
import warnings
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.overrides import BaseTorchFunctionMode, _get_current_function_mode_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack
from torch.utils.flop_counter import FlopCounterMode

from mbanalyze.trace.restore import RestoreError, preserve_state
from mbanalyze.trace.restore.containers import copied, is_unchanged, refill
from mbanalyze.trace.restore.installed_modules import cache_names, is_installed
from mbanalyze.trace.torch_internals import set_version


def restored(net: nn.Module, *, real: bool = True) -> Any:
    """Return a context that restores a module."""
    return preserve_state(list(net.modules()), (), real=real)


def set_deterministic(state: tuple[bool, bool]) -> None:
    """Set both settings of deterministic algorithms."""
    torch.use_deterministic_algorithms(state[0], warn_only=state[1])


def deterministic() -> tuple[bool, bool]:
    """Return both settings of deterministic algorithms."""
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def set_gc(enabled: bool) -> None:
    """Set whether Python collects garbage."""
    (gc.enable if enabled else gc.disable)()


@pytest.mark.parametrize(
    ("get", "set_", "values"),
    [
        (gc.isenabled, set_gc, (True, False)),
        (gc.get_threshold, lambda counts: gc.set_threshold(*counts), ((900, 9, 8), (800, 7, 6))),
        (deterministic, set_deterministic, ((True, False), (False, False), (True, True))),
        (
            lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
            lambda state: torch.set_anomaly_enabled(*state),
            ((True, False), (False, True), (True, True)),
        ),
    ],
    ids=["gc", "threshold", "deterministic", "anomaly"],
)
def test_settings(get: Callable[[], Any], set_: Callable[[Any], object], values: tuple[Any, ...]) -> None:
    """A setting has the value that it had, whatever the forward set."""
    first = get()
    try:
        for before in values:
            for inside in values:
                set_(before)
                with restored(nn.Module()):
                    set_(inside)
                assert before == get()
    finally:
        set_(first)


@pytest.mark.parametrize(
    ("container", "other"),
    [
        (bytearray(b"ab"), bytearray(b"ac")),
        (array("i", [1, 2]), array("i", [1, 3])),
        ([1, 2], [2, 1]),
        ([1, 2], [1]),
        ([1], [1, 2]),
        (deque([1, 2]), deque([1, 2, 3])),
        ({1}, {2}),
        ({"a": 1}, {"a": 2}),
        ({"a": 1, "b": 1}, {"b": 1, "a": 1}),
        (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)),
    ],
    ids=str,
)
def test_containers(container: Any, other: Any) -> None:
    """A container is unchanged if it has the same elements in the same order, and is refilled if not."""
    base = type(container)
    content, changed = copied(base, container), copied(base, other)
    kept = base("i", container) if base is array else base(container)

    assert is_unchanged(base, container, content)
    assert not is_unchanged(base, container, changed)
    refill(base, kept, changed)
    assert kept == other
    assert list(kept) == list(other)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("/usr/lib/python3/site-packages/a.py", True),
        ("/usr/lib/python3/dist-packages/a.py", True),
        ("/home/a.py", False),
        (None, False),
    ],
)
def test_installed_modules(file: str | None, expected: bool) -> None:
    """A module is installed if its file is among the packages."""
    assert expected == is_installed({"__file__": file})


INSTALLED = """
from torch import nn
from torch.nn import Linear

CACHE, LAST, NAME, UNREAD, init = {}, None, "a", [], []

def note(x):
    def inner():
        global LAST
        LAST = x
    inner()
    return NAME

def never_called():
    UNREAD.append(1)

class Other:
    def read(self):
        return UNREAD

class Net(nn.Module):
    def forward(self, x):
        CACHE["x"] = note(x)
        return x
"""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An installed module with a class of modules."""
    module = types.ModuleType("vendored_net")
    module.__file__ = "/site-packages/vendored_net.py"
    exec(INSTALLED, vars(module))  # noqa: S102 (a module whose file is not there)
    monkeypatch.setitem(sys.modules, "vendored_net", module)
    return module


def test_caches_of_an_installed_module(installed: Any) -> None:
    """Its caches are the variables that the methods of modules store or could change, also through functions."""
    assert set(cache_names(vars(installed))) == {"CACHE", "LAST"}

    net = installed.Net()
    with restored(net):
        net(torch.ones(2))
        assert isinstance(installed.LAST, Tensor)
    assert installed.CACHE == {}
    assert installed.LAST is None


@pytest.mark.parametrize("elements", [1, 3, 100])
@pytest.mark.parametrize("storage", ["strided", "sparse"])
def test_the_size_of_a_storage(storage: str, elements: int) -> None:
    """A storage that grew or shrank has its size and elements again, if they were copied."""
    net = nn.Module()
    net.plain = torch.ones(4) if storage == "strided" else torch.ones(4).to_sparse()
    held = (net.plain if storage == "strided" else net.plain._values()).untyped_storage()
    with restored(net):
        held.resize_(4 * elements)

    assert held.nbytes() == 16
    assert net.plain.to_dense().tolist() == [1, 1, 1, 1]
    with pytest.raises(RestoreError, match="its storage was resized"), restored(net, real=False):
        held.resize_(4 * elements)


def test_arrays_and_random_generators() -> None:
    """NumPy arrays and the random generators of a model have their elements and states again."""
    net: Any = nn.Module()
    net.low, net.high, net.objects = np.ones(2), np.ones(2), np.array([None, 1])
    net.torch, net.python = torch.Generator(), random.Random(1)
    net.numpy, net.old = np.random.default_rng(1), np.random.RandomState(1)

    def draw() -> list[Any]:
        return [torch.rand(1, generator=net.torch), net.python.random(), net.numpy.random(), net.old.rand()]

    with restored(net):
        net.low[0], net.high[0], net.objects[0] = 0, 2, 3
        first = draw()

    assert (net.low.tolist(), net.high.tolist(), net.objects.tolist()) == ([1, 1], [1, 1], [None, 1])
    assert draw() == first


class Slotted(Tensor):
    """A tensor with a slot."""

    __slots__ = ("held",)


def test_attributes_of_tensors() -> None:
    """The attributes and slots of tensors are restored, with what they hold."""
    net: Any = nn.Module()
    net.plain, net.bare, net.other = torch.ones(2), torch.ones(2), torch.ones(2)
    net.slotted = torch.ones(2).as_subclass(Slotted)
    net.plain.flag, net.slotted.held, net.other.flag = {"a": [1]}, [1], 1
    held, of_other = net.slotted.held, vars(net.other)
    with restored(net):
        net.plain.flag["a"].append(2)
        net.plain.more = net.bare.flag = 1
        held.append(2)
        net.slotted.held = []
        net.other.__dict__ = {"flag": 2}

    assert (vars(net.plain), vars(net.bare)) == ({"flag": {"a": [1]}}, {})
    assert net.slotted.held is held
    assert held == [1]
    assert vars(net.other) is of_other
    assert of_other == {"flag": 1}


class InSlots(nn.Module):
    """A module with a slot."""

    __slots__ = ("extra",)


class Listed(nn.Module, list):  # type: ignore[type-arg]
    """A module that is a list."""

    __hash__ = nn.Module.__hash__  # type: ignore[assignment]


class Early(nn.Module):
    """A module that has an attribute before those of every module."""

    def __init__(self) -> None:
        vars(self)["early"] = [1]
        super().__init__()


@pytest.mark.parametrize(
    ("make", "content"),
    [
        (InSlots, lambda net: net.extra),
        (Listed, lambda net: net[0]),
        (Early, lambda net: net.early),
    ],
)
@pytest.mark.parametrize("outer", [True, False])
def test_unusual_modules(make: Callable[[], Any], content: Callable[[Any], list[int]], outer: bool) -> None:
    """Slots, elements and early attributes of modules are restored, in the root and in a submodule."""
    inner = make()
    net = inner if outer else nn.Sequential(nn.Identity(), inner)
    if make is InSlots:
        inner.extra = [1]
    if make is Listed:
        inner.append([1])
    held = content(inner)
    with restored(net):
        held.append(2)
        if make is InSlots:
            inner.extra = []
        if make is Listed:
            inner.append(3)

    assert content(inner) is held
    assert held == [1]
    assert not isinstance(inner, list) or len(inner) == 1


def test_the_attributes_of_a_module_as_a_whole() -> None:
    """A module has the same dict of attributes after a forward that replaces it."""
    net = nn.Linear(2, 2)
    held = vars(net)
    with restored(net):
        net.__dict__ = dict(held, training=False)

    assert vars(net) is held
    assert net.training


def rename_in_place(held: dict[str, Any], name: str) -> None:
    """Give an attribute another name, at the same place and with the same value."""
    content = dict(held)
    held.clear()
    held.update({f"{key}_" if key == name else key: value for key, value in content.items()})


EDITS: dict[str, Callable[[dict[str, Any], str], object]] = {
    "remove": lambda held, name: held.pop(name, None),
    "replace": lambda held, name: held.__setitem__(name, object()),
    "rename": lambda held, name: held.update({f"{name}_": held.pop(name, None)}),
    "rename in place": rename_in_place,
    "move to the end": lambda held, name: held.__setitem__(name, held.pop(name, None)),
    "add": lambda held, name: held.__setitem__(f"more_{name}", name),
}
"""Changes of one attribute of a module."""


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_every_change_of_attributes_is_seen(data: st.DataObject) -> None:
    """Names, values and order of the attributes of modules are restored after any change."""
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Sequential(nn.ReLU()))
    held = [vars(module) for module in net.modules()]
    before = [list(each.items()) for each in held]
    with restored(net, real=False):
        for _ in range(data.draw(st.integers(1, 4))):
            changed = data.draw(st.sampled_from(held))
            name = data.draw(st.sampled_from([*changed])) if changed else "none"
            EDITS[data.draw(st.sampled_from([*EDITS]))](changed, name)

    after = [list(each.items()) for each in held]
    assert [[name for name, _ in each] for each in before] == [[name for name, _ in each] for each in after]
    assert all(
        a is b for x, y in zip(before, after, strict=True) for (_, a), (_, b) in zip(x, y, strict=True)
    )


def test_attributes_of_parameters() -> None:
    """The attributes of parameters are restored in a model that holds nothing else."""
    net: Any = nn.Linear(2, 2)
    net.weight.flag = {"a": [1]}
    with restored(net):
        net.weight.flag["a"].append(2)
        net.bias.more = 1

    assert (vars(net.weight), vars(net.bias)) == ({"flag": {"a": [1]}}, {})


class Dated(Tensor):
    """A tensor whose properties are those of its class."""

    @property
    def dtype(self) -> Any:  # type: ignore[override]
        """No type."""
        raise KeyError("dtype")

    requires_grad = grad = _version = dtype


def test_properties_that_a_class_replaces() -> None:
    """The state of a tensor is read without the properties of its class, and gradients without a warning."""
    net: Any = nn.Linear(2, 2)
    net.odd, net.computed = torch.ones(2).as_subclass(Dated), net.weight * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with restored(net):
            net.odd.data.as_subclass(Tensor).zero_()

    assert net.odd.tolist() == [1, 1]


@pytest.mark.parametrize("name", ["training", "first", "last"])
def test_an_attribute_of_a_module(name: str) -> None:
    """An attribute is restored whatever its place, if it was replaced, removed, added or renamed."""
    net: Any = nn.Sequential(nn.Identity(), nn.Identity())
    net[0].first, net[0].last = [1], [2]
    before = dict(vars(net[0]))

    for change in (
        lambda held: held.update({name: [3]}),
        lambda held: held.pop(name),
        lambda held: held.update(new=held.pop(name)),
        lambda held: held.update(new=1),
        lambda held: held.update({name: held.pop(name)}),
    ):
        with restored(net):
            change(vars(net[0]))  # type: ignore[no-untyped-call]
        assert list(before.items()) == list(vars(net[0]).items())


def test_hooks_and_versions_of_tensors() -> None:
    """The hooks of a tensor and its version are as they were, also if the version went back."""
    net: Any = nn.Linear(2, 2)
    weight = net.weight
    weight.register_post_accumulate_grad_hook(len)
    weight.register_hook(abs)
    net.plain = torch.ones(2).add_(1).add_(1)
    hooks = [dict(weight._backward_hooks), dict(weight._post_accumulate_grad_hooks)]
    with restored(net):
        weight.register_post_accumulate_grad_hook(repr)
        weight.register_hook(repr)
        set_version(net.plain, 1)

    assert [dict(weight._backward_hooks), dict(weight._post_accumulate_grad_hooks)] == hooks
    assert net.plain._version == 2


def test_a_conjugated_tensor() -> None:
    """A tensor whose elements are conjugated when they are read is one again."""
    net: Any = nn.Module()
    net.wave = torch.full((3,), 1j).conj()
    with restored(net):
        net.wave.data = torch.zeros(2)

    assert net.wave.is_conj()
    assert net.wave.tolist() == [-1j, -1j, -1j]


def test_caches_of_functions() -> None:
    """A cache that grew is cleared, and another one keeps its entries."""

    def number(x: int) -> int:
        return x

    net: Any = nn.Module()
    net.grown, net.kept = functools.lru_cache(number), functools.lru_cache(number)
    for cache in (net.grown, net.kept):
        cache(1)
    with restored(net):
        net.grown(2)
        net.kept(1)

    assert (net.grown.cache_info().currsize, net.kept.cache_info().currsize) == (0, 1)


@pytest.mark.parametrize("before", [[], [1]])
@pytest.mark.parametrize("file", ["a.py", "/site-packages/a.py"])
def test_a_list_outside_of_a_model(file: str, before: list[Any]) -> None:
    """A list that a function closes over is restored if it got a tensor, also if the function is installed."""
    held = list(before)

    def note(x: Tensor) -> None:
        held.append(x)

    net: Any = nn.Module()
    net.note = types.FunctionType(
        note.__code__, {"__file__": file, "__name__": "a"}, "note", None, note.__closure__
    )
    with restored(net):
        net.note(torch.ones(1))

    assert held == before


def test_an_object_outside_of_a_model() -> None:
    """An object that a function closes over has its attributes again if they were replaced by a tensor."""

    class Holder:
        pass

    holder = Holder()
    held = vars(holder)

    def note(x: Tensor) -> None:
        holder.__dict__ = {"x": x}

    net: Any = nn.Module()
    net.note = note
    with restored(net):
        note(torch.ones(1))

    assert vars(holder) is held
    assert held == {}


def test_attributes_that_were_added() -> None:
    """Attributes that a forward adds to a class are removed, and so is the value of an empty slot."""
    net: Any = InSlots()
    with restored(net):
        InSlots.added = net.extra = 1  # type: ignore[attr-defined]

    assert not hasattr(InSlots, "added")
    assert not hasattr(net, "extra")


def test_slots_of_buffers() -> None:
    """The slots of a buffer are restored in a model that holds nothing else."""
    net: Any = nn.Module()
    net.register_buffer("plain", torch.ones(2))
    net.register_buffer("slotted", torch.ones(2).as_subclass(Slotted))
    net.slotted.held = [1]
    with restored(net):
        net.slotted.held = []

    assert net.slotted.held == [1]


def test_a_note_names_what_stays_changed() -> None:
    """The error of a forward has a note if something could not be restored, and else none."""
    net = nn.Linear(2, 2)
    with pytest.raises(KeyError) as plain, restored(net):
        raise KeyError("mine")
    with pytest.raises(KeyError) as noted, restored(net, real=False):
        {}[net.weight.untyped_storage().resize_(0)]

    assert not hasattr(plain.value, "__notes__")
    assert noted.value.__notes__ == [
        "the forward changed what cannot be restored: weight (its storage was resized)"
    ]


def test_random_states_of_the_process() -> None:
    """The next random numbers of Python, NumPy and torch are those that a forward drew."""

    def draw() -> list[Any]:
        return [random.random(), np.random.random(), torch.rand(1)]

    with restored(nn.Module()):
        first = draw()

    assert draw() == first


@pytest.mark.parametrize("size", range(1, 19))
def test_the_last_byte_of_a_storage(size: int) -> None:
    """Elements are restored to the last byte, whatever the size of the storage."""
    net: Any = nn.Module()
    net.plain = torch.arange(size, dtype=torch.uint8)
    with restored(net):
        net.plain[-1] = 99

    assert net.plain.tolist() == list(range(size))


def test_integers_that_became_a_parameter() -> None:
    """A tensor of integers is one again after it got a gradient."""
    net: Any = nn.Module()
    net.plain = torch.arange(2)
    with restored(net):
        net.plain.data = torch.ones(2)
        net.plain.requires_grad_()

    assert (net.plain.dtype, net.plain.requires_grad, net.plain.tolist()) == (torch.int64, False, [0, 1])


def test_modes_that_a_forward_removed() -> None:
    """A mode that intercepts functions or operators is there again."""
    with BaseTorchFunctionMode() as mode, FlopCounterMode(display=False):
        with restored(nn.Module()):
            torch._C._pop_torch_function_stack()
            torch._C._pop_torch_dispatch_stack(None)
        assert _get_current_function_mode_stack() == [mode]  # type: ignore[no-untyped-call]
        assert len(_get_current_dispatch_mode_stack()) == 1


def test_files_and_caches_of_libraries(tmp_path: Path) -> None:
    """Files, and the caches of functions that no user wrote, stay as the forward left them."""
    net: Any = nn.Module()
    net.file = np.memmap(tmp_path / "a", dtype=np.uint8, mode="w+", shape=(2,))
    net.library = functools.lru_cache(textwrap.dedent)
    with restored(net):
        net.file[0] = 1
        net.library(" a")

    assert net.file.tolist() == [1, 0]
    assert net.library.cache_info().currsize == 1

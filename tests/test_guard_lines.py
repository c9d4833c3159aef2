"""The source lines of layers: the calls that make them, or else a class around them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from mbanalyze.guard import load
from mbanalyze.guard.construction import recorded
from mbanalyze.guard.runner import measure

HEAD = "import copy, functools\nfrom collections import OrderedDict\nfrom torch import nn\n"
CASES = {
    "an assignment": ("self.m = nn.Conv2d(3, 3, 1) #<", "m"),
    "an assignment of several lines": ("self.m = nn.Conv2d( #<\n            3,\n            3, 1)", "m"),
    "an element": ("self.m = nn.Sequential(nn.ReLU(),\n            nn.Conv2d(3, 3, 1)) #<", "m.1"),
    "an element by name": ("self.m = nn.Sequential(OrderedDict(a=nn.ReLU(),\n            b=nn.Conv2d(3, 3, 1))) #<", "m.b"),
    "a comprehension": ("self.m = nn.Sequential(\n            *[nn.Conv2d(3, 3, 1) for _ in range(2)]) #<", "m.1"),
    "a list": ("parts = []\n        parts.append(nn.Conv2d(3, 3, 1)) #<\n        self.m = nn.Sequential(*parts)", "m.0"),
    "add_module": ('self.add_module("m",\n            nn.Conv2d(3, 3, 1)) #<', "m"),
    "one branch of two": ("if len(str(self)):\n            self.m = nn.Conv2d(3, 3, 1) #<\n        else:\n            self.m = nn.Identity()", "m"),
    "a replacement": ("self.m = nn.Identity()\n        self.m = nn.Conv2d(3, 3, 1) #<", "m"),
    "a helper": ("self.m = helper()", "m"),
    "a subclass of a layer": ("self.m = Mine() #<", "m"),
    "a layer inside a library's": ("self.m = nn.Sequential(\n            nn.TransformerEncoderLayer(4, 1, 4)) #<", "m.0.self_attn.out_proj"),
    "a copied layer": ("one = nn.Conv2d(3, 3, 1)\n        self.m = nn.ModuleList( #<\n            [copy.deepcopy(one)])", "m.0"),
    "a layer of a copied block": ("one = Block()\n        self.m = nn.ModuleList([copy.deepcopy(one)])", "m.0.inner"),
    "a decorated __init__": ("self.m = Decorated()", "m.inner"),
    "a block with a decorated __init__": ("self.m = Decorated() #<", "m"),
}  # fmt: skip
NET = """
def helper():
    return nn.Conv2d(3, 3, 1){helper}

class Mine(nn.Conv2d):
    def __init__(self):
        super().__init__(3, 3, 1)

class Block(nn.Module):{block}
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.inner(x)

def passing(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)
    return inner

class Decorated(nn.Module):
    @passing
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(3, 3, 1){decorated}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        BODY

    def forward(self, x):
        return x + 1

def build():
    return Net()
"""
MARKS = {"a helper": "helper", "a layer of a copied block": "block", "a decorated __init__": "decorated"}
"""The cases whose line is outside of the network's class."""


@pytest.mark.parametrize("case", CASES)
def test_the_line_of_a_layer(case: str, tmp_path: Path) -> None:
    """A layer has the line of the call that makes it; a copied one that of a class or call around it."""
    body, path = CASES[case]
    marks = {mark: " #<" if MARKS.get(case) == mark else "" for mark in ("helper", "block", "decorated")}
    text = HEAD + NET.format(**marks).replace("BODY", body)
    (tmp_path / "net.py").write_text(text)
    (tmp_path / "mbanalyze.toml").write_text('[models.a]\nsource = "net.py:build"\ninputs = ["1,3,8,8"]\n')
    [measured] = measure(load(tmp_path / "mbanalyze.toml"), ["a"])
    [line] = [i for i, each in enumerate(text.splitlines(), 1) if each.endswith("#<")]

    assert measured.reason == ""
    assert (measured.locations[path].file, measured.locations[path].line) == ("net.py", line)


def test_the_calls_end_with_the_recording() -> None:
    """A layer made after the recording has no call, and the class of all modules is as before."""
    before: Callable[..., None] = nn.Module.__init__
    with recorded(lambda file: file == __file__) as construction:
        inside = nn.ReLU()
    outside = nn.ReLU()

    call = construction.call_of(inside)
    assert call
    assert call.function == "test_the_calls_end_with_the_recording"
    assert construction.call_of(outside) is None
    assert nn.Module.__init__ is before


def test_a_replacement_by_the_project_stays() -> None:
    """If the project's code replaces the method that records, its replacement stays."""
    before = nn.Module.__init__

    def own(self: nn.Module) -> None:
        before(self)

    try:
        with recorded(lambda _: True):
            nn.Module.__init__ = own  # type: ignore[method-assign]
        assert nn.Module.__init__ is own
    finally:
        nn.Module.__init__ = before  # type: ignore[method-assign]

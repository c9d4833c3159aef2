"""The installed counters are those of the conventions, and operators whose results nothing uses are known."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from conventions import recorded
from packaging.version import Version
from peer_cases import Net
from torch import nn
from torch.nn import functional

from mbanalyze.conventions.convention_names import NAMES
from mbanalyze.conventions.known import CONVENTIONS
from mbanalyze.conventions.unused import unused


def test_names() -> None:
    """The names that help and completion show are those of the conventions, in their order."""
    assert tuple(CONVENTIONS) == NAMES


PINNED = CONVENTIONS["flop-counter"].version
"""The release of PyTorch in constraints.txt."""


def test_the_release_of_the_rules_is_pinned() -> None:
    """The rules of PyTorch's counter are those of the release that `make` installs."""
    lines = (Path(__file__).parents[1] / "constraints.txt").read_text(encoding="utf-8").splitlines()

    assert f"torch=={PINNED}" in lines


@pytest.mark.parametrize("name", [name for name in CONVENTIONS if CONVENTIONS[name].package])
def test_version(name: str) -> None:
    """The rules of a convention state the behaviour of the version that is installed."""
    installed = Version(version(CONVENTIONS[name].package))
    if name.startswith("flop-counter") and installed.public != PINNED:
        pytest.skip("the rules are those of the PyTorch in constraints.txt")

    assert installed.public == CONVENTIONS[name].version


def _in_place_after(s: Any, x: Any) -> Any:
    kept = (image := s.a(x)) + 1
    image.add_(s.b(x))
    return kept


def _into_input(s: Any, x: Any) -> Any:
    x.mul_(2)
    x.copy_(s.b(x))
    return s.a(x)


def _into_input_after(s: Any, x: Any) -> Any:
    kept = s.a(x)
    x.copy_(s.b(x))
    return kept


def _into_part(s: Any, x: Any) -> Any:
    image = torch.zeros_like(x)
    image[:, :2] = s.b(x)[:, :2]
    image[:, 2:] = s.a(x)[:, 2:]
    return image


def _into_lost(s: Any, x: Any) -> Any:
    torch.zeros_like(x)[:, :2] = s.b(x)[:, :2]
    return s.a(x)


def _into_other_part(s: Any, x: Any) -> Any:
    part = (image := s.a(x))[:, :2]
    image[:, 2:].add_(s.b(x)[:, 2:])
    return part


def _into_buffer(s: Any, x: Any) -> Any:
    s.memory.copy_(s.b(x))
    return s.a(x)


UNUSED: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "both are returned": (lambda s, x: {"a": s.a(x), "b": [s.b(x)]}, []),
    "one is dropped": (lambda s, x: (s.b(x), s.a(x))[1], ["b"]),
    "a chain is dropped": (lambda s, x: (functional.relu(s.b(s.b(x))), s.a(x))[1], ["b", "b", ""]),
    "the input is returned": (lambda s, x: (s.a(x), x)[1], ["a"]),
    "activated in place and dropped": (lambda s, x: (s.b(x).relu_(), s.a(x))[1], ["b", ""]),
    "changed in place after the last use": (_in_place_after, ["b", ""]),
    "written to the input, which is read": (_into_input, []),
    "written to the input, which is not read": (_into_input_after, []),
    "written to a part of the result": (_into_part, []),
    "written to the other part of the result": (_into_other_part, []),
    "written to a dropped tensor": (_into_lost, ["b", ""]),
    "written to a buffer": (_into_buffer, []),
}
"""The use of the results of two convolutions -> the forward, and the paths of the unused operators."""


def two_layers(run: Callable[..., Any]) -> nn.Module:
    """Return a module of two convolutions and a buffer."""
    module = Net(run, a=nn.Conv2d(4, 4, 1), b=nn.Conv2d(4, 4, 1))
    module.register_buffer("memory", torch.zeros(1, 4, 6, 6))
    return module


@pytest.mark.parametrize("name", UNUSED)
def test_unused(name: str) -> None:
    """An operator is unused if its result neither reaches the outputs nor changes an input or a buffer."""
    run, paths = UNUSED[name]
    record = recorded(two_layers(run), torch.ones(1, 4, 6, 6))

    assert paths == [record.ops[i].path for i in sorted(unused(record))]


def test_arguments_of_a_call() -> None:
    """A call of a module has its arguments by position and name: settings, and the element types of tensors."""
    module = Net(lambda s, x, *rest, **named: x, a=nn.ReLU())
    outer = Net(lambda s, x: s.inner(x, None, [1, 2], mask=x > 0, causal=True, other=object()), inner=module)
    calls = recorded(outer, torch.ones(2)).calls

    assert calls
    assert calls.modules[1].arguments == {0: "float32", 1: None, 2: (1, 2), "mask": "bool", "causal": True}

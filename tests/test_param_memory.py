"""Parameters in one storage are told apart by their elements."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mbanalyze.trace.param_memory import InterleavedError, ParamMemory, byte_range

FLAT = torch.zeros(12)
TABLE = FLAT.view(3, 4)


def memory(**views: Tensor) -> ParamMemory[str]:
    """Return the memory of parameters that are views of one storage, each owned by its name."""
    params = {name: nn.Parameter(view) for name, view in views.items()}
    return ParamMemory([(param, name) for name, param in params.items()], params)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (FLAT[2:5], (8, 20)),
        (FLAT[3:3], (12, 12)),
        (FLAT.half()[1:3], (2, 6)),
        # from element 1 to element 2 x 4 + 2 = 10
        (TABLE[:, 1:3], (4, 44)),
        (TABLE.t(), (0, 48)),
        (TABLE[:, 1:1], (4, 4)),
    ],
)
def test_the_bytes_of_a_view(view: Tensor, expected: tuple[int, int]) -> None:
    """A view reaches from its first element to its last one."""
    assert expected == byte_range(view)


def test_parameters_side_by_side() -> None:
    """A view belongs to the parameters whose elements it has, and one outside of all to the first."""
    held = memory(c=FLAT[7:9], a=FLAT[:3], b=FLAT[3:6])

    assert [held.owner(FLAT[start : start + 2]) for start in (0, 2, 3, 7, 10)] == ["a", "a", "b", "c", "a"]
    assert held.read(FLAT[2:4]) == ["a", "b"]
    assert held.read(FLAT[3:6]) == ["b"]


def test_columns_of_a_table() -> None:
    """Elements of no parameter have no owner."""
    held = memory(x=TABLE[:, :2], y=TABLE[:, 2:3])

    assert held.read(TABLE[:, 1:]) == ["x", "y"]
    assert held.read(TABLE[:, 3:]) == []
    assert held.owner(TABLE[:, 2:]) == "y"


def test_parameters_of_two_precisions() -> None:
    """Parameters of different precision share a storage if they lie side by side."""
    held = memory(a=FLAT[:3], b=FLAT.view(torch.float16)[8:10])

    assert held.read(FLAT[4:5]) == ["b"]


@pytest.mark.parametrize(
    ("views", "names"),
    [
        ({"x": TABLE[:, :2], "y": TABLE[:, 2:3], "z": TABLE[:2, 1:3]}, "x and z"),
        ({"x": TABLE, "y": TABLE.view(torch.float16)[:, 6:], "z": FLAT[11:]}, "x and y"),
        ({"x": TABLE.view(torch.float16)[:, :2], "y": TABLE[:, 2:]}, "x and y"),
    ],
)
def test_parameters_that_cannot_be_told_apart(views: dict[str, Tensor], names: str) -> None:
    """Parameters with common elements, or interleaved ones of different precision, are named."""
    with pytest.raises(InterleavedError, match=f"{names} have elements in common"):
        memory(**views)

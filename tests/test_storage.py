"""The memory of tensors, told apart and counted."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mbanalyze.trace.storage import Storages

FLAT = torch.arange(12.0)
FIRST, SECOND = nn.Parameter(FLAT[:4]), nn.Parameter(FLAT[4:12])


def two() -> Storages:
    """Return the memory of two parameters in one storage."""
    return Storages({"first": FIRST, "second": SECOND})


def place(storages: Storages, tensor: Tensor) -> tuple[str, int, int, int]:
    """Return the role, number and offset of an operand, and how many learned scalars it is the first to read."""
    (value,), params, _ = storages.read((tensor,))
    return value.role, value.number, value.offset, params


def test_parameters_in_one_storage() -> None:
    """Each has a number, offsets from its own start, and is learned once."""
    storages = two()

    assert place(storages, SECOND) == ("weight", 0, 0, 8)
    assert place(storages, FIRST[2:]) == ("weight", 1, 2, 4)
    assert place(storages, SECOND[3:]) == ("weight", 0, 3, 0)
    assert storages.unread_params() == ()


def test_a_meta_copy_is_the_same_memory() -> None:
    """A meta tensor that stands for a view has the number, the offset and the parameters of that view."""
    storages = two()

    assert place(storages, storages.to_meta(SECOND.detach()[1:])) == ("weight", 0, 1, 8)
    assert storages.unread_params() == ("first",)
    assert place(storages, FIRST) == ("weight", 1, 0, 4)


def test_a_parameter_that_stands_in_for_another_one() -> None:
    """A parameter that a module holds in place of its own one has a number of its own, and is learned once."""
    first, second, other = (nn.Parameter(torch.zeros(n)) for n in (2, 3, 5))
    net = nn.Module()
    net.register_parameter("first", first)
    net.register_parameter("second", other)
    storages = Storages({"first": first, "second": second}, {"": net})

    assert place(storages, other) == ("weight", 0, 0, 3)
    assert storages.unread_params() == ("first",)
    assert place(storages, first) == ("weight", 1, 0, 2)
    assert place(storages, other) == ("weight", 0, 0, 0)


def test_the_number_of_one_that_was_a_constant() -> None:
    """A constant that takes the place of a parameter is the next weight."""
    first, second, other = (nn.Parameter(torch.zeros(n)) for n in (2, 3, 5))
    net = nn.Module()
    storages = Storages({"first": first, "second": second}, {"": net})
    net.register_parameter("first", first)
    assert place(storages, first) == ("weight", 0, 0, 2)
    assert place(storages, other) == ("buffer", 0, 0, 0)
    net.register_parameter("second", other)

    assert place(storages, other) == ("weight", 1, 0, 3)


# a storage of 2^23 bytes, which is the most, and one of 4 bytes more
@pytest.mark.parametrize(("elements", "copied"), [(3, True), (2**21, True), (2**21 + 1, False)])
def test_twins(elements: int, copied: bool) -> None:
    """A twin has the elements of a tensor; those of a small storage are a copy, counted as the same memory."""
    storages = Storages({})
    tensor = torch.zeros(elements)
    twin, part = storages.twin(tensor), storages.twin(tensor[1:])
    part[0] = 1

    assert (twin.shape, part.shape) == (tensor.shape, (elements - 1,))
    assert twin[1] == 1
    assert tensor[1] == (0 if copied else 1)
    assert place(storages, twin)[:2] == place(storages, tensor)[:2]


def test_a_twin_without_a_copy() -> None:
    """A tensor without data, or in another layout, is its own twin."""
    storages = Storages({})
    meta, sparse = torch.zeros(3, device="meta"), torch.eye(3).to_sparse()

    assert Storages.share_storage(storages.twin(meta), meta)
    assert Storages.share_storage(storages.twin(sparse), sparse)


def test_a_parameter_behind_the_start_of_its_storage() -> None:
    """Offsets count from the start of the parameter, also if it is alone; views of one shape are told apart."""
    storages = Storages({"second": SECOND})

    assert place(storages, SECOND[1:3]) == ("weight", 0, 1, 8)
    assert place(storages, SECOND[2:4]) == ("weight", 0, 2, 0)


def test_meta_copies_of_several_parameters() -> None:
    """Meta tensors that stand for different parameters of one storage are told apart."""
    storages = two()
    first, second = storages.to_meta(FIRST.detach()), storages.to_meta(SECOND.detach())

    assert place(storages, first) == ("weight", 0, 0, 4)
    assert place(storages, second) == ("weight", 1, 0, 8)
    assert storages.to_meta(second) is second


def test_numbers_of_outputs() -> None:
    """An activation that is written gets the next number, and a constant keeps its own."""
    storages, tensor, constant = Storages({}), torch.zeros(4), torch.zeros(4)

    assert place(storages, constant) == ("buffer", 0, 0, 0)
    assert [storages.write((tensor,))[0][0].number for _ in range(2)] == [0, 1]
    assert place(storages, torch.zeros(4)) == ("buffer", 1, 0, 0)
    assert storages.write((constant,))[0][0].number == 0
    for size in (2, 4):
        storages.invalidate(tensor.resize_(size))
        assert storages.read((tensor,))[0][0].shape == (size,)


def test_tensors_from_elsewhere() -> None:
    """A tensor without data that no operator of the trace made was computed elsewhere."""
    storages = Storages({})
    strange, known = (torch.zeros(2, device="meta") for _ in range(2))
    storages.write((known,))

    assert [id(tensor) for tensor in storages.unknown((strange, known, torch.zeros(2)))] == [id(strange)]

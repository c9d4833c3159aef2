"""Corners of a trace: inputs that almost fit, state in tuples, compiled layers, masks, and what is run at all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any, NamedTuple

import pytest
import torch
from arithmetic import Run
from torch import Tensor, nn
from torch.nn import functional
from witness import torchvision

from mbanalyze import count
from mbanalyze.trace.forward_errors import TraceError


def refused(module: nn.Module, *shapes: tuple[int, ...]) -> list[bool]:
    """Return True for each way of counting that raises TraceError: with and without shortcuts."""
    found = []
    for shortcuts in (True, False):
        try:
            count(module, *shapes, shortcuts=shortcuts)
        except TraceError:
            found.append(True)
        else:
            found.append(False)
    return found


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        # a window of 5 or 3 has no place on 4 or 2, and one dimension is enough
        (nn.Conv1d(3, 4, 5), (1, 3, 4)),
        (nn.Conv2d(3, 4, 5), (1, 3, 8, 4)),
        (nn.Conv2d(3, 4, 5), (1, 3, 4, 8)),
        (nn.Conv2d(3, 4, 3, dilation=2), (1, 3, 4, 8)),
        (nn.Conv2d(3, 4, (5, 1), padding=(0, 1)), (1, 3, 4, 8)),
        (nn.Conv3d(3, 4, 3), (1, 3, 4, 4, 2)),
        (nn.Conv3d(3, 4, 3), (1, 3, 2, 4, 4)),
        (nn.MaxPool2d(5), (1, 3, 8, 4)),
        (nn.AvgPool2d(5), (1, 3, 4, 8)),
    ],
    ids=repr,
)
def test_a_window_fits_in_every_dimension(layer: nn.Module, shape: tuple[int, ...]) -> None:
    """A window that is too large in one dimension is refused, with and without shortcuts."""
    assert refused(layer, shape) == [True, True]


@pytest.mark.parametrize("name", ["weight", "bias"])
@pytest.mark.parametrize("size", [(1,), (3,), (2, 6), (6, 1)])
def test_a_layer_norm_fits_its_weights(name: str, size: tuple[int, ...]) -> None:
    """A layer norm whose weight or bias has another shape than its input is refused."""
    layer = nn.LayerNorm(6)
    setattr(layer, name, nn.Parameter(torch.ones(size)))

    assert refused(layer, (2, 6)) == [True, True]


@pytest.mark.parametrize(
    "sizes", [(-1, -1), (-1, 4, -1), (12, -1, -1), (-2, 6), (-2, -6), (5, -1), (4, 4), (0, -1)]
)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_reshape_has_one_free_size(sizes: tuple[int, ...], order: tuple[int, int]) -> None:
    """A reshape to two free sizes, a negative size or another number of elements is refused."""
    assert refused(Run(lambda x: x.permute(order).reshape(sizes)), (3, 4)) == [True, True]


VIEWS: list[Callable[[Tensor], Any]] = [
    lambda x: x.view(3, 8).permute(1, 0),
    lambda x: x.reshape(6, 4),
    lambda x: x[:, 1:].unsqueeze(0).squeeze(0),
    lambda x: x.chunk(2, 1),
    lambda x: x.unbind(0),
    lambda x: x[:1].expand(5, 3, 4),
    lambda x: x.unfold(2, 2, 2).flatten(2),
    lambda x: x.diagonal(dim1=1, dim2=2).detach().movedim(0, 1),
]


@pytest.mark.parametrize("view", VIEWS)
def test_views_are_tallied_in_every_way_of_counting(view: Callable[[Tensor], Any]) -> None:
    """Views are counted by name on shapes, without shortcuts and on values."""
    net, shape = Run(view), (2, 3, 4)
    fast, slow, real = (
        count(net, shape),
        count(net, shape, shortcuts=False),
        count(net, torch.rand(shape), real=True),
    )

    assert sum(fast.free.values()) > 0
    assert [fast.free, fast.rows] == [slow.free, slow.rows] == [real.free, real.rows]


ADVICE = "--real"


@pytest.mark.parametrize(
    "needs",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.sum() > 0),
        lambda x: x.tolist(),
        lambda x: x.numpy(),
        lambda x: float(x.max()),
    ],
)
def test_a_forward_that_needs_values_is_advised_to_run_on_them(needs: Callable[[Tensor], Any]) -> None:
    """On shapes, the message names the option that runs on values, and with the option the forward runs."""
    with pytest.raises(TraceError, match=ADVICE):
        count(Run(needs), (2, 3), real=False)

    assert count(Run(lambda x: [needs(x), x + 1][1]), torch.rand(2, 3), real=True).complete


def _raise(error: Exception) -> Any:
    raise error


@pytest.mark.parametrize(
    "fails",
    [
        lambda x: _raise(ValueError("no such layer")),
        lambda x: _raise(KeyError("layer")),
        lambda x: x @ x,
        lambda x: functional.linear(x, torch.ones(2, 7)),
        lambda x: x.reshape(5, 5),
    ],
)
def test_other_failures_are_not_advised_so(fails: Callable[[Tensor], Any]) -> None:
    """A forward that fails with values too gets no advice to run on them."""
    with pytest.raises(TraceError) as raised:
        count(Run(fails), (2, 3), real=False)

    assert ADVICE not in str(raised.value)


class Pair(NamedTuple):
    """A tuple with names that holds containers."""

    first: list[Any]
    second: dict[str, Any]


class Keeper(nn.Module):
    """A module whose containers are in tuples, at several depths."""

    def __init__(self) -> None:
        super().__init__()
        self.pair: Any = ([], {})
        self.nested: Any = (([],), [({},)])
        self.cache: Any = {"a": ([], [([],)])}
        self.named = Pair([], {"b": ([],)})
        self.set: set[Any] = set()

    def forward(self, x: Tensor) -> Tensor:
        """Write to every container."""
        held = [self.pair[0], self.nested[0][0], self.cache["a"][0], self.cache["a"][1][0][0]]
        for each in [*held, self.named.first, self.named.second["b"][0]]:
            each.append(x)
        for each in (self.pair[1], self.nested[1][0][0], self.named.second):
            each["x"] = x
        self.set.add(x.shape)
        return x + 1


@pytest.mark.parametrize("real", [False, True])
def test_containers_in_tuples_are_restored(real: bool) -> None:
    """Lists and dicts in tuples, and tuples in lists and dicts, have their content after a count."""
    net, fresh = Keeper(), Keeper()
    count(net, torch.rand(2, 3), real=real)

    assert [net.pair, net.nested, net.cache, net.named, net.set] == [
        *(fresh.pair, fresh.nested, fresh.cache, fresh.named, fresh.set)
    ]
    net(torch.rand(2, 3))
    assert net.pair != fresh.pair


@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0")
@pytest.mark.parametrize("in_place", [False, True])
def test_a_compiled_layer_is_not_compiled_in_a_trace(in_place: bool) -> None:
    """A count runs a compiled layer without its compiler, and leaves it compiled."""
    compiled: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        compiled.append(graph)
        return graph.forward

    weight = torch.ones(3, 4)
    layer: Any = Run(lambda x: functional.linear(x, weight))
    if in_place:
        layer.compile(backend=backend)
    else:
        layer = torch.compile(layer, backend=backend)
    net = nn.Sequential(layer, nn.ReLU())
    reports = [count(net, (2, 4)), count(net, torch.rand(2, 4), real=True)]

    assert [report.totals.macs for report in reports] == [2 * 4 * 3] * 2
    assert compiled == []
    net(torch.rand(2, 4))
    assert len(compiled) == 1


KEPT: dict[str, tuple[Callable[[Tensor], Any], list[tuple[int, ...]]]] = {
    # a mask of 2 x 3 selects up to 6 rows of 4
    "mask": (lambda x: x[x.sum(2) > 0], [(6, 4)]),
    "whole mask": (lambda x: x[x > 0], [(24,)]),
    "mask of the last dimension": (lambda x: x[:, :, x[0, 0] > 0], [(2, 3, 4)]),
    "mask of two inner dimensions": (lambda x: x[:, x[0] > 0], [(2, 12)]),
    "masked select": (lambda x: torch.masked_select(x, x > 0), [(24,)]),
    "nonzero": (torch.nonzero, [(24, 3)]),
    "where": (lambda x: torch.where(x > 0), [(24,)] * 3),
}


@pytest.mark.parametrize("name", KEPT)
def test_every_candidate_is_kept(name: str) -> None:
    """With `keep`, a mask selects every element; without, TraceError names the option."""
    select, shapes = KEPT[name]
    report = count(Run(select), (2, 3, 4), keep=True)

    assert shapes == [value.shape for value in report.rows[-1].op.output]
    with pytest.raises(TraceError, match="--keep"):
        count(Run(select), (2, 3, 4), real=False)


def test_every_box_is_kept() -> None:
    """With `keep`, non-maximum suppression keeps all of 7 boxes."""
    torchvision()
    suppress = Run(lambda boxes, scores: torch.ops.torchvision.nms(boxes, scores, 0.5))
    (row,) = count(suppress, (7, 4), (7,), keep=True).rows

    assert [value.shape for value in row.op.output] == [(7,)]
    assert row.op.kind == "non_maximum_suppression"
    with pytest.raises(TraceError, match="--keep"):
        count(suppress, (7, 4), (7,), real=False)


@contextmanager
def functions_called() -> Iterator[set[CodeType]]:
    """Record the Python functions that run."""
    called: set[CodeType] = set()
    sys.setprofile(lambda frame, event, arg: called.add(frame.f_code))
    try:
        yield called
    finally:
        sys.setprofile(None)


PLAIN: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Conv2d(4, 4, 3), (1, 4, 6, 6)),
    (nn.Conv2d(4, 8, 3, 2, 1, 2, 4, bias=False), (1, 4, 6, 6)),
    (nn.Linear(4, 3), (2, 4)),
    (nn.Linear(4, 3, bias=False), (2, 5, 4)),
    (nn.BatchNorm2d(4), (1, 4, 6, 6)),
    (nn.LayerNorm(4), (2, 4)),
    (nn.LayerNorm((3, 4)), (2, 3, 4)),
    (nn.LayerNorm(4, bias=False), (2, 4)),
    *((kind(), (2, 4)) for kind in (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Hardsigmoid, nn.SiLU, nn.Dropout)),
]


@pytest.mark.parametrize(("layer", "shape"), PLAIN, ids=repr)
def test_a_plain_layer_is_recorded_without_running(layer: nn.Module, shape: tuple[int, ...]) -> None:
    """The forward of a plain layer does not run, which is what makes a trace fast; without shortcuts it does."""
    code = getattr(type(layer).forward, "__code__")  # noqa: B009 (unknown to the stubs)
    ran = []
    for shortcuts in (True, False):
        with functions_called() as called:
            count(layer, shape, shortcuts=shortcuts)
        ran.append(code in called)

    assert ran == [False, True]

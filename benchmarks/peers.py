"""Ours and the other counters: each takes a module and an image, and returns its total."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import mbanalyze
from mbanalyze.crosscheck import counters

Counter = Callable[[nn.Module, Tensor], int]


def ours(module: nn.Module, image: Tensor) -> int:
    """Make a complete report and return its macs."""
    macs = mbanalyze.count(module, tuple(image.shape)).totals.macs
    assert macs is not None
    return macs


def _of_image(counter: counters.Counter) -> Counter:
    """A counter as a function of an image."""
    return lambda module, image: counter(module, (image,), {})


PEERS: dict[str, Counter] = {
    name: _of_image(counter) for name, counter in counters.COUNTERS.items() if name != "flop-counter-meta"
}
"""Name of a counter -> the function that counts with it; on the meta device, FlopCounterMode does less."""

PACKAGES = (
    *("torch", "torchvision", "timm", "fvcore", "torchinfo", "ptflops"),
    *("torchprofile", "calflops", "thop"),
)
"""The packages whose versions the benchmark shows."""


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Suppress output, logs and warnings of a counter, and restore the names of PyTorch that it replaced.

    The next counter is then neither wrong nor slower.
    """
    places: tuple[Any, ...] = (torch, functional, Tensor)
    before = [dict(vars(place)) for place in places]
    text, disabled = io.StringIO(), logging.root.manager.disable
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(text),
        contextlib.redirect_stderr(text),
        contextlib.ExitStack() as stack,
    ):
        warnings.simplefilter("ignore")
        logging.disable()
        stack.callback(logging.disable, disabled)
        try:
            yield
        finally:
            for place, names in zip(places, before, strict=True):
                for name, value in dict(vars(place)).items():
                    if name in names and names[name] is not value:
                        setattr(place, name, names[name])


def versions() -> dict[str, str]:
    """Return the versions of Python, torch and every counter that is installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found

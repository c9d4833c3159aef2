"""Other counters: each takes a module and an image, and returns its total, called as its documentation shows."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import mbanalyze

Counter = Callable[[nn.Module, Tensor], int]


def ours(module: nn.Module, image: Tensor) -> int:
    """Make a complete report and return its macs."""
    macs = mbanalyze.count(module, tuple(image.shape)).totals.macs
    assert macs is not None
    return macs


def fvcore(module: nn.Module, image: Tensor) -> int:
    """Count with fvcore, by tracing with `torch.jit`."""
    from fvcore.nn import FlopCountAnalysis

    counter = FlopCountAnalysis(module, image)
    counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return int(counter.total())


def flop_counter_mode(module: nn.Module, image: Tensor) -> int:
    """Count with PyTorch's FlopCounterMode, which runs the module."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(image)
    return int(counter.get_total_flops())


def torchinfo(module: nn.Module, image: Tensor) -> int:
    """Count with torchinfo, which runs the module with hooks."""
    import torchinfo

    return int(torchinfo.summary(module, input_data=image, verbose=0).total_mult_adds)


def ptflops(module: nn.Module, image: Tensor, backend: str = "pytorch") -> int:
    """Count with ptflops, which runs the module with hooks or with patched operators."""
    import ptflops

    macs, _ = ptflops.get_model_complexity_info(
        module, tuple(image.shape[1:]), as_strings=False, print_per_layer_stat=False, backend=backend
    )
    return int(macs)


def ptflops_aten(module: nn.Module, image: Tensor) -> int:
    """Count with the other backend of ptflops, a dispatch mode."""
    return ptflops(module, image, "aten")


def torchprofile(module: nn.Module, image: Tensor) -> int:
    """Count with torchprofile, by tracing with `torch.jit`."""
    import torchprofile

    macs: Any = torchprofile.profile_macs(module, image)
    return int(macs)


def calflops(module: nn.Module, image: Tensor) -> int:
    """Count with calflops, which runs the module with a patched `torch.nn.functional`."""
    import calflops

    _, macs, _ = calflops.calculate_flops(
        module, args=[image], print_results=False, print_detailed=False, output_as_string=False
    )
    return int(macs)


def thop(module: nn.Module, image: Tensor) -> int:
    """Count with thop, which runs the module with hooks."""
    import thop

    macs, _ = thop.profile(module, (image,), verbose=False)
    return int(macs)


PEERS: dict[str, Counter] = {
    "fvcore": fvcore,
    "FlopCounterMode": flop_counter_mode,
    "torchinfo": torchinfo,
    "ptflops": ptflops,
    "ptflops aten": ptflops_aten,
    "torchprofile": torchprofile,
    "calflops": calflops,
    "thop": thop,
}
"""Name of a counter -> the function that counts with it."""

PACKAGES = (
    *("torch", "torchvision", "timm", "fvcore", "torchinfo", "ptflops"),
    *("torchprofile", "calflops", "thop"),
)
"""The packages whose versions the benchmark shows."""


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Suppress output and warnings, and restore names that a counter patched, so that the next one is not slower."""
    places: tuple[Any, ...] = (torch, functional, Tensor)
    before = [dict(vars(place)) for place in places]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
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

"""Other counters, each from a module and an input to its total, as its documentation calls it."""

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
    """The complete report, and its macs."""
    macs = mbanalyze.count(module, tuple(image.shape)).totals.macs
    assert macs is not None
    return macs


def fvcore(module: nn.Module, image: Tensor) -> int:
    """It traces with `torch.jit`."""
    from fvcore.nn import FlopCountAnalysis

    counter = FlopCountAnalysis(module, image)
    counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return int(counter.total())


def flop_counter_mode(module: nn.Module, image: Tensor) -> int:
    """PyTorch's own, which runs the module."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(image)
    return int(counter.get_total_flops())


def torchinfo(module: nn.Module, image: Tensor) -> int:
    """It runs the module with hooks."""
    import torchinfo

    return int(torchinfo.summary(module, input_data=image, verbose=0).total_mult_adds)


def ptflops(module: nn.Module, image: Tensor, backend: str = "pytorch") -> int:
    """It runs the module with hooks, or with its operators patched."""
    import ptflops

    macs, _ = ptflops.get_model_complexity_info(
        module, tuple(image.shape[1:]), as_strings=False, print_per_layer_stat=False, backend=backend
    )
    return int(macs)


def ptflops_aten(module: nn.Module, image: Tensor) -> int:
    """Its other back end, a dispatch mode."""
    return ptflops(module, image, "aten")


def torchprofile(module: nn.Module, image: Tensor) -> int:
    """It traces with `torch.jit`."""
    import torchprofile

    macs: Any = torchprofile.profile_macs(module, image)
    return int(macs)


def calflops(module: nn.Module, image: Tensor) -> int:
    """It runs the module with `torch.nn.functional` patched."""
    import calflops

    _, macs, _ = calflops.calculate_flops(
        module, args=[image], print_results=False, print_detailed=False, output_as_string=False
    )
    return int(macs)


def thop(module: nn.Module, image: Tensor) -> int:
    """The original, MIT-licensed; it runs the module with hooks."""
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
"""Name -> how it counts."""


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Nothing is printed, nothing warned of, and what a counter patches is put back, so that the next is not slowed."""
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
    """Of every counter that is a package, and of what they rest on."""
    from importlib.metadata import version

    packages = (
        "torch",
        "torchvision",
        "timm",
        "fvcore",
        "torchinfo",
        "ptflops",
        "torchprofile",
        "calflops",
        "thop",
    )
    return {"python": sys.version.split()[0], **{package: version(package) for package in packages}}

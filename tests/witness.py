"""Independent sources of counts for the tests: torchvision's networks, counting loops, and torch's counter."""

from __future__ import annotations

import copy
import csv
import functools
import importlib.util
import itertools
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import OptionError, describe

DATA = Path(__file__).parent / "data"


@functools.cache
def torchvision_loads() -> bool:
    """Return True if torchvision's compiled extension loads with this torch."""
    package = importlib.util.find_spec("torchvision")
    assert package is not None
    assert package.origin is not None
    try:
        for extension in Path(package.origin).parent.glob("_C*"):
            torch.ops.load_library(extension)  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return hasattr(torch.ops.torchvision, "nms")


@functools.cache
def torchvision_operators() -> None:
    """Define the two operators that torchvision needs at import, without a body, if its extension does not load."""
    if not torchvision_loads():
        torch.library.define("torchvision::nms", "(Tensor dets, Tensor scores, float threshold) -> Tensor")
        torch.library.define("torchvision::qnms", "(Tensor a) -> Tensor")


@functools.cache
def torchvision() -> ModuleType:
    """Import torchvision, even if its compiled extension does not load with this torch."""
    torchvision_operators()
    import torchvision

    return torchvision  # type: ignore[no-any-return]


@functools.cache
def detectors() -> ModuleType:
    """Import torchvision with detectors that run; without its compiled extension, `roi_align` gives zeros."""
    package = torchvision()
    from torchvision import extension

    if not extension._has_ops():
        schema = "(Tensor input, Tensor rois, float scale, int h, int w, int sampling_ratio, bool aligned)"
        torch.library.define("torchvision::roi_align", f"{schema} -> Tensor")

        @torch.library.register_fake("torchvision::roi_align")  # type: ignore[untyped-decorator]
        def roi_align(image: Tensor, rois: Tensor, _: float, h: int, w: int, *rest: Any) -> Tensor:
            return image.new_empty((rois.shape[0], image.shape[1], h, w))

        @torch.library.impl("torchvision::roi_align", "CPU")
        def zeros(image: Tensor, rois: Tensor, _: float, h: int, w: int, *rest: Any) -> Tensor:
            return image.new_zeros((rois.shape[0], image.shape[1], h, w))

        @torch.library.impl("torchvision::nms", "CPU")
        def best(boxes: Tensor, scores: Tensor, _: float) -> Tensor:
            return scores.argsort(descending=True)[:10]

        extension._has_ops = lambda: True
    return package


@functools.cache
def timm() -> ModuleType:
    """Import timm, which imports torchvision."""
    torchvision()
    import timm

    return timm


class Bessel(nn.Module):
    """A module whose operator has no formula."""

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor to its Bessel function, element by element."""
        bessel: Tensor = torch.special.bessel_j0(x)
        return bessel


def variants(name: str) -> list[dict[str, Any]]:
    """Return every valid combination of the options that change a network's structure, at a few widths."""
    arch = ARCHS[name]
    axes: dict[str, tuple[Any, ...]] = {}
    for option in describe(arch):
        if option["choices"]:
            axes[option["name"]] = option["choices"]
        elif option["type"] == "bool":
            axes[option["name"]] = (False, True)
        elif option["name"] == "alpha":
            axes["alpha"] = (0.25, 0.5, 1.0, 1.4)
    valid = []
    for values in itertools.product(*axes.values()):
        options = dict(zip(axes, values, strict=True))
        with suppress(OptionError):
            arch(**options)
            valid.append(options)
    assert valid
    return valid


def table(name: str) -> list[dict[str, str]]:
    """Return the rows of `data/name` as dicts by column."""
    with (DATA / name).open(newline="") as file:
        return list(csv.DictReader(file))


def loops_conv(
    c: int, k: int, size: tuple[int, int], kernel: int, stride: int, padding: int, dilation: int, groups: int
) -> tuple[int, tuple[int, int]]:
    """Count the multiply-accumulates of a convolution one by one, and measure its output.

    The loops run over output channels, input channels, output rows and columns, and window rows and columns.
    They visit every window that lies inside the padded image.
    """
    count, rows, columns = 0, set(), set()
    reach = dilation * (kernel - 1)
    tops = range(-padding, size[0] + padding - reach, stride)
    lefts = range(-padding, size[1] + padding - reach, stride)
    for filter_, channel, top, left in itertools.product(range(k), range(c), tops, lefts):
        if filter_ // (k // groups) != channel // (c // groups):
            continue
        rows.add(top)
        columns.add(left)
        for _ in itertools.product(range(kernel), range(kernel)):
            count += 1
    return count, (len(rows), len(columns))


def loops_conv_transpose(
    c: int, k: int, size: tuple[int, int], kernel: int, stride: int, padding: int, dilation: int, groups: int
) -> tuple[int, tuple[int, int]]:
    """Count the multiply-accumulates of a transposed convolution one by one, and measure its output.

    Each input element is spread over a window of the output; padding then crops the output.
    """
    count, rows, columns = 0, set(), set()
    for filter_, channel, y, x in itertools.product(range(k), range(c), *map(range, size)):
        if filter_ // (k // groups) != channel // (c // groups):
            continue
        for i, j in itertools.product(range(kernel), range(kernel)):
            count += 1
            rows.add(y * stride + i * dilation)
            columns.add(x * stride + j * dilation)
    return count, (max(rows) + 1 - 2 * padding, max(columns) + 1 - 2 * padding)


class Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A sum of the output elements of matrix products and convolutions, by their ATen names under `no_grad`.

    Fused attention counts its output instead of the products inside.
    """

    NAMES = frozenset({"convolution", "mm", "addmm", "bmm", "baddbmm", "addmv", "mv", "dot"})

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.activations = 0
        self.attention = Attention(self)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func._schema.name.removeprefix("aten::") in self.NAMES and not self.attention.running:
            self.activations += out.numel()
        return out


class Attention(TorchFunctionMode):
    """A flag that is set while fused attention runs."""

    def __init__(self, products: Products) -> None:
        super().__init__()
        self.products = products
        self.running = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not functional.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        self.running = True
        out = func(*args, **(kwargs or {}))
        self.running = False
        self.products.activations += out.numel()
        return out


def other_counts(module: nn.Module, *inputs: Any, **keywords: Any) -> tuple[int, int]:
    """Return the multiply-accumulates that torch's counter finds, and the output elements of all products.

    The module runs on the meta device in eval mode. torch's counter counts two flops per multiply-accumulate.
    """
    blank = copy.deepcopy(module).to("meta").eval().requires_grad_(requires_grad=False)
    shapes = [torch.empty(size, device="meta") if isinstance(size, tuple) else size for size in inputs]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    flops, products = FlopCounterMode(display=False), Products()
    try:
        with torch.no_grad(), products.attention, flops, products:
            blank(*shapes, **keywords)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(flops.get_total_flops()) // 2, products.activations

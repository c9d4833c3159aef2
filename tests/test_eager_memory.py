"""The account `eager` equals PyTorch's own tracker of memory, to the byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from arithmetic import Run
from torch import Tensor, nn
from torch.distributed._tools.mem_tracker import MemTracker, _MemRefType
from torch.nn import functional
from witness import torchvision

from mbanalyze.peak_memory.timeline import Lifetime, Timeline
from mbanalyze.trace.tracer import trace

NETWORKS = (
    *("mobilenet_v2", "mobilenet_v3_large", "resnet50", "shufflenet_v2_x1_0", "densenet121", "googlenet"),
    *("efficientnet_b0", "squeezenet1_0", "convnext_tiny", "swin_t"),
)


def tracked_peak(model: nn.Module, image: Tensor, *, inference: bool = False) -> int:
    """Return the peak of a run on values, as PyTorch's tracker saw it.

    Its total counts parameters and buffers, which are subtracted, and the input, which is given to `track_external`.
    """
    tracker = MemTracker()
    tracker.track_external(model, image)
    with torch.inference_mode() if inference else torch.no_grad(), tracker:
        model(image)
    seen: dict[Any, int] = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]
    return seen["Total"] - seen[_MemRefType.PARAM] - seen[_MemRefType.BUFFER]


def network(name: str) -> nn.Module:
    """Return a network of torchvision in eval mode."""
    settings = {"init_weights": False} if name == "googlenet" else {}
    model: nn.Module = torchvision().models.get_model(name, weights=None, **settings).eval()
    return model


def eager(model: nn.Module, image: Tensor, **settings: Any) -> Timeline:
    """Return the account of a forward in eval mode."""
    return trace(model, image, **settings).eager


class UNet(nn.Module):
    """A small U-Net, whose list of features keeps them alive until the end."""

    def __init__(self) -> None:
        super().__init__()
        widths = (8, 16, 32)
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, n, 3, padding=1), nn.BatchNorm2d(n), nn.ReLU())
            for c, n in zip((3, *widths[:-1]), widths, strict=True)
        )
        self.up = nn.ModuleList(nn.Conv2d(n + m, m, 3, padding=1) for n, m in ((32, 16), (16, 8)))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the features of each size, and concatenate them on the way up."""
        features = []
        for block in self.down:
            x = block(x)
            features.append(x)
            x = functional.max_pool2d(x, 2)
        x = features.pop()
        for conv, feature in zip(self.up, reversed(features), strict=True):
            x = torch.cat([functional.interpolate(x, scale_factor=2), feature], 1)
            x = conv(x)
        return x


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str) -> None:
    """The peak of a network equals the tracker's, and its shortcuts change nothing."""
    model, image = network(name), torch.zeros(1, 3, 64, 64)
    account = eager(model, image)

    assert account.peak_bytes == tracked_peak(model, image)
    assert account == eager(model, image, shortcuts=False)


def test_unet() -> None:
    """Features in a list live until the way up reads them, with values too."""
    model, image = UNet().eval(), torch.zeros(1, 3, 64, 64)
    account = eager(model, image)

    assert account.peak_bytes == tracked_peak(model, image)
    assert account == eager(model, image, shortcuts=False) == eager(model, image, real=True)


def test_inference_mode_hides_indices() -> None:
    """In inference mode the tracker does not see the indices of a max pooling, which are 8 bytes each."""
    model, image = network("squeezenet1_0"), torch.zeros(1, 3, 64, 64)

    # the tracker's peak moves to the next largest step: 576,000 bytes without indices of 1 x 96 x 14 x 14
    assert tracked_peak(model, image, inference=True) == 576_000
    assert eager(model, image).peak_bytes == tracked_peak(model, image) == 597_888


class Attention(nn.Module):
    """Multi-head attention of one sequence with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Attend."""
        out: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return out


def test_fused_attention() -> None:
    """On values, PyTorch runs multi-head attention as one operator, and the tracker sees only its output."""
    model, sequence = Attention().eval(), torch.zeros(1, 16, 8)
    account = eager(model, sequence)

    # input and output: 2 x 16 x 8 x 4 bytes
    assert tracked_peak(model, sequence) == 1024
    # input, copy of 3 x 16 x 8 elements, product of the same size: 7 x 16 x 8 x 4 bytes
    assert account.peak_bytes == 3584


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.MaxPool1d(2), (4, 8)),
        (nn.MaxPool2d(2), (1, 4, 8, 8)),
        (nn.MaxPool3d(2), (1, 4, 8, 8, 8)),
        (nn.LayerNorm(4), (8, 4)),
        (nn.LayerNorm((8, 4), elementwise_affine=False), (2, 8, 4)),
        (nn.GroupNorm(2, 4), (1, 4, 8, 8)),
        (nn.BatchNorm2d(4), (1, 4, 8, 8)),
        (nn.Dropout(), (4, 8)),
        (nn.Dropout(inplace=True), (4, 8)),
        (nn.GELU(), (4, 8)),
    ],
    ids=str,
)
@pytest.mark.parametrize("training", [False, True])
def test_tensors_that_are_not_returned(module: nn.Module, shape: tuple[int, ...], training: bool) -> None:
    """Indices and statistics that an operator computes and does not return are in memory while it runs."""
    model, image = nn.Sequential(nn.Tanh(), module).train(training), torch.zeros(shape)
    mode: Any = "train" if training else "eval"

    assert eager(model, image, mode=mode).peak_bytes == tracked_peak(model, image)
    assert eager(model, image, mode=mode) == eager(model, image, mode=mode, shortcuts=False)


def kept_base(x: Tensor) -> Tensor:
    """Keep a product by a view of one element."""
    part = (x * 2)[:1, :1]
    return (x + 1).exp() * part


def allocated(x: Tensor) -> Tensor:
    """Fill an allocation part by part."""
    out = x.new_empty((2, *x.shape))
    out[0] = x
    out[1] = x * 2
    return out


def resized(x: Tensor) -> Tensor:
    """Let an operator give memory to an empty tensor."""
    out = x.new_empty(0)
    torch.mul(x, 2, out=out)
    return out + 1


def replaced_values(x: Tensor) -> Tensor:
    """Write to a tensor with values, which dies."""
    mask = torch.zeros(x.shape)
    mask[0] = 1
    mask += 1
    return x * mask


def copied_values(x: Tensor) -> Tensor:
    """Keep a tensor with values by a view that an operator with a tensor without values makes."""
    part = torch.ones(64, 8).mul(2)[:8]
    return (x + part).exp() + part


@pytest.mark.parametrize("function", [kept_base, allocated, resized, replaced_values, copied_values])
def test_storages(function: Callable[[Tensor], Tensor]) -> None:
    """Views, allocations, resized memory and tensors with values live as long as PyTorch keeps them."""
    model, image = Run(function), torch.zeros(8, 8)
    account = eager(model, image)

    assert account.peak_bytes == tracked_peak(model, image)
    assert account == eager(model, image, shortcuts=False)


def test_addresses_are_reused() -> None:
    """A tensor in the memory of a dead one is another activation."""

    def chain(x: Tensor) -> Tensor:
        for _ in range(50):
            x = (x + 1).view(-1).view(x.shape)
        return x

    record = trace(Run(chain), torch.zeros(4, 4))

    assert [op.output[0].number for op in record.ops] == list(range(1, 51))
    # the input, the operand and the result of an addition: 3 x 16 x 4 bytes
    assert record.eager.peak_bytes == 192


def test_one_step() -> None:
    """A step names its module, and its tensors have their shapes and bytes; an unnamed input lives to the end."""
    account = eager(nn.Sequential(nn.Linear(4, 2)), torch.zeros(3, 4))

    assert [(step.path, step.kind) for step in account.steps] == [("0", "linear")]
    # 3 x 4 and 3 x 2 elements of 4 bytes
    assert account.lifetimes == (
        Lifetime("", "input", (3, 4), 48, 0, 0),
        Lifetime("0", "linear", (3, 2), 24, 0, 0),
    )


def test_half_precision() -> None:
    """Bytes are those of the dtype of the forward."""
    account = eager(nn.Linear(4, 2).half(), torch.zeros(3, 4, dtype=torch.half))

    assert account.peak_bytes == 36


def test_no_operator() -> None:
    """A forward without operators has no steps, and nothing in memory during one."""
    assert eager(nn.Identity(), torch.zeros(3)) == Timeline((), ())


class Branches(nn.Module):
    """A condition whose branches allocate memory."""

    def forward(self, x: Tensor) -> Tensor:
        """Choose by a value that a trace does not have."""
        out: Tensor = torch.cond(x.sum() > 0, lambda x: (x * 2).exp(), lambda x: x.sin(), (x,))
        return out + 1


def test_branches_are_counted_once() -> None:
    """A branch that runs only to find out its cost leaves no steps and no memory."""
    account = eager(Branches(), torch.empty(64, 64, device="meta"))

    assert [step.kind for step in account.steps] == ["reduce", "gt", "mul", "exp", "add"]
    # input, operand and result: 3 x 64 x 64 x 4 bytes, and the condition: 1 byte
    assert account.peak_bytes == 49_153

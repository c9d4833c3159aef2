"""Modules that users of other counters reported, with the counts that are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from arithmetic import GROUPED_PRODUCTS
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Case(NamedTuple):
    """A module of the field.

    Attributes:
        make: makes the module.
        inputs: the positional arguments of its forward.
        right: the counts that are right, by name.
        ways: the options of `count` with which they are right, each by itself.
        keywords: the keyword arguments of its forward.
    """

    make: Callable[[], nn.Module]
    inputs: tuple[Any, ...]
    right: Mapping[str, int]
    ways: tuple[Mapping[str, Any], ...] = ({}, {"real": True})
    keywords: Mapping[str, Any] = {}


class Packed(nn.Module):
    """An encoder that packs its input by lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(4, 6, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Run the layer on sequences without padding."""
        steps, _ = self.rnn(pack_padded_sequence(x, lengths, batch_first=True))
        out, _ = pad_packed_sequence(steps, batch_first=True)
        return out


class Policy(nn.Module):
    """A network that returns a distribution, which checks its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Categorical:
        """Return a distribution over five classes."""
        return Categorical(logits=torch.log_softmax(self.head(x), -1))


class Timed(nn.Module):
    """A network scaled by a tensor without dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(10, 5)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Scale the output by the time."""
        out: Tensor = self.head(x) * time
        return out


class Keys:
    """A cache of keys and values, as decoders have."""

    def __init__(self, length: int) -> None:
        self.keys, self.values = torch.zeros(1, length, 8), torch.zeros(1, length, 8)

    def update(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Append a key and a value."""
        self.keys, self.values = torch.cat([self.keys, key], 1), torch.cat([self.values, value], 1)
        return self.keys, self.values


class Decoder(nn.Module):
    """One step of attention over a cache."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(8, 8, bias=False) for _ in range(4))

    def forward(self, x: Tensor, cache: Keys) -> Tensor:
        """Attend to the cache and to the new token."""
        keys, values = cache.update(self.key(x), self.value(x))
        out: Tensor = self.out(functional.scaled_dot_product_attention(self.query(x), keys, values))
        return out


class Traced(nn.Module):
    """A module with a part that TorchScript traced."""

    def __init__(self) -> None:
        super().__init__()
        body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
        self.body = torch.jit.trace(body, torch.zeros(1, 3, 8, 8))  # type: ignore[no-untyped-call]
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Run both parts."""
        out: Tensor = self.head(self.body(x))
        return out


class Mixer(nn.Module):
    """A Fourier transform over tokens and channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the real part."""
        out: Tensor = torch.fft.fftn(x, dim=(1, 2)).real
        return out


class MaxNorm(nn.Conv2d):
    """A convolution whose weight is limited in its forward."""

    def forward(self, x: Tensor) -> Tensor:
        """Assign a limited weight, then convolve."""
        with torch.no_grad():
            self.weight.data = torch.renorm(self.weight.data, p=2, dim=0, maxnorm=1.0)
        return super().forward(x)


class Conditional(nn.Module):
    """A condition on the values of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Any:
        """Run the layer, or an addition."""
        return torch.cond(x.sum() > 0, self.layer, lambda x: x + 0, (x,))


class Mapped(nn.Module):
    """A layer under `torch.vmap`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        """Map the layer over the first dimension."""
        return torch.vmap(self.layer)(x)


class Graph(nn.Module):
    """A graph convolution with a sparse adjacency matrix."""

    adjacency: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("adjacency", torch.eye(8).to_sparse())
        self.layer = nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        """Pass messages."""
        out: Tensor = torch.sparse.mm(self.adjacency, self.layer(x))
        return out


class OnCuda(nn.Module):
    """A forward that names a device."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Move the input first."""
        out: Tensor = self.layer(x.to("cuda:0"))
        return out


class Detector(nn.Module):
    """A detector that takes the sizes of its images as numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, image: Tensor, metas: list[dict[str, Any]]) -> Tensor:
        """Crop the output to the size of the image."""
        height, width = metas[0]["shape"][:2]
        out: Tensor = self.conv(image)[:, :, :height, :width]
        return out


class Experts(nn.Module):
    """A grouped product, as in mixtures of experts."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 32, 24))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply four rows by the matrix of each expert."""
        ends = torch.tensor([4, 8, 12, 16], dtype=torch.int32, device=x.device)
        out: Tensor = torch._grouped_mm(x, self.weight, offs=ends)
        return out


class Products(nn.Module):
    """Products with an operator of their own."""

    def forward(
        self, m: Tensor, a: Tensor, b: Tensor, i: Tensor, j: Tensor, x: Tensor, w: Tensor, c: Tensor
    ) -> Any:
        """Return three products."""
        return torch.addbmm(m, a, b), torch._int_mm(i, j), torch.conv_tbc(x, w, c)


class Losses(nn.Module):
    """A model that returns its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x: Tensor, labels: Tensor, soft: Tensor) -> Tensor:
        """Add four losses."""
        y = self.layer(x)
        hard = functional.cross_entropy(y, labels) + functional.binary_cross_entropy_with_logits(y, soft)
        return hard + functional.mse_loss(y, soft) + functional.smooth_l1_loss(y, soft)


class Classes(nn.Module):
    """A loop over the classes that occur, as in non-maximum suppression by class."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the places of all candidates."""
        labels = self.conv(x).flatten(2).argmax(1).flatten()
        kept = torch.zeros_like(labels, dtype=torch.bool)
        for found in torch.unique(labels):
            kept[labels == found] = True
        return torch.where(kept)[0]


class Pooled(nn.Module):
    """An Einstein sum over an index that one operand has."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Pool the tokens, then project."""
        return torch.einsum("bnd,de->be", x, self.weight)


class Slices(nn.Module):
    """Parameters that are columns of one tensor."""

    def __init__(self) -> None:
        super().__init__()
        columns = torch.zeros(100, 300).split([100, 200], dim=1)  # type: ignore[no-untyped-call]
        self.weights = nn.ParameterList([nn.Parameter(each) for each in columns])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Multiply by both."""
        return x @ self.weights[0], x @ self.weights[1]


class Masked(nn.Module):
    """A forward that asks whether its mask is full."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.layer = nn.Embedding(100, 16), nn.Linear(16, 16)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Apply the mask only if it hides something."""
        x: Tensor = self.layer(self.embed(input_ids))
        if attention_mask is not None and not attention_mask.all():
            x = x * attention_mask[..., None]
        return x


class Generator(nn.Module):
    """A forward without an argument."""

    def __init__(self) -> None:
        super().__init__()
        self.latent = nn.Parameter(torch.zeros(4, 8))
        self.layer = nn.Linear(8, 2)

    def forward(self) -> Tensor:
        """Run the layer on a parameter."""
        out: Tensor = self.layer(self.latent)
        return out


class Spectrogram(nn.Module):
    """A spectrogram with a window in a buffer."""

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(16))
        self.layer = nn.Linear(9, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Transform frames, and project them."""
        frames = torch.stft(x, 16, window=self.window, return_complex=True)
        out: Tensor = self.layer(frames.abs().transpose(1, 2))
        return out


class Fresh(nn.Module):
    """Layers that the forward makes."""

    def forward(self, x: Tensor) -> Tensor:
        """Make two layers and run them."""
        out: Tensor = nn.Linear(8, 4)(nn.LeakyReLU()(x))
        return out


def lazy() -> nn.Module:
    """Return layers that take their sizes from the input."""
    return nn.Sequential(nn.LazyConv2d(8, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))


def quantised() -> nn.Module:
    """Return a layer that is quantised dynamically."""
    layers = nn.Sequential(nn.Linear(8, 4), nn.ReLU())
    made: nn.Module = torch.ao.quantization.quantize_dynamic(layers, {nn.Linear}, dtype=torch.qint8)  # type: ignore[no-untyped-call]
    return made


def spectral_norm() -> nn.Module:
    """Return a convolution with a normalised weight."""
    return nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 8, 3))


IDS = torch.ones(1, 8, dtype=torch.long)
INT8 = torch.zeros(32, 64, dtype=torch.int8)
TRAIN: tuple[Mapping[str, Any], ...] = ({"mode": "train"}, {"mode": "train", "real": True})

CASES = {
    # steps 10 + 5 + 1 = 16; 16 x (3 x 6 x 4 + 3 x 6 x 6)
    "packed sequences": Case(Packed, (torch.zeros(3, 10, 4), torch.tensor([10, 5, 1])), {"macs": 2880, "params": 216}),
    # 10 x 5; 50 + 5
    "distribution": Case(Policy, ((1, 10),), {"macs": 50, "params": 55}, ({}, {"keep": True}, {"real": True})),
    # 2 x 50 + 5 + 5
    "scalar": Case(Timed, ((1, 10), ()), {"macs": 50, "params": 55, "flops": 110}),
    # 4 x 64 + 17 x 8 x 2
    "cache": Case(Decoder, (torch.zeros(1, 1, 8), Keys(16)), {"macs": 528, "params": 256}),
    # 36 x 4 x 27 + 36 x 2 x 4; 112 + 10
    "traced part": Case(Traced, ((1, 3, 8, 8),), {"macs": 4176, "params": 122}),
    # 64 products of 6 and 64 additions of 2, and 8 additions of 2 for the bias
    "complex": Case(lambda: nn.Linear(8, 4, dtype=torch.complex64), (torch.zeros(2, 8, dtype=torch.complex64),), {"flops": 528, "params": 36}),
    # 5 x 1024 x 10
    "fft": Case(Mixer, ((1, 16, 64),), {"flops": 51200}),
    # 36 x 8 x 27 + 8 x 27 + 8
    "spectral norm": Case(spectral_norm, ((1, 3, 8, 8),), {"macs": 8000, "params": 224}),
    # one power iteration more: 2 x 8 x 27
    "spectral norm in training": Case(spectral_norm, ((1, 3, 8, 8),), {"macs": 8432, "params": 224}, TRAIN),
    # 128 x 16 x 22
    "max norm": Case(lambda: MaxNorm(8, 16, (22, 1), groups=8, bias=False), ((1, 8, 22, 128),), {"macs": 45056, "params": 352}),
    # 36 x 8 x 27 + 288 x 10; 224 + 2890
    "lazy": Case(lazy, ((1, 3, 8, 8),), {"macs": 10656, "params": 3114}),
    # 2 x 8 x 8 in the costlier branch; the input of ones makes the condition true
    "condition": Case(Conditional, (torch.ones(2, 8),), {"macs": 128, "params": 72}),
    "condition without a value": Case(Conditional, ((2, 8),), {"macs": 128, "params": 72}, ({}, {"shortcuts": False})),
    # 5 x 2 x 8 x 4
    "vmap": Case(Mapped, ((5, 2, 8),), {"macs": 320, "params": 36}, ({}, {"shortcuts": False}, {"real": True})),
    # 8 x 4 x 6, and 8 stored elements x 6 columns
    "sparse": Case(Graph, ((8, 4),), {"macs": 192 + 48, "params": 30}),
    "quantised": Case(quantised, ((2, 8),), {"macs": 64, "params": 36}),
    "device": Case(OnCuda, ((2, 8),), {"macs": 64, "params": 36}),
    # 32 x 32 x 4 x 27
    "sizes of images": Case(Detector, ((1, 3, 32, 32), [{"shape": (32, 32, 3)}]), {"macs": 110592, "params": 112}),
    # 16 x 32 x 24
    **({} if not GROUPED_PRODUCTS else {
    "experts": Case(Experts, ((16, 32),), {"macs": 12288, "params": 3072}, ({}, {"shortcuts": False}, {"real": True})),
    "experts in bfloat16": Case(lambda: Experts().bfloat16(), ((16, 32),), {"macs": 12288, "params": 3072}, ({},)),
    }),
    # 5 x 3 x 4 x 2; 32 x 64 x 32; 5 steps x 2 x 4 x 9
    "products": Case(
        Products,
        (torch.zeros(3, 2), torch.zeros(5, 3, 4), torch.zeros(5, 4, 2), INT8, INT8.t(), torch.zeros(7, 2, 3), torch.zeros(3, 3, 4), torch.zeros(4)),
        {"macs": 120 + 65536 + 360},
    ),
    "losses": Case(Losses, (torch.zeros(2, 8), torch.zeros(2, dtype=torch.long), torch.zeros(2, 4)), {"macs": 64, "params": 36}),
    # 256 x 8 x 4
    "classes": Case(Classes, ((1, 8, 16, 16),), {"macs": 8192, "params": 36}, ({}, {"keep": True}, {"real": True})),
    # the sum over n first, then 2 x 4 x 3
    "einsum": Case(Pooled, ((2, 9, 4),), {"macs": 24, "params": 12}),
    # 2 x 100 x (100 + 200)
    "slices": Case(Slices, ((2, 100),), {"macs": 60000, "params": 30000}),
    # 8 x 16 x 16; 1600 + 272
    "mask": Case(Masked, (), {"macs": 2048, "params": 1872}, keywords={"input_ids": IDS, "attention_mask": IDS}),
    "no input": Case(Generator, (), {"macs": 64, "params": 50}),
    # 2 x 65 frames x 9 x 4
    "window": Case(Spectrogram, ((2, 256),), {"macs": 4680, "params": 40}),
    "layers made in the forward": Case(Fresh, ((2, 8),), {"macs": 64, "params": 0}),
}  # fmt: skip
"""Name of a case -> the case."""

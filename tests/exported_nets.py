"""Small modules that tests export, each with what exported files spell differently."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Shared(nn.Module):
    """Shared, frozen and unused parameters, a module that runs twice, constants, and arguments by name."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(3))
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.second.bias.requires_grad_(False)
        self.relu = nn.ReLU(inplace=True)
        self.register_buffer("scale", torch.ones(4), persistent=False)

    def forward(self, x: Tensor, *, extra: Tensor, twice: bool = True) -> dict[str, Any]:
        """Run the module."""
        x = self.relu(self.first(x))
        x = self.relu(self.second(x)) if twice else x
        return {"sum": x + extra, "scaled": [x * self.scale, x + torch.tensor([1.0, 2, 3, 4])]}


class Resizable(nn.Module):
    """A forward that computes with its sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 2)

    def forward(self, image: Tensor) -> Tensor:
        """Run the module."""
        x = functional.interpolate(self.conv(image), scale_factor=2, mode="bilinear")
        x = x.reshape(image.shape[0] * 2, 2, -1)[..., : image.shape[2] // 2]
        result: Tensor = x.sum() + self.head(self.conv(image).mean((2, 3)))
        return result


class Recurrent(nn.Module):
    """An LSTM, and attention over its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.attention = (
            nn.LSTM(4, 4, batch_first=True),
            nn.MultiheadAttention(4, 2, batch_first=True),
        )
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Run the module."""
        x, _ = self.lstm(x)
        x, _ = self.attention(x, x, x)
        x = self.layer(x)
        return functional.scaled_dot_product_attention(x, x, x)


class Attending(nn.Module):
    """Attention whose output has other strides on shapes than in an export."""

    def forward(self, x: Tensor) -> Tensor:
        """Run the module on images (n, heads, places, channels)."""
        x = x.transpose(1, 2).contiguous().transpose(1, 2)
        x = functional.scaled_dot_product_attention(x, x, x).permute(2, 0, 1, 3)
        return x.contiguous().view(x.shape[0] * x.shape[1], -1)


class Branching(nn.Module):
    """A condition, and contexts of gradients and casts."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Run the module."""
        x = torch.cond(x.sum() > 0, lambda x: self.b(self.a(x)), lambda x: x + 1, (x,))
        with torch.no_grad():
            x = self.a(x)
        with torch.autocast("cpu", torch.bfloat16):
            result: Tensor = self.b(x)
        return result


class Arguments(nn.Module):
    """Operators with arguments of many types."""

    index: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(2, 4)
        self.register_buffer("index", torch.tensor([0, 2]))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Run the module."""
        x = self.norm(x)
        parts = torch.split(x, [1, 3], dim=1)
        picked = x[:, self.index, None, :, [0, 1]]
        mask = torch.full((4,), float("-inf"), dtype=torch.float32)
        grid = torch.arange(0, 4, dtype=torch.float64).to(torch.float32)
        x = x.contiguous(memory_format=torch.channels_last)
        return [
            torch.cat([*parts, x], 1).clamp(min=0.5),
            torch.einsum("bchw,bdhw->bcd", x, x),
            picked.sum(dtype=torch.float64),
            (x + mask + grid).to(torch.float16),
            functional.pad(x, (1, 1, 1, 1), mode="reflect"),
            torch.div(x, 3, rounding_mode="floor"),
            torch.zeros_like(x, memory_format=torch.preserve_format),
            torch.stack(x.unbind(1)).topk(2).values,
        ]


class Training(nn.Module):
    """A batch norm that stays in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        """Run the module."""
        return functional.batch_norm(x, self.norm.running_mean, self.norm.running_var, training=True)


class Indexed(nn.Module):
    """Children that the forward finds by index, by slice, and by names with signs."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.body = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        self.heads = nn.ModuleDict({"a-b": nn.Linear(4, 4), "c": nn.Linear(4, 4)})

    def forward(self, given: Tensor) -> Tensor:
        """Run the module."""
        x: Tensor = self.body[1:](self.layers[-1](given))
        for layer in (*self.heads.values(), *self.body.children()):
            x = layer(x)
        result: Tensor = self.layers[0](x) + self.body(x)
        return result

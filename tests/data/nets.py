"""Factories of models, good and bad, as a user might have them in a file."""

import torch
from torch import nn

print("a script may talk while it is imported")

number = 7
ready = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())


def build(width: int = 8, bias: bool = True) -> nn.Module:
    """A small network."""
    print("and while it builds")
    return nn.Sequential(nn.Conv2d(3, width, 3, bias=bias), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)).eval()


def small(width: int = 8) -> nn.Module:
    """A smaller one, with a width."""
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU())


def two(scale: float = 1.0) -> nn.Module:
    """A network of two inputs."""

    class Two(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return x * scale + y

    return Two()


def strange() -> nn.Module:
    """A network with an operator that nobody counts."""

    class Strange(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            bessel: torch.Tensor = torch.special.bessel_j0(x)
            return bessel

    return nn.Sequential(Strange(), nn.ReLU())


def picky() -> nn.Module:
    """A network that looks at its values."""

    class Picky(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    return nn.Sequential(nn.ReLU(), Picky())


def broken() -> nn.Module:
    """A factory that fails."""
    message = "first line\nsecond line"
    raise KeyError(message)


def leave() -> nn.Module:
    """A factory that exits."""
    raise SystemExit(3)


def dictionary() -> dict[str, nn.Module]:
    """Not a network."""
    return {"model": ready}


class Exiting(nn.Module):
    """A network that ends the program."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Leave."""
        raise SystemExit(0)


def exiting() -> nn.Module:
    """A factory of one."""
    return nn.Sequential(Exiting())


def anything(**options: object) -> nn.Module:
    """A factory that takes whatever it is given."""
    return nn.ReLU()


def __getattr__(name: str) -> object:
    if name == "moody":
        raise ImportError(name)
    raise AttributeError(name)


def billion() -> nn.Module:
    """A billion parameters."""
    return nn.Sequential(*(nn.Linear(4096, 4096, bias=False) for _ in range(64)))


def constants() -> nn.Module:
    """A buffer and a small parameter with values."""

    class Constants(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("steps", torch.arange(5))
            self.ones = nn.Parameter(torch.ones(7))

    return Constants()


def looks_at_weights() -> nn.Module:
    """A maker that is not content with weights of zero."""
    weights = torch.zeros(300, 300).normal_()
    if not weights.any():
        message = "these are no weights"
        raise ValueError(message)
    return nn.Linear(300, 300)


def transposed() -> nn.Module:
    """A view by an Einstein sum, which fvcore counts although it runs no operator."""

    class Transposed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.einsum("ij->ji", x) + 1

    return Transposed()


def turned() -> nn.Module:
    """A maker that turns its weights before it uses them."""
    weights = torch.empty(512, 256).normal_()
    weights.t_()
    net = nn.Linear(512, 256, bias=False)
    net.weight = nn.Parameter(weights)
    return net


def scaled() -> nn.Module:
    """Half a billion parameters, drawn and scaled, then in half precision."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.ParameterList(torch.randn(4096, 4096) * 0.02 for _ in range(32))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for weight in self.weights:
                x = x @ weight
            return x

    return Scaled().half()


def truncated() -> nn.Module:
    """A maker that draws again until all weights are small enough."""
    net = nn.Linear(300, 300)
    nn.init.trunc_normal_(net.weight, std=0.02)
    return net

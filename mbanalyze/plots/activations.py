"""Activation functions of the MobileNet papers, and the loss of information through ReLU, as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def swish(x: Array) -> Array:
    """Return `x sigmoid(x)` for each element: PyTorch's SiLU."""
    y: Array = x / (1 + np.exp(-x))
    return y


def hard_swish(x: Array) -> Array:
    """Return `x relu6(x + 3) / 6` for each element: Howard et al., 2019, arXiv:1905.02244, section 5.2."""
    y: Array = x * np.clip(x + 3, 0, 6) / 6
    return y


def spiral(points: int = 1000, turns: float = 2) -> Array:
    """Return a spiral [2, points] in the plane, from the origin to a distance of 1."""
    radius = np.linspace(0, 1, points)
    angle = 2 * np.pi * turns * radius
    curve: Array = radius * np.stack([np.cos(angle), np.sin(angle)])
    return curve


def random_embedding(n: int, seed: int = 0) -> Array:
    """Return a random matrix [n, 2] that embeds the plane in n dimensions."""
    return np.random.default_rng(seed).standard_normal((n, 2))


def reconstruct(points: Array, matrix: Array) -> Array:
    """Apply ReLU to `matrix @ points`, and project the result back with the pseudo-inverse: [2, points].

    Source: Sandler et al., 2018, arXiv:1801.04381, Figure 1.
    """
    back: Array = np.linalg.pinv(matrix) @ np.maximum(matrix @ points, 0)
    return back


def recoverable_share(points: Array, matrix: Array) -> float:
    """Return the share of `points` that ReLU of `matrix @ points` determines, from 0 to 1.

    A point is determined if at least two coordinates stay above zero: two equations for two unknowns.
    """
    return float(((matrix @ points > 0).sum(axis=0) >= 2).mean())

"""What the MobileNet papers say of activations, as numbers: a curve that ReLU folds, and swish without its sigmoid."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def swish(x: Array) -> Array:
    """`x sigmoid(x)`, for each element; PyTorch's SiLU."""
    y: Array = x / (1 + np.exp(-x))
    return y


def hard_swish(x: Array) -> Array:
    """`x relu6(x + 3) / 6`, for each element: Howard et al., 2019, arXiv:1905.02244, section 5.2."""
    y: Array = x * np.clip(x + 3, 0, 6) / 6
    return y


def spiral(points: int = 1000, turns: float = 2) -> Array:
    """A spiral [2, points] in the plane, its end at distance 1 from its beginning at the origin."""
    radius = np.linspace(0, 1, points)
    angle = 2 * np.pi * turns * radius
    curve: Array = radius * np.stack([np.cos(angle), np.sin(angle)])
    return curve


def embedding(n: int, seed: int = 0) -> Array:
    """A random matrix [n, 2] that puts the plane into n dimensions."""
    return np.random.default_rng(seed).standard_normal((n, 2))


def folded(points: Array, matrix: Array) -> Array:
    """What the pseudo-inverse of `matrix` makes of ReLU of `matrix @ points`: points of the plane again.

    Source: Sandler et al., 2018, arXiv:1801.04381, Figure 1.
    """
    back: Array = np.linalg.pinv(matrix) @ np.maximum(matrix @ points, 0)
    return back


def kept(points: Array, matrix: Array) -> float:
    """The share of `points` that ReLU of `matrix @ points` still determines.

    Those are the points of which it leaves two coordinates above zero: two equations for two unknowns.
    """
    return float(((matrix @ points > 0).sum(axis=0) >= 2).mean())

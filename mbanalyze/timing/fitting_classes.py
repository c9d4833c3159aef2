"""The constants of each class of operators, fitted to samples by non-negative least squares."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mbanalyze.ops.record import Op
from mbanalyze.profiles.class_fit import ClassFit
from mbanalyze.profiles.time_profile import INTERVAL_SHARE
from mbanalyze.profiles.work import Work
from mbanalyze.timing.samples import Sample

_PASSES = 4
"""Fits of a class; each weights the samples by the prediction of the one before."""

ENOUGH_IN_PLACE = 24
"""The number of operators in anchor networks with which a class needs no micro-benchmarks."""

Numbers = NDArray[np.float64]


class SolverError(ImportError):
    """SciPy, which fits the constants, is not installed."""


def require_solver() -> None:
    """Raise `SolverError` without SciPy; call it before long work."""
    try:
        import scipy.optimize  # noqa: F401
    except ImportError as error:
        raise SolverError("calibrate needs scipy: pip install 'mbanalyze[calibrate]'") from error


def fit_classes(
    samples: Iterable[Sample], key: Callable[[Op], str], *, in_place_first: bool = False
) -> dict[str, ClassFit]:
    """Return the fit of each class of samples, by name in alphabetical order.

    Args:
        samples: the operators that were timed.
        key: returns the class of an operator.
        in_place_first: leave micro-benchmarks out of a class of which anchors have `ENOUGH_IN_PLACE` operators.
    """
    classes: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        classes[key(sample.op)].append(sample)
    return {
        name: fit_class(_preferred(classes[name]) if in_place_first else classes[name])
        for name in sorted(classes)
    }


def _preferred(samples: Sequence[Sample]) -> Sequence[Sample]:
    """The samples of anchor networks if there are enough, else all."""
    in_place = [sample for sample in samples if sample.in_place]
    return in_place if len(in_place) >= ENOUGH_IN_PLACE else samples


def fit_class(samples: Sequence[Sample]) -> ClassFit:
    """Fit `t = flops / F + activation bytes / B + weight bytes / W + overhead` to samples of one class.

    The fit minimises relative errors. If they are relative to the measured times, the predictions are too small on
    average. The later passes therefore take errors relative to the predicted times.
    """
    works = np.array([(*sample.work, 1) for sample in samples], float)
    times = np.array([sample.ns for sample in samples])
    predicted, constants = times, np.zeros(4)
    for _ in range(_PASSES):
        constants = non_negative(works, times, predicted)
        predicted = works @ constants
    flop, activation_byte, weight_byte, overhead = map(float, constants)
    return ClassFit(
        flop,
        activation_byte,
        weight_byte,
        overhead,
        samples=len(samples),
        deviation=deviation_of(predicted, times),
        largest=Work(*(max(sizes) for sizes in zip(*(sample.work for sample in samples), strict=True))),
        in_place=any(sample.in_place for sample in samples),
    )


def non_negative(sizes: ArrayLike, times: ArrayLike, relative_to: ArrayLike) -> Numbers:
    """Return the constants, not below zero, with the least squares of `sizes @ constants - times`.

    Args:
        sizes: a row for each time, with a column for each constant.
        times: the times.
        relative_to: the time to which each error is relative, at least 1.
    """
    from scipy.optimize import nnls

    works, weights = np.asarray(sizes, float), 1 / np.maximum(np.asarray(relative_to, float), 1.0)
    scale = np.maximum(works.max(axis=0), 1.0)
    solution, _ = nnls(works / scale * weights[:, None], np.asarray(times, float) * weights)
    constants: Numbers = solution / scale
    return constants


def deviation_of(predicted: Sequence[float] | Numbers, measured: Sequence[float] | Numbers) -> float:
    """Return the natural logarithm of the factor within which 80 % of the measured times are."""
    ratios = np.maximum(predicted, 1.0) / np.maximum(measured, 1.0)
    return float(np.quantile(np.abs(np.log(ratios)), INTERVAL_SHARE))

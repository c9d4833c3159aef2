"""Process-wide settings of torch, Python and NumPy that a forward may change, restored after a trace."""

from __future__ import annotations

import gc
import operator
import random
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from mbanalyze.trace import torch_internals as internals
from mbanalyze.trace.torch_internals import Setting

_Saved = tuple[Callable[[], Any], Callable[[Any], object], Any]

_FLAGS = (
    "cudnn_benchmark",
    "cudnn_deterministic",
    "cudnn_enabled",
    "deterministic_fill_uninitialized_memory",
    "float32_matmul_precision",
    "mkldnn_deterministic",
    "mkldnn_enabled",
    "nnpack_enabled",
    "qengine",
    "torch_function_state",
    "warnAlways",
)
"""Flags of torch behind `torch.backends` and others."""

_ATTENTION = ("cudnn", "flash", "math", "mem_efficient")
_UNREADABLE = object()
_KEPT: list[object] = []  # guards, which undo what they set when they are freed


def _set_deterministic(state: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(state[0], warn_only=state[1])


def _get_deterministic() -> tuple[bool, bool]:
    enabled = torch.are_deterministic_algorithms_enabled()
    return enabled, torch.is_deterministic_algorithms_warn_only_enabled()


def _set_anomaly(state: tuple[bool, bool]) -> None:
    torch.set_anomaly_enabled(*state)


def _get_anomaly() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def _set_gc(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()


def _set_gc_threshold(threshold: tuple[int, int, int]) -> None:
    gc.set_threshold(*threshold)


def _set_inference_mode(enabled: bool) -> None:
    guard = torch.inference_mode(mode=enabled)
    guard.__enter__()
    _KEPT.append(guard)


def _set_kernels(choice: tuple[int, int]) -> None:
    guard = internals.kernels_chosen(choice)
    guard.__enter__()
    _KEPT.append(guard)


def _get_warning_filters() -> tuple[list[Any], tuple[Any, ...]]:
    return warnings.filters, tuple(warnings.filters)  # type: ignore[return-value]


def _set_warning_filters(state: tuple[list[Any], tuple[Any, ...]]) -> None:
    warnings.filters, content = state
    warnings.filters[:] = content
    with warnings.catch_warnings():
        pass  # Python forgets which warnings the filters have hidden


def _get_print_options() -> dict[str, Any]:
    return internals.print_options().copy()


def _set_print_options(options: dict[str, Any]) -> None:
    current = internals.print_options()
    current.clear()
    current.update(options)


def _of_autocast(device: str) -> Iterator[Setting]:
    yield lambda: torch.is_autocast_enabled(device), lambda value: torch.set_autocast_enabled(device, value)
    yield lambda: torch.get_autocast_dtype(device), lambda value: torch.set_autocast_dtype(device, value)


def _set_function_modes(modes: list[Any]) -> None:
    for _ in range(internals.function_mode_count()):
        internals.pop_function_mode()
    for mode in modes:
        internals.push_function_mode(mode)


def _set_dispatch_modes(modes: list[Any]) -> None:
    for mode in reversed(internals.dispatch_modes()):
        internals.pop_dispatch_mode(internals.mode_key(mode))
    for mode in modes:
        internals.push_dispatch_mode(mode)


_MODES: tuple[Setting, ...] = (
    (internals.function_modes, _set_function_modes),
    (internals.dispatch_modes, _set_dispatch_modes),
    (torch.is_inference_mode_enabled, _set_inference_mode),
    (torch.is_grad_enabled, internals.set_grad_enabled),
    (internals.kernel_choice, _set_kernels),
)

_SETTINGS: tuple[Setting, ...] = (
    *(setting for name in _FLAGS for setting in internals.flag(name)),
    *(setting for name in _ATTENTION for setting in internals.attention_flag(name)),
    *internals.precisions(),
    *(setting for device in ("cpu", "cuda") for setting in _of_autocast(device)),
    (torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
    (torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled),
    (torch.get_default_dtype, torch.set_default_dtype),
    (internals.default_device, internals.set_default_device),
    (torch.get_num_threads, torch.set_num_threads),
    (_get_deterministic, _set_deterministic),
    (_get_anomaly, _set_anomaly),
    (_get_print_options, _set_print_options),
    (gc.isenabled, _set_gc),
    (gc.get_threshold, _set_gc_threshold),
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (_get_warning_filters, _set_warning_filters),
)


class GlobalSnapshot:
    """The settings and random states of the process."""

    def __init__(self) -> None:
        self._modes = [(get, set_, get()) for get, set_ in _MODES]
        settings = (*_SETTINGS, *_numpy_errors())
        values = [(get, set_, _value(get)) for get, set_ in settings]
        self._settings = [setting for setting in values if setting[2] is not _UNREADABLE]
        self._random: list[Callable[[], object]] = [
            partial(random.setstate, random.getstate()),
            partial(torch.set_rng_state, torch.get_rng_state()),
        ]
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            self._random.append(partial(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
        numpy_random = sys.modules.get("numpy.random")
        if numpy_random:
            self._random.append(partial(numpy_random.set_state, numpy_random.get_state()))
        else:
            self._random.append(_seed_numpy)

    def restore_modes(self, attempt: Callable[..., None]) -> None:
        """Restore the modes that intercept operators, and those of autograd."""
        attempt(_set, _changed(self._modes))

    def restore(self, attempt: Callable[..., None]) -> None:
        """Restore everything that changed."""
        attempt(_set, _changed(self._settings))
        attempt(operator.call, zip(self._random))
        self.restore_modes(attempt)


@contextmanager
def process_kept() -> Iterator[None]:
    """Restore the settings and random states of the process on exit."""
    snapshot = GlobalSnapshot()
    try:
        yield
    finally:
        snapshot.restore(_each)


def _each(restore: Callable[..., object], items: Iterable[tuple[Any, ...]]) -> None:
    for item in items:
        restore(*item)


def _changed(settings: list[_Saved]) -> Iterator[tuple[Callable[[Any], object], Any]]:
    """The settings that have another value: the function that sets each, and the value that it had."""
    for get, set_, value in settings:
        if _value(get) != value:
            yield set_, value


def _set(set_: Callable[[Any], object], value: Any) -> None:
    set_(value)


def _value(get: Callable[[], Any]) -> Any:
    """The value of a setting; torch does not tell it if its two ways to set TF32 were mixed."""
    try:
        return get()
    except RuntimeError:
        return _UNREADABLE


def _seed_numpy() -> None:
    """Give NumPy the random state that it has when it is loaded, if the forward has loaded it."""
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def _numpy_errors() -> tuple[Setting, ...]:
    """The error handling of NumPy, if it is loaded."""
    if "numpy" not in sys.modules:
        return ()
    numpy = sys.modules["numpy"]
    return ((numpy.geterr, lambda state: numpy.seterr(**state)),)

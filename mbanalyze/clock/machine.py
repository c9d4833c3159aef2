"""The devices on which torch can run, and their names."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from mbanalyze.inputs.typed import is_whole


class DeviceError(ValueError):
    """A device that torch does not have or cannot compute on."""


def require_device(device: str, task: str = "measure") -> None:
    """Raise `DeviceError` unless torch can compute on the device, and the clock waits for it.

    Args:
        device: the name.
        task: the verb of the error.
    """
    if str(device).partition(":")[0] not in ("cpu", "cuda"):
        raise DeviceError(f"cannot {task} on {device!r}: give cpu or cuda")
    try:
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        problem = str(error).splitlines()[0][:120]
        raise DeviceError(f"cannot {task} on {device!r}: {problem}; cpu is always available") from error


def is_cuda(device: str) -> bool:
    """Return True for a GPU that torch drives by CUDA."""
    return torch.device(device).type == "cuda"


def machine_name(device: str) -> str:
    """Return the name of the GPU, or of the processor."""
    if is_cuda(device):
        return torch.cuda.get_device_name(device)
    return _linux_processor() or platform.processor() or platform.machine()


def _linux_processor() -> str:
    """The name of the processor on Linux, where Python does not know it; else ""."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


@contextmanager
def threads_set(threads: int | None) -> Iterator[int]:
    """Let torch use a number of threads in this context, and yield the number; None leaves it.

    Raises:
        DeviceError: it is no number from 1.
    """
    if threads is not None and not (is_whole(threads) and threads >= 1):
        raise DeviceError(f"threads must be a whole number from 1, not {threads!r}")
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)

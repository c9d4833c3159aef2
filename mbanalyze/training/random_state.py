"""Seeds of training, and a process that is left as it was."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mbanalyze.clock.machine import is_cuda

_ONE_AT_A_TIME = threading.RLock()
"""Random numbers, dtypes and threads of torch are those of the process: runs in several threads take turns."""


def seed_of(seed: int, part: object) -> int:
    """Return the seed of a part of a run, such as an epoch."""
    return random.Random(f"{seed}/{part}").getrandbits(63)  # noqa: S311 (no secret)


@contextmanager
def seeded(seed: int, part: object, device: str) -> Iterator[None]:
    """Seed torch's random numbers inside the `with` block, and put their state back afterwards."""
    devices = [torch.device(device)] if is_cuda(device) else []
    with torch.random.fork_rng(devices=devices, device_type="cuda"):
        chosen = seed_of(seed, part)
        torch.default_generator.manual_seed(chosen)
        for each in devices:
            with torch.cuda.device(each):
                torch.cuda.manual_seed(chosen)
        yield


@contextmanager
def plain_process() -> Iterator[None]:
    """Set gradients, the default dtype and the default device for training, and put them back afterwards.

    One thread at a time is inside the `with` block.
    """
    with _ONE_AT_A_TIME:
        dtype = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            with _usual():
                yield
        finally:
            torch.set_default_dtype(dtype)


@contextmanager
def _usual() -> Iterator[None]:
    """Inside the `with` block, gradients are recorded, new tensors are on the CPU, and cuDNN is deterministic."""
    with (
        torch.inference_mode(mode=False),
        torch.enable_grad(),
        torch.device("cpu"),
        torch.backends.cudnn.flags(deterministic=True, benchmark=False),
    ):
        yield

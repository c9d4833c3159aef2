"""The memory that a forward frees, which has to stay with the process for steady times."""

from __future__ import annotations

import torch

_BLOCK = 31 * 2**20
"""Bytes of a block just below the largest, 32 MB, that changes the thresholds of glibc."""


def keep_freed_memory() -> None:
    """Let the C library keep freed memory, as in a process that ran larger networks.

    glibc returns freed memory to the system above a threshold, and each forward then waits for its memory again. The
    threshold follows the largest block that was freed. Other C libraries are not affected.

    Source: glibc's manual page mallopt(3), dynamic M_MMAP_THRESHOLD.
    """
    torch.empty(_BLOCK, dtype=torch.uint8)

"""The quantities that a search can limit, maximise or minimise."""

from __future__ import annotations

from mbanalyze.conventions.convention import Convention
from mbanalyze.report.convention_rows import macs_name

LIMITS = {
    "macs": "multiply-accumulates",
    "params": "params",
    "memory_access": "memory access",
    "activations": "activations",
    "peak_bytes": "ideal peak memory",
    "peak_bytes_deployed": "deployed peak memory",
    "predicted_ms": "predicted time",
}
"""The totals that a search can limit, and their titles."""
BYTES = ("peak_bytes", "peak_bytes_deployed")
"""Those that are bytes."""
UNITS = {**dict.fromkeys(BYTES, "B"), "predicted_ms": "ms"}
"""The units of those totals that have one."""
OBJECTIVES = {
    "top1": "top-1 accuracy",
    "params": "params",
    "macs": "multiply-accumulates",
    "predicted_ms": "predicted time",
}
"""The quantities that can rank the variants of a search, and their titles."""
MINIMISED = ("predicted_ms",)
"""Those that are better when lower."""


def limit_title(total: str, dtype: str, convention: Convention | None = None) -> str:
    """Return the title of a limited total: with the element type of bytes unless it is the default.

    The title of macs names the counter whose convention they follow.
    """
    if total == "macs":
        return macs_name(LIMITS[total], convention)
    return LIMITS[total] + (f" ({dtype})" if total in BYTES and dtype != "float32" else "")


def limit_name(total: str) -> str:
    """Return the name of the argument that limits a total."""
    return f"max_{total.replace('peak_bytes', 'peak').replace('predicted_ms', 'ms')}"

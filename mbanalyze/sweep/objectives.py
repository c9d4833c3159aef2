"""The quantities that a search can limit or maximise."""

LIMITS = {
    "macs": "multiply-accumulates",
    "params": "params",
    "memory_access": "memory access",
    "activations": "activations",
}
"""The totals that a search can limit, and their titles."""
OBJECTIVES = {"top1": "top-1 accuracy", "params": "params", "macs": "multiply-accumulates"}
"""The quantities that a search can maximise, and their titles."""

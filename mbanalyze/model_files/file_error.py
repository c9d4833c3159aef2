"""The error of a model file that cannot be read, and the limits of what is read."""

from __future__ import annotations

MAX_NODES = 50_000
"""The most nodes of a network, after functions and loops have been expanded."""

MAX_DEPTH = 40
"""The most functions, conditions and loops around a node."""

MAX_GRAPH_BYTES = 2**26
"""The largest graph that is read, without the elements of its large tensors."""


class ModelFileError(ValueError):
    """A model file that is missing, damaged, of another format, or with content that cannot be counted."""

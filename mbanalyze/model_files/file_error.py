"""The error of a model file that cannot be read, and the limits of what is read."""

from __future__ import annotations

MAX_NODES = 1_000_000
"""The most nodes of a network, after functions and loops have been expanded."""

MAX_GRAPH_BYTES = 2**31 - 1
"""The largest graph that is read: the limit of a protocol buffer. Weights outside of it are not read."""


class ModelFileError(ValueError):
    """A model file that is missing, damaged, of another format, or with content that cannot be counted."""

"""Python's syntax as its future releases read it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def strict_syntax() -> Iterator[None]:
    r"""Inside the `with` block, text that Python parses with a warning, such as `"\d"`, raises `SyntaxError`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*invalid ")
        yield

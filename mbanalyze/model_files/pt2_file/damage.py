"""Errors of damaged content, as one line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mbanalyze.model_files.file_error import ModelFileError

EXPORT_AGAIN = "export the model again with torch.export.save"


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Raise `ModelFileError` for any error inside the `with` block, which reads `what`."""
    try:
        yield
    except ModelFileError:
        raise
    except (RecursionError, MemoryError) as error:
        raise ModelFileError(f"{what} is nested too deeply or too large: {EXPORT_AGAIN}") from error
    except Exception as error:
        raise ModelFileError(f"{what} is damaged ({first_line(error)}): {EXPORT_AGAIN}") from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error, shortened; a key that is missing is named as such."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return f"no {text}" if isinstance(error, KeyError) else text

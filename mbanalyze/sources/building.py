"""Making the module of a model."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mbanalyze.sources.references import SourceError, is_module, summarize

if TYPE_CHECKING:
    from mbanalyze.trace.tracer import Module


@dataclass(frozen=True, slots=True)
class Built:
    """A module.

    Attributes:
        module: the module.
        note: a remark on how it was made, or None.
    """

    module: Module
    note: str | None = None


Build = Callable[[bool], Built]
"""Makes a module; the argument is True to fill its weights."""


def build_once(name: str, make: Callable[[], object]) -> Build:
    """Return a function that makes the module at the first call and returns the same one afterwards.

    Unless the weights are wanted, large ones are not filled, so that a module of any size takes little memory.

    Args:
        name: the user's name for the model, for error messages.
        make: makes the module.

    Raises:
        SourceError: (by the function) the module cannot be made.
    """
    return functools.cache(functools.partial(_build, name, make))


def _build(name: str, make: Callable[[], object], filled: bool) -> Built:
    from mbanalyze.sources.skip_init import keep_random_state

    with keep_random_state():
        made, note = (_fill(name, make), None) if filled else _skip_fill(name, make)
    if not is_module(made):
        raise SourceError(f"{name} returned an object of type {type(made).__name__}, not a torch.nn.Module")
    return Built(made, note)


def _skip_fill(name: str, make: Callable[[], object]) -> tuple[object, str | None]:
    """The module with large weights not filled, and a note if that failed."""
    from mbanalyze.sources.skip_init import skip_init

    try:
        with warnings.catch_warnings():
            # torchvision advises on how to fill weights, which are not filled here
            warnings.filterwarnings("ignore", "The default weight initialization of", FutureWarning)
            return skip_init(make), None
    except SourceError:
        raise
    except (Exception, SystemExit) as error:
        note = f"built with weights, because building without them failed: {summarize(error)}"
        return _fill(name, make), note


def _fill(name: str, make: Callable[[], object]) -> object:
    try:
        return make()
    except SourceError:
        raise
    except (Exception, SystemExit) as error:
        raise SourceError(f"{name} raised {summarize(error)}") from error

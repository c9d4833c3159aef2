"""The operators that a file may name: those of PyTorch and torchvision that compute tensors and do nothing else."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch

from mbanalyze.trace.torch_internals import QUANTIZED_DECOMPOSED, OpOverload, OpOverloadPacket, schema_of

_TARGET = re.compile(r"torch\.ops\.(\w+)\.(\w+)(?:\.(\w+))?")

_DEFINED_BY: Mapping[str, str] = {
    "aten": "",
    "prims": "",
    "quantized_decomposed": QUANTIZED_DECOMPOSED,
    "torchvision": "torchvision",
}
"""Namespace -> the module whose import defines its operators; "" if torch itself does."""

_FORBIDDEN = frozenset({"from_file", "save", "load", "set_", "set_data", "backward", "_backward", "_print"})
"""Operators that read files, print, or change tensors that are not their arguments."""

_CHECKS = re.compile(r"_assert\w*|_functional_assert\w*|sym_constrain_range\w*|_functional_sym_constrain\w*")
"""Operators that only check their arguments."""


def qualified_name(target: str) -> str:
    """Return the name of the operator that a target names, as records have it.

    >>> qualified_name("torch.ops.mylib.blur.default"), qualified_name("mylib.blur")
    ('mylib::blur', 'mylib.blur')
    """
    match = _TARGET.fullmatch(target)
    return f"{match[1]}::{match[2]}" if match else target


def is_check(target: str) -> bool:
    """Return True for an operator that only checks its arguments, or marks a place for a profiler."""
    match = _TARGET.fullmatch(target)
    return match is not None and (
        match[1] == "profiler" or (match[1] == "aten" and _CHECKS.fullmatch(match[2]) is not None)
    )


@functools.cache
def overload_of(target: str) -> Any | None:
    """Return the overload that a target names; None if it is unknown, or not allowed."""
    match = _TARGET.fullmatch(target)
    if not match or match[1] not in _DEFINED_BY or match[2] in _FORBIDDEN:
        return None
    if module := _DEFINED_BY[match[1]]:
        with suppress(Exception):  # not installed, or of another version
            importlib.import_module(module)
    packet = getattr(getattr(torch.ops, match[1]), match[2], None)
    found = getattr(packet, match[3] or "default", None) if isinstance(packet, OpOverloadPacket) else None
    return found if isinstance(found, OpOverload) and _computes_tensors(found) else None


def _computes_tensors(overload: OpOverload) -> bool:
    """True if tensors are among the arguments or results; others set seeds and the like."""
    schema = schema_of(overload)
    types = [str(each.type) for each in (*schema.arguments, *schema.returns)]
    return any("Tensor" in each for each in types) and not any(
        each in ("Storage", "Stream") for each in types
    )

"""Every operator of PyTorch is counted, free, decomposed, or left out for a stated reason."""

from __future__ import annotations

import fnmatch
import functools
import re

import torch
import torch.ao.quantization.fx._decomposed  # it registers the operators of `quantized_decomposed`
from witness import table

from mbanalyze.trace.matching.free import FREE, is_dropout, is_query
from mbanalyze.trace.matching.kinds import MATCHERS
from mbanalyze.trace.schema import OpSchema

NAMESPACES = frozenset(
    {
        *(
            "aten",
            "quantized",
            "quantized_decomposed",
            "_quantized",
            "sparse",
            "prims",
            "mkldnn",
            "mkl",
            "mkldnn_prepacked",
            "onednn",
        ),
        *("quantization", "static_runtime", "c10d", "_c10d_functional", "symm_mem", "profiler"),
    }
)
"""The namespaces that PyTorch fills; others come with the module of a user."""

TORCHVISION = frozenset(
    {
        *("deform_conv2d", "nms", "ps_roi_align", "ps_roi_pool", "qnms", "roi_align", "roi_pool"),
        *("_deform_conv2d_backward", "_ps_roi_align_backward", "_ps_roi_pool_backward"),
        *("_roi_align_backward", "_roi_pool_backward"),
    }
)
"""The operators of torchvision, whose compiled part may not be there."""


@functools.cache
def schemas() -> dict[str, list[OpSchema]]:
    """Return the overloads of every operator by its base name."""
    found: dict[str, list[OpSchema]] = {}
    for name in torch._C._dispatch_get_all_op_names():
        namespace, _, rest = name.partition("::")
        if namespace in NAMESPACES:
            operator, _, overload = rest.partition(".")
            packet = getattr(getattr(torch.ops, namespace), operator)
            schema = OpSchema(getattr(packet, overload or "default"))
            found.setdefault(schema.base_name, []).append(schema)
    return found


def is_known(base_name: str, overloads: list[OpSchema]) -> bool:
    """Return True if an operator is counted, free or decomposed."""
    if base_name in MATCHERS or base_name in FREE or is_dropout(base_name):
        return True
    return all(each.composite or each.returns_views or is_query(each.name) for each in overloads)


@functools.cache
def left() -> frozenset[str]:
    """Return the operators that are neither counted nor free nor decomposed."""
    ours = {name for name, overloads in schemas().items() if not is_known(name, overloads)}
    theirs = {f"torchvision::{name}" for name in TORCHVISION}
    return frozenset(ours | (theirs - MATCHERS.keys()))


@functools.cache
def elsewhere() -> frozenset[str]:
    """Return the operators, and patterns of operators, that only other releases of PyTorch are known to have."""
    release = numbers(torch.__version__)
    return frozenset(
        row["operator"]
        for row in table("operators_of_releases.csv")
        if not numbers(row["first"] or "0") <= release <= numbers(row["last"] or "99")
    )


def numbers(version: str) -> tuple[int, ...]:
    """Return the first two numbers of a version."""
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def test_every_operator_is_known_or_left_for_a_reason() -> None:
    """`operators_left.csv` has a reason for each operator without a formula."""
    patterns = [row["pattern"] for row in table("operators_left.csv")]
    unexplained = [n for n in sorted(left()) if not any(fnmatch.fnmatchcase(n, p) for p in patterns)]

    assert unexplained == []


def test_no_reason_is_stale() -> None:
    """Each pattern explains an operator that no pattern above it explains, and has a reason."""
    rows = table("operators_left.csv")
    unseen, stale = set(left()), []
    for row in rows:
        matched = set(fnmatch.filter(unseen, row["pattern"]))
        unseen -= matched
        namespace, _, rest = row["pattern"].partition("::")
        if not matched and not (rest and namespace not in NAMESPACES):
            stale.append(row["pattern"])

    assert set(stale) <= elsewhere()
    assert all(row["reason"] for row in rows)


def test_every_name_is_an_operator() -> None:
    """Each matcher and each free name is that of an operator."""
    named = {name for name in (*MATCHERS, *FREE) if not name.startswith("torchvision::")}
    theirs = {name.removeprefix("torchvision::") for name in MATCHERS if name.startswith("torchvision::")}

    assert named - schemas().keys() <= elsewhere()
    assert theirs <= TORCHVISION

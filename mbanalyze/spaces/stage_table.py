"""The stages of a network as rows: its choices, its output, and its costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mbanalyze.archs.options import Architecture
from mbanalyze.archs.stage_text import Stage, parse_stages
from mbanalyze.ops.cost import total
from mbanalyze.ops.record import Op
from mbanalyze.ops.registry import cost


def stage_rows(spec: Architecture) -> list[dict[str, Any]]:
    """Return one dict for the stem, each stage and the head of a network with the option `stages`.

    The keys are `stage`, `kernel`, `expansion`, `depth`, `channels` and `output` (height and width) behind it,
    `params` and `macs`. The params and macs add up to those of the network.
    """
    text: str = spec.stages  # type: ignore[attr-defined]
    stages = parse_stages(text, text.count("-") + 1)
    names = dict(_names(stages))
    parts: dict[str, list[Op]] = {}
    for op in spec.ops():
        parts.setdefault(names.get(_block(op), "head"), []).append(op)
    given = {str(i): stage for i, stage in enumerate(stages, 1)}
    return [_row(name, given.get(name), ops) for name, ops in parts.items()]


def _names(stages: tuple[Stage, ...]) -> Iterator[tuple[int, str]]:
    """The place of each module among the features, with the name of its part."""
    yield 0, "stem"
    at = 1
    for i, stage in enumerate(stages, 1):
        for _ in range(stage.depth):
            yield at, str(i)
            at += 1


def _block(op: Op) -> int:
    """The place of an operator's module among the features; -1 for an operator outside them."""
    first, _, rest = op.path.partition(".")
    return int(rest.partition(".")[0]) if first == "features" else -1


def _row(name: str, stage: Stage | None, ops: list[Op]) -> dict[str, Any]:
    found, out = total([cost(op) for op in ops]), ops[-1].output[0].shape
    return {
        "stage": name,
        "kernel": stage and stage.kernels[0],
        "expansion": stage and stage.expansions[0],
        "depth": stage and stage.depth,
        "channels": out[1],
        "output": "x".join(map(str, out[2:])) or None,
        "params": found.params,
        "macs": found.macs,
    }

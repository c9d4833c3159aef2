"""The final check of a trace: reasons to believe that some work was not recorded."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from mbanalyze.trace.recorder import Recorder
from mbanalyze.trace.storage import Storages
from mbanalyze.trace.threads import Threads
from mbanalyze.trace.torch_internals import BUFFERS

_READS_WEIGHT = (
    *(nn.Linear, nn.Bilinear, nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.GroupNorm, nn.PReLU),
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
)
"""The modules of PyTorch whose forward always reads their parameter `weight`."""


def unseen_work(
    modules: Mapping[str, nn.Module], recorder: Recorder, threads: Threads, returned: list[Tensor]
) -> tuple[str, ...]:
    """Return the reasons to believe that some work was not recorded; none for a complete trace."""
    storages, execution = recorder.storages, recorder.execution
    reasons = list(execution.refused)
    if execution.asked:
        reasons.append(
            f"{execution.asked} needed the values of a tensor, and the forward went on without them"
        )
    if threads.running:
        reasons.append("a thread that the forward started is still running")
    unread = set(storages.unread_params())
    silent = _silent_modules(modules, threads.ran(), unread) if unread else []
    reasons += [f"{path or 'the model'} ran, but no operator was seen to read its weight" for path in silent]
    unknown = storages.unknown(returned)
    if unknown and not _held(unknown, modules):
        reasons.append("a tensor was computed where a trace cannot see it, such as in a thread of its own")
    return tuple(reasons)


def _held(tensors: tuple[Tensor, ...], modules: Mapping[str, nn.Module]) -> bool:
    """True if all tensors view memory that modules hold, most often as buffers."""
    buffers = {id(held) for module in modules.values() for held in (vars(module).get(BUFFERS) or {}).values()}
    left = [tensor for tensor in tensors if id(tensor) not in buffers]
    held = _held_tensors(modules) if left else []
    return all(any(Storages.share_storage(tensor, other) for other in held) for tensor in left)


def _silent_modules(modules: Mapping[str, nn.Module], ran: set[str], unread: set[str]) -> list[str]:
    """The paths of modules whose forward has run, although no operator was seen to read their weight."""
    prefixed = ((path, f"{path}.weight" if path else "weight") for path in modules if path in ran)
    return [path for path, weight in prefixed if weight in unread and type(modules[path]) in _READS_WEIGHT]


def _held_tensors(modules: Mapping[str, nn.Module]) -> list[Tensor]:
    """The tensors that modules hold, in containers and objects of any depth too."""
    found: list[Tensor] = []
    queue: list[Any] = [vars(module) for module in modules.values()]
    seen: set[int] = set()
    while queue:
        value = queue.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, dict):
            queue += value.values()
        elif isinstance(value, list | tuple | set | frozenset):
            queue += value
        elif not isinstance(value, type | ModuleType) and isinstance(
            state := getattr(value, "__dict__", None), dict
        ):
            queue.append(state)
    return found

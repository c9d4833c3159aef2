"""The births and deaths of storages while a forward runs, for the account `eager` of peak memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from weakref import ref

from torch import UntypedStorage

from mbanalyze.inputs.typed import Sizes
from mbanalyze.peak_memory.timeline import Lifetime, Step, Timeline
from mbanalyze.trace.region import NO_VALUE, Allocated, Region
from mbanalyze.trace.torch_internals import address

Birth = tuple[int, Sizes, int]
"""The step in which a storage is allocated, the shape of its first tensor, and its bytes."""

_BEFORE = -1
"""The step in which the inputs were made."""


class Lifetimes:
    """The storages that operators allocate, each from the step of its birth to that of its death.

    A storage dies when its last tensor does. Its address may then be reused, so that its region is forgotten.

    Attributes:
        steps: the operators that are recorded or allocate memory; the first two members are path and kind.
        trial: the number of births before the trial that runs, or 0.
    """

    def __init__(self, regions: dict[int, Region], copies: dict[int, Any]) -> None:
        """Take the regions, and the copies of storages, both by the addresses of the storages."""
        self.steps: list[Sequence[Any]] = []
        self.trial = 0
        self._births: list[Birth] = []
        self._deaths: dict[int, int] = {}
        self._regions, self._copies = regions, copies
        self._followed: dict[int, tuple[ref[UntypedStorage], Allocated]] = {}  # by the addresses of copies
        self._note_death = self._died

    def add_input(self, shape: Sizes, size: int) -> None:
        """Add the memory of an input, which its caller holds while the forward runs."""
        self._births.append((_BEFORE, shape, size))

    def begin(self, storage: UntypedStorage, key: int, shape: Sizes) -> Allocated:
        """Return the region of a storage at the address `key`, allocated for a tensor of `shape` in the next step."""
        births = self._births
        region = self._regions[key] = Allocated(storage, self._note_death)
        region.key, region.birth, region.number, region.size = key, len(births), -1, storage.nbytes()
        region.role, region.param, region.lacks_values = "activation", None, False
        region.value, region.dtype = NO_VALUE, None
        births.append((len(self.steps), shape, region.size))
        return region

    def pass_by(self, tensors: Iterable[tuple[Sizes, int]]) -> None:
        """Add tensors, by shape and bytes, that are in memory only during the next step."""
        step = len(self.steps)
        for shape, size in tensors:
            self._deaths[len(self._births)] = step
            self._births.append((step, shape, size))

    def resize(self, region: Allocated, size: int, shape: Sizes) -> None:
        """Note that a storage has another size from the next step on."""
        self._deaths[region.birth] = len(self.steps) - 1
        region.birth, region.size = len(self._births), size
        self._births.append((len(self.steps), shape, size))

    def follow(self, storage: UntypedStorage, region: Allocated) -> None:
        """Let memory live as long as `storage`, a copy that stands for it, does."""
        key = address(storage)

        def died(_: ref[UntypedStorage]) -> None:
            """Note the death of both, because the copy is kept while the original lives."""
            self._deaths[region.birth] = len(self.steps) - 1
            self._regions.pop(key, None)
            self._followed.pop(key, None)

        self._followed[key] = ref(storage, died), region

    def _died(self, region: Any) -> None:
        """Note the last step of a storage, and forget its address."""
        self._deaths[region.birth] = len(self.steps) - 1
        self._regions.pop(region.key, None)
        if self._copies:
            self._copies.pop(region.key, None)

    def checkpoint(self) -> tuple[int, int, int]:
        """Start a trial, and return the state before it for `roll_back`."""
        before = len(self.steps), len(self._births), self.trial
        self.trial = len(self._births)
        return before

    def roll_back(self, before: tuple[int, int, int]) -> None:
        """Forget the steps of a trial; what was allocated there and is alive counts from the next step on."""
        steps, births, self.trial = before
        new = [r for r in tuple(self._regions.values()) if isinstance(r, Allocated) and r.birth >= births]
        again = {id(region): self._births[region.birth] for region in new}
        del self.steps[steps:], self._births[births:]
        self._deaths = {n: min(step, steps - 1) for n, step in self._deaths.items() if n < births}
        for region in new:
            _, shape, size = again[id(region)]
            region.birth = len(self._births)
            self._births.append((steps, shape, size))

    def memory(self) -> EagerMemory:
        """Return the memory of the forward, which has ended."""
        for _, region in tuple(self._followed.values()):
            self._deaths.pop(region.birth, None)
        self._regions.clear()
        self._followed.clear()
        return EagerMemory(self.steps, self._births, self._deaths)


class EagerMemory(NamedTuple):
    """The memory of a forward.

    Attributes:
        steps: the operators; the first two members are path and kind.
        births: the storages.
        deaths: the index of a storage -> its last step, if it died before the end.
    """

    steps: Sequence[Sequence[Any]] = ()
    births: Sequence[Birth] = ()
    deaths: Mapping[int, int] = {}

    def timeline(self) -> Timeline:
        """Return the storages with the steps in which they are in memory."""
        steps = tuple([Step(step[0], step[1]) for step in self.steps])
        return Timeline(steps, tuple(self._lifetimes(steps)))

    def _lifetimes(self, steps: tuple[Step, ...]) -> Iterator[Lifetime]:
        end = len(steps) - 1
        for number, (step, shape, size) in enumerate(self.births):
            first, last = max(step, 0), self.deaths.get(number, end)
            if size and first <= last:
                path, kind = ("", "input") if step == _BEFORE else steps[step]
                yield Lifetime(path, kind, shape, size, first, last)


NO_MEMORY = EagerMemory()
"""The memory of a forward without operators."""

"""Which tensor is which while a module runs: told apart by their storage, numbered as they first appear."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mbanalyze.ops.record import Role, Value, canonical_strides


class _Source:
    """What values are counted as: an activation, a stored constant, or one parameter.

    Attributes:
        number: -1 until something reads or writes it.
        param: the parameter, until something reads it.
        start, stop: the bytes between which a parameter lies, where that is not the whole storage.
        storage: where it is; alive, so that its address stays its own.
        seen: the tensor through which it was looked at last.
        value: what that one is, as long as nobody writes.
    """

    __slots__ = ("number", "param", "role", "seen", "start", "stop", "storage", "value")

    def __init__(self, role: Role, seen: Tensor, param: nn.Parameter | None = None) -> None:
        self.storage = seen.untyped_storage()
        self.role = role
        self.number = -1
        self.param = param
        self.start = self.stop = 0
        self.seen = seen
        self.value: Value | None = None


class InterleavedError(ValueError):
    """Parameters lie in each other's memory, so that a view could be of either."""


class Values:
    """The tensors of one trace, each as the `Value` that operators see.

    A view is known for what it looks into. Whoever writes to an activation makes it another one.
    """

    def __init__(self, params: Mapping[str, nn.Parameter]) -> None:
        """Raises `InterleavedError` where parameters share memory but are not the same."""
        self._params = params
        self._numbers: dict[Role, int] = {"activation": 0, "weight": 0, "buffer": 0}
        self._sources: dict[int, _Source] = {}
        self._shared: dict[int, list[_Source]] = {}
        self._twins: dict[tuple[int, torch.dtype], Tensor] = {}
        for param in params.values():
            key = param.untyped_storage()._cdata  # noqa: SLF001 (a meta tensor's only address)
            source = _Source("weight", param, param)
            if param.storage_offset():
                source.start, source.stop = _extent(param)
            if self._sources.setdefault(key, source) is not source:
                self._shared.setdefault(key, [self._sources[key]]).append(source)
        for sources in self._shared.values():
            self._share(sources)

    def _share(self, sources: list[_Source]) -> None:
        """Note where in their common storage parameters lie."""
        for source in sources:
            assert source.param is not None
            source.start, source.stop = _extent(source.param)
        sources.sort(key=lambda source: (source.start, source.stop))
        for a, b in itertools.pairwise(sources):
            if b.start < a.stop and (a.start, a.stop) != (b.start, b.stop):
                names = [name for name, p in self._params.items() if p is a.param or p is b.param]
                raise InterleavedError(f"{' and '.join(names)} are interleaved in memory: clone one of them")

    def unread(self) -> tuple[str, ...]:
        """Names of the parameters not read so far."""
        sources = itertools.chain(self._sources.values(), *self._shared.values())
        unread = {id(source.param) for source in sources if source.param is not None}
        return tuple(name for name, param in self._params.items() if id(param) in unread)

    def begin(self, tensor: Tensor) -> None:
        """`tensor` is an input of the module: an activation, unless it is known as a weight."""
        self._look(tensor, self._source(tensor, "activation"))

    def is_weight(self, tensor: Tensor) -> bool:
        """Whether `tensor` looks into a parameter."""
        return self._source(tensor).role == "weight"

    def is_view(self, tensor: Tensor, of: tuple[Tensor, ...]) -> bool:
        """Whether `tensor` is counted as one of `of`, whose memory it looks into; if not, it is an activation."""
        source = self._source(tensor, "activation")
        return any(source is self._source(other) for other in of)

    @staticmethod
    def same_memory(a: Tensor, b: Tensor) -> bool:
        """Whether one is a view of the other, or of what it is a view of."""
        return a.untyped_storage()._cdata == b.untyped_storage()._cdata  # type: ignore[no-any-return]  # noqa: SLF001 (as above)

    def read(self, tensors: tuple[Tensor, ...]) -> tuple[tuple[Value, ...], int]:
        """`tensors` as an operator sees them, and the learned scalars among them that nothing read before."""
        values, owned = [], 0
        for tensor in tensors:
            key = tensor.untyped_storage()._cdata  # noqa: SLF001 (as above)
            source = self._sources.get(key) or self._new(tensor, key, "buffer")
            if key in self._shared:
                source = self._source(tensor)
                owned += self._newly_read(tensor, self._shared[key])
            elif source.param is not None:
                owned += source.param.numel()
                source.param = None
            value = source.value
            if source.seen is not tensor or value is None or value.shape != tensor.shape:
                value = self._look(tensor, source)
            values.append(value)
        return tuple(values), owned

    def _newly_read(self, tensor: Tensor, sources: list[_Source]) -> int:
        """The learned scalars of those of `sources` that `tensor` looks into."""
        owned = 0
        start, stop = _extent(tensor)
        for source in sources:
            if source.param is not None and source.start < stop and start < source.stop:
                owned += source.param.numel()
                source.param = None
        return owned

    def forget(self, tensor: Tensor) -> None:
        """`tensor` looks into its memory in another way than before."""
        self._source(tensor).value = None

    def write(self, tensors: tuple[Tensor, ...]) -> tuple[Value, ...]:
        """`tensors` as an operator leaves them: they hold what they did not before."""
        values = []
        for tensor in tensors:
            source = self._source(tensor, "activation")
            if source.role == "activation":
                source.number = -1
            values.append(self._look(tensor, source))
        return tuple(values)

    def twin(self, tensor: Tensor) -> Tensor:
        """`tensor` without data, known as the same values."""
        if tensor.is_meta:
            return tensor
        source, storage = self._source(tensor), tensor.untyped_storage()
        key = storage._cdata, tensor.dtype  # noqa: SLF001 (as above)
        with torch.inference_mode(mode=tensor.is_inference()):  # views of it must be of the same sort
            if key not in self._twins:
                elements = storage.nbytes() // tensor.itemsize
                twin = torch.empty(elements, dtype=tensor.dtype, device="meta")
                self._twins[key] = twin
                self._alias(twin, source, key[0])
            return self._twins[key].as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())

    def _alias(self, twin: Tensor, source: _Source, of: int) -> None:
        """What is in `twin` is known for what is in the storage `of`."""
        storage = twin.untyped_storage()
        self._sources[storage._cdata] = source  # noqa: SLF001 (as above)
        if of in self._shared:
            self._shared[storage._cdata] = self._shared[of]  # noqa: SLF001 (as above)

    def _source(self, tensor: Tensor, role: Role = "buffer") -> _Source:
        """What `tensor` is; where unknown, `role`: neither input, parameter nor result is a stored constant."""
        key = tensor.untyped_storage()._cdata  # noqa: SLF001 (as above)
        if key in self._shared:
            sources, (start, _) = self._shared[key], _extent(tensor)
            return next((s for s in sources if s.start <= start < s.stop), sources[0])
        return self._sources.get(key) or self._new(tensor, key, role)

    def _new(self, tensor: Tensor, key: int, role: Role) -> _Source:
        source = self._sources[key] = _Source(role, tensor)
        return source

    def _look(self, tensor: Tensor, source: _Source) -> Value:
        """`tensor`, which looks into `source`; remembered until it is looked at through another one."""
        if source.number < 0:
            source.number = self._numbers[source.role]
            self._numbers[source.role] += 1
        shape, dtype = tuple(tensor.shape), tensor.dtype
        offset = int(tensor.storage_offset())
        source.seen = tensor
        source.value = value = Value(
            source.role,
            source.number,
            shape,
            offset - source.start // dtype.itemsize if source.start else offset,
            None if tensor.is_contiguous() else canonical_strides(shape, tensor.stride()),
            None if dtype.is_floating_point else dtype.itemsize,
        )
        return value


def _extent(tensor: Tensor) -> tuple[int, int]:
    """The bytes of its storage between which `tensor` lies: first, and one past the last."""
    start, elements = int(tensor.storage_offset()) * tensor.itemsize, tensor.numel()
    if elements and not tensor.is_contiguous():
        elements = 1 + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return start, start + int(elements) * tensor.itemsize

"""Pickles of `torch.save` as data: a call is kept as its name and arguments, and nothing is called or imported."""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_MAX_STEPS = 2**21
_EMPTY_DICTS = ("collections OrderedDict",)


@dataclass(frozen=True, slots=True)
class Name:
    """A function or class that a pickle names.

    Attributes:
        text: its module and name, with a space between them.
    """

    text: str


@dataclass(frozen=True, slots=True)
class PickledCall:
    """A call that a pickle asks for.

    Attributes:
        function: the module and name of the function, with a space between them; "" if a call makes it.
        arguments: its arguments.
    """

    function: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Outside:
    """A value that is not in the pickle.

    Attributes:
        key: what the pickle calls it.
    """

    key: Any


def read_pickle(content: bytes) -> Any:
    """Return the value of a pickle, in which calls are `PickledCall`, functions `Name`, and storages `Outside`.

    Raises:
        ValueError, TypeError, LookupError: it is damaged, or has what `torch.save` does not write.
    """
    machine = _Machine()
    for step, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if step >= _MAX_STEPS:
            raise ValueError("the pickle is too long")
        machine.take(opcode.name, argument)
    (value,) = machine.stack
    return value


class _Machine:
    """The stack and the memory of a pickle that is read."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memory: dict[int, Any] = {}

    def take(self, opcode: str, argument: Any) -> None:
        """Do the step of an opcode; `ValueError` for one that `torch.save` does not write."""
        if opcode in _LITERALS:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode]())
        elif opcode in ("BINPUT", "LONG_BINPUT"):
            self._memory[argument] = self.stack[-1]
        elif opcode in ("BINGET", "LONG_BINGET"):
            self.stack.append(self._memory[argument])
        elif opcode == "GLOBAL":
            self.stack.append(Name(argument))
        elif opcode in _STEPS:
            _STEPS[opcode](self)
        elif opcode not in ("PROTO", "STOP"):
            raise ValueError(f"torch.save does not write {opcode}")

    def since_mark(self) -> list[Any]:
        """Take the values since the last mark."""
        start = self._marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    def last(self, number: int) -> tuple[Any, ...]:
        """Take some values."""
        if len(self.stack) < number:
            raise IndexError("a value is missing")
        found = tuple(self.stack[-number:])
        del self.stack[-number:]
        return found

    def mark(self) -> None:
        self._marks.append(len(self.stack))

    def pack(self) -> None:
        self.stack.append(tuple(self.since_mark()))

    def call(self) -> None:
        function, arguments = self.last(2)
        name = function.text if isinstance(function, Name) else ""
        self.stack.append({} if name in _EMPTY_DICTS and not arguments else PickledCall(name, arguments))

    def set_items(self, items: list[Any] | tuple[Any, ...]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            self.stack[-1][key] = value

    def extend(self, items: list[Any]) -> None:
        self.stack[-1].extend(items)


_LITERALS = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"})

_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
}

_STEPS: Mapping[str, Callable[[_Machine], object]] = {
    "MARK": _Machine.mark,
    "TUPLE": _Machine.pack,
    "TUPLE1": lambda machine: machine.stack.append(machine.last(1)),
    "TUPLE2": lambda machine: machine.stack.append(machine.last(2)),
    "TUPLE3": lambda machine: machine.stack.append(machine.last(3)),
    "REDUCE": _Machine.call,
    "BUILD": lambda machine: machine.last(1),  # attributes of a value, which are not needed
    "BINPERSID": lambda machine: machine.stack.append(Outside(*machine.last(1))),
    "SETITEM": lambda machine: machine.set_items(machine.last(2)),
    "SETITEMS": lambda machine: machine.set_items(machine.since_mark()),
    "APPEND": lambda machine: machine.extend([*machine.last(1)]),
    "APPENDS": lambda machine: machine.extend(machine.since_mark()),
}

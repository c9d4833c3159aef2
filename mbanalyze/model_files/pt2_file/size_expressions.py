"""Expressions of symbolic sizes, such as `Mul(Integer(2), Symbol('s0'))` or `2*s0`, evaluated without Python's `eval`."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Any

from mbanalyze.inputs.strict_syntax import strict_syntax

_MAX_LENGTH = 2000
_MAX_BITS = 4096


def _power(base: Any, exponent: int) -> int:
    if not 0 <= exponent <= 64:
        raise ValueError("the exponent of a size is too large")
    return int(base**exponent)


_OPERATORS: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}

_FUNCTIONS: Mapping[str, Callable[..., int]] = {
    "Add": lambda *terms: sum(terms),
    "Mul": lambda *factors: prod(factors),
    "Pow": _power,
    "Integer": int,
    "Max": max,
    "Min": min,
    "FloorDiv": operator.floordiv,
    "CleanDiv": operator.floordiv,
    "CeilDiv": lambda dividend, divisor: -(-dividend // divisor),
    "Mod": operator.mod,
    "PythonMod": operator.mod,
}


def symbol_of(expression: str) -> str | None:
    """Return the name of an expression that is one symbol; None for any other.

    >>> symbol_of("Symbol('s77', positive=True, integer=True)"), symbol_of("s0"), symbol_of("2*s0")
    ('s77', 's0', None)
    """
    return _symbol(_parsed(expression))


def value_of(expression: str, symbols: Mapping[str, int]) -> int:
    """Return the value of an expression.

    Raises:
        ValueError: the expression has another form, or a symbol without a value.

    >>> value_of("Add(Mul(Integer(2), Symbol('s0')), Integer(-1))", {"s0": 4})
    7
    """
    return _value(_parsed(expression), symbols)


def _parsed(expression: str) -> ast.expr:
    if len(expression) > _MAX_LENGTH:
        raise ValueError("the expression of a size is too long")
    try:
        with strict_syntax():
            return ast.parse(expression, mode="eval").body
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError("the expression of a size is malformed") from error


def _symbol(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Call) and _name(node.func) == "Symbol" and node.args:
        value = node.args[0]
        return str(value.value) if isinstance(value, ast.Constant) else None
    return None


def _name(node: ast.expr) -> str:
    """The last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _value(node: ast.expr, symbols: Mapping[str, int]) -> int:
    symbol = _symbol(node)
    if symbol is not None:
        if symbol not in symbols:
            raise ValueError(f"the size {symbol} has no value")
        return symbols[symbol]
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, symbols)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](*_bounded(_values([node.left, node.right], symbols)))
    if isinstance(node, ast.Call) and _name(node.func) in _FUNCTIONS and not node.keywords:
        return _FUNCTIONS[_name(node.func)](*_bounded(_values(node.args, symbols)))
    raise ValueError("the expression of a size has an unknown function")


def _values(nodes: Iterable[ast.expr], symbols: Mapping[str, int]) -> list[int]:
    return [_value(node, symbols) for node in nodes]


def _bounded(numbers: list[int]) -> list[int]:
    if any(number.bit_length() > _MAX_BITS for number in numbers):
        raise ValueError("a size is too large")
    return numbers

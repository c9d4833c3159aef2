"""Random modules: a grammar of layers, functions, views, writes in place and control flow, as source code."""

from __future__ import annotations

import random
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from grammar_parts import CONTROLS, EXCLUDED, GROUPS, Part
from hypothesis import reject
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from mbanalyze import Shape
from mbanalyze.inputs.typed import Mode, Sizes

Choose = Callable[[Sequence[Any]], Any]
"""A function that returns one of several values."""


MAX_ELEMENTS = 1500
NAMES: dict[str, Any] = {"torch": torch, "nn": nn, "F": functional, "random": random}
"""The names that the source of a module uses."""


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


ACTIVATIONS = [
    *(
        "ReLU",
        "ReLU6",
        "SiLU",
        "GELU",
        "Hardswish",
        "Hardsigmoid",
        "Sigmoid",
        "Tanh",
        "ELU",
        "CELU",
        "SELU",
        "Mish",
    ),
    *(
        "Softplus",
        "LeakyReLU",
        "LogSigmoid",
        "Hardtanh",
        "Softshrink",
        "Hardshrink",
        "Softsign",
        "Tanhshrink",
    ),
]
UNARY = [
    *(
        "exp",
        "sin",
        "cos",
        "tanh",
        "sigmoid",
        "neg",
        "abs",
        "square",
        "floor",
        "ceil",
        "round",
        "sign",
        "erf",
    ),
    *("expm1", "log1p", "reciprocal", "rsqrt", "sqrt", "isnan"),
]

HOLES: dict[str, Callable[[Sizes], list[Any]]] = {
    "c": lambda s: [s[1]],
    "last": lambda s: [s[-1]],
    "next": lambda s: [s[-2]],
    "rank": lambda s: [len(s)],
    "k": lambda _: [1, 2, 3, 4],
    "s": lambda _: [1, 2, 3],
    "kernel": lambda _: [1, 2, 3],
    "stride": lambda _: [1, 2],
    "pad": lambda _: [0, 1],
    "dilation": lambda _: [1, 2],
    "layers": lambda _: [1, 2],
    "flag": lambda _: [False, True],
    "other": lambda _: [False, True],
    "groups": lambda s: _divisors(s[1]),
    "heads": lambda s: _divisors(s[-1]),
    "d": lambda s: [*range(1, len(s)), -1],
    "e": lambda s: list(range(1, len(s))),
    "padding_mode": lambda _: ["zeros", "circular", "reflect", "replicate"],
    "pad_mode": lambda _: ["circular", "reflect", "replicate"],
    "rnn": lambda _: ["RNN", "GRU", "LSTM"],
    "activation": lambda _: ACTIVATIONS,
    "unary": lambda _: UNARY,
    "binary": lambda _: ["add", "sub", "mul", "div", "maximum", "minimum", "fmod", "atan2", "pow"],
    "compare": lambda _: ["<", "<=", ">", ">=", "==", "!="],
    "reduce": lambda _: [
        "sum",
        "mean",
        "prod",
        "amax",
        "amin",
        "var",
        "std",
        "logsumexp",
        "argmax",
        "any",
        "norm",
    ],
    "scan": lambda _: ["cumsum", "cumprod", "softmax", "log_softmax", "argsort"],
    "interpolation": lambda _: ["nearest", "bilinear", "bicubic", "area"],
}
"""A hole in a template -> the values that fill it, given the shape of the tensor that the part takes."""


class Filled(dict[str, Any]):
    """The values of the holes of one part; a value is drawn when a template first asks for it."""

    def __init__(self, choose: Choose, shape: Sizes, **given: str) -> None:
        super().__init__(given)
        self.choose, self.shape = choose, shape

    def __missing__(self, name: str) -> Any:
        self[name] = self.choose(HOLES[name](self.shape))
        return self[name]


@dataclass(frozen=True)
class Program:
    """The source of a random module.

    Attributes:
        init: the statements that build its layers.
        forward: the statements of its forward, which takes `t0`.
        shape: the shape of its input.
        integers: True if the input holds indices.
        mode: the mode that it runs in.
        batchwise: True if no statement mixes the samples of a batch.
        unused: the layers that the forward never reads.
        parts: the parts that it is made of.
    """

    init: tuple[str, ...]
    forward: tuple[str, ...]
    shape: Sizes
    integers: bool
    mode: Mode
    batchwise: bool
    unused: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def source(self) -> str:
        """The definition of the class `Net`."""
        init = textwrap.indent("\n".join(("super().__init__()", *self.init)), " " * 8)
        forward = textwrap.indent("\n".join(self.forward), " " * 8)
        return f"class Net(nn.Module):\n    def __init__(self):\n{init}\n\n    def forward(self, t0):\n{forward}\n"

    def script(self) -> str:
        """Return a script that counts the module, to repeat a failure."""
        imports = (
            "import random\nimport torch\nfrom torch import nn\nfrom torch.nn import functional as F\n"
            "from mbanalyze import count\n"
        )
        of = f"torch.zeros({self.shape}, dtype=torch.int64)" if self.integers else f"torch.rand({self.shape})"
        calls = "\n".join(
            f"print(count(net, x, mode={self.mode!r}{how}).to(by='op'))"
            for how in ("", ", shortcuts=False", ", real=True")
        )
        return f"{imports}\n\n{self.source}\n\ntorch.manual_seed(0)\nnet, x = Net(), {of}\n{calls}"

    def build(self) -> nn.Module:
        """Return the module, with the same weights each time."""
        names = dict(NAMES)
        exec(self.source, names)  # noqa: S102 (the source is ours)
        torch.default_generator.manual_seed(0)  # faster than to seed every device
        net: nn.Module = names["Net"]()
        return net.train(self.mode == "train")

    def sizes(self, batch: int | None = None) -> Any:
        """Return the input as a shape, with another batch if it is given."""
        shape = (batch or self.shape[0], *self.shape[1:])
        return Shape(*shape, dtype="int64") if self.integers else shape

    def tensor(self) -> Tensor:
        """Return the input with values."""
        return _input(self.shape, self.integers)


def _input(shape: Sizes, integers: bool) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    if integers:
        return torch.randint(0, 5, shape, generator=generator)
    return torch.rand(shape, generator=generator)


@contextmanager
def quiet() -> Iterator[None]:
    """Run a module without gradients and warnings, and restore the random state of Python."""
    state = random.getstate()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # PyTorch warns once, so that a warning would not come twice
            yield
    finally:
        random.setstate(state)


class Writer:
    """Writes a program statement by statement, and runs each on the CPU to learn the shape of its result."""

    def __init__(self, choose: Choose, excluded: frozenset[str], ranks: str = "432435i") -> None:
        self.choose, self.excluded = choose, excluded
        self.mode: Mode = choose(["eval", "train"])
        rank = choose(ranks)
        self.integers = rank == "i"
        self.shape = self._shape(2 if self.integers else int(rank))
        self.model = nn.Module().train(self.mode == "train")
        self.names = {**NAMES, "self": self.model, "t0": _input(self.shape, self.integers)}
        self.values = ["t0"]
        self.init: list[str] = []
        self.forward: list[str] = []
        self.parts: list[Part] = []
        self.batchwise = True

    def _shape(self, rank: int) -> Sizes:
        sizes = [4, 6, 3, 5, 1, 2] if rank < 5 else [4, 3, 2, 1]
        return tuple(self.choose(sizes if dim else [2, 1, 3]) for dim in range(rank))

    def add(self) -> None:
        """Add a part that fits one of the values, usually the last."""
        x = self.values[self.choose([-1, -1, -1, *range(len(self.values))])]
        fitting = [
            [part for part in group if part.fits(self.names[x]) and self.allows(part)]
            for group in GROUPS.values()
        ]
        if any(fitting):  # an operator in place may have given `x` too many dimensions
            self.add_part(self.choose(self.choose([group for group in fitting if group])), x)

    def add_part(self, part: Part, x: str = "t0") -> None:
        """Add `part`, which takes `x`, unless it raises."""
        holes = self._holes(x)
        init = part.init_statements.format_map(holes)
        code = self._controlled(part).format_map(holes)
        if self._runs(init, code, holes["out"]):
            self.init += init.splitlines()
            self.forward += code.splitlines()
            self.values.append(holes["out"])
            self.parts.append(part)

    def allows(self, part: Part) -> bool:
        """Return False if the part is excluded in the mode of the program."""
        return not {part.name, f"{part.name} {self.mode}"} & self.excluded

    def _holes(self, x: str) -> Filled:
        """The holes with the values they have to have: `y` is of the shape of `x`."""
        shape = tuple(self.names[x].shape)
        same = [
            v
            for v in self.values
            if self.names[v].shape == shape and self.names[v].dtype == self.names[x].dtype
        ]
        number = len(self.values)
        y = self.choose(same)
        return Filled(self.choose, shape, x=x, y=y, m=f"self.m{number}", out=f"t{number}", b=f"m{number}")

    def _controlled(self, part: Part) -> str:
        """The statements of a part; the call of a layer may stand inside others."""
        if part.code != Part("", "").code or self.choose([False, False, True]):
            return part.statements
        control = self.choose(list(filter(self.allows, CONTROLS)))
        self.batchwise &= control.batchwise
        return str(control.statements)

    def _runs(self, init: str, code: str, out: str) -> bool:
        """True if the statements run, and their result is a small tensor that is not empty."""
        try:
            with quiet():
                exec(init, self.names)  # noqa: S102 (the source is ours)
                self.model.train(self.mode == "train")
                exec(code, self.names)  # noqa: S102 (as above)
        except Exception:
            return False
        result = self.names[out]
        return (
            isinstance(result, Tensor)
            and result.dtype in (torch.float32, torch.int64)
            and 0 < result.dim() < 6
            and 0 < prod(result.shape) <= MAX_ELEMENTS
        )

    def program(self) -> Program:
        """Return the program so far."""
        kept = self.choose([self.values[-1:], self.values])
        return Program(
            tuple(self.init),
            (*self.forward, f"return {', '.join(kept)}"),
            self.shape,
            self.integers,
            self.mode,
            self.batchwise and all(part.batchwise for part in self.parts),
            tuple(f"m{number}" for number, part in enumerate(self.parts, 1) if part.unused),
            tuple(self.parts),
        )


@st.composite
def programs(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Program:
    """Draw a module of up to eight parts that runs on the CPU."""
    writer = Writer(lambda options: draw(st.sampled_from(options)), EXCLUDED)
    for _ in range(draw(st.integers(1, 8))):
        writer.add()
    program = writer.program()
    if not _runs(program):
        reject()
    return program


def programs_of(part: Part, excluded: frozenset[str] = EXCLUDED) -> Iterator[Program]:
    """Yield modules of one part alone, with different settings."""
    for seed in range(100):
        writer = Writer(random.Random(seed).choice, excluded, part.ranks)
        if part.fits(writer.names["t0"]) and writer.allows(part):
            writer.add_part(part)
        program = writer.program()
        if writer.parts and _runs(program):
            yield program


def parts_called(name: str) -> list[Part]:
    """Return the parts of a name in `EXCLUDED`; statements around a call contain a linear layer."""
    name = name.removesuffix(" real").removesuffix(" train")
    calls = [
        Part("2345", "nn.Linear({last}, {last})", control.code)
        for control in CONTROLS
        if control.name == name
    ]
    return calls or [part for group in GROUPS.values() for part in group if part.name == name]


def _runs(program: Program) -> bool:
    try:
        with quiet():
            program.build()(program.tensor())
    except Exception:
        return False
    return True

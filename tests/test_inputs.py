"""Inputs of a forward: shapes, tensors with values, and values that are no tensors, in Python and as text."""

from __future__ import annotations

import collections
import copy
import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from commandline import Run
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from mbanalyze import Shape, ablate, check, compare, count
from mbanalyze.guard.policy_file import load
from mbanalyze.inputs.input_text import has_values, parse_input, spell_input
from mbanalyze.inputs.shape import FILLS, Values
from mbanalyze.inputs.typed import DTYPES, InputError
from mbanalyze.trace.forward_args import as_inputs
from mbanalyze.trace.forward_errors import TraceError

TEXTS: list[tuple[str, str | None, Any]] = [
    ("1,3,224,224", None, Shape(1, 3, 224, 224)),
    ("1x3x64x64", None, Shape(1, 3, 64, 64)),
    (" ids = 1, 128 : int64 ", "ids", Shape(1, 128, dtype="int64")),
    ("x=8", "x", Shape(8)),
    ("7:bool", None, Shape(7, dtype="bool")),
    ("1,8:complex64", None, Shape(1, 8, dtype="complex64")),
    ("", None, Shape()),
    ("t=:float32", "t", Shape(dtype="float32")),
    ("mask=ones:1,8:int64", "mask", Shape(1, 8, dtype="int64", fill="ones")),
    ("zeros:1x8", None, Shape(1, 8, fill="zeros")),
    ("arange:8:int64", None, Shape(8, dtype="int64", fill="arange")),
    ("rand:", None, Shape(fill="rand")),
    ("lengths=tensor:[10,5,1]", "lengths", Values([10, 5, 1])),
    ("tensor:[[0.5,1],[2,3]]:float16", None, Values([[0.5, 1], [2, 3]], "float16")),
    ("t=tensor:999:int64", "t", Values(999, "int64")),
    ("steps=int:5", "steps", 5),
    ("int:-1", None, -1),
    ("scale=0.5", "scale", 0.5),
    ("-1e-3", None, -0.001),
    ("-Infinity", None, float("-inf")),
    ("flag=true", "flag", True),
    ("False", None, False),
    ("mask=null", "mask", None),
    ("None", None, None),
    ("mode=nearest-exact", "mode", "nearest-exact"),
    ("padding=none", "padding", "none"),
    ("size=(16,16)", "size", (16, 16)),
    ("sizes=[(8, 8), (4, 4)]", "sizes", [(8, 8), (4, 4)]),
    ("[16,16]", None, [16, 16]),
    ('meta={"shape":[32,32],"flip":false}', "meta", {"shape": [32, 32], "flip": False}),
    ('"a=1"', None, "a=1"),
    ('name="3x3"', "name", "3x3"),
    ("'cuda:0'", None, "cuda:0"),
    (r"'a\\d'", None, r"a\d"),
]


@pytest.mark.parametrize(("text", "name", "value"), TEXTS)
def test_inputs_are_parsed(text: str, name: str | None, value: object) -> None:
    """An input is a shape, a tensor with values, or a literal, with an optional name."""
    # repr, because 1 == 1.0 == True
    assert repr((name, value)) == repr(parse_input(text))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *[
            (text, "give sizes above 0, such as 1,3,224,224; a number is such as int:5 or 0.5")
            for text in ("1,3,224,", ",", "1,x", "1x3x", "1,3,0,224", "1,-3", "-5", "0", "1,3x4", "ones:1,y")
        ],
        ("a b=1,2", "'a b' is not the name of an argument"),
        ("=1,2", "'' is not the name of an argument"),
        ("1,2:int", "unknown dtype 'int': choose one of float32, "),
        ("1,2:", "unknown dtype '': choose one of float32, "),
        ("tensor:1:int", "unknown dtype 'int': choose one of float32, "),
        ("rand:2:int64", "rand makes numbers between 0 and 1, not int64: choose zeros, ones or arange"),
        ("one:1,8", "unknown kind 'one': choose one of zeros, ones, arange, rand, tensor, int"),
        *[(f"int:{text}", "give a whole number, such as int:5") for text in ("", "5.0", "1_0", "\u0661", "9" * 9999)],
        ("\u0661,\u0662", "give a shape or value, such as 1,3,224,224"),
        *[(f"tensor:{text}", "give numbers, such as ") for text in ("", "[]", "x", '["a"]', "[[1],[]]", "[1")],
        *[(text, "write it as JSON, such as ") for text in ("[1", "(16,", '{"a"', '"a', "[" * 9999, "(" * 9999)],
        *[
            (text, 'write it as JSON, such as [1,2], {"a": 1} or "text", or as a tuple, such as (16,16); a backslash')
            for text in (r"'a\d'", r"('\d',)", r"'\777'", r"{'a': b'\N'}")
        ],
        *[(text, "give a shape or value, such as 1,3,224,224") for text in ("a,b", "1e999", "1j", "a=b=1", "1.5,2")],
    ],
)  # fmt: skip
def test_malformed_inputs(text: str, reason: str) -> None:
    """Malformed text raises InputError with one line that says what to write."""
    with pytest.raises(InputError) as raised:
        parse_input(text)
    assert str(raised.value).startswith(f"malformed input {text!r}: {reason}")
    assert "\n" not in str(raised.value)


SIZES = st.lists(st.integers(1, 10**6), max_size=5)
DTYPE = st.none() | st.sampled_from(DTYPES)
SHAPES = st.builds(
    lambda sizes, dtype, fill: Shape(*sizes, dtype=dtype, fill=fill),
    SIZES,
    DTYPE,
    st.none() | st.sampled_from([fill for fill in FILLS if fill != "rand"]),
)
NUMBERS = st.booleans() | st.integers() | st.floats(allow_nan=False)
TENSORS = st.builds(
    Values,
    st.recursive(NUMBERS, lambda each: st.lists(each, min_size=1, max_size=3), max_leaves=5),
    DTYPE,
)
LITERALS = st.recursive(
    st.none() | NUMBERS | st.floats() | st.text() | st.sampled_from(["", "1", "1x2", "true", "a=1", "int:5"]),
    lambda each: (
        st.lists(each, max_size=3)
        | st.lists(each, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(), each, max_size=2)
    ),
    max_leaves=5,
)


@given(
    name=st.none() | st.from_regex(r"[^\W\d]\w*", fullmatch=True).filter(str.isidentifier),
    value=SHAPES | TENSORS | LITERALS,
)
def test_a_spelled_input_reads_back(name: str | None, value: object) -> None:
    """parse_input is the inverse of spell_input for shapes, tensors with values and literals."""
    try:
        text = spell_input(name, value)
    except InputError as error:
        # a tuple with an infinity has neither a JSON form nor a literal
        assert "cannot be written as text" in str(error)  # noqa: PT017 (a spelling is optional here)
        assert any(word in repr(value) for word in ("inf", "nan"))
        return
    assert repr((name, value)) == repr(parse_input(text))


def test_an_object_has_no_text() -> None:
    """An opaque object raises InputError."""
    with pytest.raises(InputError, match="an input of type object cannot be written as text"):
        spell_input(None, object())


def test_shapes_are_told_from_values() -> None:
    """Only a shape without a fill states no values."""
    given = {"scale=0.5": True, "x=1,3": False, "ones:3": True, "tensor:[1]": True, "": False}

    assert given == {text: has_values(text) for text in given}


class TestShape:
    """The class `Shape`."""

    def test_it_is_a_value(self) -> None:
        """Shapes are equal by value, hashable, read-only and survive pickling, with sizes as plain integers."""
        shape = Shape(np.int64(2), 3, dtype=torch.long, fill="ones")

        assert shape == Shape(2, 3, dtype="int64", fill="ones") == copy.deepcopy(shape)
        assert {shape} == {shape.resized(2, 3)}
        assert (repr(shape), type(shape.sizes[0])) == ("Shape(2, 3, dtype='int64', fill='ones')", int)
        with pytest.raises(dataclasses.FrozenInstanceError):
            shape.dtype = "int8"  # type: ignore[misc]

    @pytest.mark.parametrize(
        ("sizes", "named", "message"),
        [
            ((1, -3), {}, r"Shape takes whole numbers above 0, such as Shape\(1, 3, 224, 224\), not 1, -3"),
            (((1, 3),), {}, r"not \(1, 3\)"),
            ((1, 3.0), {}, "not 1, 3.0"),
            ((True,), {}, "not True"),
            ((1,), {"dtype": "int"}, "unknown dtype 'int': choose one of float32"),
            ((1,), {"fill": "full"}, "unknown fill 'full': choose one of zeros, ones, arange, rand"),
            ((1,), {"dtype": torch.bool, "fill": "rand"}, "rand makes numbers between 0 and 1, not bool"),
        ],
    )
    def test_an_invalid_shape(self, sizes: Any, named: Any, message: str) -> None:
        """An invalid size, dtype or fill raises InputError."""
        with pytest.raises(InputError, match=message):
            Shape(*sizes, **named)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_every_dtype_makes_a_tensor(self, dtype: str) -> None:
        """Each element type makes a meta tensor, and CPU tensors with values."""
        for fill in (None, *FILLS):
            if fill == "rand" and dtype.startswith(("int", "uint", "bool")):
                continue
            ((made,), _) = as_inputs(nn.ReLU(), [Shape(2, 1, dtype=dtype, fill=fill)], {})

            assert (getattr(torch, dtype), (2, 1), fill is None) == (made.dtype, made.shape, made.is_meta)

    @pytest.mark.parametrize("real", [False, True])
    def test_values_are_those_asked_for(self, real: bool) -> None:
        """A fill and given values become tensors with these values, in the dtype of the model or their own."""
        given = [
            Shape(2, 3, fill="arange"),
            Shape(2, dtype="int64", fill="ones"),
            Shape(fill="zeros"),
            Values([0.5, 1]),
            Values([10, 5]),
            Values(True),
            Values([1, 0], "bool"),
        ]
        made, _ = as_inputs(nn.Linear(1, 1).half(), given, {}, real=real)

        assert [
            (torch.float16, [[0, 1, 2], [3, 4, 5]]),
            (torch.int64, [1, 1]),
            (torch.float16, 0),
            (torch.float16, [0.5, 1]),
            (torch.int64, [10, 5]),
            (torch.bool, True),
            (torch.bool, [True, False]),
        ] == [(tensor.dtype, tensor.tolist()) for tensor in made]

    def test_random_values_are_the_same_each_time(self) -> None:
        """Random values are from a fixed seed, between 0 and 1, and leave the state of torch alone."""
        state = torch.get_rng_state()
        once, again = (as_inputs(nn.ReLU(), [Shape(100, fill="rand")], {})[0][0] for _ in range(2))

        assert torch.equal(once, again)
        assert 0 <= once.min() < once.max() < 1
        assert torch.equal(state, torch.get_rng_state())


class Pair(NamedTuple):
    """A named tuple of whole numbers."""

    height: int
    width: int


class Look(nn.Module):
    """Keeps the arguments of its forward."""

    def forward(self, x: Tensor, *args: Any, **named: Any) -> Tensor:
        """Keep the arguments, which no trace may change."""
        SEEN[:] = [*args, *named.values()]
        return x + 1


SEEN: list[Any] = []


@dataclasses.dataclass
class Boxes:
    """A dataclass with a tensor."""

    sizes: tuple[int, int]
    found: Tensor


@pytest.mark.parametrize(
    "given",
    [
        0.5,
        5,
        True,
        None,
        "nearest",
        [16, 16],
        [(16, 16), (8, 8)],
        ((16, 16), (8, 8)),
        (16, 16.5),
        (True, False),
        ("a", "b"),
        {"img_shape": (32, 32, 3), "scale_factor": 1.0},
        [{"img_shape": (32, 32, 3)}],
        Pair(16, 16),
        slice(1, 2),
        torch.float16,
        Boxes((2, 2), torch.zeros(2)),
        collections.UserDict(ids=(1, 2)),
        object(),
    ],
    ids=lambda given: type(given).__name__,
)
@pytest.mark.parametrize("real", [False, True])
def test_other_inputs_reach_the_forward(given: object, real: bool) -> None:
    """Everything but a plain tuple of whole numbers is passed to the forward unchanged."""
    count(Look(), (2, 3), given, kwargs={"named": given}, real=real)

    assert [(type(given), repr(given))] * 2 == [(type(each), repr(each)) for each in SEEN]


def test_a_tuple_by_name_is_a_tuple() -> None:
    """A plain tuple of whole numbers among the keyword arguments is no shape; a `Shape` is."""

    class Sized(nn.Module):
        def forward(self, x: Tensor, size: Any, y: Any) -> Tensor:
            assert (size, type(y)) == ((16, 16), Tensor)
            return x.add(y)

    assert count(Sized(), (2, 3), kwargs={"size": (16, 16), "y": Shape(2, 3)}).totals.flops == 6


@pytest.mark.parametrize("shape", [(2, 3), (np.int64(2), np.int32(3)), torch.Size([2, 3]), Shape(2, 3)])
def test_shapes_by_position(shape: Any) -> None:
    """A plain tuple, NumPy integers, a `torch.Size` and a `Shape` are shapes."""
    assert count(nn.Linear(3, 4), shape).input == ((2, 3),)


def test_a_tensor_without_dimensions(run: Run) -> None:
    """`()` is a tensor without dimensions, and reports spell its shape `scalar`."""

    class Timed(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return x * t

    for t in ((), Shape(), torch.tensor(1.0)):
        report = count(Timed(), (2, 3), t)
        assert (report.input, report.totals.flops) == (((2, 3), ()), 6)
    assert ", input 2x3 scalar\n" in report.to("table")
    assert report.as_dict()["input"] == [[2, 3], []]
    assert "2x3 scalar" in report.to("csv")


def test_packed_sequences() -> None:
    """A packed sequence is passed on, and its data and batch sizes are inputs."""

    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 4)

        def forward(self, x: PackedSequence, scale: Tensor) -> Tensor:
            assert isinstance(x, PackedSequence)
            out: Tensor = self.fc(x.data) * scale
            return out

    packed = pack_sequence([torch.zeros(3, 2), torch.zeros(2, 2)])
    assert as_inputs(Packed(), (packed, [packed]), {})[0] == (packed, [packed])
    report = count(Packed(), packed, (4,), real=True)

    # five steps of 2 x 4
    assert report.input == ((5, 2), (3,), (4,))
    assert report.totals.macs == 5 * 2 * 4


def test_shapes_in_containers() -> None:
    """A `Shape` may stand in lists, dicts, tuples and named tuples of any depth."""

    class Deep(nn.Module):
        def forward(self, x: Any) -> Tensor:
            out: Tensor = x["a"][0][0] + x["a"][1].height
            return out

    report = count(Deep(), {"a": [(Shape(2, 3), 1), Pair(Shape(3), 5)]})  # type: ignore[arg-type]

    assert report.input == ((2, 3), (3,))
    assert report.totals.flops == 6


@pytest.mark.parametrize(
    "given", [Shape(2**62, 2**62), Shape(2**70), Values([[1], 2]), Values([300], "int8")]
)
def test_tensors_that_do_not_exist(given: Any) -> None:
    """A shape that is too large, and values that make no tensor, raise TraceError in one line."""
    with pytest.raises(TraceError, match=r"^no such input: .*$"):
        count(nn.ReLU(), given)


class Generator(nn.Module):
    """A forward without arguments: field/54."""

    def __init__(self) -> None:
        super().__init__()
        self.z = nn.Parameter(torch.zeros(4, 8))
        self.fc = nn.Linear(8, 2)

    def forward(self) -> Tensor:
        """Make a tensor."""
        out: Tensor = self.fc(self.z)
        return out


class Optional(Generator):
    """A forward whose arguments are optional."""

    def forward(self, scale: float = 1.0, *args: Any, **kwargs: Any) -> Tensor:
        """Make a tensor."""
        return super().forward()


class Anything(Generator):
    """A forward that names no argument."""

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Make a tensor."""
        return super().forward()


FILE = str(Path(__file__))


@pytest.mark.parametrize("network", [Generator, Optional])
@pytest.mark.parametrize("real", [False, True])
def test_a_forward_without_inputs(network: type[nn.Module], real: bool) -> None:
    """A module whose forward requires no argument is counted without an input, however it is given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's compiler is imported with deprecations of its own
        compiled = torch.compile(network())
    for what in (network, network(), f"{FILE}:{network.__name__}", compiled):
        report = count(what, real=real)

        # 4 rows of 8 x 2; 32 values, 16 weights and 2 biases
        assert (report.totals.macs, report.totals.params) == (4 * 8 * 2, 32 + 16 + 2)
        assert report.input == ()
        assert ", input none\n" in report.to("table")
        assert report.as_dict()["input"] == []


@pytest.mark.parametrize("given", [Anything, Anything(), nn.Linear(2, 2), nn.Sequential(), nn.Module()])
def test_a_forward_that_needs_an_input(given: Any) -> None:
    """A forward with a required argument, or with `*args` alone, needs an input."""
    with pytest.raises(InputError, match=r"needs the shape of its input, such as \(1, 3, 224, 224\)$"):
        count(given)


def test_a_forward_without_inputs_in_every_function() -> None:
    """`check`, `compare` and `ablate` take a forward without inputs."""
    assert check(Generator()).agree
    assert compare(Generator(), Optional()).ratios[1]["macs"] == 1
    assert [row["macs"] for row in ablate(Generator).records()] == [64]


class Scaled(nn.Module):
    """A forward that needs a number, a word, a size, and a mask."""

    def forward(
        self, x: Tensor, scale: float = 1, mode: str = "", size: Any = None, mask: Tensor | None = None
    ) -> Tensor:
        """Scale if asked to, and once more for each valid position."""
        x = x * scale if scale != 1 else x
        if size:
            x = nn.functional.interpolate(x, size, mode=mode)
        return x if mask is None else x * mask


LITERAL = {"scale": 0.5, "mode": "nearest", "size": (2, 2), "mask": Shape(1, dtype="float32", fill="ones")}
LITERAL_TEXTS = ["1,1,4,4", "scale=0.5", "mode=nearest", "size=(2,2)", "mask=ones:1:float32"]
INPUTS = [word for text in LITERAL_TEXTS for word in ("--input", text)]
# 4 x 4 products; the image of 2 x 2 is copied; 2 x 2 products
SCALED_FLOPS = 16 + 0 + 4


def test_literals_in_every_function() -> None:
    """`count`, `compare` and `ablate` pass literals and tensors with values on."""
    report = count(Scaled(), (1, 1, 4, 4), kwargs=LITERAL)

    assert report.totals.flops == SCALED_FLOPS
    assert report.input == ((1, 1, 4, 4), (1,))
    assert report.notes == ("other inputs: scale=0.5, mode=nearest, size=(2, 2)",)
    both = compare(Scaled(), report, inputs=[(1, 1, 4, 4)], kwargs=LITERAL)
    assert both.ratios[1]["flops"] == 1
    grid = ablate(Scaled, (1, 1, 4, 4), kwargs=LITERAL, resolution=[4, 8])
    # 8 x 8 products instead of 4 x 4
    assert [row["flops"] for row in grid.records()] == [SCALED_FLOPS, 64 + 0 + 4]


def test_literals_on_the_command_line(run: Run) -> None:
    """`report`, `compare` and `ablate` read literals and tensors with values."""
    scaled = f"{FILE}:Scaled"
    report = run("report", scaled, *INPUTS, "--format", "json")
    both = run("compare", scaled, scaled, *INPUTS, "--format", "json")
    grid = run("ablate", scaled, *INPUTS, "--format", "json")

    assert (report.code, both.code, grid.code) == (0, 0, 0), report.err + both.err + grid.err
    assert json.loads(report.out)["totals"]["flops"] == SCALED_FLOPS
    assert json.loads(report.out)["input"] == [[1, 1, 4, 4], [1]]
    assert [model["totals"]["flops"] for model in json.loads(both.out)["models"]] == [SCALED_FLOPS] * 2
    assert [row["flops"] for row in json.loads(grid.out)] == [SCALED_FLOPS]


def test_check_with_values(run: Run) -> None:
    """`check` takes literals and values by position and by name, and fvcore counts the same operators."""
    positional = ["1,1,4,4", "0.5", "nearest", "(2,2)", "ones:1:float32"]
    texts = [word for text in positional for word in ("--input", text)]
    by_position = run("check", f"{FILE}:Scaled", *texts, "--format", "json")
    by_name = run("check", f"{FILE}:Scaled", *INPUTS, "--format", "json")

    assert by_position.err == by_name.err == ""
    assert json.loads(by_name.out)["comparisons"] == json.loads(by_position.out)["comparisons"]
    assert any(each["theirs"] for each in json.loads(by_name.out)["comparisons"])


class Picked(nn.Module):
    """A forward whose cost depends on the values of an input."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Add once for each unit of the largest length."""
        for _ in range(int(lengths.max())):
            x = x + 1
        return x


@pytest.mark.parametrize(
    ("lengths", "text", "largest"),
    [
        (torch.tensor([3, 1]), "tensor:[3,1]", 3),
        (Shape(5, dtype="int64", fill="arange"), "arange:5:int64", 4),
        (Shape(2, fill="ones"), "ones:2", 1),
        (Shape(2, fill="zeros"), "zeros:2", 0),
    ],
)
def test_values_decide(lengths: Any, text: str, largest: int, run: Run) -> None:
    """Values that the user gives are those that the forward reads."""
    ran = run("report", f"{FILE}:Picked", "--input", "7", "--input", text, "--real", "--format", "json")

    # an addition for each of 7 values, `largest` times
    assert 7 * largest == count(Picked(), (7,), lengths, real=True).only("add").totals.flops
    kinds = [row["kind"] for row in json.loads(ran.out)["rows"]]
    assert largest == kinds.count("add")


def test_an_opaque_input_is_named() -> None:
    """An object without tensors in containers is named by its type, and a long literal too."""
    report = count(Look(), (2, 3), object(), [1.5] * 100, kwargs={"cache": collections.UserDict()})

    assert report.input == ((2, 3),)
    assert report.notes == ("other inputs: object, list, cache (UserDict)",)
    assert "note: other inputs: object, list, cache (UserDict)" in report.to("table")


INPUT_TABLES = [
    'inputs = ["1,1,4,4", "scale=0.5", "mode=nearest", "size=(2,2)", "mask=ones:1:float32"]',
    'inputs = { x = "1,1,4,4", scale = 0.5, mode = "nearest", size = [2, 2], mask = "ones:1:float32" }',
    'inputs = ["1,1,4,4", 0.5, "nearest", [2, 2], "ones:1:float32"]',
]


@pytest.mark.parametrize("inputs", INPUT_TABLES)
def test_inputs_of_a_policy(inputs: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy lists the texts of --input or values of TOML, or has a table of them by name."""
    (tmp_path / "mbanalyze.toml").write_text(f'[models.small]\nsource = "{FILE}:Scaled"\n{inputs}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)

    assert run("guard", "update").code == 0
    assert run("guard").code == 0
    (tmp_path / "mbanalyze.toml").write_text(
        f'[models.small]\nsource = "{FILE}:Scaled"\n{inputs.replace("1,1,4,4", "1x1x4x4")}\n'
    )
    assert run("guard").code == 0
    lock = json.loads((tmp_path / "mbanalyze.lock.json").read_text())["models"]["small"]
    assert lock["totals"]["flops"] == SCALED_FLOPS
    assert lock["input"][:2] == ["1x1x4x4", "1"]
    assert len(lock["input"]) == 2 + 4
    (tmp_path / "mbanalyze.toml").write_text(
        f'[models.small]\nsource = "{FILE}:Scaled"\n{inputs.replace("0.5", "0.25")}\n'
    )
    changed = run("guard")
    assert changed.code == 2
    assert "0.25" in changed.out


@pytest.mark.parametrize("inputs", ["", "inputs = []", 'inputs = [""]', "inputs = {}"])
def test_a_policy_without_inputs(inputs: str, tmp_path: Path) -> None:
    """No inputs are none; an empty text is a tensor without dimensions."""
    file = tmp_path / "mbanalyze.toml"
    file.write_text(f'[models.small]\nsource = "{FILE}:Generator"\n{inputs}\n')

    assert ((""),) * ('""' in inputs) == load(file).models["small"].inputs


def test_malformed_inputs_of_a_policy(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each malformed input of a policy is one line that names it."""
    (tmp_path / "mbanalyze.toml").write_text(
        '[models.a]\nsource = "x"\ninputs = { x = "1,", "a b" = 0.5, t = 2026-01-01 }\n'
    )
    monkeypatch.chdir(tmp_path)
    ran = run("guard")

    assert (ran.code, ran.err.count("\n")) == (2, 3)
    assert "models.a.inputs.x: malformed input 'x=1,': give sizes above 0" in ran.err
    assert "models.a.inputs.a b: malformed input 'a b=0.5': 'a b' is not the name of an argument" in ran.err
    assert "models.a.inputs.t: an input of type date cannot be written as text" in ran.err

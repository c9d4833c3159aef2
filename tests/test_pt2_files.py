"""A file of `torch.export.save` counts like the module that it comes from."""

from __future__ import annotations

import json
import mmap
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from commandline import Run
from exported_files import Edit, edited, entries, program_of, saved, written
from exported_nets import Arguments, Attending, Branching, Recurrent, Resizable, Shared, Training
from packaging.version import Version
from torch import Tensor, nn

from mbanalyze import Shape, check, count, memory
from mbanalyze.inputs.typed import InputError
from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.pt2_file import pt2_archive
from mbanalyze.model_files.pt2_file.exported_module import exported_module
from mbanalyze.model_files.pt2_file.module_paths import module_path
from mbanalyze.model_files.pt2_file.read_pt2 import read_pt2
from mbanalyze.model_files.pt2_file.size_expressions import value_of
from mbanalyze.sources.resolve import resolve
from mbanalyze.trace.forward_errors import TraceError

DIM = torch.export.Dim


newer_layout = pytest.mark.skipif(
    Version(torch.__version__) < Version("2.9"), reason="files of older releases have another layout"
)


def nodes(program: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes of a program."""
    found: list[dict[str, Any]] = program["graph_module"]["graph"]["nodes"]
    return found


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a convolution with a batch norm, whose batch is open."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout())
    file = tmp_path_factory.mktemp("files") / "small.pt2"
    return saved(file, net, torch.randn(2, 3, 8, 8), dynamic_shapes=({0: DIM("batch", min=1, max=16)},))


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[Any, ...], dict[str, Any]]] = {
    "shared": (Shared, (torch.randn(2, 4),), {"extra": torch.randn(2, 4), "twice": True}),
    "sizes": (Resizable, (torch.randn(2, 3, 8, 8),), {}),
    "recurrent": (Recurrent, (torch.randn(2, 3, 4),), {}),
    "arguments": (Arguments, (torch.randn(2, 4, 4, 4),), {}),
    "half": (lambda: nn.Linear(4, 4).half(), (torch.randn(2, 4).half(),), {}),
    "complex": (lambda: nn.Linear(4, 4, dtype=torch.complex64), (torch.randn(2, 4).to(torch.complex64),), {}),
    "ids": (lambda: nn.Embedding(8, 4), (torch.zeros(1, 3, dtype=torch.int64),), {}),
    "training": (Training, (torch.randn(2, 4, 3, 3),), {}),
}


@pytest.mark.parametrize("name", NETS)
def test_a_file_records_the_operators_of_its_module(name: str, tmp_path: Path) -> None:
    """The operators of a file are those of its module: kinds, paths, operands, roles and shapes."""
    make, args, kwargs = NETS[name]
    module = make().eval()
    file = saved(tmp_path / "net.pt2", module, *args, kwargs=kwargs)
    given = {name: Shape(*each.shape) if isinstance(each, Tensor) else each for name, each in kwargs.items()}
    dtypes = [Shape(*each.shape, dtype=each.dtype) for each in args]
    ours, theirs = count(str(file)), count(module, *dtypes, kwargs=given)
    assert theirs.ops == ours.ops
    assert not ours.unseen
    assert theirs.input == ours.input
    assert theirs.unused_params == ours.unused_params
    assert theirs.frozen_weights == ours.frozen_weights
    assert theirs.outputs == ours.outputs
    assert theirs.dtype == ours.dtype


def test_branches(tmp_path: Path) -> None:
    """A branch of a condition counts as in the module; the file lacks the module of its operators."""
    ours, theirs = (
        count(saved(tmp_path / "net.pt2", Branching(), torch.randn(2, 4))),
        count(Branching(), (2, 4)),
    )
    assert [op.path for op in ours.ops if op.kind != "copy"] == ["", "", "", "", "a", "b"]
    assert [op._replace(path="") for op in theirs.ops] == [op._replace(path="") for op in ours.ops]
    assert theirs.notes == ours.notes


def test_a_view_of_other_strides(tmp_path: Path) -> None:
    """If an export left out `contiguous`, since its strides needed none, the copy of the module counts."""

    def without_copy(program: dict[str, Any]) -> None:
        permuted, copied, view = nodes(program)[-3:]
        assert ("permute" in permuted["target"], "contiguous" in copied["target"]) == (True, True)
        view["inputs"][0]["arg"] = permuted["outputs"][0]
        nodes(program).remove(copied)

    file = saved(tmp_path / "net.pt2", Attending(), torch.randn(2, 2, 3, 4))
    assert count(Attending(), (2, 2, 3, 4)).ops == count(file).ops
    assert count(file).ops == count(edited(file, tmp_path / "other.pt2", without_copy)).ops


def test_parameters_and_buffers_have_the_names_of_the_module(tmp_path: Path) -> None:
    """Parameters and buffers keep their names, sharing, order and need of gradients."""
    module = Shared()
    extra = {"extra": torch.randn(2, 4), "twice": True}
    program = read_pt2(saved(tmp_path / "net.pt2", module, torch.randn(2, 4), kwargs=extra))
    ours = exported_module(program, has_values=False)
    for held in (nn.Module.named_parameters, nn.Module.named_buffers):
        expected = [(name, each.shape, each.requires_grad) for name, each in held(module)]
        found = [(name, each.shape, each.requires_grad) for name, each in held(ours)]
        assert expected == [each for each in found if "lifted" not in each[0]]
    assert ours.get_parameter("first.weight") is ours.get_parameter("second.weight")
    assert module.state_dict().keys() == ours.state_dict().keys()


def test_values_are_read_for_a_run_on_values(tmp_path: Path) -> None:
    """The module with values computes what the exported module computes."""
    module, image = Resizable().eval(), torch.randn(2, 3, 8, 8)
    program = read_pt2(saved(tmp_path / "net.pt2", module, image))
    assert torch.equal(module(image), exported_module(program, has_values=True)(image))


def test_views_of_one_storage_share_it_here_too(tmp_path: Path) -> None:
    """Two parameters that view parts of one storage are counted as in the module."""
    module = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    whole = torch.randn(8, 4)
    module[0].weight, module[1].weight = nn.Parameter(whole[:4]), nn.Parameter(whole[4:])
    file = saved(tmp_path / "net.pt2", module, torch.randn(2, 4))
    assert count(module, (2, 4)).ops == count(file).ops


def test_other_commands_take_a_file(small: Path) -> None:
    """`check`, `memory` and training take a file as they take its module."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout())
    assert check(str(small)).agree
    assert memory(net, (2, 3, 8, 8)).tensors == memory(str(small)).tensors
    training = count(str(small), train=True).training
    assert training
    # 4 filters of 27 products at 36 places of 2 images, for the gradient of the weight; the image needs none
    assert sum(each.backward_macs or 0 for each in training.counts) == 2 * 36 * 4 * 27


def test_open_sizes(small: Path) -> None:
    """An open batch is that of the example unless a batch or an input is given."""
    assert count(small).input == ((2, 3, 8, 8),)
    assert count(f"{small}@batch=5").input == ((5, 3, 8, 8),)
    assert count(small, (1, 3, 8, 8)).input == ((1, 3, 8, 8),)
    assert count(small, kwargs={"input": Shape(3, 3, 8, 8)}).input == ((3, 3, 8, 8),)


@pytest.mark.parametrize(
    ("inputs", "options", "error"),
    [
        (
            ((2, 3, 9, 8),),
            {},
            r"small.pt2 takes input as .*,3,8,8: dimension 2 \(8\) was fixed when it was exported",
        ),
        (((2, 3, 8),), {}, "4 dimensions"),
        ((), {"batch": 17}, "from 1 to 16, not 17"),
        ((), {"batch": 0}, "batch must be a whole number above 0"),
        ((), {"resolution": 9}, r"dimension 2 \(8\) was fixed"),
        (((2, 3, 8, 8), (2, 3)), {}, "has 1 inputs by place: its inputs are input"),
        ((), {"kwargs": {"image": Shape(2, 3, 8, 8)}}, "has no input 'image'"),
    ],
)
def test_inputs_that_do_not_fit(
    small: Path, inputs: tuple[Any, ...], options: dict[str, Any], error: str
) -> None:
    """An input that does not fit the file is an error with the sizes that do."""
    with pytest.raises(InputError, match=error):
        count(small, *inputs, **options)


def test_open_resolution(tmp_path: Path) -> None:
    """A file whose image sizes are open counts like its module at another resolution."""
    sides = {0: DIM("batch"), 2: DIM("height", min=8), 3: DIM("width", min=8)}
    file = saved(tmp_path / "net.pt2", Resizable(), torch.randn(2, 3, 8, 12), dynamic_shapes=(sides,))
    assert count(Resizable(), (3, 3, 16, 20)).ops == count(file, batch=3, resolution=(16, 20)).ops


def test_derived_sizes(tmp_path: Path) -> None:
    """A size that is an expression of another one is checked."""

    class Even(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y[::2]

    half = DIM("half")
    file = saved(
        tmp_path / "net.pt2",
        Even(),
        torch.randn(3),
        torch.randn(6),
        dynamic_shapes=({0: half}, {0: 2 * half}),
    )
    assert count(file, (4,), (8,)).input == ((4,), (8,))
    with pytest.raises(InputError, match="is 8, not 9"):
        count(file, (4,), (9,))


def test_constants_are_fixed(tmp_path: Path) -> None:
    """An argument that is no tensor keeps the value with which the module was exported."""
    extra = {"extra": torch.randn(2, 4), "twice": True}
    file = saved(tmp_path / "net.pt2", Shared(), torch.randn(2, 4), kwargs=extra)
    shapes = {"extra": Shape(2, 4)}
    assert count(file).ops == count(file, (2, 4), kwargs={**shapes, "twice": True}).ops
    with pytest.raises(InputError, match="takes True for twice: it was fixed"):
        count(file, (2, 4), kwargs={**shapes, "twice": False})


def test_containers(tmp_path: Path) -> None:
    """A file whose arguments are containers takes them as its module does."""

    class Nested(nn.Module):
        def forward(self, pair: tuple[Tensor, list[Tensor]], named: dict[str, Tensor]) -> Tensor:
            return pair[0] + pair[1][0] * named["a"]

    x = torch.randn(2, 4)
    file = saved(tmp_path / "net.pt2", Nested(), (x, [x + 1]), {"a": x + 2})
    shape = Shape(2, 4)
    assert count(Nested(), (shape, [shape]), {"a": shape}).ops == count(file).ops
    assert count(file).ops == count(file, (shape, [shape]), {"a": shape}).ops
    with pytest.raises(InputError, match="another nesting"):
        count(file, (shape, shape, shape), {"a": shape})


def test_quantised_program(tmp_path: Path) -> None:
    """The macs of a program with quantised weights are those of its products."""
    from torch.ao.quantization.fx import _decomposed  # noqa: F401 (it defines the operators)

    class Quantised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", torch.zeros(8, 4, dtype=torch.int8))

        def forward(self, x: Tensor) -> Tensor:
            operators = torch.ops.quantized_decomposed
            weight = operators.dequantize_per_tensor(self.weight, 0.1, 0, -128, 127, torch.int8)
            return nn.functional.linear(x, weight)

    file = saved(tmp_path / "net.pt2", Quantised(), torch.randn(2, 4))
    report = count(file)
    assert count(Quantised(), (2, 4)).ops == report.ops
    assert sum(row.cost.macs or 0 for row in report.rows) == 2 * 4 * 8


def test_unknown_operators_are_listed(small: Path, tmp_path: Path) -> None:
    """An operator that is not installed is listed as uncounted, with the shapes in the file at any batch."""

    def rename(program: dict[str, Any]) -> None:
        nodes(program)[1]["target"] = "torch.ops.mylib.blur.default"

    report = count(edited(small, tmp_path / "net.pt2", rename), batch=5)
    blur = report.ops[1]
    assert (blur.kind, blur.path, blur.output[0].shape) == ("mylib::blur", "1", (5, 4, 6, 6))
    assert [row.op.kind for row in report.rows if row.cost.flops is None] == ["mylib::blur"]
    assert count(small, batch=5).ops[2:] == report.ops[2:]


def test_paths_are_accepted(small: Path) -> None:
    """`count` takes a path as it takes its text, which is the name in the report."""
    assert str(small) == count(small).model
    assert resolve(small).inputs == resolve(os.fspath(small)).inputs


def test_weights_stay_in_the_file(tmp_path: Path) -> None:
    """A report of 128 MiB of weights takes less than half of that in memory."""
    with torch.device("meta"):
        net = nn.Sequential(*(nn.Linear(4096, 4096, bias=False, dtype=torch.bfloat16) for _ in range(4)))
    file = saved(tmp_path / "net.pt2", net.to_empty(device="cpu"), torch.randn(1, 4096, dtype=torch.bfloat16))
    del net
    before = resident()
    model = resolve(file)
    report = model.report()
    assert resident() - before < 2**26
    assert 4 * 4096 * 4096 == report.totals.params == report.totals.macs


def resident() -> int:
    """The bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * mmap.PAGESIZE


def test_module_paths() -> None:
    """The path is that of the innermost module of a stack, without the number of its call."""
    assert module_path("L__self__,,a.Net;L__self__x@2,x.y@2,torch.nn.Linear") == "x.y"
    assert module_path("_empty_nn_module_stack_from_metadata_hook," * 2) == ""
    assert module_path("") == ""


def test_expressions_of_sizes() -> None:
    """Expressions are evaluated as sympy prints them, and nothing else is."""
    # 2 * 7 + 3 * 4 = 26; 26 // 4 = 6
    text = "FloorDiv(Add(Mul(Integer(2), Symbol('a', integer=True)), 3*b), Integer(4))"
    assert value_of(text, {"a": 7, "b": 4}) == 6
    for bad in ("__import__('os')", "a.b", "2**65", "9**9**9", "(" * 300, "a" * 3000, "Mul(*a)", "1.5"):
        with pytest.raises(ValueError, match="size"):
            value_of(bad, {"a": 1})


def test_other_formats(small: Path, tmp_path: Path) -> None:
    """Files of other formats are refused with a reason, and not unpickled."""

    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    files = {
        name: tmp_path / f"{name}.pt2" for name in ("pickle", "zip", "script", "short", "none", "text", "two")
    }
    torch.save(Hostile(), files["zip"])
    files["pickle"].write_bytes(pickle.dumps(Hostile()))
    written(files["script"], {"net/constants.pkl": b"", "net/code/__torch__.py": b"", "net/data.pkl": b""})
    files["short"].write_bytes(small.read_bytes()[:2000])
    files["text"].write_text("net")
    written(files["none"], {"readme": b""})
    written(files["two"], {"net/models/a.json": b"{}", "net/models/b.json": b"{}"})
    expected = {
        "pickle": "it is a pickle, which can run any code",
        "zip": "a file of torch.save, which can run any code",
        "script": "TorchScript file",
        "short": "truncated",
        "none": "holds no exported program",
        "text": "no file of torch.export.save",
        "two": "several programs",
    }
    for name, error in expected.items():
        with pytest.raises(ModelFileError, match=error):
            count(files[name])
    with pytest.raises(ModelFileError, match="there is no file"):
        count(tmp_path / "missing.pt2")
    assert not (tmp_path / "executed").exists()


def _first(program: dict[str, Any]) -> dict[str, Any]:
    return nodes(program)[0]


STRIDE = {"name": "stride", "kind": 1}

HOSTILE: dict[str, tuple[Edit, str]] = {
    "no nodes": (lambda program: program["graph_module"]["graph"].pop("nodes"), "no 'nodes'"),
    "a list": (lambda program: program.update(graph_module=[]), "damaged"),
    "use before definition": (
        lambda program: nodes(program).reverse(),
        "uses 'relu_' before a node computes it",
    ),
    "itself": (
        lambda program: _first(program)["inputs"][0]["arg"]["as_tensor"].update(name="conv2d"),
        r"node conv2d \(torch.ops.aten.conv2d.default\): it uses 'conv2d' before",
    ),
    "argument type": (
        lambda program: _first(program)["inputs"][0].update(arg={"as_magic": 1}),
        "unknown type 'as_magic'",
    ),
    "module path": (
        lambda program: _first(program)["metadata"].update(nn_module_stack="a,x..y,b"),
        "module path",
    ),
    "parameter name": (
        lambda program: program["graph_module"]["signature"]["input_specs"][0]["parameter"].update(
            parameter_name="../../x"
        ),
        "malformed",
    ),
    "overflow": (
        lambda program: _first(program)["inputs"].append(STRIDE | {"arg": {"as_ints": [2**70, 1]}}),
        "node conv2d",
    ),
    "negative": (
        lambda program: _first(program)["inputs"].append(STRIDE | {"arg": {"as_ints": [-1, 1]}}),
        "node conv2d",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_damaged_programs(name: str, small: Path, tmp_path: Path) -> None:
    """A damaged program is an error of one line that names the place."""
    edit, error = HOSTILE[name]
    with pytest.raises((ModelFileError, TraceError), match=error) as raised:
        count(edited(small, tmp_path / "net.pt2", edit))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "target",
    [
        "torch.ops.aten.from_file.default",
        "torch.ops.os.system.default",
        "torch.ops.aten.manual_seed.default",
        "os.system",
        "torch.load",
        "_operator.attrgetter",
        "torch.ops.load_library",
    ],
)
def test_functions_that_do_more_than_compute_are_not_run(target: str, small: Path, tmp_path: Path) -> None:
    """A function outside the operators that compute tensors is listed, and not run."""

    def rename(program: dict[str, Any]) -> None:
        _first(program)["target"] = target

    report = count(edited(small, tmp_path / "net.pt2", rename))
    first = report.rows[0]
    assert None is first.cost.flops
    assert first.op.kind.replace("::", ".") in target


@newer_layout
def test_huge_sizes(small: Path, tmp_path: Path) -> None:
    """Weights that are larger than the file are counted without memory for them."""
    content = entries(small)
    (config,) = (name for name in content if name.endswith("weights_config.json"))
    model = program_of(content)
    data = json.loads(content[config])
    meta = data["config"]["0.weight"]["tensor_meta"]
    program = json.loads(content[model])
    filters = 10**15
    meta["sizes"][0] = {"as_int": filters}
    for name in ("1.weight", "1.bias", "0.bias"):
        data["config"][name]["tensor_meta"]["sizes"][0] = {"as_int": filters}
    del nodes(program)[1:]
    program["graph_module"]["graph"]["outputs"] = nodes(program)[0]["outputs"]
    content |= {config: json.dumps(data).encode(), model: json.dumps(program).encode()}
    report = count(written(tmp_path / "net.pt2", content))
    assert 2 * 36 * 27 * filters == report.totals.macs


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is too large or nested too deeply is refused."""
    with pytest.raises(ModelFileError, match="nested too deeply"):
        count(written(tmp_path / "deep.pt2", {"a/models/a.json": b"[" * 10**6}))
    monkeypatch.setattr(pt2_archive, "MAX_JSON_BYTES", 2**10)
    with pytest.raises(ModelFileError, match="over 1,024 bytes, which is too large"):
        count(written(tmp_path / "bomb.pt2", {"a/models/a.json": b" " * 2**11}))
    small = written(tmp_path / "lies.pt2", {"a/models/a.json": b" " * 2**11})
    # the size in the directory of the archive: 2048 -> 16
    small.write_bytes(small.read_bytes().replace((2**11).to_bytes(4, "little"), (16).to_bytes(4, "little")))
    with pytest.raises(ModelFileError, match=r"damaged|larger than it states"):
        count(small)


def test_large_constants_keep_no_values(small: Path, tmp_path: Path) -> None:
    """A tensor that an operator would fill with 10 billion values is made without them."""

    def fill(program: dict[str, Any]) -> None:
        node = {
            "target": "torch.ops.aten.ones.default",
            "inputs": [{"name": "size", "arg": {"as_ints": [10**5, 10**5]}, "kind": 1}],
            "outputs": [{"as_tensor": {"name": "large"}}],
            "metadata": {},
        }
        nodes(program).insert(0, node)

    file = edited(small, tmp_path / "net.pt2", fill)
    assert count(small).totals == count(file).totals
    with pytest.raises(TraceError, match="too large to run on values"):
        count(file, real=True)


def test_the_command_line_takes_files(small: Path, tmp_path: Path, run: Run) -> None:
    """A file is a model on the command line, and an error of a file ends in one line and exit code 2."""
    ran = run("report", f"{small}@batch=3", "--format", "json")
    # 4 filters of 27 products at 36 places of 3 images
    assert json.loads(ran.out)["totals"]["macs"] == 3 * 36 * 4 * 27
    (tmp_path / "text.pt2").write_text("net", encoding="utf-8")
    for arguments in ([str(tmp_path / "text.pt2")], [str(small), "--input", "2,3,9,8"]):
        failed = run("report", *arguments)
        assert (failed.code, failed.out, failed.err.count("\n")) == (2, "", 1)

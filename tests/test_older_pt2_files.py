"""Files of PyTorch 2.5 to 2.8, and files of a strict export, count like the modules that they come from."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from exported_files import entries, in_layout_of_2_8, in_older_layout, saved, saved_values, written
from exported_nets import Indexed, Resizable, Shared, Training
from torch import Tensor, nn

from mbanalyze import Shape, count
from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.pt2_file.exported_module import exported_module
from mbanalyze.model_files.pt2_file.module_paths import children_of, module_path
from mbanalyze.model_files.pt2_file.nested_archive import FilePart
from mbanalyze.model_files.pt2_file.pickle_data import PickledCall, read_pickle
from mbanalyze.model_files.pt2_file.read_pt2 import read_pt2

WEIGHTS = "serialized_state_dict.pt"

Net = tuple[Callable[[], nn.Module], tuple[Any, ...], dict[str, Any]]


def views() -> nn.Module:
    """Two layers whose weights are parts of one tensor."""
    module = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    whole = torch.randn(8, 4)
    module[0].weight, module[1].weight = nn.Parameter(whole[:4]), nn.Parameter(whole[4:])
    return module


NETS: dict[str, Net] = {
    "shared": (Shared, (torch.randn(2, 4),), {"extra": torch.randn(2, 4), "twice": True}),
    "training": (Training, (torch.randn(2, 4, 3, 3),), {}),
    "views": (views, (torch.randn(2, 4),), {}),
    "half": (lambda: nn.Linear(4, 4).half(), (torch.randn(2, 4).half(),), {}),
    "indexed": (Indexed, (torch.randn(2, 4),), {}),
}


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A file in the older layout."""
    module = Resizable()
    file = saved(tmp_path / "new.pt2", module, torch.randn(2, 3, 8, 8))
    return in_older_layout(file, tmp_path / "older.pt2", module)


def require_equal(file: Path, net: Net) -> None:
    """Assert that a file counts like its module."""
    make, args, kwargs = net
    given = {name: Shape(*each.shape) if isinstance(each, Tensor) else each for name, each in kwargs.items()}
    dtypes = [Shape(*each.shape, dtype=each.dtype) for each in args]
    ours, theirs = count(file), count(make().eval(), *dtypes, kwargs=given)
    assert theirs.ops == ours.ops
    assert theirs.unused_params == ours.unused_params
    assert theirs.frozen_weights == ours.frozen_weights


@pytest.mark.parametrize("name", NETS)
def test_the_older_layout(name: str, tmp_path: Path) -> None:
    """A file in an older layout has the operators, paths, and shared and unused parameters of its module."""
    make, args, kwargs = NETS[name]
    module = make()
    file = saved(tmp_path / "new.pt2", module, *args, kwargs=kwargs)
    older = in_older_layout(file, tmp_path / "older.pt2", module)
    require_equal(older, NETS[name])
    require_equal(in_layout_of_2_8(older, tmp_path / "2_8.pt2"), NETS[name])


@pytest.mark.parametrize("name", ["shared", "training", "indexed"])
def test_strict_exports(name: str, tmp_path: Path) -> None:
    """A strict export leaves unused parameters out of the graph, and writes paths in another form."""
    make, args, kwargs = NETS[name]
    require_equal(saved(tmp_path / "net.pt2", make(), *args, kwargs=kwargs, strict=True), NETS[name])


def test_values_of_the_older_layout(tmp_path: Path) -> None:
    """The module with values computes what the exported module computes, from views of one tensor too."""
    for net, image in ((Resizable(), torch.randn(2, 3, 8, 8)), (views(), torch.randn(2, 4))):
        file = in_older_layout(saved(tmp_path / "new.pt2", net, image), tmp_path / "older.pt2", net)
        assert torch.equal(net(image), exported_module(read_pt2(file), has_values=True)(image))


def test_values_of_other_types_are_left_out(older: Path, tmp_path: Path) -> None:
    """A value that is no plain tensor is that of the graph; nothing in a pickle is called."""

    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    content = entries(older)
    content[WEIGHTS] = saved_values({"conv.weight": Hostile(), 3: torch.ones(2)})
    assert count(older).ops == count(written(tmp_path / "net.pt2", content)).ops
    assert not (tmp_path / "executed").exists()


def test_element_types(older: Path, tmp_path: Path) -> None:
    """Each element type of `torch.save` is read: 7 elements of each have their size in the report."""
    kinds = (torch.float64, torch.bfloat16, torch.int8, torch.bool, torch.complex64, torch.uint16)
    values = {f"extra.{each}".replace("torch.", ""): torch.zeros(7).to(each) for each in kinds}
    values |= {"scale": nn.Parameter(torch.zeros(7), requires_grad=False)}
    content = {**entries(older), WEIGHTS: saved_values(values)}
    program = read_pt2(written(tmp_path / "net.pt2", content))
    found = {held.name: held for held in program.held}
    assert [str(each)[6:] for each in kinds] == [found[name].meta.dtype for name in [*values][:-1]]
    assert (found["scale"].kind, found["scale"].meta.requires_grad) == ("parameter", False)
    assert {(7,)} == {found[name].meta.sizes for name in values}


def _other_pickle(older: Path, pickled: bytes) -> dict[str, bytes]:
    """A file whose weights have another pickle."""
    content = entries(older)
    weights = older.parent / "weights.pt"
    weights.write_bytes(content[WEIGHTS])
    inner = {name: pickled if name.endswith("data.pkl") else data for name, data in entries(weights).items()}
    return {**content, WEIGHTS: written(weights, inner).read_bytes()}


@pytest.mark.parametrize(
    ("pickled", "error"),
    [
        (b"", "pickle exhausted"),
        (b"\x80\x02}q\x00", "pickle exhausted"),
        (b"\x80\x02(X\x02\x00\x00\x00lsios\nsystem\n.", "does not write INST"),
        (b"\x80\x02R.", "a value is missing"),
        (b"\x80\x02(((.", "damaged"),
        (b"\x80\x02))R.", "no names"),
        (b"\x80\x02h\x01.", "no 1"),
        (b"N" * 2**21 + b"N.", "too long"),
    ],
)
def test_damaged_pickles(older: Path, tmp_path: Path, pickled: bytes, error: str) -> None:
    """A damaged pickle is an error of one line."""
    file = written(tmp_path / "net.pt2", _other_pickle(older, pickled))
    with pytest.raises(ModelFileError, match=error) as raised:
        count(file)
    assert "\n" not in str(raised.value)


def test_damaged_weights(older: Path, tmp_path: Path) -> None:
    """Weights that are no archive, or compressed, are an error; without an archive, the graph has their sizes."""
    content = entries(older)
    with pytest.raises(ModelFileError, match=r"serialized_state_dict.pt is damaged"):
        count(written(tmp_path / "net.pt2", {**content, WEIGHTS: b"no archive"}))
    with zipfile.ZipFile(tmp_path / "small.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    with pytest.raises(ModelFileError, match="is compressed"):
        count(tmp_path / "small.pt2")
    for weights in ({}, {WEIGHTS: b""}):
        rest = {name: data for name, data in content.items() if not name.endswith(".pt")}
        assert count(older).ops == count(written(tmp_path / "net.pt2", {**rest, **weights})).ops


def test_pickles_as_data() -> None:
    """Numbers, texts, lists, tuples and dicts are themselves; a call is its name and arguments."""
    values = {
        "a": [1, 2.5, None, True, 2**40, -1],
        "b": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        "c": [3],
    }
    assert values == read_pickle(pickle.dumps(values, protocol=2))
    assert PickledCall("fractions Fraction", ("1/3",)) == read_pickle(
        b"\x80\x02cfractions\nFraction\nX\x03\x00\x00\x001/3\x85R."
    )


def test_paths_of_older_releases() -> None:
    """A path may be an expression, a place from the end, or a slice, whose children keep their names."""
    modules = children_of(["", "body", "body.0", "body.1", "heads", "heads.a-b", "heads.x,y"])
    for stack, path in {
        "s,L['s'],net.Net": "",
        "s_0,getattr(getattr(L['s'], 'body'), '0'),torch.nn.Conv2d": "body.0",
        "s_0@1,L['s'].body[1]@1,torch.nn.Conv2d": "body.1",
        "s_1,L['s'].heads['a-b'],torch.nn.Linear": "heads.a-b",
        "s_1,heads.x,y,torch.nn.Linear": "heads.x,y",
        "L__self__heads.x,y,heads.x,y,torch.nn.Linear": "heads.x,y",
        "s_2,body.-1,torch.nn.Linear": "body.1",
        "sub1,body.slice(1, None, None)._modules.1,torch.nn.ReLU": "body.1",
        "sub1,L['s'].body[1:],torch.nn.Sequential": "body",
        "sub1,body.slice(1, None, None).7,torch.nn.ReLU": "body",
    }.items():
        assert path == module_path(f"L__self__,,net.Net;{stack}", modules), stack
    for bad in ("L['s'](1, 2, 3)", "L['s'] + 1", "L['s']." + "a" * 3000):
        with pytest.raises(ModelFileError, match="path"):
            module_path(f"s,{bad},x.Y", modules)


def test_a_part_of_a_file_ends_where_it_ends() -> None:
    """Reads stop at the end of the part, from any place."""
    part = FilePart(io.BytesIO(b"before-part-after"), 7, 4)

    assert part.read() == b"part"
    assert part.read(9) == b""
    assert (part.seek(-2, io.SEEK_END), part.read(9)) == (2, b"rt")
    assert (part.seek(1), part.read(2), part.tell()) == (1, b"ar", 3)

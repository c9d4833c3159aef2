"""A damaged or hostile file ends in one line: nothing runs, nothing else is read, and memory and time are bounded."""

from __future__ import annotations

import os
import pickle
import random
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commandline import Run
from fuzz_files import BYTES, edit, edit_program, fuzz, mutated
from fuzz_seeds import onnx_seeds, pt2_seeds
from onnx import AttributeProto, ModelProto, TensorProto, helper
from onnx_graphs import call, constant, function, graph, model, node, saved, value, zeros

from mbanalyze import count
from mbanalyze.model_files.file_error import ModelFileError

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0")) or 150
"""The number of damaged files."""

NAMES = ["m.onnx", "m.pt2"]

RELU = model([node("Relu", ["x"], ["y"])])


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The files that are opened, and the commands that are started, during a test."""
    seen: list[str] = []
    watched = ("open", "os.system", "os.exec", "subprocess.Popen", "socket.connect", "exec")
    is_on = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if is_on and event in watched:
            seen.append(str(arguments[0]))

    sys.addaudithook(hook)
    yield seen
    is_on = False


def refused(content: ModelProto | bytes, folder: Path, name: str = "m.onnx") -> str:
    """Return the error of a file, without its name."""
    path = saved(folder, content, name)
    with pytest.raises(ModelFileError) as caught:
        count(path)
    message = str(caught.value)
    assert path in message
    assert "\n" not in message
    return message.replace(path, "FILE")


class Weapon:
    """An object whose pickle writes a file when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch hit",)


class TestOtherFiles:
    """Files that are no files of ONNX."""

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is empty"),
            (b"\x08", "does not end"),
            (b"import torch\nprint('hello')\n" * 9, "no file of ONNX"),
            (random.Random(0).randbytes(5000), "no file of ONNX"),
            (bytes(5000), "no file of ONNX"),
            (b"\xff" * 5000, "no file of ONNX"),
            (RELU.SerializeToString()[:-9], "damaged"),
            (b"\x08\x0a", "no file of ONNX"),
        ],
    )
    def test_contents(self, tmp_path: Path, content: bytes, message: str) -> None:
        """Other content is refused."""
        assert message in refused(content, tmp_path)

    def test_missing(self, tmp_path: Path) -> None:
        """A missing file is named."""
        with pytest.raises(ModelFileError, match=r"there is no file .*gone.onnx"):
            count(str(tmp_path / "gone.onnx"))

    @pytest.mark.parametrize("name", NAMES)
    def test_directory(self, tmp_path: Path, name: str) -> None:
        """A directory is refused."""
        (tmp_path / name).mkdir()
        with pytest.raises(ModelFileError, match="is a directory"):
            count(str(tmp_path / name))

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
    @pytest.mark.parametrize("name", NAMES)
    def test_pipe(self, tmp_path: Path, name: str) -> None:
        """A pipe is refused at once: nothing waits for its other end."""
        os.mkfifo(tmp_path / name)
        with pytest.raises(ModelFileError, match="a pipe or a device"):
            count(str(tmp_path / name))

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such device")
    def test_device(self, tmp_path: Path) -> None:
        """A device is refused, also behind a link."""
        (tmp_path / "m.onnx").symlink_to("/dev/zero")
        with pytest.raises(ModelFileError, match="a pipe or a device"):
            count(str(tmp_path / "m.onnx"))

    @pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".pkl"])
    def test_pickles(self, tmp_path: Path, suffix: str, opened: list[str]) -> None:
        """A pickle is refused by its name, and is not opened."""
        path = saved(tmp_path, pickle.dumps(Weapon()), f"m{suffix}")
        opened.clear()
        with pytest.raises(ModelFileError, match="a pickle, which can run any code"):
            count(path)
        assert path not in opened

    def test_renamed_pickle(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A pickle that is named as another file is refused by its content, and does not run."""
        monkeypatch.chdir(tmp_path)
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            assert "is a pickle" in refused(pickle.dumps(Weapon(), protocol), tmp_path)
        assert "no file of ONNX" in refused(pickle.dumps(Weapon(), 0), tmp_path)
        assert not Path("hit").exists()

    def test_renamed_zip(self, tmp_path: Path) -> None:
        """A zip archive is no file of ONNX."""
        with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
            archive.writestr("a", "b")
        content = (tmp_path / "z.zip").read_bytes()
        assert "is a zip archive" in refused(content, tmp_path)

    def test_command_line(self, tmp_path: Path, run: Run) -> None:
        """The command ends with exit code 2 and one line."""
        done = run("report", saved(tmp_path, b"nothing"))
        assert done.code == 2
        assert len(done.err.splitlines()) == 1


def field(tag: bytes, content: bytes) -> bytes:
    """Return a field of a protocol buffer: its length has seven bits a byte, the least first."""
    length, digits = len(content), bytearray()
    while length > 127:
        digits.append(length & 127 | 128)
        length >>= 7
    return tag + bytes([*digits, length]) + content


class TestLimits:
    """Files that would take much memory or time."""

    def test_many_messages(self, tmp_path: Path) -> None:
        """A file of millions of empty nodes is refused before they are in memory."""
        nodes = b"\x0a\x00" * 3_000_000
        assert "more than 300000 nodes" in refused(b"\x08\x0a" + field(b"\x3a", nodes), tmp_path)

    def test_long_field(self, tmp_path: Path) -> None:
        """A field that claims more bytes than the file has is refused."""
        assert "damaged" in refused(b"\x3a\xff\xff\xff\xff\x07" + b"\x0a\x00" * 50, tmp_path)

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows writes the zeros of such a file")
    def test_long_text(self, tmp_path: Path) -> None:
        """A text of 1 TB is refused before it is read."""
        with (tmp_path / "m.onnx").open("wb") as file:
            # the field 6, doc_string, with a length of 2**40: five bytes of seven zeros, then 2**5
            file.write(b"\x32" + b"\x80" * 5 + b"\x20")
            file.truncate(2**40 + 7)
        with pytest.raises(ModelFileError, match="more than 67,108,864 bytes"):
            count(str(tmp_path / "m.onnx"))

    def test_deep_messages(self, tmp_path: Path) -> None:
        """Graphs that are nested too deep for a protocol buffer are refused."""
        content = b""
        for _ in range(2000):
            # a graph (field 6) in an attribute (field 5) in a node (field 1)
            for tag in (b"\x32", b"\x2a", b"\x0a"):
                content = field(tag, content)
        assert "FILE" in refused(field(b"\x3a", content), tmp_path)

    def test_exponential_functions(self, tmp_path: Path) -> None:
        """Functions that call the next one twice are refused before any node is walked through."""
        functions = [function("f0", ["a"], ["b"], [node("Relu", ["a"], ["b"])])]
        for level in range(1, 40):
            twice = [call(f"f{level - 1}", ["a"], ["t"]), call(f"f{level - 1}", ["t"], ["b"])]
            functions.append(function(f"f{level}", ["a"], ["b"], twice))
        message = refused(model([call("f39", ["x"], ["y"])], functions=functions), tmp_path)
        assert "more than 50000 nodes" in message

    def test_deep_functions(self, tmp_path: Path) -> None:
        """A long chain of functions is refused."""
        functions = [function("f0", ["a"], ["b"], [node("Relu", ["a"], ["b"])])]
        functions += [
            function(f"f{i}", ["a"], ["b"], [call(f"f{i - 1}", ["a"], ["b"])]) for i in range(1, 500)
        ]
        message = refused(model([call("f499", ["x"], ["y"])], functions=functions), tmp_path)
        assert "nested more than 40 deep" in message

    def test_long_scan(self, tmp_path: Path) -> None:
        """A scan over many slices is refused at once."""
        body = graph([node("Relu", ["e"], ["o"])], [value("e")], ("o",))
        scan = node("Scan", ["x"], ["y"], body=body, num_scan_inputs=1)
        assert "more than 50000 nodes" in refused(model([scan], (10**12, 1)), tmp_path)

    def test_empty_loop(self, tmp_path: Path) -> None:
        """A loop whose body has no node is bounded too."""
        given = [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("h")]
        loop = node("Loop", ["many", "", "x"], ["y"], body=graph([], given, ("go", "h")))
        content = model([loop], stored=[constant("many", 2**62)])
        assert "more than 50000 nodes" in refused(content, tmp_path)

    @pytest.mark.parametrize(
        ("operator", "inputs", "shape"),
        [
            ("ConstantOfShape", ["large"], (2**40, 2**20)),
            ("Expand", ["small", "large"], (2**40, 2**20)),
            ("Tile", ["small", "large"], (2**40, 2**20)),
            ("Range", ["zero", "end", "one"], (2**60,)),
            ("Pad", ["small", "edges"], (2**40 + 1, 2**20 + 1)),
        ],
    )
    def test_large_constants(
        self, tmp_path: Path, operator: str, inputs: list[str], shape: tuple[int, ...]
    ) -> None:
        """A constant of 2 ** 60 elements is not computed, and its size is exact."""
        stored = [
            *(constant("large", [2**40, 2**20]), constant("edges", [0, 0, 2**40, 2**20])),
            *(constant("zero", 0), constant("end", 2**60), constant("one", 1), constant("small", [[1]])),
        ]
        nodes = [node(operator, inputs, ["c"]), node("Cast", ["c"], ["f"], to=1)]
        nodes += [node("Relu", ["x"], ["r"]), node("Mul", ["f", "r"], ["y"])]
        report = count(saved(tmp_path, model(nodes, (1,), stored)))
        assert report.rows[-1].op.output[0].shape == shape

    def test_large_initializer(self, tmp_path: Path) -> None:
        """An initializer of 10 ** 18 elements, stored elsewhere, is counted exactly."""
        weight = TensorProto(name="w", data_type=1, dims=[10**9, 10**9], data_location=TensorProto.EXTERNAL)
        content = model([node("MatMul", ["x", "w"], ["y"])], (3, 10**9), [weight])
        totals = count(saved(tmp_path, content)).totals
        assert totals.params == 10**18
        assert totals.macs == 3 * 10**18

    def test_skipped_elements(self, tmp_path: Path) -> None:
        """The elements of large tensors are skipped; a wrong number of bytes is noticed all the same."""
        weight = zeros("w", 300, 300)
        content = model([node("MatMul", ["x", "w"], ["y"])], (1, 300), [weight])
        assert count(saved(tmp_path, content)).totals.macs == 300 * 300
        weight.dims[0] = 299
        content = model([node("MatMul", ["x", "w"], ["y"])], (1, 299), [weight])
        # 300 x 300 x 4 bytes and 299 x 300 x 4 bytes
        assert "has 360,000 bytes instead of 358,800" in refused(content, tmp_path)


def outside(location: str) -> TensorProto:
    """Return an initializer whose elements are in another file."""
    tensor = TensorProto(name="w", data_type=1, dims=[8, 8], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


class TestExternalData:
    """Elements that are stored in other files."""

    @pytest.mark.parametrize("place", ["initializer", "constant", "branch"])
    @pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "weights.bin"])
    def test_not_opened(self, tmp_path: Path, place: str, location: str, opened: list[str]) -> None:
        """A file that another one names is never opened."""
        (tmp_path / "weights.bin").write_bytes(bytes(256))
        product = node("MatMul", ["x", "w"], ["y"])
        if place == "initializer":
            content = model([product], stored=[outside(location)])
        elif place == "constant":
            made = node("Constant", [], ["w"], value=outside(location))
            content = model([made, node("Neg", ["w"], ["v"]), node("MatMul", ["x", "v"], ["y"])])
        else:
            branch = graph([product], stored=[outside(location)])
            gate = node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
            content = model([gate], more=[value("c", [], TensorProto.BOOL)])
        path = saved(tmp_path, content)
        opened.clear()
        assert count(path).totals.macs == 3 * 8 * 8 * 8
        others = [each for each in opened if each != path]
        assert not [each for each in others if each.endswith(("passwd", "weights.bin"))]

    def test_a_gigabyte(self, tmp_path: Path) -> None:
        """A weight of a gigabyte in a file that is missing is counted from its sizes."""
        weight = TensorProto(name="w", data_type=1, dims=[16384, 16384], data_location=TensorProto.EXTERNAL)
        for key, text in (("location", "gone.bin"), ("offset", "0"), ("length", str(2**30))):
            weight.external_data.add(key=key, value=text)
        content = model([node("MatMul", ["x", "w"], ["y"])], (1, 16384), [weight])
        totals = count(saved(tmp_path, content)).totals
        assert totals.macs == totals.params == 2**28


def with_imports(version: int | None) -> ModelProto:
    """Return a model of an operator set."""
    content = ModelProto()
    content.CopyFrom(RELU)
    del content.opset_import[:]
    if version is not None:
        content.opset_import.add(domain="", version=version)
    return content


def with_version(version: int) -> ModelProto:
    """Return a model of a version of the format."""
    content = ModelProto()
    content.CopyFrom(RELU)
    content.ir_version = version
    return content


def with_tensor(**fields: Any) -> ModelProto:
    """Return a model with an initializer."""
    tensor = TensorProto(**{"name": "w", "data_type": 1, "dims": [8, 8], **fields})
    return model([node("MatMul", ["x", "w"], ["y"])], stored=[tensor])


def with_attribute(attribute: AttributeProto, operator: str = "Conv") -> ModelProto:
    """Return a model with an attribute."""
    made = node(operator, ["x", "w"], ["y"])
    made.attribute.append(attribute)
    return model([made], stored=[zeros("w", 3, 3, 1, 1)])


def with_sparse() -> ModelProto:
    """Return a model with a sparse initializer."""
    content = model([node("MatMul", ["x", "w"], ["y"])])
    content.graph.sparse_initializer.add().values.name = "w"
    return content


def of_unknown_rank() -> ModelProto:
    """Return a model whose input has an unknown number of dimensions."""
    return model([node("Relu", ["x"], ["y"])], None)


RELUS = [node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])]


def _endless() -> ModelProto:
    """Return a model with a loop whose condition stays true."""
    given = [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("h")]
    body = graph([node("Relu", ["h"], ["n"])], given, ("go", "n"))
    return model([node("Loop", ["", "yes", "x"], ["y"], body=body)], stored=[constant("yes", True, "bool")])


GRAPHS: dict[str, tuple[Callable[[], ModelProto], str]] = {
    "cycle": (
        lambda: model([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"])]),
        "no earlier node writes 'b'",
    ),
    "use before definition": (
        lambda: model([node("Relu", ["later"], ["y"])]),
        "no earlier node writes 'later'",
    ),
    "two writers": (lambda: model(RELUS), "two nodes or initializers write 'y'"),
    "output of nothing": (lambda: model([node("Relu", ["x"], ["z"])]), "no earlier node writes 'y'"),
    "two initializers": (
        lambda: model(RELUS[:1], stored=[zeros("w", 2)] * 2),
        "two initializers have the name 'w'",
    ),
    "negative size": (lambda: with_tensor(dims=[-8, 8]), "has a negative size: [-8, 8]"),
    "few bytes": (lambda: with_tensor(raw_data=bytes(12)), "has 12 bytes instead of 256"),
    "many bytes": (lambda: with_tensor(raw_data=bytes(999)), "has 999 bytes instead of 256"),
    "no bytes": (with_tensor, "the initializer 'w' is damaged"),
    "huge, few bytes": (lambda: with_tensor(dims=[10**9] * 2, raw_data=b"1"), "has 1 bytes instead of"),
    "element type": (lambda: with_tensor(data_type=77), "unknown element type 77"),
    "sparse": (with_sparse, "the initializer 'w' is sparse"),
    "rank": (of_unknown_rank, "input x is no tensor with a known number of dimensions"),
    "no operator set": (lambda: with_imports(None), "does not name its operator set"),
    "operator set 0": (lambda: with_imports(0), "uses operator set 0"),
    "operator set of the future": (lambda: with_imports(10**9), "uses operator set 1000000000"),
    "format of the future": (lambda: with_version(10**9), "has version 1000000000 of the format"),
    "unknown operator": (
        lambda: model([node("Nothing", ["x"], ["y"])]),
        "the shape that y (Nothing) writes is unknown",
    ),
    "unknown domain": (
        lambda: model([call("Nothing", ["x"], ["y"])]),
        "the shape that y (local::Nothing) writes",
    ),
    "attribute type": (lambda: with_attribute(helper.make_attribute("strides", 1.5)), "y (Conv)"),
    "text for numbers": (lambda: with_attribute(helper.make_attribute("group", "two")), "y (Conv)"),
    "no branch": (lambda: model([node("If", ["x"], ["y"])]), "y (If) has no graph 'then_branch'"),
    "number for a branch": (
        lambda: with_attribute(helper.make_attribute("body", 1), "Loop"),
        "no graph 'body'",
    ),
    "no input": (lambda: model([node("Relu", [], ["y"])]), "y (Relu)"),
    "wrong shapes": (
        lambda: model([node("MatMul", ["x", "w"], ["y"])], stored=[zeros("w", 5, 5)]),
        "y (MatMul)",
    ),
    "many outputs": (
        lambda: model([node("Split", ["x"], ["y", "a", "b"], axis=1, num_outputs=2)]),
        "num_outputs is 2, and the node has 3 outputs",
    ),
    "axis": (
        lambda: model([node("LayerNormalization", ["x", "w"], ["y"], axis=10**18)], stored=[zeros("w", 8)]),
        "there is no dimension 1000000000000000000 of 4",
    ),
    "negative batch": (
        lambda: model([node("GatherND", ["x", "i"], ["y"], batch_dims=-5)], stored=[constant("i", [0])]),
        "batch_dims is -5",
    ),
    "rank of a result": (
        lambda: model([node("Expand", ["x", "s"], ["y"])], more=[value("s", [2**31], TensorProto.INT64)]),
        "its output has 2147483648 dimensions",
    ),
    "endless loop": (_endless, "y (Loop) does not end"),
    "function twice": (
        lambda: model(RELUS[:1], functions=[function("F", ["a"], ["b"], [node("Relu", ["a"], ["b"])])] * 2),
        "two functions have the name local::F",
    ),
}
"""Graph -> what makes it, and a part of its error."""


class TestGraphs:
    """Files of ONNX with graphs that cannot be counted."""

    @pytest.mark.parametrize("name", GRAPHS)
    def test_refused(self, tmp_path: Path, name: str) -> None:
        """A damaged graph is refused with its reason."""
        make, message = GRAPHS[name]
        assert message in refused(make(), tmp_path)

    def test_texts(self, tmp_path: Path) -> None:
        """Initializers of texts are read."""
        texts = helper.make_tensor("t", TensorProto.STRING, [2], [b"a", b"\xff"])  # type: ignore[list-item]
        content = model([node("Relu", ["x"], ["y"])], stored=[texts])
        assert count(saved(tmp_path, content)).totals.params == 0

    def test_empty_tensors(self, tmp_path: Path) -> None:
        """Tensors without elements cost nothing."""
        nodes = [node("MatMul", ["x", "w"], ["y"])]
        path = saved(tmp_path, model(nodes, ("n", 4), [zeros("w", 4, 5)]))
        assert count(path, (0, 4)).totals.macs == 0

    def test_control_characters(self, tmp_path: Path) -> None:
        """Names with line breaks and control characters do not reach the terminal."""
        message = refused(model([node("Relu", ["a\n\x1b[2Jb"], ["y"])]), tmp_path)
        assert message.isprintable()

    def test_names_that_are_no_text(self, tmp_path: Path) -> None:
        """A name that is no valid text is refused."""
        content = RELU.SerializeToString().replace(b"Relu", b"Rel\xff")
        assert "no text" in refused(content, tmp_path)


def test_damaged_files(tmp_path: Path) -> None:
    """A damaged file ends in a report or in an error with exit code 2, within seconds."""
    mutations = (*BYTES, *(edit,) * 2 * len(BYTES))
    found, longest = fuzz(tmp_path, ".onnx", mutated(onnx_seeds(), mutations, EXAMPLES))
    print(dict(found), f"longest {longest:.2f} s")
    assert set(found) <= OUTCOMES
    assert found["report"] > 0 < found["ModelFileError"]


OUTCOMES = {"report", "ModelFileError", "InputError", "OptionError", "TraceError"}


@pytest.mark.slow
def test_damaged_programs(tmp_path: Path) -> None:
    """The same holds for files of `torch.export.save`."""
    mutations = (*BYTES, *(edit_program,) * 2 * len(BYTES))
    found, longest = fuzz(tmp_path, ".pt2", mutated(pt2_seeds(tmp_path), mutations, EXAMPLES // 3))
    print(dict(found), f"longest {longest:.2f} s")
    assert set(found) <= OUTCOMES
    assert found["ModelFileError"] > 0

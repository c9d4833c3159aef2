"""Nodes of ONNX that stand for other nodes are counted as these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from onnx import AttributeProto, GraphProto, TensorProto, helper
from onnx_graphs import call, constant, function, graph, model, node, saved, value, zeros

from mbanalyze import Report, count
from mbanalyze.model_files.file_error import ModelFileError

BOOL = TensorProto.BOOL
INT = TensorProto.INT64


def counted(folder: Path, *arguments: Any, inputs: tuple[Any, ...] = (), **more: Any) -> Report:
    """Return the report of a file with the given graph."""
    return count(saved(folder, model(*arguments, **more)), *inputs)


def convolution(source: str, target: str, weight: str = "w") -> Any:
    """Return a node of 3 x 3 x 8 x 8 x 1 macs on a `1 3 8 8` image."""
    return node("Conv", [source, weight], [target])


def reference(name: str, source: str, type: Any) -> AttributeProto:
    """Return an attribute that a function takes from its call."""
    return AttributeProto(name=name, ref_attr_name=source, type=type)


CONV_MACS = 3 * 3 * 8 * 8
"""A 1 x 1 convolution from 3 channels to 3, on 8 x 8 pixels."""

WEIGHT = zeros("w", 3, 3, 1, 1)


class TestFunctions:
    """Calls of the functions of a file."""

    def test_nodes(self, tmp_path: Path) -> None:
        """A call is counted as the nodes of its function, at the path of the call."""
        block = function("Block", ["a", "k"], ["b"], [convolution("a", "t", "k"), node("Relu", ["t"], ["b"])])
        calls = [
            call("Block", ["x", "w"], ["h"], path="first"),
            call("Block", ["h", "w"], ["y"], path="second"),
        ]
        report = counted(tmp_path, calls, stored=[WEIGHT], functions=[block])
        assert report.totals.macs == 2 * CONV_MACS
        assert report.totals.params == 9
        assert [row.op.path for row in report.rows] == ["first", "first", "second", "second"]
        assert [row.op.kind for row in report.rows] == ["conv", "relu"] * 2

    @pytest.mark.parametrize(("given", "macs"), [({"steps": [2, 2]}, 3 * 3 * 4 * 4), ({}, CONV_MACS)])
    def test_attributes(self, tmp_path: Path, given: dict[str, Any], macs: int) -> None:
        """A node of a function takes an attribute from the call, or its default."""
        conv = convolution("a", "b", "k")
        conv.attribute.append(reference("strides", "steps", AttributeProto.INTS))
        default = helper.make_attribute("steps", [1, 1])
        block = function("Block", ["a", "k"], ["b"], [conv], attribute_protos=[default])
        report = counted(
            tmp_path, [call("Block", ["x", "w"], ["y"], **given)], stored=[WEIGHT], functions=[block]
        )
        assert macs == report.totals.macs

    def test_constants_from_attributes(self, tmp_path: Path) -> None:
        """A constant that a call sets is known in the function."""
        shape = node("Constant", [], ["s"])
        shape.attribute.append(reference("value_ints", "sizes", AttributeProto.INTS))
        block = function(
            "To", ["a"], ["b"], [shape, node("Reshape", ["a", "s"], ["b"])], attributes=["sizes"]
        )
        nodes = [call("To", ["x"], ["h"], sizes=[1, 192]), node("MatMul", ["h", "m"], ["y"])]
        report = counted(tmp_path, nodes, stored=[zeros("m", 192, 5)], functions=[block])
        assert report.totals.macs == 192 * 5

    def test_nested(self, tmp_path: Path) -> None:
        """A function calls functions, each with names of its own."""
        inner = function("Inner", ["x", "w"], ["y"], [convolution("x", "y")])
        calls = [call("Inner", ["x", "w"], ["h"], path="deep"), call("Inner", ["h", "w"], ["y"])]
        outer = function("Outer", ["x", "w"], ["y"], calls)
        report = counted(
            tmp_path,
            [call("Outer", ["x", "w"], ["y"], path="top")],
            stored=[WEIGHT],
            functions=[inner, outer],
        )
        assert report.totals.macs == 2 * CONV_MACS
        assert {row.op.path for row in report.rows} == {"top"}

    def test_optional_inputs(self, tmp_path: Path) -> None:
        """An input that a call leaves out is left out in the function."""
        conv = node("Conv", ["a", "k", "bias"], ["b"])
        block = function("Block", ["a", "k", "bias"], ["b"], [conv])
        report = counted(tmp_path, [call("Block", ["x", "w"], ["y"])], stored=[WEIGHT], functions=[block])
        assert report.totals.params == 9

    def test_own_operator_sets(self, tmp_path: Path) -> None:
        """A function is read with its own operator sets: `Squeeze` took its axes as an attribute before 13."""
        squeeze = node("Squeeze", ["a"], ["b"], axes=[0])
        imports = [helper.make_opsetid("", 11)]
        old = helper.make_function("local", "Old", ["a"], ["b"], [squeeze], imports)
        nodes = [call("Old", ["x"], ["h"]), node("Relu", ["h"], ["y"])]
        (row,) = counted(tmp_path, nodes, functions=[old]).rows
        assert row.op.output[0].shape == (3, 8, 8)

    def test_written_paths(self, tmp_path: Path) -> None:
        """A path that an exporter wrote for a node of a function is kept."""
        conv = convolution("a", "b", "k")
        conv.name = "/layer1/layer1.0/Conv"
        block = function("Block", ["a", "k"], ["b"], [conv])
        report = counted(
            tmp_path,
            [call("Block", ["x", "w"], ["y"], path="top")],
            stored=[WEIGHT],
            functions=[block],
        )
        assert report.rows[0].op.path == "layer1.0"

    def test_cycle(self, tmp_path: Path) -> None:
        """A function that calls itself is refused."""
        first = function("First", ["a"], ["b"], [call("Second", ["a"], ["b"])])
        second = function("Second", ["a"], ["b"], [call("First", ["a"], ["b"])])
        with pytest.raises(ModelFileError, match="the function First calls itself"):
            counted(tmp_path, [call("First", ["x"], ["y"])], functions=[first, second])


def cheap_and_costly() -> tuple[GraphProto, GraphProto]:
    """Return two branches: one adds, and one convolves."""
    return graph([node("Add", ["x", "x"], ["y"])]), graph([convolution("x", "y")], stored=[WEIGHT])


def condition(source: str = "c") -> Any:
    """Return a node `If` at the path `gate`."""
    cheap, costly = cheap_and_costly()
    return node("If", [source], ["y"], name="gate", then_branch=cheap, else_branch=costly)


class TestConditions:
    """Nodes that take one of two branches."""

    @pytest.mark.parametrize(("truth", "macs"), [(True, 0), (False, CONV_MACS)])
    def test_known(self, tmp_path: Path, truth: bool, macs: int) -> None:
        """A known condition takes its branch."""
        report = counted(tmp_path, [condition()], stored=[constant("c", truth, "bool")])
        assert macs == report.totals.macs
        assert not any("branch" in note for note in report.notes)

    def test_unknown(self, tmp_path: Path) -> None:
        """An unknown condition takes the costlier branch, and the report says so."""
        report = counted(tmp_path, [condition()], more=[value("c", [1], BOOL)])
        assert report.totals.macs == CONV_MACS
        assert report.totals.params == 9
        assert "counted the costlier branch of a condition in gate" in report.notes

    def test_of_shapes(self, tmp_path: Path) -> None:
        """A condition on a shape is known."""
        nodes = [
            *(node("Shape", ["x"], ["s"]), node("Gather", ["s", "one"], ["n"])),
            *(node("Equal", ["n", "three"], ["c"]), condition()),
        ]
        report = counted(tmp_path, nodes, stored=[constant("one", 1), constant("three", 3)])
        assert report.totals.macs == 0

    def test_impossible_branch(self, tmp_path: Path) -> None:
        """A branch that does not fit the shapes is not the one that is taken."""
        cheap, _ = cheap_and_costly()
        wrong = graph([node("MatMul", ["x", "m"], ["y"])], stored=[zeros("m", 5, 5)])
        gate = node("If", ["c"], ["y"], then_branch=wrong, else_branch=cheap)
        report = counted(tmp_path, [gate], more=[value("c", [], BOOL)])
        assert [row.op.kind for row in report.rows] == ["add"]

    def test_unknown_value(self, tmp_path: Path) -> None:
        """The result of an unknown condition is unknown, even if each branch returns a constant."""
        branches = [
            graph([node("Constant", [], ["s"], value_ints=[size, -1])], outputs=["s"]) for size in (1, 3)
        ]
        gate = node("If", ["c"], ["s"], then_branch=branches[0], else_branch=branches[1])
        with pytest.raises(ModelFileError, match="unknown"):
            counted(tmp_path, [gate, node("Reshape", ["x", "s"], ["y"])], more=[value("c", [], BOOL)])


def loop_body(*nodes: Any, go: str = "go", scanned: tuple[str, ...] = ()) -> GraphProto:
    """Return the body of a loop that carries `h` to `n`."""
    inputs = [value("i", [], INT), value("go", [], BOOL), value("h")]
    return graph(nodes, inputs, (go, "n", *scanned), [WEIGHT])


class TestLoops:
    """Nodes that repeat their body."""

    def test_known_number(self, tmp_path: Path) -> None:
        """A loop of a known number of iterations is counted as its body that often; the weights are the same."""
        body = loop_body(convolution("h", "t"), node("Relu", ["t"], ["n"]))
        loop = node("Loop", ["five", "", "x"], ["y"], body=body, name="steps")
        report = counted(tmp_path, [loop], stored=[constant("five", 5)])
        assert report.totals.macs == 5 * CONV_MACS
        assert report.totals.params == 9
        assert {row.op.path for row in report.rows} == {"steps"}
        assert report.rows[2].op.inputs[0].number == report.rows[1].op.output[0].number

    def test_while(self, tmp_path: Path) -> None:
        """A loop ends when its condition is false."""
        body = loop_body(convolution("h", "n"), node("Less", ["i", "two"], ["again"]), go="again")
        loop = node("Loop", ["", "yes", "x"], ["y"], body=body)
        stored = [constant("yes", True, "bool"), constant("two", 2)]
        # i = 0, 1 and 2 run; the last makes the condition false
        assert counted(tmp_path, [loop], stored=stored).totals.macs == 3 * CONV_MACS

    def test_scanned_outputs(self, tmp_path: Path) -> None:
        """The results of all iterations are joined along a new first dimension."""
        body = loop_body(convolution("h", "n"), node("Relu", ["n"], ["each"]), scanned=("each",))
        loop = node("Loop", ["five", "", "x"], ["last", "y"], body=body)
        report = counted(tmp_path, [loop], stored=[constant("five", 5)])
        assert report.rows[-1].op.kind == "cat"
        assert report.rows[-1].op.output[0].shape == (5, 1, 3, 8, 8)

    def test_growing_shapes(self, tmp_path: Path) -> None:
        """A shape may change with each iteration."""
        body = loop_body(node("Concat", ["h", "h"], ["n"], axis=1))
        nodes = [node("Loop", ["three", "", "x"], ["z"], body=body), node("Relu", ["z"], ["y"])]
        report = counted(tmp_path, nodes, stored=[constant("three", 3)])
        assert report.rows[-1].op.output[0].shape == (1, 3 * 2**3, 8, 8)

    def test_no_iteration(self, tmp_path: Path) -> None:
        """A loop without iterations returns what it was given."""
        nodes = [
            node("Loop", ["zero", "", "x"], ["z"], body=loop_body(convolution("h", "n"))),
            node("Relu", ["z"], ["y"]),
        ]
        report = counted(tmp_path, nodes, stored=[constant("zero", 0)])
        assert [row.op.kind for row in report.rows] == ["relu"]

    def test_unknown_number(self, tmp_path: Path) -> None:
        """A loop of an unknown number of iterations is listed as uncounted, with the shapes of the file."""
        loop = node("Loop", ["count", "", "x"], ["y"], body=loop_body(convolution("h", "n")))
        report = counted(tmp_path, [loop], more=[value("count", [], INT)], outputs=[value("y", [1, 3, 8, 8])])
        assert [row.op.kind for row in report.rows] == ["onnx::Loop"]
        assert report.totals.macs is None
        assert report.rows[0].op.output[0].shape == (1, 3, 8, 8)

    def test_unknown_shape(self, tmp_path: Path) -> None:
        """Without a shape in the file, the error says what to do."""
        loop = node("Loop", ["count", "", "x"], ["y"], body=loop_body(convolution("h", "n")))
        with pytest.raises(ModelFileError, match=r"number of iterations of y \(Loop\) is unknown.*replace"):
            counted(tmp_path, [loop], more=[value("count", [], INT)])

    def test_scan(self, tmp_path: Path) -> None:
        """A scan is counted as its body for each slice: a recurrent layer of 6 steps."""
        nodes = [
            *(node("MatMul", ["e", "u"], ["a"]), node("MatMul", ["h", "v"], ["b"])),
            *(node("Add", ["a", "b"], ["n"]), node("Identity", ["n"], ["each"])),
        ]
        body = graph(nodes, [value("h"), value("e")], ("n", "each"))
        scan = node("Scan", ["start", "x"], ["last", "y"], body=body, num_scan_inputs=1, scan_input_axes=[1])
        stored = [zeros("start", 2, 5), zeros("u", 4, 5), zeros("v", 5, 5)]
        report = counted(tmp_path, [scan], (2, 6, 4), stored)
        # 6 products of 2 x 4 x 5, and 6 of 2 x 5 x 5: the first state is learned, so its product is counted too
        assert report.totals.macs == 6 * 40 + 6 * 50
        assert report.totals.params == 4 * 5 + 5 * 5 + 2 * 5
        assert report.rows[-1].op.output[0].shape == (6, 2, 5)


class TestSequences:
    """Nodes on sequences and optional tensors."""

    def test_split_and_join(self, tmp_path: Path) -> None:
        """A tensor that is split into a sequence is read in parts, and joined by a copy."""
        nodes = [
            node("SplitToSequence", ["x", "one"], ["s"], axis=1),
            node("SequenceAt", ["s", "two"], ["third"]),
            node("Relu", ["third"], ["r"]),
            node("SequenceInsert", ["s", "r"], ["longer"]),
            node("ConcatFromSequence", ["longer"], ["y"], axis=1),
        ]
        report = counted(tmp_path, nodes, stored=[constant("one", 1), constant("two", 2)])
        assert [row.op.kind for row in report.rows] == ["relu", "cat"]
        assert report.rows[0].op.output[0].shape == (1, 1, 8, 8)
        assert report.rows[1].op.output[0].shape == (1, 4, 8, 8)

    def test_built_in_loops(self, tmp_path: Path) -> None:
        """A loop carries a sequence."""
        body = loop_body(
            node("Relu", ["x"], ["r"]),
            node("SequenceInsert", ["h", "r"], ["n"]),
            node("SequenceLength", ["n"], ["l"]),
        )
        nodes = [
            node("SequenceEmpty", [], ["none"]),
            node("Loop", ["five", "", "none"], ["all"], body=body),
            node("ConcatFromSequence", ["all"], ["y"], axis=0, new_axis=1),
        ]
        report = counted(tmp_path, nodes, stored=[constant("five", 5)])
        assert report.rows[-1].op.output[0].shape == (5, 1, 3, 8, 8)

    def test_optional(self, tmp_path: Path) -> None:
        """An optional tensor that is present is that tensor."""
        nodes = [
            *(node("Optional", ["x"], ["o"]), node("OptionalHasElement", ["o"], ["c"])),
            *(node("OptionalGetElement", ["o"], ["g"]), condition()),
        ]
        assert counted(tmp_path, nodes, stored=[WEIGHT]).totals.macs == 0

    def test_other_operators(self, tmp_path: Path) -> None:
        """An operator that takes no sequence is refused by its name."""
        nodes = [node("SequenceConstruct", ["x", "x"], ["s"]), node("Relu", ["s"], ["y"])]
        with pytest.raises(ModelFileError, match=r"y \(Relu\) reads a sequence"):
            counted(tmp_path, nodes)

"""Every command takes a model file, or says in one line what to do instead."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from commandline import Run
from onnx import helper
from onnx_graphs import model, saved, zeros
from torch import nn

from mbanalyze import count
from mbanalyze.inputs.typed import InputError
from mbanalyze.report.network import Report


class Net(nn.Module):
    """A convolution, a batch norm and a linear layer."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.head = nn.Linear(width, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Run the module."""
        features: torch.Tensor = self.norm(self.conv(image)).relu()
        result: torch.Tensor = self.head(features.mean((2, 3)))
        return result


def exported(folder: Path, width: int = 8) -> str:
    """Return a file of ONNX with open batch: what an exporter writes of `Net`, its batch norm folded."""
    nodes = [
        helper.make_node(
            "Conv", ["x", "conv.weight", "onnx::Conv_9"], ["c"], name="/conv/Conv", pads=[1, 1, 1, 1]
        ),
        helper.make_node("Relu", ["c"], ["r"], name="/Relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], name="/GlobalAveragePool"),
        helper.make_node("Flatten", ["p"], ["f"], name="/Flatten"),
        helper.make_node("Gemm", ["f", "head.weight", "head.bias"], ["y"], name="/head/Gemm", transB=1),
    ]
    stored = [
        zeros("conv.weight", width, 3, 3, 3),
        zeros("onnx::Conv_9", width),
        zeros("head.weight", 10, width),
        zeros("head.bias", 10),
    ]
    return saved(folder, model(nodes, ["batch", 3, 16, 16], stored), "net.onnx")


MACS = 8 * 27 * 16 * 16 + 80
"""The macs of the convolution and of the linear layer for one image."""

PARAMS = 8 * 27 + 8 + 80 + 10


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of `torch.export.save`."""
    path = tmp_path_factory.mktemp("program") / "net.pt2"
    torch.export.save(torch.export.export(Net().eval(), (torch.zeros(1, 3, 16, 16),)), path)
    return path


def test_a_graph_counts_what_its_nodes_do(tmp_path: Path) -> None:
    """The counts of a graph are those of the arithmetic, at every batch."""
    report = count(Path(exported(tmp_path)), batch=3)

    assert (report.totals.macs, report.totals.params, report.method) == (3 * MACS, PARAMS, "file")
    assert [row.op.path for row in report.rows] == ["conv", "", "", "head"]


def test_a_program_counts_what_its_module_does(program: Path) -> None:
    """The operators of a program are those of its module."""
    assert count(program).ops == count(Net(), (1, 3, 16, 16)).ops


@pytest.mark.parametrize(
    "command",
    [
        "report net.onnx --by block",
        "report net.onnx --batch 2 --dtype int8 --fused",
        "report net.onnx --format csv",
        "report net.onnx --train --optimizer adam",
        "report net.onnx --convention paper",
        "memory net.onnx",
        "guidelines net.onnx",
        "check net.onnx",
        "compare net.onnx mobilenet_v1@resolution=32",
        "ablate net.onnx --set batch=1,2",
        "fit net.onnx --memory 1MB",
        "predict net.onnx --device v100",
    ],
)
def test_commands_take_a_graph(
    command: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that needs no module prints its result."""
    exported(tmp_path)
    monkeypatch.chdir(tmp_path)
    ran = run(*command.split())

    assert (ran.code, ran.err) == (0, "")
    assert ran.out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("report net.onnx --resolution 32", "dimension 2 (16) was fixed when it was exported"),
        ("report net.onnx --alpha 0.5", "is a file and has no option alpha"),
        ("report net.onnx --trace", "leave out trace"),
        ("report net.onnx --mode train", "leave out mode"),
        ("report net.onnx --input 1,3,16", "an input x of 4 dimensions"),
        ("report net.onnx --input y=1,3,16,16", "no input 'y': its inputs are x"),
        ("report other.onnx", "there is no file other.onnx"),
        ("report net.pth", "it is a pickle, which can run any code"),
        ("report net.safetensors", "it holds weights, and no operators"),
        ("measure net.onnx", "has no PyTorch module"),
        ("explain net.onnx", "has no PyTorch module"),
        ("report net.onnx --convention thop", "net.onnx"),
    ],
)
def test_one_line_says_what_to_do(
    command: str, message: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that cannot take the file ends with exit code 2 and one line."""
    exported(tmp_path)
    monkeypatch.chdir(tmp_path)
    ran = run(*command.split())

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1


def test_notes_name_what_the_exporter_changed(tmp_path: Path) -> None:
    """A note counts the parameters in the exporter's list that the file does not have."""
    listed = model([helper.make_node("MatMul", ["x", "val_1"], ["y"])], [2, 4], [zeros("val_1", 4, 3)])
    listed.graph.metadata_props.add(
        key="pkg.torch.export.ExportedProgram.graph_signature",
        value="p_a: PARAMETER target='a.weight'\np_b: PARAMETER target='val_1'\n",
    )

    assert "parameters that the exporter folded, merged or renamed: 1" in count(saved(tmp_path, listed)).notes


def test_a_graph_has_no_account_of_eager_memory(tmp_path: Path) -> None:
    """A report of a graph is complete, and has no account of PyTorch's own memory."""
    report = count(exported(tmp_path))

    assert isinstance(report, Report)
    assert report.complete
    assert report.total_counts()["peak_bytes_eager"] is None


@pytest.mark.parametrize("batch", [0, -1, "two", 1.5, True])
def test_a_batch_is_a_whole_number(batch: object, tmp_path: Path) -> None:
    """Any other batch of a file with an open batch is refused."""
    with pytest.raises(InputError, match="batch must be a whole number above 0"):
        count(exported(tmp_path), batch=batch)


def test_notes_count_norms_that_the_exporter_of_programs_folded(tmp_path: Path) -> None:
    """The exporter of `torch.export` names the rule by which it merged a convolution with a batch norm."""
    node = helper.make_node("Conv", ["x", "conv.weight"], ["y"])
    node.metadata_props.add(key="pkg.onnxscript.rewriter.rule_name", value="FuseBatchNormIntoConv")
    file = saved(tmp_path, model([node], stored=[zeros("conv.weight", 2, 3, 1, 1)]))

    assert "batch norms that the exporter folded into convolutions: 1" in count(file).notes


def test_notes_count_nodes_that_are_computed_once(tmp_path: Path) -> None:
    """A product of two large constants that no one learned is no work of the network."""
    nodes = [
        helper.make_node("Mul", ["val_1", "val_2"], ["table"]),
        helper.make_node("Add", ["x", "table"], ["y"]),
    ]
    stored = [zeros("val_1", 300, 300), zeros("val_2", 300, 300)]
    report = count(saved(tmp_path, model(nodes, [300, 300], stored)))

    assert "large nodes without an input of the network, computed once: 1" in report.notes
    assert [row.op.kind for row in report.rows] == ["add"]
    assert report.totals.params == 0

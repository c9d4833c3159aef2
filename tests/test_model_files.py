"""Commands and functions with a model that arrives as a file of ONNX."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from commandline import Run
from guarded import document_of, layers_in, model_in, repository, total_in
from onnx_graphs import exported_graph, node, saved, zeros
from onnx_graphs import model as graph_of
from torch import nn

import mbanalyze
from mbanalyze.capacity.peak import CapacityError
from mbanalyze.cli.completion import complete_model
from mbanalyze.comparison.alignment import AlignableLayer, aligned
from mbanalyze.crosscheck.onnx_witness import NESTED, against_file
from mbanalyze.guard.policy_text import choose_name
from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.report.accounts import AccountError
from mbanalyze.sources.training_report import TRAINED_GRAPH

IMAGE = (1, 3, 8, 8)


class Net(nn.Module):
    """A convolution with a batch norm, a ReLU, a mean and a linear layer."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.head = nn.Linear(width, 5)
        with torch.no_grad():
            for tensor in (*self.parameters(), *self.buffers()):
                if tensor.is_floating_point():
                    tensor.uniform_(0.1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return five numbers for each image."""
        scores: torch.Tensor = self.head(self.stem(x).mean((2, 3)))
        return scores


def export(folder: Path, width: int = 4) -> Path:
    """Write the network to `models/net.onnx` of a folder."""
    place = folder / "models"
    place.mkdir(exist_ok=True)
    return Path(saved(place, exported_graph(Net(width), IMAGE).model, "net.onnx"))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the network, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return export(tmp_path).relative_to(tmp_path)


def opened(folder: Path) -> str:
    """Return a file whose batch, height and width are open: a convolution of 3 to 2 channels, then a ReLU."""
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="/conv/Conv", kernel_shape=[1, 1]),
        node("Relu", ["a"], ["y"]),
    ]
    return saved(folder, graph_of(nodes, ("n", 3, "h", "w"), [zeros("w", 2, 3, 1, 1)]), "open.onnx")


def test_paths_are_references(file: Path) -> None:
    """A path and its text give the same report, whose method is "file"."""
    report = mbanalyze.count(file)

    assert report.as_dict() == mbanalyze.count(str(file)).as_dict()
    assert (report.method, report.model) == ("file", str(file))
    # 8 x 8 outputs of 4 channels from 3 x 3 x 3 weights; 4 x 5 of the linear layer
    assert report.totals.macs == 64 * 4 * 27 + 20


def test_check_compares_with_the_file(file: Path, run: Run) -> None:
    """The witnesses are the products and initializers of the file, and fvcore does not apply."""
    found = mbanalyze.check(file)
    by_name = {each.what: (each.ours, each.theirs, each.agree) for each in found.comparisons}

    assert found.agree is True
    assert by_name["onnx/conv"] == (64 * 4 * 27, 64 * 4 * 27, True)
    # the folded batch norm leaves 4 biases
    assert by_name["params/conv"] == (4 * 27 + 4, 4 * 27 + 4, True)
    assert by_name["params/linear+matmul"] == (25, 25, True)
    assert by_name["fvcore"] == (None, None, None)
    assert [run("check", str(file)).code, run("report", str(file), "--check").code] == [0, 0]


def test_products_of_functions_are_not_compared(tmp_path: Path) -> None:
    """An operator of another library may hide products, so that no comparison is made."""
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Relu", ["a"], ["b"]),
        node("Odd", ["b"], ["y"], domain="other"),
    ]
    report = mbanalyze.check(opened(tmp_path), IMAGE).report
    hidden = graph_of(nodes, IMAGE, [zeros("w", 2, 3, 1, 1)])
    assert {each.reason for each in against_file(report, hidden)} == {NESTED}


def test_a_training_step_by_rules(file: Path) -> None:
    """The backward macs are those of the module, and a note says that the batch norms stay folded."""
    found = mbanalyze.count(file, train=True)
    module = mbanalyze.count(Net(), (2, 3, 8, 8), train=True)

    assert found.training is not None
    assert module.training is not None
    assert found.training.of().backward_macs == 64 * 4 * 27 + 2 * 20  # the image needs no gradient
    assert module.training.of().backward_macs == 2 * (64 * 4 * 27 + 2 * 20)  # of two images
    assert TRAINED_GRAPH in found.notes
    assert found.training.step_peak_bytes is None


def test_commands_that_need_a_module_say_so(file: Path) -> None:
    """`measure`, `explain` and the account `eager` name what to do instead."""
    with pytest.raises(ModelFileError, match=r"a \.pt2 file of it; mbanalyze predict needs none$"):
        mbanalyze.measure(file, seconds=0)
    with pytest.raises(ModelFileError, match=r"mbanalyze check compares it with the file itself$"):
        mbanalyze.explain(file)
    with pytest.raises(AccountError, match="choose ideal or deployed"):
        mbanalyze.memory(file, account="eager")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ("report", "models/net.onnx", "--trace"),
            "is a graph without modules, and is not run: leave out trace",
        ),
        (("report", "models/net.onnx", "--convention", "thop"), "leave out convention thop"),
        (
            ("report", "models/net.onnx", "--set", "width=8"),
            "is a file and has no option width: leave it out",
        ),
        (
            ("report", "models/net.onnx", "--resolution", "16"),
            "dimension 2 (8) was fixed when it was exported",
        ),
        (("fit", "models/net.onnx", "--memory", "1 MB"), "fixes its batch: export it with a dynamic one"),
        (("search", "models/net.onnx"), "is a file: use mbanalyze ablate"),
        (("report", "gone.onnx"), "there is no file gone.onnx"),
        (("report", "gone.pt2"), "there is no file gone.pt2"),
        (("report", "gone.pt"), "gone.pt is not read, because it is a pickle"),
        (("models/net.onnx",), "did you mean 'mbanalyze report models/net.onnx'?"),
    ],
)
def test_what_a_file_cannot_do_is_one_line(
    arguments: tuple[str, ...], reason: str, file: Path, run: Run
) -> None:
    """The error has one line that says what to do, and the exit code is 2."""
    ran = run(*arguments)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert reason in ran.err


def test_a_pointer_of_git_lfs_is_named(tmp_path: Path) -> None:
    """A file that Git LFS has not fetched says how to fetch it."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    for name in ("net.onnx", "net.pt2"):
        (tmp_path / name).write_text(pointer)
        with pytest.raises(ModelFileError, match=r"run git lfs pull$"):
            mbanalyze.count(tmp_path / name)


def test_the_largest_batch_of_an_open_file(tmp_path: Path) -> None:
    """The weights take 24 bytes, and each image 768 of input and 512 of output."""
    file = opened(tmp_path)
    # 2 x 3 weights; at the peak, 64 pixels of 3 channels and of 2
    found = mbanalyze.fit(file, 24 + 10 * (64 * 5 * 4) + 1, (1, 3, 8, 8))

    assert (found.inference.batch, found.training.batch, found.account) == (10, 0, "ideal")
    assert "no PyTorch module to train" in found.training.reason
    assert found.input == ((3, 8, 8),)
    with pytest.raises(CapacityError, match="leave out batch"):
        mbanalyze.fit(file, "1 MB", batch=2)


def test_open_sizes_are_options(tmp_path: Path) -> None:
    """`ablate` varies the batch and the resolution of a file that leaves them open."""
    found = mbanalyze.ablate(Path(opened(tmp_path)), resolution=[8, 16], batch=[1, 2]).frame()

    # 2 outputs of 3 weights for each pixel
    assert sorted(found["macs"]) == [6 * 64, 12 * 64, 6 * 256, 12 * 256]


def test_compare_aligns_a_file_with_its_module(file: Path) -> None:
    """Products align by path, and the batch norm that the exporter folded is the only layer without a counterpart."""
    file_report, module = mbanalyze.count(file), mbanalyze.count(Net().eval(), IMAGE)
    compared = mbanalyze.compare(module, file_report)
    layers = compared.as_dict()["layers"]
    paths = {(each["before"] or {}).get("path"): (each["after"] or {}).get("path") for each in layers}

    assert {path: path for path in ("stem.0", "stem.2", "head")}.items() <= paths.items()
    assert [each["before"]["path"] for each in layers if each["status"] == "removed"] == ["stem.1"]
    assert "batch norms that the exporter folded into convolutions: 1" in compared.to("table")


def test_a_product_with_an_addition_aligns_with_a_linear_layer() -> None:
    """Layers of one path and the same products are counterparts, whatever else they contain."""
    left = [AlignableLayer(f"{i}.fc", ("linear",), (i,), i) for i in range(4)]
    right = [AlignableLayer(f"{i}.fc", ("linear", "add"), (i,), -i) for i in range(4)]
    right.insert(1, AlignableLayer("0.out", ("linear",), (1,), 9))

    assert [
        (left[i].path, right[j].path) for i, j in aligned(left, right) if i is not None and j is not None
    ] == [(each.path, each.path) for each in left]


POLICY = '[models.small]\nsource = "models/net.onnx"\nbudget = { peak_bytes = "64 kB" }\n'


@pytest.mark.slow
def test_the_guard_guards_a_file(file: Path, tmp_path: Path, run: Run) -> None:
    """A wider layer fails with its name at the file; git has the file of the base; a missing file is exit 2."""
    (tmp_path / "mbanalyze.toml").write_text(POLICY)
    assert run("guard", "update").code == 0
    repository(tmp_path)
    export(tmp_path, width=6)
    found = document_of(run, "--output", "github=annotations.txt")

    assert found["exit"] == 1
    assert "::error file=models/net.onnx,line=1," in Path("annotations.txt").read_text()
    assert set(layers_in(found, "worse")) == {"head", "stem.0", "stem.2", ""}
    assert "stem.0" in run("guard", "explain", "small").out
    based = run("guard", "diff", "--base", "main", "--format", "json")
    assert (based.code, model_in(json.loads(based.out))["verdict"]) == (1, "worse")
    # 3 x 3 x 3 weights and a bias for each of two more channels; two more inputs of the linear layer
    assert total_in(json.loads(based.out), "params") == (4 * 28 + 5 * 5, 6 * 28 + 5 * 7)
    file.unlink()
    ran = run("guard")
    assert ran.code == 2
    assert "there is no file models/net.onnx" in ran.out


def test_guard_init_names_a_model_after_its_file(file: Path, run: Run) -> None:
    """The name is that of the file without suffix, and the source is its path."""
    assert choose_name("models/net.onnx@batch=2", ()) == "net"
    assert run("guard", "init", str(file)).code == 0
    assert 'source = "models/net.onnx"' in Path("mbanalyze.toml").read_text()
    assert "[models.net]" in Path("mbanalyze.toml").read_text()


def test_files_complete(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Completion offers the model files of the current folder beside the architectures."""
    monkeypatch.chdir(file.parent)

    assert complete_model("ne") == ["net.onnx"]

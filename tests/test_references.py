"""References that name no model: the error says what was meant, and what the files and packages at hand have."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import Run
from witness import timm, torchvision

from mbanalyze import count
from mbanalyze.sources.definitions import factories, module_file, packages_with, split_factory
from mbanalyze.sources.references import SourceError

SOURCE = """
from __future__ import annotations
import torch
from torch import nn
from torch.nn import Module, functional

class Net(nn.Module): ...
class Wider(Net): ...
class Bare(Module): ...
class Settings: ...
class _Hidden(nn.Module): ...
def annotated(width=8) -> nn.Module: raise NotImplementedError
def quoted() -> "Net": raise NotImplementedError
def built(): return Net()
def named():
    net = torch.nn.Sequential(nn.ReLU())
    return net
def nested(): return built()
def number() -> int: return 3
def activated(x): return nn.functional.relu(x)
def helper(): return Settings()
model = Wider()
typed: nn.Module = nn.ReLU()
size = 3
raise SystemExit("a reader must not run the file")
"""
MODELS = ["Net", "Wider", "Bare", "annotated", "quoted", "built", "named", "nested", "model", "typed"]


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("net.py:build", ("net.py", "build")),
        ("net.py", ("net.py", "")),
        ("net.py:", ("net.py", "")),
        ("package.module", ("package.module", "")),
        ("package.module:Net.make", ("package.module", "Net.make")),
        (r"C:\x\net.py:build", (r"C:\x\net.py", "build")),
        (r"C:\x\net.py", (r"C:\x\net.py", "")),
        ("C:/x/net.py:build", ("C:/x/net.py", "build")),
        (r"\\host\share\net.py:build", (r"\\host\share\net.py", "build")),
        ("resnet34", ("resnet34", "")),
    ],
)
def test_a_reference_is_a_place_and_a_factory(reference: str, parts: tuple[str, str]) -> None:
    """The last colon separates the factory, and a drive's colon does not."""
    assert parts == split_factory(reference)


def test_models_are_read_without_running_the_file(tmp_path: Path) -> None:
    """Classes, functions and instances of `torch.nn` are found in order; hidden names and other values are not."""
    file = tmp_path / "net.py"
    file.write_text(SOURCE)

    assert factories(file) == MODELS


@pytest.mark.parametrize("text", ["def x(:", "\0", "", "x = 1"])
def test_files_without_models(tmp_path: Path, text: str) -> None:
    """A file that is no Python or defines no module has no factories."""
    file = tmp_path / "net.py"
    file.write_text(text)

    assert factories(file) == factories(tmp_path / "absent.py") == factories(tmp_path) == []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a file, a package and a folder."""
    (tmp_path / "net.py").write_text(SOURCE)
    (tmp_path / "one.py").write_text("from torch import nn\nclass Only(nn.Module): ...\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "__init__.py").write_text("from own.nets import make\n")
    (tmp_path / "own" / "nets.py").write_text("from torch import nn\ndef make(): return nn.ReLU()\n")
    (tmp_path / "resnets").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


LISTED = (
    "net.py:Net, net.py:Wider, net.py:Bare, net.py:annotated, net.py:quoted, net.py:built, net.py:named, "
)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("net.py", f"that makes the model: {LISTED}net.py:nested and 2 more\n"),
        ("net.py:", f"that makes the model: {LISTED}net.py:nested and 2 more\n"),
        (
            "net.py@width=3",
            f"net.py is a Python file: name the function or class in it that makes the model: {LISTED}",
        ),
        ("./one.py", "that makes the model: ./one.py:Only\n"),
        ("one", "one is a Python module: name the function or class in it that makes the model: one:Only\n"),
        (
            "own.nets",
            "own.nets is a Python module: name the function or class in it that makes the model: own.nets:make\n",
        ),
        ("own", "that makes the model, such as own:build\n"),
        ("empty.py", "that makes the model, such as empty.py:build\n"),
        ("absent.py", "there is no file absent.py\n"),
        (r"C:\x\absent.py", r"there is no file C:\x\absent.py"),
        (r"C:\x\absent.py:build", r"there is no file C:\x\absent.py"),
        ("one.py:Onyl", "one.py has no 'Onyl': it has Only\n"),
        ("one.Only", "one.Only is not a module: for the function or class Only of one write one:Only\n"),
        ("own.nets.make", "write own.nets:make\n"),
        ("one.py::Only", "malformed reference 'one.py::Only': write one.py:Only\n"),
        ("one.py:Only.make", "one.py has no 'Only.make': it has Only\n"),
        ("own:maek", "own has no 'maek': it has make\n"),
        ("own.nets:build", "own.nets has no 'build': it has make\n"),
        ("empty.py:build", "empty.py has no 'build'\n"),
        ("sys:build", "sys has no 'build'"),
        ("resnets", "unknown model 'resnets': nearest are resnet"),
        (
            "own.absent",
            "own.absent is not a module: for the function or class absent of own write own:absent\n",
        ),
        ("json", "unknown model 'json': known are mobilenet_v1, "),
        ("timm", "timm is a package: name a model in it, as in timm:NAME\n"),
        ("torchvision:", "torchvision is a package: name a model in it, as in torchvision:NAME\n"),
        ("resnet34", "resnet34 is not known in closed form: try torchvision:resnet34 or timm:resnet34\n"),
        ("resnet34@num_classes=3", "try torchvision:resnet34 or timm:resnet34\n"),
        ("vit_b_16", "vit_b_16 is not known in closed form: try torchvision:vit_b_16\n"),
        ("quantized_resnet18", "try torchvision:quantized_resnet18\n"),
        ("resnet34.a1_in1k", "try timm:resnet34.a1_in1k\n"),
        ("resnet35", "unknown model 'resnet35': nearest are resnet"),
        ("(", "unknown model '(': known are mobilenet_v1, "),
    ],
)
def test_references_that_name_no_model(folder: Path, run: Run, reference: str, message: str) -> None:
    """The message says what is missing, and lists what there is; it claims nothing else."""
    ran = run("report", reference, "--input", "1,3,8,8")

    assert ran.code == 2
    assert message in ran.err
    with pytest.raises(SourceError):
        count(reference, (1, 3, 8, 8))
    assert folder.exists()


def test_packages_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No package is named that cannot be found."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    assert packages_with("resnet34") == []
    with pytest.raises(SourceError, match="unknown model 'resnet34': nearest are resnet50"):
        count("resnet34")


@pytest.mark.slow
def test_registered_models_are_found_by_reading() -> None:
    """A name is found if and only if the package's own list has it; aliases aside, for a sample of names."""
    names = {"torchvision": torchvision().models.list_models(), "timm": timm().list_models()}
    every = sorted({*names["torchvision"], *names["timm"]})

    for name in [*every[::40], "efficientnet_b0", "swin_t", "resnet", "main", "build_model"]:
        assert packages_with(name) == [package for package in names if name in names[package]]


def test_modules_are_found_without_importing_their_packages(folder: Path) -> None:
    """A package is not run to find a module in it."""
    (folder / "own" / "__init__.py").write_text("raise SystemExit\n")

    assert module_file("own.nets") == folder / "own" / "nets.py"
    assert [module_file(name) for name in ("own.absent", "resnets", "json", "", "a..b", "\0")] == [None] * 6

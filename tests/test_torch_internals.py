"""The private names of PyTorch are in one file, and an unsupported PyTorch is one line."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

import mbanalyze
from mbanalyze.trace import torch_internals
from mbanalyze.trace.torch_internals import UnsupportedTorchError, require_version

PACKAGE = Path(mbanalyze.__file__).parent
FILE = PACKAGE / "trace" / "torch_internals.py"
PYTHON = frozenset({"_asdict", "_exit", "_fields", "_getframe", "_make", "_replace"})
"""Names of Python that start with an underscore."""

NOTEBOOK = re.compile("_repr_.*_")
COMPILER = frozenset({"sources/deferred_compiler.py", "crosscheck/counter_jobs.py"})
"""Files that name the compiler to import it late, and must not import torch."""


def private(name: str) -> bool:
    """Return True for a name with an underscore that is not Python's."""
    return name.startswith("_") and not name.endswith("__") and name not in PYTHON


def of_torch(text: str) -> bool:
    """Return True for a private path in torch, or the name of private state of modules and tensors."""
    if re.fullmatch(r"torch(\.\w+)*\._\w+(\.\w+)*", text):
        return True
    state = (nn.Module(), torch.Tensor, torch.cuda)
    held = private(text) and any(hasattr(each, text) for each in state)
    return held and not hasattr(torch.ops.aten, text)  # the name of an operator


def private_names(tree: ast.AST) -> Iterator[str]:
    """Yield the private names of torch in a file: imports, attributes and texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            paths = [f"{node.module}.{each.name}" for each in node.names]
            yield from (path for path in paths if any(map(private, path.split("."))))
        elif isinstance(node, ast.Import):
            paths = [each.name for each in node.names if each.name.startswith("torch.")]
            yield from (path for path in paths if any(map(private, path.split("."))))
        elif isinstance(node, ast.Attribute) and private(node.attr) and not NOTEBOOK.fullmatch(node.attr):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            yield from () if own else [ast.unparse(node)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and of_torch(node.value):
            yield node.value


def test_private_names_are_in_one_file() -> None:
    """No other file of the package has a private name of torch, except two that name the compiler."""
    found = {
        (str(path.relative_to(PACKAGE)), name)
        for path in PACKAGE.rglob("*.py")
        if path != FILE
        for name in private_names(ast.parse(path.read_text(encoding="utf-8")))
    }

    assert found == {(file, torch_internals.COMPILER) for file in COMPILER}


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("from torch._C import TensorBase", "torch._C.TensorBase"),
        ("from torch.utils._pytree import tree_map", "torch.utils._pytree.tree_map"),
        ("from torch.overrides import _len", "torch.overrides._len"),
        ("import torch._dynamo", "torch._dynamo"),
        ("storage._cdata", "storage._cdata"),
        ("torch.cuda._sleep(1)", "torch.cuda._sleep"),
        ("vars(module)['_buffers']", "_buffers"),
        ("sys.modules['torch._dynamo.eval_frame']", "torch._dynamo.eval_frame"),
    ],
)
def test_the_test_above_can_fail(code: str, name: str) -> None:
    """Each way to write a private name is found."""
    assert list(private_names(ast.parse(code))) == [name]


@pytest.mark.parametrize(
    "code", ["self._cdata", "torch.nn.Module", "from torch import nn", "os._exit(0)", "'_softmax'", "'torch'"]
)
def test_other_names_are_allowed(code: str) -> None:
    """Public names, a file's own names, and operators are no private names of torch."""
    assert list(private_names(ast.parse(code))) == []


def test_each_import_says_what_it_is() -> None:
    """Each imported name has a comment on its line."""
    source = FILE.read_text(encoding="utf-8")
    lines = source.splitlines()
    guarded = next(node for node in ast.parse(source).body if isinstance(node, ast.Try))
    imported = [each for node in guarded.body if isinstance(node, ast.ImportFrom) for each in node.names]

    assert len(imported) > 30
    assert [each.name for each in imported if "  # " not in lines[each.lineno - 1]] == []


@pytest.mark.parametrize("version", ["2.5.1", "2.5.1+cu124", "1.13.0", "2.5.0a0+git123"])
def test_an_old_release_is_refused(version: str) -> None:
    """A release before the oldest one is named in one line, without its build."""
    plain = version.partition("+")[0]
    with pytest.raises(UnsupportedTorchError) as caught:
        require_version(version)

    assert str(caught.value) == f"mbanalyze needs torch 2.6 or newer (found {plain})"


@pytest.mark.parametrize("version", ["2.6.0", "2.6.0a0+git123", "2.14.1+cpu", "3.0"])
def test_a_newer_release_is_not_refused(version: str) -> None:
    """The oldest release and all newer ones are tried."""
    require_version(version)


def test_the_oldest_release_is_that_of_the_package() -> None:
    """`pyproject.toml` asks for the release that the message names."""
    lines = (PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    major, minor = torch_internals.OLDEST

    assert f'    "torch>={major}.{minor}",' in lines


def loaded_again() -> ModuleType:
    """Run the file once more, as a module of another name."""
    spec = importlib.util.spec_from_file_location("mbanalyze.trace.once_more", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (torch._C, "_len_torch_dispatch_stack"),
        (torch.utils._pytree, "tree_leaves"),
        (torch._ops.OpOverload, "_can_decompose"),
    ],
)
def test_a_missing_name_is_one_line(owner: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a required name, the error says which one, and the releases that have it."""
    monkeypatch.delattr(owner, name)
    with pytest.raises(
        RuntimeError, match=f"lacks a name that mbanalyze needs .*{name}.*: install torch 2.6 to"
    ):
        loaded_again()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (torch._C, "_get_fp32_precision_getter"),
        (torch._C, "_only_lift_cpu_tensors"),
        (torch._C, "_get_flash_sdp_enabled"),
        (torch, "_tensor_str"),
        (torch, "_GLOBAL_DEVICE_CONTEXT"),
    ],
)
def test_an_optional_name_may_be_missing(owner: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an optional name, there is no setting to restore."""
    monkeypatch.delattr(owner, name, raising=False)
    module = loaded_again()

    assert module.lift_only_cpu() == [] or name != "_only_lift_cpu_tensors"
    assert module.attention_flag("flash") == [] or name != "_get_flash_sdp_enabled"
    assert module.print_options() == {} or name != "_tensor_str"
    assert module.default_device() == {} or name != "_GLOBAL_DEVICE_CONTEXT"
    assert all(len(setting) == 2 for setting in module.precisions())


@pytest.mark.slow
def test_the_command_line_refuses_an_old_release() -> None:
    """A command that traces ends with one line and exit code 2."""
    code = """
import sys, torch
torch.__version__ = "2.5.1"
from mbanalyze import cli
sys.argv = ["mbanalyze", "report", "torch.nn:Identity", "--input", "1,3"]
cli.main()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "mbanalyze: error: mbanalyze needs torch 2.6 or newer (found 2.5.1)\n"

"""Counting models of torchvision and timm, which does not import PyTorch's compiler, and leaves it usable."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mbanalyze.sources.deferred_compiler import REPLACED, compiler_deferred, disable_compiler
from mbanalyze.trace.surroundings import compiler_import
from mbanalyze.trace.surroundings.compiler_import import import_unrecorded

Ran = Callable[[str], str]

TESTS = Path(__file__).parent
FACTORY = "import torchvision\n\ndef build():\n    return torchvision.models.squeezenet1_1()\n"
COUNT = """
import sys, warnings
warnings.simplefilter("ignore")
from witness import torchvision_operators
torchvision_operators()
import mbanalyze
finders = list(sys.meta_path)
assert mbanalyze.count({model!r}, *{inputs}).complete
loaded = [name for name in ("torch._dynamo", "torch._inductor") if name in sys.modules]
assert loaded == [], loaded
assert sys.meta_path == finders
"""
USE = """
import torch
from importlib import import_module
used = import_module("torchvision.ops.roi_align").is_compile_supported
import torch._dynamo.utils
assert used("cpu") == torch._dynamo.utils.is_compile_supported("cpu")
assert torch.equal(torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2)), torch.full((2,), 2.0))
"""


SERVE = """
import json, os, sys, traceback
import mbanalyze, torch, witness
witness.torchvision_loads()
for line in sys.stdin:
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.dup2(writer, 2)
        try:
            exec(json.loads(line), {})
        except BaseException:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(0)
    os.close(writer)
    with open(reader) as said:
        print(json.dumps(said.read()), flush=True)
"""
"""Run each line of stdin in a copy of this process, which has imported PyTorch alone, and print what it says."""


@pytest.fixture(scope="module")
def ran() -> Iterator[Ran]:
    """Return what an interpreter prints on stderr that has imported PyTorch but neither its compiler nor packages."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TESTS
    ) as server:
        stdin, stdout = server.stdin, server.stdout
        assert stdin
        assert stdout

        def ran(code: str) -> str:
            print(json.dumps(code), file=stdin, flush=True)
            return str(json.loads(stdout.readline()))

        yield ran
        stdin.close()


@pytest.mark.parametrize(
    "model", ["torchvision:squeezenet1_1", "timm:naflexvit_base_patch16_gap", "FILE:build"]
)
def test_the_compiler_is_not_imported(model: str, tmp_path: Path, ran: Ran) -> None:
    """A count of a model of a package, or of a file that imports one, leaves the compiler out, and usable."""
    file = tmp_path / "net.py"
    file.write_text(FACTORY, encoding="utf-8")
    inputs = [(1, 3, 64, 64)] if model.startswith("FILE") else []
    code = COUNT.format(model=model.replace("FILE", str(file)), inputs=inputs) + USE

    assert ran(code) == ""


def test_a_compiler_that_is_imported_is_used(ran: Ran) -> None:
    """If the compiler is imported first, the packages are imported unchanged."""
    code = """
import sys, warnings
warnings.simplefilter("ignore")
from witness import torchvision_operators
torchvision_operators()
import torch._dynamo.utils
from mbanalyze.sources.references import import_package
import_package("timm")
assert sys.modules["torchvision.ops.roi_align"].is_compile_supported is torch._dynamo.utils.is_compile_supported
assert sys.modules["timm.layers.typing"].disable_compiler is torch.compiler.disable
"""
    assert ran(code) == ""


@pytest.mark.parametrize("name", REPLACED)
def test_the_packages_have_the_line(name: str) -> None:
    """Each module has the line that is replaced, once."""
    folder, *parts = name.split(".")
    found = importlib.util.find_spec(folder)
    assert found is not None
    assert found.origin is not None
    source = Path(found.origin).parent.joinpath(*parts).with_suffix(".py").read_text(encoding="utf-8")
    line, _ = REPLACED[name]

    assert source.splitlines().count(line) == 1


def test_the_compiler_itself_is_never_replaced(ran: Ran) -> None:
    """While the packages are imported, an import of the compiler gives the compiler."""
    code = """
from mbanalyze.sources.deferred_compiler import compiler_deferred
with compiler_deferred():
    import torch._dynamo
assert torch._dynamo.optimize.__module__ == "torch._dynamo.eval_frame"
"""
    assert ran(code) == ""


def test_the_finder_leaves_after_an_error() -> None:
    """The search for modules is as before after a failed import."""
    before = list(sys.meta_path)
    with pytest.raises(ModuleNotFoundError), compiler_deferred():
        importlib.import_module("no_such_module")

    assert sys.meta_path == before


@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0")
@pytest.mark.parametrize("disable", [torch.compiler.disable, disable_compiler])
def test_a_method_stays_out_of_compiled_code(disable: type) -> None:
    """A method with the stand-in of `torch.compiler.disable` splits a compiled graph, as the original does."""
    graphs = []

    class Net(nn.Module):
        """A module with a method that is not compiled."""

        @disable
        def hidden(self, x: Tensor) -> Tensor:
            """Return the sine."""
            return torch.sin(x)

        def forward(self, x: Tensor) -> Tensor:
            """Use the method between two operators."""
            return torch.relu(self.hidden(x * 2))

    def backend(graph: torch.fx.GraphModule, _: list[Tensor]) -> object:
        graphs.append([node.name for node in graph.graph.nodes if node.op == "call_function"])
        return graph.forward

    compiled = torch.compile(Net(), backend=backend)

    assert torch.equal(torch.relu(torch.sin(torch.ones(2) * 2)), compiled(torch.ones(2)))
    assert graphs == [["mul"], ["relu"]]


@pytest.mark.parametrize("disable", [torch.compiler.disable, disable_compiler])
def test_every_form_of_the_decorator(disable: Any) -> None:
    """The stand-in takes the arguments of `torch.compiler.disable`, as a function and as a decorator."""

    def double(x: int) -> int:
        """Double a number."""
        return 2 * x

    forms = [
        disable(double),
        disable(double, recursive=False),
        disable()(double),
        disable(recursive=False)(double),
    ]

    assert [form(3) for form in forms] == [6] * 4


class Seen(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operators."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count one."""
        self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("context", "seen"), [(import_unrecorded, 0), (nullcontext, 1)])
def test_an_import_of_the_compiler_during_a_trace(
    context: Any, seen: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operators that run at the import of the compiler are not recorded; without the context they are."""
    (tmp_path / "the_compiler.py").write_text("import torch\ntorch.ones(1).neg_()\n", encoding="utf-8")
    monkeypatch.setattr(compiler_import, "COMPILER", "the_compiler")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "the_compiler", raising=False)
    before = list(sys.meta_path)
    with Seen() as mode, context():  # type: ignore[no-untyped-call]
        importlib.import_module("the_compiler")

    assert min(mode.count, 1) == seen
    assert sys.meta_path == before

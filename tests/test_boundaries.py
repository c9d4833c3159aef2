"""Heavy packages that each command leaves unloaded, and the public names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import mbanalyze

_Feature = type(annotations)

HEAVY = ("torch", "pandas", "matplotlib", "fvcore", "ipywidgets", "itables", "jinja2", "plotly")
LOADED = f"import sys; print([name for name in {HEAVY} if name in sys.modules])"


def heavy_modules(code: str) -> str:
    """Return the heavy packages that a fresh interpreter has loaded after `code`."""
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{LOADED}"], capture_output=True, text=True, check=True
    )
    return ran.stdout.splitlines()[-1]


FORMATS = ("table", "markdown", "csv", "json")
COMMAND = """
import sys
from mbanalyze import cli
sys.argv = ["mbanalyze", *{arguments}]
try:
    cli.main()
except SystemExit as left:
    assert left.code == 0
"""


@pytest.mark.parametrize(
    "code",
    [
        "import mbanalyze",
        "import mbanalyze; mbanalyze.count('mobilenet_v2').to('table')",
        *(COMMAND.format(arguments=["report", "mobilenet_v2", "--format", format]) for format in FORMATS),
        *(COMMAND.format(arguments=["published", "vgg16", "--format", format]) for format in FORMATS),
        COMMAND.format(arguments=["guidelines"]),
        COMMAND.format(arguments=["guidelines", "mobilenet_v2"]),
    ],
)
def test_a_closed_form_needs_no_torch(code: str) -> None:
    """Importing the package and reporting in closed form load none of the heavy packages."""
    assert heavy_modules(code) == "[]"


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--help"], {}),
        (["search", "--help"], {}),
        (
            [],
            {"_MBANALYZE_COMPLETE": "complete_bash", "COMP_WORDS": "mbanalyze search mob", "COMP_CWORD": "2"},
        ),
        ([], {"_MBANALYZE_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "mbanalyze report mob"}),
    ],
)
def test_help_and_completion_load_no_numpy(arguments: list[str], environment: dict[str, str]) -> None:
    """Help and completion start without NumPy, and a command line without the modules of other commands."""
    code = f"""
import os, sys
os.environ.update({environment})
{COMMAND.format(arguments=arguments)}
others = ["mbanalyze.cli.guard", "mbanalyze.guard"] if sys.argv[1:] != ["--help"] else []
print([name for name in ("numpy", "torch", "pandas", *others) if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.splitlines()[-1] == "[]"


def test_a_page_loads_what_makes_it_alone() -> None:
    """The HTML page loads jinja2 and plotly, but not itables, which would load pandas."""
    command = COMMAND.format(arguments=["report", "mobilenet_v2", "--format", "html", "--output", os.devnull])

    assert heavy_modules(command) == "['jinja2', 'plotly']"


COMPILER = """
import sys, warnings
warnings.simplefilter("ignore")
import mbanalyze
{code}
print([name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules])
"""


@pytest.mark.parametrize(
    "code",
    [
        "for name in mbanalyze.archs.ARCHS: mbanalyze.count(name, trace=True)",
        "import torch; mbanalyze.count(torch.nn.TransformerEncoderLayer(8, 2, 16), (5, 1, 8))",
        "import torch; mbanalyze.count(torch.nn.LSTM(3, 4), (5, 1, 3))",
    ],
)
def test_a_trace_leaves_the_compiler_alone(code: str) -> None:
    """A trace does not import PyTorch's compiler, which takes a second."""
    script = COMPILER.format(code=code)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout == "[]\n"


@pytest.mark.parametrize("heavy", HEAVY)
def test_the_test_above_can_fail(heavy: str) -> None:
    """The check of loaded packages reports a package that is loaded."""
    assert f"'{heavy}'" in heavy_modules(f"import {heavy}")


def test_the_public_surface_is_a_list() -> None:
    """`__all__` is sorted, and has every public name that is not a submodule by accident."""
    loaded = vars(mbanalyze).items()
    names = {name for name, value in loaded if not isinstance(value, ModuleType | _Feature)}
    public = {
        name for name in names if not name.startswith("_") and name not in ("TYPE_CHECKING", "import_module")
    }
    later = {"ablate", "check", "compare", "count", "explore", "guidelines", "published", "search"}
    later |= {"Cost", "Op", "Report", "Shape", "Value", "formula"}

    assert mbanalyze.__all__ == sorted(public | later | {"archs", "guard", "layers", "__version__"})
    assert dir(mbanalyze) == sorted([*mbanalyze.__all__, "plots"])  # a star import loads no matplotlib
    assert all(callable(getattr(mbanalyze, name)) for name in later)
    assert isinstance(mbanalyze.plots, ModuleType)
    with pytest.raises(AttributeError, match="no attribute 'ablated'"):
        mbanalyze.ablated  # noqa: B018 (asking is the test)


@pytest.mark.parametrize("module", [mbanalyze.layers, mbanalyze.plots], ids=lambda module: module.__name__)
def test_completion_offers_the_public_names(module: ModuleType) -> None:
    """`dir` of a public module has its `__all__`, without what it imports."""
    assert dir(module) == module.__all__ == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


SOURCES = sorted(Path(mbanalyze.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_name_says_mac(path: Path) -> None:
    """No name uses the abbreviation that means multiply-accumulate in one paper and memory access cost in another."""
    assert not {"mac", "MAC"} & set(re.findall("[A-Za-z]+", path.read_text()))

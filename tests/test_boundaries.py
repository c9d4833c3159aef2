"""Heavy packages that each command leaves unloaded, and the public names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
from onnx import helper
from onnx_graphs import model, saved
from packaging.version import Version

import mbanalyze

_Feature = type(annotations)

HEAVY = ("torch", "pandas", "matplotlib", "fvcore", "ipywidgets", "itables", "jinja2", "plotly")
COMPILER = ("torch._dynamo", "torch._inductor")
SYMPY = ("sympy",) if Version(version("torch")) >= Version("2.8") else ()
"""PyTorch 2.6 and 2.7 import sympy to check a size."""


def loaded(*codes: str, names: tuple[str, ...] = HEAVY) -> list[str]:
    """Return the packages that a fresh interpreter has loaded after each of some codes, one after the other."""
    show = f"import sys; print('loaded', [name for name in {names} if name in sys.modules])"
    script = "\n".join(f"{code}\n{show}" for code in codes)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return re.findall("^loaded (.*)", ran.stdout, re.MULTILINE)


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


def test_a_closed_form_needs_no_torch() -> None:
    """Importing the package and reports, grids and searches in closed form load none of the heavy packages."""
    commands = (
        *(["report", "mobilenet_v2", "--format", format] for format in FORMATS),
        *(["published", "vgg16", "--format", format] for format in FORMATS),
        *(["ablate", "vgg16", "--format", format] for format in FORMATS),
        *(["search", "mobilenet_v1", "--format", format] for format in FORMATS),
        ["search", "all", "--max-macs", "300M"],
        ["guidelines"],
        ["guidelines", "mobilenet_v2"],
        ["memory", "mobilenet_v2", "--account", "deployed"],
        ["predict", "mobilenet_v2", "--profile", "tests/data/time_profile.json"],
        ["predict", "mobilenet_v2", "--device", "h100", "--execution", "fused"],
    )
    codes = (
        "import mbanalyze",
        "mbanalyze.count('mobilenet_v2').to('table')",
        *(COMMAND.format(arguments=arguments) for arguments in commands),
    )

    assert loaded(*codes) == ["[]"] * 24


def test_a_graph_needs_no_torch(tmp_path: Path) -> None:
    """A report of a file of ONNX loads none of the heavy packages."""
    relu = helper.make_node("Relu", ["x"], ["y"])
    file = saved(tmp_path, model([relu]))

    assert loaded(COMMAND.format(arguments=["report", file])) == ["[]"]


def test_a_report_without_training_needs_no_rules() -> None:
    """The rules of training are loaded by the first report with a training step."""
    codes = (
        COMMAND.format(arguments=["report", "vgg16"]),
        COMMAND.format(arguments=["report", "vgg16", "--train"]),
    )
    rules = ("mbanalyze.training_cost.backward_cost", "mbanalyze.training_cost.saved_bytes")

    assert loaded(*codes, names=rules) == ["[]", str([*rules])]


def test_a_plain_report_loads_no_rules_of_other_counters() -> None:
    """A report under our convention leaves the rules of the others on disk, and one under another loads them."""
    rules = ("mbanalyze.conventions.convention", "mbanalyze.conventions.known", "mbanalyze.ops.calls")
    command = ["report", "alexnet", "--by", "kind"]
    other = [*command, "--convention", "paper"]
    codes = (COMMAND.format(arguments=command), COMMAND.format(arguments=other))

    assert loaded(*codes, names=rules) == ["[]", str([*rules])]


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


COLLECTOR = """
import atexit, gc
default = gc.get_threshold()
atexit.register(lambda: print(gc.get_threshold() == default, gc.get_threshold()[0], gc.get_freeze_count() > 0))
{code}
"""


def collector(code: str) -> list[str]:
    """Return the state of the garbage collector after `code`: default or not, threshold, objects left out."""
    command = [sys.executable, "-c", COLLECTOR.format(code=code)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return ran.stdout.splitlines()[-1].split()


def test_a_command_spends_little_on_garbage() -> None:
    """A command searches for cycles less often than by default, and not at all when it exits."""
    assert collector(COMMAND.format(arguments=["models"])) == ["False", "20000", "True"]


@pytest.mark.parametrize(
    "code",
    [
        "mbanalyze.count('alexnet')",
        "mbanalyze.published('alexnet')",
        "mbanalyze.count('alexnet', trace=True)",
    ],
)
def test_the_library_leaves_the_collector_alone(code: str) -> None:
    """The settings of the garbage collector are those of the program that calls this package."""
    default, _, left_out = collector(f"import mbanalyze\n{code}")

    assert (default, left_out) == ("True", "False")


def test_a_page_loads_what_makes_it_alone() -> None:
    """The HTML page loads jinja2 and plotly, but not itables, which would load pandas."""
    command = COMMAND.format(arguments=["report", "mobilenet_v2", "--format", "html", "--output", os.devnull])

    assert loaded(command) == ["['jinja2', 'plotly']"]


def test_a_trace_leaves_the_compiler_alone() -> None:
    """A trace does not import PyTorch's compiler, which takes a second."""
    codes = (
        "import warnings, mbanalyze; warnings.simplefilter('ignore')",
        "for name in mbanalyze.archs.ARCHS: mbanalyze.count(name, trace=True)",
        "import torch; mbanalyze.count(torch.nn.TransformerEncoderLayer(8, 2, 16), (5, 1, 8))",
        "mbanalyze.count(torch.nn.LSTM(3, 4), (5, 1, 3))",
    )

    assert loaded(*codes, names=(*COMPILER, *SYMPY)) == ["[]"] * 4


@pytest.mark.parametrize("heavy", HEAVY)
def test_the_tests_above_can_fail(heavy: str) -> None:
    """The check of loaded packages reports a package that is loaded."""
    assert f"'{heavy}'" in loaded(f"import {heavy}")[0]


def test_the_public_surface_is_a_list() -> None:
    """`__all__` is sorted, and has every public name that is not a submodule by accident."""
    loaded = vars(mbanalyze).items()
    names = {name for name, value in loaded if not isinstance(value, ModuleType | _Feature)}
    public = {
        name for name in names if not name.startswith("_") and name not in ("TYPE_CHECKING", "import_module")
    }
    later = {"ablate", "check", "compare", "count", "explore", "guidelines", "published", "search"}
    later |= {
        "calibrate",
        "evaluate",
        "explain",
        "fit",
        "measure",
        "memory",
        "predict",
        "search_space",
        "train",
        "tune_space",
        "TrainingPlan",
        "Cost",
        "Op",
        "Report",
        "Shape",
        "Value",
        "formula",
    }

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
    assert not {"mac", "MAC"} & set(re.findall("[A-Za-z]+", path.read_text(encoding="utf-8")))

"""The notebooks run from top to bottom and are committed without outputs."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from pages import keys, pages
from warm import warm_python

FOLDER = Path(__file__).parent.parent / "notebooks"
NAMES = (
    *("01_one_layer", "02_a_network", "03_alpha_and_rho"),
    *("04_memory_access", "05_checking_ourselves", "06_choosing_a_model"),
    *("07_accuracy", "08_time", "09_netadapt"),
)
OTHERS = {
    *("copy", "fractions", "itertools", "os", "pathlib", "tempfile"),
    *("matplotlib", "numpy", "pandas", "torch", "torch_pruning"),
}
"""The packages that notebooks may import besides `mbanalyze`."""
LONGEST = 12
"""The most lines of a function in a notebook."""


def read(name: str) -> Any:
    """Return a valid notebook."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def execute(notebook: Any, folder: Path) -> list[Any]:
    """Run a notebook in a folder and return its code cells with their outputs."""
    resources = {"metadata": {"path": str(folder)}}
    manager = AsyncKernelManager(kernel_name="python3")
    assert manager.kernel_spec
    manager.kernel_spec.argv[0] = warm_python()
    NotebookClient(notebook, km=manager, timeout=300, resources=resources).execute(cleanup_kc=True)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def code(name: str) -> ast.Module:
    """Return the parsed code of a notebook, without its magics."""
    cells = [cell.source for cell in read(name).cells if cell.cell_type == "code"]
    lines = "\n".join(cells).splitlines()
    return ast.parse("\n".join(line for line in lines if not line.startswith("%")))


def test_there_are_notebooks() -> None:
    """The tests below read every notebook of the folder, and the documentation lists each."""
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == list(NAMES)
    assert {f"notebooks/{name}.ipynb" for name in NAMES} == keys("notebooks.md", "# In notebooks")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name: str, tmp_path: Path) -> None:
    """No cell raises or warns, at least one shows HTML, and no file remains."""
    cells = execute(read(name), tmp_path)
    outputs = [output for cell in cells for output in cell.outputs]

    assert [output for output in outputs if output.get("name") == "stderr"] == []
    assert all(cell.execution_count for cell in cells)
    assert any("text/html" in output.get("data", {}) for output in outputs)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_cell_that_raises_fails(tmp_path: Path) -> None:
    """A failing assertion in a cell raises CellExecutionError."""
    wrong = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("assert 1 + 1 == 3")])

    with pytest.raises(CellExecutionError, match="AssertionError"):
        execute(wrong, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_committed_without_outputs(name: str) -> None:
    """A notebook has no outputs, execution counts, widget states or cell metadata."""
    notebook = read(name)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]

    assert [cell.outputs for cell in cells] == [[]] * len(cells)
    assert {cell.execution_count for cell in cells} == {None}
    assert [cell.metadata for cell in notebook.cells] == [{}] * len(notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_imports_what_it_shows(name: str) -> None:
    """A notebook imports mbanalyze and a few known packages, and its functions are short."""
    tree = code(name)
    roots = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    lengths = [
        (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
    ]

    assert "mbanalyze" in roots
    assert roots - OTHERS == {"mbanalyze"}
    assert all(length <= LONGEST for length in lengths)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_opens_with_its_question(name: str) -> None:
    """The question is in bold below the title, and equals the one in the documentation."""
    title, _, question, *_ = read(name).cells[0].source.splitlines()

    assert title.startswith("# ")
    assert (question[:2], question[-3:]) == ("**", "?**")
    assert f"| `notebooks/{name}.ipynb` | {question.strip('*')} |" in pages()["notebooks.md"]

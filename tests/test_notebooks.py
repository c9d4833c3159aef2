"""The notebooks run from top to bottom, and are committed without what that leaves."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from test_docs import PAGES

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
OTHERS = {"fractions", "itertools", "matplotlib", "numpy", "os", "pandas", "pathlib", "tempfile", "torch"}
"""What notebooks import besides `mbanalyze`."""
LONGEST = 12
"""Lines of a function that a notebook may define."""


def read(path: Path) -> Any:
    """A notebook as nbformat has it, once it is valid."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def execute(notebook: Any, folder: Path) -> list[Any]:
    """Run a notebook in `folder`, in a kernel of its own; its code cells, with their outputs."""
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def code(path: Path) -> ast.Module:
    """The code of a notebook, without its magics."""
    cells = [cell.source for cell in read(path).cells if cell.cell_type == "code"]
    lines = "\n".join(cells).splitlines()
    return ast.parse("\n".join(line for line in lines if not line.startswith("%")))


def test_there_are_notebooks() -> None:
    """The tests below have something to run, in the order in which they are read."""
    assert [path.stem for path in NOTEBOOKS] == [
        "01_one_layer",
        "02_a_network",
        "03_alpha_and_rho",
        "04_memory_access",
        "05_checking_ourselves",
        "06_choosing_a_model",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    """No cell raises or warns, something is shown, and no file is left."""
    cells = execute(read(path), tmp_path)
    outputs = [output for cell in cells for output in cell.outputs]

    assert [output for output in outputs if output.get("name") == "stderr"] == []
    assert all(cell.execution_count for cell in cells)
    assert any("text/html" in output.get("data", {}) for output in outputs)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_cell_that_raises_fails(tmp_path: Path) -> None:
    """The test above can fail."""
    wrong = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("assert 1 + 1 == 3")])

    with pytest.raises(CellExecutionError, match="AssertionError"):
        execute(wrong, tmp_path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    """Nor with counts of executions, the state of widgets, or settings of whoever ran it."""
    notebook = read(path)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]

    assert [cell.outputs for cell in cells] == [[]] * len(cells)
    assert {cell.execution_count for cell in cells} == {None}
    assert [cell.metadata for cell in notebook.cells] == [{}] * len(notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_what_it_shows(path: Path) -> None:
    """From mbanalyze, and from a few packages besides; its functions are short."""
    tree = code(path)
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


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_opens_with_its_question(path: Path) -> None:
    """In bold under its title; the documentation's table asks the same."""
    title, _, question, *_ = read(path).cells[0].source.splitlines()

    assert title.startswith("# ")
    assert (question[:2], question[-3:]) == ("**", "?**")
    assert f"| `notebooks/{path.name}` | {question.strip('*')} |" in PAGES["notebooks.md"]

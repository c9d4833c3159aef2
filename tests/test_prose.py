"""Prose is plain: no sentence is longer than 25 words, or opens with a question word that asks nothing."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST = 25
OPENING = re.compile(r"(What|That|Whether|How|Where|Why|Which|Who|Whoever|Whatever)\b")
PHRASES = re.compile(
    r"\b(so many|of it\b(?!s)|as it is\b|as they are\b|in its stead|what is to be|has most of)"
)
CODE = re.compile(r"`[^`]*`|\[([^]]*)\]\([^)]*\)|\([\w, ./:-]*\)")
TREE = re.compile(r" *[\w./*][\w./,* ]*\s{2,}\S.*")
"""A line of a tree of files: a name, and words after two spaces."""


def blocks(text: str) -> Iterator[str]:
    """Yield paragraphs, list items and table cells, without code."""
    text = re.sub(r"```.*?```", "\n\n", text, flags=re.DOTALL)
    text = re.sub(r"^ *(>>>|\.\.\.|!!!|\?\?\?|:::|<).*$", "", text, flags=re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n", text):
        lines = [
            line for line in paragraph.splitlines() if not TREE.fullmatch(line) and "\b" not in paragraph
        ]
        for item in re.split(r"\n\s*(?=[-*|#]|\d+\. |[\w`*, .]+: )", "\n".join(lines)):
            yield from item.split("|") if item.strip().startswith("|") else [item]


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text, without the label of an entry such as 'alpha: '."""
    for block in blocks(text):
        words = re.sub(r"^[-*#\d. ]*([\w`*, .()<>=@-]{1,60}?: )?", "", " ".join(block.split()))
        yield from filter(None, re.split(r"(?<=[.!?;:])\s+(?=[A-Z`\"'(\[])", words))


def faults(text: str) -> list[str]:
    """Return the sentences that break a rule."""
    return [
        sentence
        for sentence in sentences(text)
        if (OPENING.match(sentence) and not sentence.rstrip("*").endswith("?"))
        or PHRASES.search(sentence)
        or len(re.findall(r"\S*\w\S*", CODE.sub(r"code \1", sentence))) > LONGEST
    ]


def docstrings(path: Path) -> Iterator[str]:
    """Yield the docstrings of a module and of its attributes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


def cells(path: Path) -> Iterator[str]:
    """Yield the text of a notebook."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            yield "".join(cell["source"])


def texts(folder: str) -> Iterator[tuple[Path, str]]:
    """Yield the prose of a folder or file, each with its file."""
    root = ROOT / folder
    for path in sorted([root] if root.is_file() else root.rglob("*")):
        if path.suffix == ".py":
            yield from ((path, text) for text in docstrings(path))
        elif path.suffix == ".ipynb":
            yield from ((path, text) for text in cells(path))
        elif path.suffix == ".md":
            yield path, path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "folder",
    [
        "mbanalyze",
        "tests",
        "docs",
        "notebooks",
        "benchmarks",
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ],
)
def test_prose_is_plain(folder: str) -> None:
    """Docstrings, pages and notebooks keep the rules of the house."""
    found = [f"{path.relative_to(ROOT)}: {fault}" for path, text in texts(folder) for fault in faults(text)]

    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "Whether a layer is counted.",
        "Args:\n    alpha: How wide the network is.",
        "The number of layers, so many of it.",
        " ".join(["word"] * (LONGEST + 1)),
        "A short sentence. " + " ".join(["word"] * (LONGEST + 1)),
    ],
)
def test_a_fault_is_found(text: str) -> None:
    """A forbidden opening, a forbidden phrase and a long sentence are found, also in an entry."""
    assert faults(text)


def test_code_and_trees_are_no_prose() -> None:
    """Code counts as one word, and a tree of files as nothing."""
    tree = "\n".join(f"    file{i}.py  words about a file, one after another" for i in range(9))

    assert faults(f"Return `{' '.join(['x'] * 40)}`.\n\n{tree}") == []

"""Imports go down, without circles, and heavy packages are imported in few places."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mbanalyze"


def lint_imports(config: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter with a configuration."""
    file = folder / "pyproject.toml"
    file.write_text(config)
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"]
    return subprocess.run(
        [*command, "--config", str(file), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_every_contract_is_kept(tmp_path: Path) -> None:
    """import-linter reports no import that goes up, and none of a heavy package outside its places."""
    ran = lint_imports((ROOT / "pyproject.toml").read_text(), tmp_path)

    assert (ran.returncode, "0 broken" in ran.stdout) == (0, True), ran.stdout


def test_exchanged_floors_break_the_contract(tmp_path: Path) -> None:
    """With two floors exchanged, import-linter reports the imports that go up."""
    config = (ROOT / "pyproject.toml").read_text()
    upper, lower = '    "report",\n', '    "ops",\n'
    exchanged = config.replace(upper, "FLOOR").replace(lower, upper).replace("FLOOR", lower)

    assert exchanged != config
    ran = lint_imports(exchanged, tmp_path)
    assert ran.returncode == 1
    assert "mbanalyze.ops is not allowed to import mbanalyze.peak_memory" not in ran.stdout
    assert "mbanalyze.peak_memory is not allowed to import mbanalyze.ops" in ran.stdout


def test_a_package_without_a_floor_breaks_the_contract(tmp_path: Path) -> None:
    """The list of floors is exhaustive."""
    config = (ROOT / "pyproject.toml").read_text()
    ran = lint_imports(config.replace('    "literature | sources",\n', '    "literature",\n', 1), tmp_path)

    assert ran.returncode == 1
    assert "sources" in ran.stdout


def circles(imports: dict[str, set[str]]) -> list[set[str]]:
    """The sets of modules that import each other, directly or through others."""
    reach = {module: reachable(module, imports) for module in imports}
    found = {frozenset(m for m in reach[module] if module in reach[m]) for module in imports}
    return sorted(map(set, filter(None, found)), key=len, reverse=True)


def reachable(module: str, imports: dict[str, set[str]]) -> set[str]:
    """The modules that a module imports, directly or through others."""
    found: set[str] = set()
    left = [module]
    while left:
        new = imports[left.pop()] - found
        found |= new
        left += new
    return found


def test_no_modules_import_each_other() -> None:
    """There is no circle of imports, function-level and type-only imports included."""
    graph = grimp.build_graph("mbanalyze", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}

    assert circles(imports) == []


def test_a_circle_is_found() -> None:
    """A module that imports one of its importers is in a circle with it."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [{"b", "c"}]


def sources() -> list[Path]:
    """The package's modules."""
    return sorted(PACKAGE.rglob("*.py"))


def are_a_pair(paths: list[Path]) -> bool:
    """True for a network's closed form and its module."""
    return {path.parent.name for path in paths} == {"archs", "models"} and len(paths) == 2


def test_no_file_name_occurs_twice() -> None:
    """Except for `__init__.py`, `view.py`, and the closed form and the module of a network."""
    times = Counter(path.name for path in sources())
    twice = [name for name, n in times.items() if n > 1 and name not in ("__init__.py", "view.py")]

    assert [n for n in twice if not are_a_pair([path for path in sources() if path.name == n])] == []


def test_no_public_class_name_occurs_twice() -> None:
    """Except for the closed form and the module of a network."""
    found: dict[str, list[Path]] = {}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(path)

    assert {name for name, paths in found.items() if len(paths) > 1 and not are_a_pair(paths)} == set()


def test_the_top_level_is_small() -> None:
    """The package has at most 34 entries, and no file has more than 400 lines."""
    entries = [path for path in PACKAGE.iterdir() if path.name != "__pycache__"]

    assert len(entries) <= 34
    assert [path.name for path in sources() if len(path.read_text().splitlines()) > 400] == []


def undescribed(package: Path) -> set[str]:
    """The files and folders of a package that its docstring does not name; networks are named by their list."""
    told = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    names = {path.name for path in package.glob("*.py")} | {
        f"{p.parent.name}/" for p in package.glob("*/__init__.py")
    }
    networks = {path.name for path in (PACKAGE / "models").glob("*.py")} - {"blocks.py"}
    return {name for name in names - networks - {"__init__.py"} if name not in told}


def test_a_package_describes_its_files() -> None:
    """The docstring of each package is a tree of its files."""
    packages = [path.parent for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE]

    assert {p.name: undescribed(p) for p in packages if undescribed(p)} == {}


def test_layers_are_those_of_the_packages() -> None:
    """Each entry of the package is on one floor."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (layers,) = (c for c in config["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    named = [name.strip() for floor in layers["layers"] for name in floor.split("|")]
    entries = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }

    assert sorted(named) == sorted(entries - {"__init__", "__main__"})

"""Change the code that decides numbers, one operator at a time, and report the changes that no test notices.

`python tests/mutants.py [FILE ...]` works on copies of the project in `build/mutants`, with cosmic-ray, on two files
at a time. Each file is tested by the fast tests concerned. The score is the share of noticed changes.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[1]
COPIES = ROOT / "build" / "mutants"
BIN = Path(sys.executable).parent
WORKERS = 2

_FORMULAS = ("formulas", "matchers", "operators", "nonlinearities", "layers", "einsum", "complex", "peers")
_MATCHING = ("matchers", "operators", "operator_list", "complex", "peers", "corners", "trace")
_SHAPES = ("corners", "matchers", "operators", "trace", "unusual_forwards", "field", "trace_shapes")
_STORAGE = (
    "param_memory",
    "storage",
    "trace",
    "corners",
    "unusual_forwards",
    "field",
    "packed_weights",
    "fuzz",
)
_RESTORE = ("restore_parts", "restore", "trace", "unusual_forwards")
_TIMES = ("profiles", "calibration", "predict")
_GUARD = ("guard_limits", "guard_lock", "guard_verdicts", "guard_policy", "guard_diff")

TESTS: dict[str, tuple[str, ...]] = {
    "ops/record.py": ("records", "cost", "formulas", "layers"),
    "ops/cost.py": ("records", "cost", "report"),
    "ops/*formulas.py": _FORMULAS,
    "ops/e*.py": _FORMULAS,
    "model_files/onnx_file/node_matching/*.py": ("onnx_nodes", "onnx_matchers"),
    "trace/matching/*.py": _MATCHING,
    "trace/shapes/*.py": _SHAPES,
    "trace/storage.py": _STORAGE,
    "trace/param_memory.py": _STORAGE,
    "trace/restore/*.py": _RESTORE,
    "profiles/class_fit.py": _TIMES,
    "profiles/data_sheet.py": ("data_sheets",),
    "profiles/operator_class.py": _TIMES,
    "profiles/predicted_time.py": _TIMES,
    "profiles/work.py": _TIMES,
    "timing/fitting_classes.py": ("calibration",),
    "timing/steadiness.py": ("calibration",),
    "guard/limits.py": _GUARD,
    "guard/changes.py": _GUARD,
    "guard/lock.py": ("guard_lock", "guard_verdicts", "guard_cli"),
}
"""Files of the package -> the tests concerned, fastest first."""

PYTEST = "-x -q --tb=no -p no:cacheprovider -p no:xdist"
CONFIG = """
[cosmic-ray]
module-path = {path}
timeout = 300.0
excluded-modules = []
test-command = {command}

[cosmic-ray.distributor]
name = "local"

[cosmic-ray.filters.operators-filter]
exclude-operators = [
    "core/ReplaceBinaryOperator_BitOr_.*", # unions in annotations
    "core/ReplaceBinaryOperator_.*_(BitAnd|BitOr|BitXor|LShift|RShift|Mod|Pow|Div)",
    "core/Replace(Comparison|Unary)Operator_.*_(Is|IsNot|Delete_Not)",
]
"""


class Copy:
    """A copy of the project, whose tests run in processes that a server starts."""

    def __init__(self, number: int) -> None:
        """Copy what the tests need."""
        self.folder = COPIES / str(number)
        self.socket = self.folder / "pytest.socket"
        skipped = shutil.ignore_patterns("__pycache__", "build", "site", ".*")
        shutil.copytree(ROOT, self.folder, ignore=skipped)
        paths = os.pathsep.join([str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        fixed = {"PYTHONPATH": paths, "CI": "1", "OMP_NUM_THREADS": "1"}
        self.environment = {**os.environ, **fixed}  # in CI the tests draw no random numbers
        self.run(sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider")
        self.environment["PYTHONDONTWRITEBYTECODE"] = "1"  # what the call above compiled stays valid

    @contextmanager
    def served(self) -> Iterator[None]:
        """Start the server of the tests."""
        self.socket.unlink(missing_ok=True)  # of the server for the file before
        command = [sys.executable, "tests/pytest_server.py", str(self.socket)]
        with subprocess.Popen(command, cwd=self.folder, env=self.environment) as server:
            while not self.socket.exists() and server.poll() is None:
                time.sleep(0.1)
            try:
                yield
            finally:
                server.kill()

    def run(self, *command: str | Path) -> str:
        """Run a command, and return what it prints."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def try_mutants(self, file: str, tests: tuple[str, ...]) -> str:
        """Try every mutant of a file, and return the report of those that survive."""
        paths = [f"tests/test_{name}.py" for name in tests]
        client = [sys.executable, "-IS", "tests/pytest_server.py", str(self.socket)]
        command = shlex.join([*client, *PYTEST.split(" "), "-m", "not slow", *paths])
        config, session = self.folder / "mutants.toml", self.folder / f"{file.replace('/', '.')}.sqlite"
        settings = {"path": json.dumps(f"mbanalyze/{file}"), "command": json.dumps(command)}
        config.write_text(CONFIG.format(**settings), encoding="utf-8")
        self.run(BIN / "cosmic-ray", "baseline", config.name)  # raises if a test fails without a mutant
        self.run(BIN / "cosmic-ray", "init", config.name, session.name)
        self.run(BIN / "cr-filter-operators", session.name, config.name)
        self.run(BIN / "cosmic-ray", "exec", config.name, session.name)
        report = self.run(BIN / "cr-report", "--show-diff", "--surviving-only", session.name)
        return "\n".join([*filter(_is_change, report.splitlines()), score(session)])


def _is_change(line: str) -> bool:
    """True for a changed line of a diff, and for the line that tells where it is."""
    return bool(re.match(r"[-+](?![-+])|@@", line))


def score(session: Path) -> str:
    """Return how many of the changes that were tried some test noticed."""
    query = "SELECT test_outcome = 'SURVIVED', count(*) FROM work_results WHERE worker_outcome = 'NORMAL' GROUP BY 1"
    with closing(sqlite3.connect(session)) as results:
        outcomes = dict(results.execute(query).fetchall())
    return f"noticed: {outcomes.get(0, 0)} of {sum(outcomes.values())}"


def files_of(patterns: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the files that match some patterns, with their tests; all by default."""
    package = ROOT / "mbanalyze"
    found = {
        path.relative_to(package).as_posix(): tests
        for pattern, tests in TESTS.items()
        for path in sorted(package.glob(pattern))
    }
    chosen = {path.relative_to(package).as_posix() for pattern in patterns for path in package.glob(pattern)}
    return {file: tests for file, tests in found.items() if not patterns or file in chosen}


def main(patterns: list[str]) -> None:
    """Print the survivors and the score of each file."""
    shutil.rmtree(COPIES, ignore_errors=True)
    copies: SimpleQueue[Copy] = SimpleQueue()
    for number in range(WORKERS):
        copies.put(Copy(number))

    def report(file: str, tests: tuple[str, ...]) -> None:
        copy = copies.get()
        try:
            with copy.served():
                found = copy.try_mutants(file, tests)
        finally:
            copies.put(copy)
        print(f"{file}\n{found}", flush=True)

    with ThreadPoolExecutor(WORKERS) as pool:
        for done in [pool.submit(report, file, tests) for file, tests in files_of(patterns).items()]:
            done.result()


if __name__ == "__main__":
    main(sys.argv[1:])

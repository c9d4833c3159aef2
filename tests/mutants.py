"""Change the code that decides numbers, one operator at a time, and report the changes that no test notices.

`python tests/mutants.py [FILE ...]` works on a copy of the project in `build/mutants`, with cosmic-ray. Each file is
tested by the fast tests concerned. The score is the share of noticed changes.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPY = ROOT / "build" / "mutants"
BIN = Path(sys.executable).parent

_RECORDS = ("records", "cost", "formulas", "layers")
_TRACES = ("trace_shapes", "operators", "corners", "peers", "trace")
_GUARD = ("guard_limits", "guard_verdicts", "guard_lock", "guard_policy", "guard_diff")

TESTS: dict[str, tuple[str, ...]] = {
    "ops/record.py": _RECORDS,
    "ops/cost.py": ("records", "cost", "report"),
    "ops/formulas.py": ("formulas", "operators", "nonlinearities", "layers", "peers"),
    **{
        f"trace/matching/{name}.py": ("operators", "peers", "corners", "trace", "fuzz")
        for name in ("windows", "products", "match", "reductions", "kinds", "pointwise", "indexing")
    },
    **{
        f"trace/shapes/{name}.py": _TRACES
        for name in (
            "pooling",
            "contractions",
            "elementwise_shapes",
            "layout",
            "shortcuts",
            "keep_all",
            "movement",
        )
    },
    "trace/storage.py": ("trace", "corners", "operators", "peers", "fuzz"),
    "trace/restore.py": ("trace", "corners", "fuzz"),
    "guard/limits.py": _GUARD,
    "guard/changes.py": _GUARD,
    "guard/lock.py": ("guard_lock", "guard_verdicts", "guard_cli"),
}
"""File of the package -> the tests concerned, fastest first."""

PYTEST = "-m pytest -x -q --tb=no -p no:cacheprovider"
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


def copy_project() -> None:
    """Copy what the tests need."""
    shutil.rmtree(COPY, ignore_errors=True)
    skipped = shutil.ignore_patterns("__pycache__", "build", "site", ".*")
    shutil.copytree(ROOT, COPY, ignore=skipped)


def cosmic_ray(tool: str, *args: str) -> str:
    """Run a command of cosmic-ray on the copy, without randomness in the tests."""
    paths = os.pathsep.join([str(COPY), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PYTHONPATH": paths, "CI": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run([BIN / tool, *args], cwd=COPY, env=env, check=True, capture_output=True, text=True)
    return ran.stdout


def try_mutants(file: str) -> str:
    """Try every mutant of a file, and return the report of those that survive."""
    tests = [f"tests/test_{name}.py" for name in TESTS[file] if (COPY / f"tests/test_{name}.py").exists()]
    command = shlex.join([sys.executable, *PYTEST.split(" "), "-m", "not slow", *tests])
    config, session = COPY / "mutants.toml", COPY / f"{file.replace('/', '.')}.sqlite"
    settings = {"path": json.dumps(f"mbanalyze/{file}"), "command": json.dumps(command)}
    config.write_text(CONFIG.format(**settings), encoding="utf-8")
    cosmic_ray("cosmic-ray", "baseline", config.name)  # raises if a test fails without a mutant
    cosmic_ray("cosmic-ray", "init", config.name, session.name)
    cosmic_ray("cr-filter-operators", session.name, config.name)
    cosmic_ray("cosmic-ray", "exec", config.name, session.name)
    survivors = cosmic_ray("cr-report", "--show-diff", "--surviving-only", session.name)
    changes = [line for line in survivors.splitlines() if line[:1] in "-+" and line[:3] not in ("---", "+++")]
    return "\n".join([*changes, score(session)])


def score(session: Path) -> str:
    """Return how many of the changes that were tried some test noticed."""
    query = "SELECT test_outcome = 'SURVIVED', count(*) FROM work_results WHERE worker_outcome = 'NORMAL' GROUP BY 1"
    with closing(sqlite3.connect(session)) as results:
        outcomes = dict(results.execute(query).fetchall())
    return f"noticed: {outcomes.get(0, 0)} of {sum(outcomes.values())}"


def main(files: list[str]) -> None:
    """Print the survivors and the score of each file."""
    copy_project()
    for file in files or TESTS:
        print(f"{file}\n{try_mutants(file)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

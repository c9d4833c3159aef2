"""The convention of each counter gives its number for random modules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conventions import counted, recorded, total_and_differences
from grammar import Program, programs
from hypothesis import HealthCheck, Phase, assume, given, note, settings

COUNTERS = ("flop-counter", "flop-counter-meta", "torchinfo", "ptflops", "ptflops-aten", "thop")
"""The counters that do not trace with `torch.jit`, which ends the process at some modules."""

UNKNOWN = ("inference_mode", "vmap", "futures", "try:")
"""The ATen back end of ptflops counts nothing in inference mode, and all samples of a cell inside `torch.vmap`.

No counter follows threads or errors.
"""


def total(name: str, program: Program) -> int | None:
    """Return the total of a counter; None if the counter cannot take the module."""
    try:
        return counted(name, program.build(), program.tensor())
    except Exception:
        return None


def runs_in_eval_mode(program: Program) -> bool:
    """Return True if the module runs in the mode of the counters."""
    try:
        with torch.no_grad():
            program.build().eval()(program.tensor())
    except Exception:
        return False
    return True


@pytest.mark.filterwarnings("ignore")  # of PyTorch, about the modules
@settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(programs())
def test_random_modules_are_explained(program: Program) -> None:
    """Every counter that runs gives the total of its convention, and the named differences sum to the gap."""
    note(program.script())
    assume(not any(text in program.source for text in UNKNOWN) and runs_in_eval_mode(program))
    record = recorded(program.build().eval(), program.tensor())
    found: dict[str, Any] = {name: total(name, program) for name in COUNTERS}
    expected = {name: number for name, number in found.items() if number is not None}

    assume(expected)  # a module that cannot be copied runs under no counter
    assert expected == {name: total_and_differences(name, record)[0] for name in expected}

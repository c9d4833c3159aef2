"""The guard: compare the cost of models with budgets and with a committed lock.

policy.py              the guarded models and their limits
policy_file.py         the policy of pyproject.toml or mbanalyze.toml
policy_text.py         the text of a policy
toml_table.py          a TOML table that collects its mistakes
limits.py              budgets and allowed growth
memory_peaks.py        the peaks of memory, and the layers that hold it
measurement.py         the cost of a model, in total and by layer
measurement_record.py  a measurement as JSON, checked when read
runner.py              the measurement of all models
counting.py            building and counting one model
lock.py                the accepted costs in mbanalyze.lock.json
git_base.py            the costs at a git ref
changes.py             the differences of two measurements
model_result.py        the verdict on one model
headroom.py            the distance of totals from their budgets
outcome.py             the results of all models
construction.py        the calls that make modules
source_location.py     the source line of a layer
findings.py            an outcome as messages for source lines
wording.py             changes and verdicts as sentences
suggestions.py         a smaller width or resolution that would fit
explanation.py         the layers that cause a failure
command_paths.py       paths as arguments of the commands that messages advise
commands.py            check, update, diff and explain
initialization.py      a policy for new models, with budgets from a measurement
change_tables.py       the changes of a model as tables
total_tables.py        the verdicts, totals and headroom of all models as tables
explanation_tables.py  an explanation as tables
view.py                outcomes and explanations in every format
formats/               GitHub annotations, JUnit and SARIF
"""

from mbanalyze.guard.commands import check, diff, explain, in_ci, update
from mbanalyze.guard.explanation import Explanations
from mbanalyze.guard.initialization import NewPolicy, init, policy_place
from mbanalyze.guard.limits import parse_headroom
from mbanalyze.guard.outcome import Outcome
from mbanalyze.guard.policy import Policy, PolicyError
from mbanalyze.guard.policy_file import find, load
from mbanalyze.guard.runner import Progress, no_progress

__all__ = [
    "Explanations",
    "NewPolicy",
    "Outcome",
    "Policy",
    "PolicyError",
    "Progress",
    "check",
    "diff",
    "explain",
    "find",
    "in_ci",
    "init",
    "load",
    "no_progress",
    "parse_headroom",
    "policy_place",
    "update",
]

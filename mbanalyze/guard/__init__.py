"""The guard: a policy says what models may cost, a lock what they cost, a verdict what became of them.

policy.py, limits.py    what may be
measuring.py, facts.py  what is
lock.py, git_base.py    what was
judging.py              the difference, and a verdict
places.py, findings.py  where it comes from
explaining.py           why, and what would fit
outcome.py, commands.py the commands' results, and the commands
formats/                an outcome in every format
"""

from mbanalyze.guard.commands import check, diff, held_against, in_ci, update
from mbanalyze.guard.outcome import Outcome

__all__ = ["Outcome", "check", "diff", "held_against", "in_ci", "update"]

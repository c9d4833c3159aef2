"""The views of a training run and of an evaluation."""

from mbanalyze.training.evaluation_view import evaluation_view
from mbanalyze.training.run_view import run_view

__all__ = ["evaluation_view", "run_view"]

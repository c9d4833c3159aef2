"""Train every variant of an ablation, and put its accuracy beside its cost."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from mbanalyze.archs.options import Architecture, make
from mbanalyze.inputs.resolution import sides
from mbanalyze.literature.accuracy.own_table import OwnAccuracy, checked_runs
from mbanalyze.literature.accuracy.run_tables import measured_run, run_table
from mbanalyze.report.network import TOTALS
from mbanalyze.sources.patterns import is_pattern
from mbanalyze.sources.processes import answers
from mbanalyze.sweep.ablation_result import Ablation
from mbanalyze.sweep.factory_variants import factory_name
from mbanalyze.sweep.grid import Grid, GridError
from mbanalyze.sweep.known_variants import Known, known_architecture
from mbanalyze.sweep.model_jobs import Run
from mbanalyze.sweep.traced import VariantError, require_sendable
from mbanalyze.training.data_names import default_side
from mbanalyze.training.datasets import load
from mbanalyze.training.epochs import Position
from mbanalyze.training.plan import TrainingPlan, as_plan
from mbanalyze.training.trained_network import named_options, trained_network
from mbanalyze.training.variant_runs import VariantRun, train_variant

RUNS_OF_PROCESS = 8
"""The largest number of runs that a process does, one after another."""


def ablate_trained(
    what: Any,
    grid: Grid,
    given: str | TrainingPlan,
    count: Callable[..., Ablation],
    run: Run,
) -> Ablation:
    """Return the ablation of a network whose variants are trained.

    Args:
        what: the network, as for `ablate`, without options.
        grid: the values of each option; `rho` is a fraction of the usual size of the data's images.
        given: the plan, or its data set.
        count: `ablate` with the other settings, which counts the variants.
        run: the executor or the processes, and the callback for the finished fraction.

    Raises:
        GridError: the network is a pattern, or `num_classes` has several values.
        VariantError: a variant cannot be trained; all others are.
        DataError, TrainingError, RunError, RecipeError: as for `train`.
    """
    if isinstance(what, str) and is_pattern(what):
        raise GridError(f"train is for the variants of one network, not for the pattern {what}")
    plan = as_plan(given)
    side = plan.preset.side or default_side(plan.data_name)
    classes = len(load(plan.data_name, sides(side), download=plan.download).classes)
    known = known_architecture(what, grid)
    sized = {} if {"rho", "resolution"} & grid.keys() else {"resolution": [side]}
    network, inputs = (_sized(known, side), ()) if known else (what, ((1, 3, *sides(side)),))
    if known:
        grid = {**grid, **sized, "num_classes": grid.get("num_classes", [classes])}
    else:
        grid = {**grid, **sized, **_classes(what, grid, side, classes)}
    counted = count(network, *inputs, **grid)
    jobs = [
        VariantRun(name, {**shown, **options}, plan, seed)
        for shown in _variants(counted)
        for name, options in [named_options(network, shown)]
        for seed in range(plan.seeds)
    ]
    own = _accuracy(jobs, run, plan, grid, factory_name(what))
    return replace(count(network, *inputs, accuracy=own, **grid), model=counted.model)


def _sized(known: Known, side: int) -> Architecture:
    """An architecture whose images have the usual size of the data, unless it states another."""
    name, arch, fixed = known
    usual = arch().resolution
    stated = fixed.get("resolution", usual)
    return make(name, arch, {**fixed, "resolution": side if stated == usual else stated})


def _classes(what: Any, grid: Grid, side: int, classes: int) -> dict[str, list[Any]]:
    """The option `num_classes` of a factory that takes it."""
    options = {name: values[0] for name, values in grid.items() if name not in ("rho", "resolution")}
    name, options = named_options(what, options)
    made = trained_network(name, options, sides(side), 3, classes)
    return {"num_classes": [classes]} if "num_classes" in made.options else {}


def _variants(counted: Ablation) -> Iterator[dict[str, Any]]:
    """The options of each variant, which are the columns before the totals."""
    for row in counted.records():
        names = takewhile(lambda name: name not in TOTALS, row)
        yield {name: row[name] for name in names if name not in ("rho", "batch")}


def _accuracy(
    jobs: Sequence[VariantRun], run: Run, plan: TrainingPlan, grid: Grid, model: str
) -> OwnAccuracy:
    """The accuracy of all variants; `VariantError` for the first that cannot be trained."""
    documents = dict[int, Mapping[str, Any]]()
    for position, document in _documents(jobs, run):
        documents[position] = document
        run.progress(len(documents) / len(jobs))
    failed = [document["error"] for _, document in sorted(documents.items()) if "error" in document]
    if failed:
        raise VariantError(failed[0])
    runs = [measured_run(documents[position], job.name) for position, job in enumerate(jobs)]
    name = Path(plan.runs).name if plan.runs is not None else ""
    return checked_runs(name, run_table([each for each in runs if each]), grid, [model])


def _documents(jobs: Sequence[VariantRun], run: Run) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The position and record of each run that ends."""
    if run.executor:
        futures = {run.executor.submit(train_variant, job): position for position, job in enumerate(jobs)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            for future in futures:
                future.cancel()
    elif run.workers:
        yield from _in_processes(jobs, run.workers)
    else:
        for position, job in enumerate(jobs):
            yield position, train_variant(job, partial(_tell, run, position, len(jobs)))


def _tell(run: Run, done: int, total: int, at: Position) -> None:
    """Report the progress within a run."""
    run.progress((done + at.fraction) / total)


def _in_processes(jobs: Sequence[VariantRun], workers: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for job in jobs:
        require_sendable((job.what, (), dict(job.options)))
    ended = answers(
        [partial(train_variant, job) for job in jobs],
        preload=["mbanalyze.training.train_network"],
        path=sys.path,
        workers=workers,
        reuse=RUNS_OF_PROCESS,
        keep_memory=True,
    )
    for position, answer in ended:
        problem = {"error": f"{jobs[position].name}: {answer.problem}"}
        yield position, problem if answer.problem else answer.value

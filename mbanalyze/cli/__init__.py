"""The command line: results on stdout, messages on stderr, and exit codes for scripts.

parser.py      help by group, and errors of the parser in our words
program.py     the commands together, and errors as exit codes
report.py      the cost of a model
memory.py      the peak memory of a model
fit.py         the largest batch within some memory
predict.py     the time of a model on a machine
calibrate.py   the speed of this machine
measure.py     the time of models on this machine
check.py       the counts of a model, compared with other tools
explain.py     the totals of other counters, explained
ablate.py      every variant over a grid of options
compare.py     two or more models
search.py      the best variants within limits
search_spaces.py  the best blocks of a network within limits
train.py       a network, trained on images
evaluate.py    the predictions of a trained network
models.py      the known architectures
published.py   verdicts on published figures
guidelines.py  ShuffleNet V2's guidelines
guard.py       budgets and locks: check, update, diff, explain
training_options.py  the options of a training
arguments.py   arguments that several commands share
completion.py  shell completion: what a command takes
formats.py     the format of a result, from --format or the suffix of --output
output.py      printing and writing results and plots
progress.py    spinners and progress bars
streams.py     the standard streams, also if they are closed or full
signals.py     Ctrl-C and SIGTERM
wildcards.py   many models in one command, with a progress bar
"""

from __future__ import annotations

import atexit
import gc
import sys

from mbanalyze.cli.signals import Stop


def main() -> None:
    """Run the command line.

    The exit code is 0 for success, 1 for a negative result, 2 for an error, 130 after Ctrl-C.
    Signals and streams are prepared before the commands are imported.
    """
    stop = Stop()
    gc.set_threshold(20_000)  # a command makes many objects that stay, and few cycles
    atexit.register(gc.freeze)  # the exit frees all memory without searches for cycles
    from mbanalyze.cli import streams

    streams.reserve_descriptors()
    from mbanalyze.cli.program import run

    try:
        stop.at_once = False
        code = run(stop)
    except KeyboardInterrupt:
        code = stop.code or 130
    finally:
        stop.at_once = True
    sys.exit(stop.code or code)

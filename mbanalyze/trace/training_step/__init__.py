"""A training step, or a forward pass alone, on tensors without data: all memory that is held at once.

It shares no rule with `mbanalyze.training_cost`, so that each can check the other.

step.py            `run_step` and `run_forward`, the entry points
measured.py        `TrainingStep`, `MemoryPeak` and `MemorySplit`, the results
surroundings.py    the contexts of a step, and its errors
stand_ins.py       tensors without data in place of parameters, buffers and inputs
on_cpu.py          devices and kernels of a forward
allocations.py     the dispatch mode that follows each storage from its first operator to its release
saved_tensors.py   the storages that autograd saves for the backward pass
backward_work.py   the multiply-accumulates of the operators of a backward pass
made_optimizers.py the optimizers by name
"""

from mbanalyze.trace.training_step.measured import MemoryPeak as MemoryPeak
from mbanalyze.trace.training_step.measured import MemorySplit as MemorySplit
from mbanalyze.trace.training_step.measured import TrainingStep as TrainingStep
from mbanalyze.trace.training_step.step import run_forward as run_forward
from mbanalyze.trace.training_step.step import run_step as run_step

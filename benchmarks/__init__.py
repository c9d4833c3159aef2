"""The benchmark of `make benchmark`: it times mbanalyze and writes a dated table here.

`make benchmark-time` compares predicted times with measured times, and writes a dated table to time/.

__main__.py          `python -m benchmarks`: all sections, or some of them
peers_table.py       a trace against the fastest of other counters
whole_processes.py   commands against `import torch`
zoo.py               all models of timm, and two workers against one
grids.py             a million variants, and a grid with its frame and file
growth.py            long chains, many modules, deep nesting, large inputs
trace_profile.py     the phases of a trace, hot and cold
profiled_files.py    the files in which a trace spends its time
floor.py             the least time of a trace
targets.py           the ratios to reach
predicted_times.py   `python -m benchmarks.predicted_times`: networks measured beside their predicted time
times_table.py       the tables of that script
phones.py            `python -m benchmarks.phones`: three constants fitted to published times of phones
order.py             the order of networks by time
peers.py             the other counters
networks.py          the networks of a trace
timing.py            medians of alternating rounds
commands.py          commands as processes: seconds, CPU seconds and peak memory
measure_process.py   the process that starts and measures one command
markdown.py          tables
without_extension/   an import hook for torchvision without its compiled extension
"""

"""A network counted by independent witnesses.

checked_count.py     one quantity on two sides
fvcore_witness.py    a trace against fvcore
witnesses.py         closed form, trace, fvcore and `numel` compared
onnx_witness.py      the products of a file of ONNX, by the file itself
quantised_numel.py   the learned scalars of quantised modules
check_view.py        a check as text
counters.py          runs each of the other counters
counter_imports.py   torchvision and timm, for counters that import them
counter_jobs.py      runs the counters on one network, each in a process of its own
explaining.py        `explain`: their totals, and the gaps from our macs
explained_totals.py  the result: each total, and its differences from our macs
explained_view.py    explained totals as text
view.py              the views of both
"""

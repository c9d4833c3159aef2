"""The memory that a network needs.

peak.py         `memory`: the peak of each account, and the tensors alive there
peak_view.py    a peak as tables
fitting.py      `fit`: the largest batch that trains and that infers within some memory
graph_fitting.py the memory of a forward of an ONNX file
fitting_view.py the largest batches as tables
batches.py      the search for the largest batch
resized.py      the inputs of a forward with another batch
view.py         the views of all results
"""

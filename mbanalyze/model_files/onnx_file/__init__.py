"""Graphs of ONNX: each node becomes the operator that it stands for. The file's weights are not read.

read_onnx.py            a file as a checked graph
graph_bytes.py          the content of a file without the elements of large tensors
graph_tensors.py        tensors of a graph: shape, memory, and elements if they are few and known
node.py                 a node with its attributes and tensors
output_types.py         the shapes that a node's outputs have
contrib_types.py        those of ONNX Runtime's own operators
inference_limits.py     nodes that ONNX's shape inference must not see
known_values.py         nodes whose inputs are known, computed at once
graph_inputs.py         the inputs of a graph: what the file fixes and what a user may set
frame.py                the tensors and settings that the nodes of one graph or function share
node_steps.py           a node that does work, and the members of a walk that subgraphs use
walk.py                 every node in order: `Walk`, from input shapes to steps
quantised_constants.py  constants in a quantised type, another type or another order
subgraphs.py            nodes that stand for other nodes
function_calls.py       calls of the functions that a file defines
conditions.py           conditions: the branch that is taken, or the costlier one
loops.py                loops whose number of iterations is known
scans.py                loops over the slices of tensors
sequences.py            sequences of tensors and optional tensors
graph_runs.py           a walk through a branch or the body of a loop
node_paths.py           the path of the module that a node came from
node_matching/          a node -> kind, operands, attributes
signature.py            the parameters and buffers that a file lists
learned_names.py        names of learned numbers, and those that exporters make up
roles.py                which initializers are weights
quantised_steps.py      quantised tensors between steps
exporter_notes.py       differences between a file and its module, as notes
recording.py            steps -> operators with numbered tensors
onnx_graph.py           `OnnxGraph`: a file that can be counted at any input
"""

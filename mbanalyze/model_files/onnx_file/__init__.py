"""Graphs of ONNX: each node becomes the operator that it stands for. The file's weights are not read.

read_onnx.py       a file as a checked graph
graph_tensors.py   tensors of a graph: shape, memory, and elements if they are few and known
node.py            a node with its attributes and tensors
output_types.py    the shapes that a node's outputs have
known_values.py    nodes whose inputs are known, computed at once
graph_inputs.py    the inputs of a graph: what the file fixes and what a user may set
walk.py            every node in order: `walk`, from input shapes to steps
subgraphs.py       functions, conditions and loops
node_paths.py      the path of the module that a node came from
node_matching/     a node -> kind, operands, attributes
learned_names.py   names of learned numbers, and those that exporters make up
roles.py           which initializers are weights
recording.py       steps -> operators with numbered tensors
onnx_graph.py      `OnnxGraph`: a file that can be counted at any input
"""

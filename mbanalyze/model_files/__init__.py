"""Networks that arrive as files, read without running anything that they contain.

file_error.py      the error of a file that cannot be read, and the limits of what is read
file_formats.py    the references that name such files, and the reasons why others are refused
file_inputs.py     the inputs of a network in a file: what it fixes, and what a user may set
regular_file.py    opening a file, and nothing that only looks like one
onnx_file/         graphs of ONNX: nodes -> operators
pt2_file/          programs of `torch.export`: a module that runs their operators
"""

"""Programs of `torch.export` in files: a module that runs their operators.

read_pt2.py           `read_pt2`, the entry point
pt2_archive.py        the archive of a file, and limits on what is read from it
nested_archive.py     an archive of `torch.save` in an archive, in older files
pickle_data.py        pickles as data, of which nothing is run
stored_entries.py     the tensors in an archive: descriptions, and places of values
damage.py             errors of damaged content as one line
pt2_graph.py          the graph of a program: its nodes, and descriptions of its tensors
module_paths.py       the paths of the modules in which nodes run
pt2_program.py        `Pt2Program`: the graph, its parameters, inputs and module
format_numbers.py     the numbers by which the format names element types, layouts and memory formats
size_expressions.py   expressions of symbolic sizes
plain_functions.py    functions that a node names and that PyTorch runs otherwise
input_structure.py    the nesting of the arguments and results of a forward
program_inputs.py     the arguments of a forward that a file describes
allowed_operators.py  the operators that a file may name
node_arguments.py     the arguments of a node, in Python
branch_operators.py   operators that run graphs: conditions, loops and contexts
value_limits.py       limits on the tensors that a file fills with values
graph_run.py          one run of a graph, node by node
stored_tensors.py     parameters, buffers and constants, with or without their values
exported_module.py    the module of a program
"""

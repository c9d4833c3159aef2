"""Values that users give: names, input shapes, and text to parse.

choices.py       a name out of the known ones
typed.py         types of sizes, modes and elements
resolution.py    the size of an image: a square, or height x width
shape.py         `Shape`: a tensor that a forward takes
input_text.py    inputs of a forward as text: read and written
strict_syntax.py Python's syntax as its future releases read it
documents.py     reading of files of limited size
json_values.py   values of a JSON document, checked when they are read
parsing.py       model references (`name@key=value`), options, ranges and counts with units: read and written
plot_size.py     the size of a plot: width x height in inches
"""

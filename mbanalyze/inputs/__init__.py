"""Values that users give: names, input shapes, and text to parse.

choices.py  a name out of the known ones
typed.py    shapes and element types of inputs
parsing.py  model references (`name@key=value`), options, ranges and counts with units: read and written
"""

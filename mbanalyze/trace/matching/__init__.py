"""The kind, operands and attributes of an operator, from its arguments.

kinds.py       operator name -> matcher
match.py       `Match`, and the matcher for operators of a fixed kind
products.py    convolutions, matrix products, attention, recurrent layers
windows.py     pooling, interpolation and sampling
pointwise.py   activations and arithmetic, element by element
reductions.py  normalisations, and work along a dimension
indexing.py    lookups, gathers and scatters
"""

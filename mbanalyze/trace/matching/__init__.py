"""The kind, operands and attributes of an operator, from its arguments.

kinds.py            operator name -> matcher
names.py            the operators of a fixed kind
free.py             the operators that do no work
match.py            `Match`, and the matcher for operators of a fixed kind
products.py         convolutions, matrix products, Einstein sums, distances
sparse.py           products with a sparse matrix
quantised.py        products with packed weights
sequence_layers.py  attention, recurrent layers
windows.py          pooling, interpolation and sampling
pointwise.py        activations and arithmetic, element by element
reductions.py       normalisations, and work along a dimension
losses.py           loss functions
transforms.py       Fourier transforms
factorisations.py   factorisations and solvers
indexing.py         lookups, gathers, scatters, histograms
"""

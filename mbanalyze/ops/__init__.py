"""The operator record: an operator as shapes, its cost, and the formula of each kind.

numbers.py                 comparisons and maxima that accept arrays
strides.py                 distinct elements of a view
record.py                  `Value` and `Op`
calls.py                   calls of modules and functions behind the operators
cost.py                    `Cost`, totals, and the element types of `--dtype`
elementwise.py             flops of the elementwise kinds
derivations.py             formulas of a number of flops for each element
product_formulas.py        convolutions, matrix products, distances
einsum.py                  Einstein sums
sequence_formulas.py       attention, recurrent layers
window_formulas.py         pooling, interpolation, sampling
reduction_formulas.py      reductions, searches, lookups, transforms
loss_formulas.py           loss functions
factorisation_formulas.py  factorisations and solvers
composite.py               operators that are one node of a file and several of PyTorch
complex_numbers.py         formulas of complex numbers
formulas.py                the table of all of these: the formula of every kind
registry.py                `cost(op)`, and the table of formulas, which `formula` extends
view.py                    a cost as a table
"""

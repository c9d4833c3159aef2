"""The operator record: an operator as shapes, its cost, and the formula of each kind.

numbers.py      comparisons and maxima that accept arrays
record.py       `Value` and `Op`
cost.py         `Cost`, totals, and the element types of `--dtype`
elementwise.py  flops of the elementwise kinds
formulas.py     the built-in formula of every kind
registry.py     `cost(op)`, and the table of formulas, which `formula` extends
view.py         a cost as a table
"""

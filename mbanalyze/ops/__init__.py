"""The operator record: an operator as shapes, its cost, and the formula of each kind.

numbers.py      comparisons and maxima that also work on arrays of variants
record.py       `Value` and `Op`
cost.py         `Cost`, totals, item sizes
elementwise.py  the flops of kinds that compute each element alone
formulas.py     a formula for each kind
registry.py     `cost(op)`, and `formula` to register one of your own
"""

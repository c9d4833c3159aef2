"""Sweep over the variants of a network.

ablation.py        `ablate`: every variant of a grid of options
best_variants.py   `search`: the best variants within limits, and their Pareto front
candidates.py      the variants that a search considers
objectives.py      the totals that a search limits, and the quantities that it maximises
grid.py            the values of each option, and their combinations
closed_form.py     counts of every variant of an architecture, in few passes
arrays.py          numbers that stand for all variants
traced.py          counts of every variant of a factory
published_rows.py  published figures of each variant
figure_columns.py  the figures of each variant as columns, and the user's own accuracy in their place
view.py            the views of both results
"""

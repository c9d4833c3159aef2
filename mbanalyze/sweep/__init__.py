"""Sweep over the variants of a network, or over many models.

ablation.py            `ablate`: every variant of a grid of options
ablation_result.py     the result of `ablate`
known_variants.py      the variants of an architecture, with published figures
convention_macs.py     the macs of variants as another counter counts them
predicted_columns.py   the predicted time of variants
factory_variants.py    the variants of a factory
best_variants.py       `search`: the best variants within limits, and their Pareto front
candidates.py          the variants that a search considers
given_limits.py        the limits of a search
objectives.py          the totals that a search limits, and the quantities that rank its variants
grid.py                the values of each option, and their combinations
closed_form.py         counts of every variant of an architecture, in few passes
plain_columns.py       rows as plain columns, and the frame of them
arrays.py              numbers that stand for all variants
peak_grids.py          the peak memory of all variants
traced.py              counts of every variant of a factory
many_architectures.py  counts of all architectures that match a pattern
many_models.py         counts of all models of a package that match a pattern
model_jobs.py          counts of models in processes of their own
trained_variants.py    the variants of an ablation, trained
resumed.py             the CSV file of counts that an interrupted run continues
published_rows.py      published figures of each variant
figure_columns.py      the figures of each variant as columns, and the user's own accuracy in their place
search_verdict.py      the verdict of a search in words
view.py                the views of both results
"""

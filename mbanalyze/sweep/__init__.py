"""Many variants of one network.

arrays.py          numbers that stand for many variants at once
closed_form.py     every variant of a grid in few walks
traced.py          every variant of a factory, traced
published_rows.py  published figures beside the variants
ablation.py        `ablate`
budget.py          `search`
variants_view.py   variants as text
view.py            a search as text
"""

"""Published figures and the verdict on each.

figures.py             the printed rows, from data/published.csv
figure_counts.py       counts of networks by the ways of counting in conventions/printed_figures.py
interpretations.py     the convention and the rounding behind a figure, from data/interpretations.csv
errata.py              wrong figures and the proof for each, from data/errata.csv
verdicts.py            the verdict on each figure, with its arithmetic
paper_tables.py        small tables of the papers, cell by cell
accuracy/              accuracy of networks, published and the user's own
view.py                how verdicts and tables are displayed
"""

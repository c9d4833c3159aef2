"""The report of one network: rows, totals and groups.

rows.py          `Row`, `Group`, and the keys that group rows
fused_rows.py    the rows with merged operators
convention_rows.py  the rows with the macs of another counter
training.py      `Training`, the cost of a training step
measured_step.py a step that ran, and its differences from the rules
accounts.py      the activations in memory, by account
network.py       `Report` and `Groups`
columns.py       the value of each column for a group
selection.py     rows sorted, and the largest with a sum of the others
outline.py       rows as a tree of modules
runs.py          long lists in runs, for pictures
summary.py       the lines that tables and the page share
table.py         the cells of a table
view.py          a report laid out, and its formats
pictures.py      quick SVG pictures
page/            the HTML page
"""

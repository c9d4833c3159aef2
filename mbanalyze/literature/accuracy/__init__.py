"""Accuracy of networks: published, and the user's own.

ranked_sources.py  the published accuracies of a network, and the order of its sources
own_table.py       the user's table: a CSV file or a frame, checked
run_tables.py      the accuracy of runs that `mbanalyze train` wrote
raw_table.py       its cells, each with its place for messages
cells.py           the columns and cells of the user's table
matching.py        the variants that each row of the user's table is about
agreement.py       the sources that a result shows, and how far other sources differ
accuracy_notes.py  notes on both
"""

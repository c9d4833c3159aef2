"""Results as text in every format, and files. Knows no result.

result.py     `Result`: the protocol of every result, and the table of formats
views.py      `View`, `Section`, `Column`, `Cell`: a result laid out
terminal.py   a view as a table for terminals
markdown.py   a view as Markdown
html.py       a view as HTML for notebooks
records.py    records as CSV and frames, documents as JSON
units.py      counts with SI prefixes
files.py      files written whole or not at all
temporary.py  temporary folders
"""

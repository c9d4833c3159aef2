"""Tables, records, units and files. Knows no result.

units.py    counts with SI prefixes
tables.py   tables for terminals, Markdown and HTML
records.py  records as CSV, documents as JSON
files.py    files written whole or not at all
"""

"""The report of one network: rows, totals, groups, and how they are shown.

rows.py      `Row`, `Group`, and the keys that group rows
network.py   `Report`
view.py      tables, Markdown, CSV and JSON
pictures.py  quick SVG pictures
page/        the HTML page
"""

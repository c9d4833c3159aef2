"""The report of one network: rows, totals and groups.

rows.py      `Row`, `Group`, and the keys that group rows
network.py   `Report` and `Groups`
runs.py      long lists in runs, for pictures
summary.py   the lines that tables and the page share
view.py      a report laid out, and its formats
pictures.py  quick SVG pictures
page/        the HTML page
"""

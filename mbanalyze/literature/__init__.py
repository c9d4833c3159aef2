"""Published figures, judged.

figures.py       printed rows
conventions.py   ways of counting that sources use
verdicts.py      the verdict on each figure
paper_tables.py  small tables of the papers, cell by cell
view.py          verdicts as text
"""

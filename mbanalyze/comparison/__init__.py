"""Reports side by side.

comparison.py  `compare`
alignment.py   corresponding layers of two networks
stages.py      the stage of each operator
view.py        a comparison as text
"""

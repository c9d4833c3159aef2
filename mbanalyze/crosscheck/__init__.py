"""A network counted by independent witnesses.

counters.py     runs each of the other counters
explanation.py  the gap of each counter from our macs, as named amounts
witnesses.py    closed form, trace, fvcore and `numel` compared
view.py         a check as text
"""

"""A network counted by independent witnesses.

counters.py   runs each of the other counters
witnesses.py  closed form, trace, fvcore and `numel` compared
view.py       a check as text
"""

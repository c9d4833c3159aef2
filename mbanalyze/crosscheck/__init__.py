"""A network counted by independent witnesses.

checked_count.py   one quantity on two sides
counters.py        runs each of the other counters
explanation.py     the gap of each counter from our macs, as named amounts
fvcore_witness.py  a trace against fvcore
witnesses.py       closed form, trace, fvcore and `numel` compared
view.py            a check as text
"""

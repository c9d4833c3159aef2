"""A network counted by independent witnesses.

witnesses.py  closed form, trace, fvcore and `numel` compared
view.py       a check as text
"""

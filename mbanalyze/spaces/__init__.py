"""Search per block: the networks of a space, within limits, and the best space for a board.

space.py            a space: the choices of each stage and of other options
known_spaces.py     the known spaces, with their sources
given_space.py      the space that a user names, with the user's options
candidate.py        a network of a space, and its exact costs
boards.py           memory of boards, as limits
objective.py        the quantity to maximise: macs, or the user's function
study.py            proposals of Optuna, and the file that keeps them
space_search.py     `search_space`: the best networks of a space within limits
space_result.py     its result: every network that was tried
stage_table.py      the stages of a network as rows
space_tuning.py     `tune_space`: the width and resolution for a board
tuning_result.py    its result: every width and resolution
space_view.py       a search as tables
tuning_view.py      a choice of width and resolution as tables
view.py             the views of both results
"""

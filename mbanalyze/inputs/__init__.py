"""Values that users give: choices, shapes, and text to parse.

choices.py  one of several known names
typed.py    shapes and types of inputs
parsing.py  text from the command line and from policies
"""

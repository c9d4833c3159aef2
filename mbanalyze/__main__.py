"""`python -m mbanalyze` is the command line."""

from mbanalyze.cli import main

main()

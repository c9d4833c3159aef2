"""The formats of an outcome for CI systems.

wording.py      counts, changes and verdicts in words
annotations.py  GitHub workflow commands
junit.py        JUnit XML
sarif.py        SARIF 2.1.0
"""

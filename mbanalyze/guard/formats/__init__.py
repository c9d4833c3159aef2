"""The formats of an outcome for CI systems.

github.py  GitHub workflow commands
junit.py   JUnit XML
sarif.py   SARIF 2.1.0
"""

"""The rows of scripts/bench.py.

Knows: nothing; it is a package so that a row can be a module.
Does not know: Kino's insides; everything is measured from outside.
"""

"""Imported when a node runs."""

ENDING = "!"

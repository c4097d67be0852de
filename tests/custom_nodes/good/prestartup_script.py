"""Kino does not run it."""

raise RuntimeError("a prestartup script was run")

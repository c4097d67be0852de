"""A pack that is there and not enabled."""

raise RuntimeError("a pack that is not enabled was imported")

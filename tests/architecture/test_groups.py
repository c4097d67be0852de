"""Tests that share something dear stay in one process of the run."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("kept-together")
def test_groups_are_kept_together(request):
    """pytest-xdist knows the group; beside a pytest that it does not fit, it forgets silently."""
    grouped = getattr(request.config.option, "loadgroup", False)
    assert request.node.nodeid.endswith("@kept-together") == grouped

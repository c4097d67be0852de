"""Tests that share something dear stay in one process of the run."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("kept-together")
def test_groups_are_kept_together(request):
    """pytest-xdist knows this test's group; a pytest that it does not fit makes it forget silently."""
    grouped = getattr(request.config.option, "loadgroup", False)
    assert request.node.nodeid.endswith("@kept-together") == grouped

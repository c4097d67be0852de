"""What the tests of the plugin ask for (the service is ``tests/plugins/conftest.py``'s)."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def sampled() -> dict[str, Any]:
    """Parameters of a picture that is sampled within a second."""
    return {"model": "mini.safetensors", "prompt": "a red cat", "steps": 2}

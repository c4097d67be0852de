"""Filters that move: all cells side by side equal one sample after the other."""

from __future__ import annotations

import numpy as np
import pytest

from backend.plugins.mixer.dsp import biquads
from backend.plugins.mixer.dsp.sweeping import swept

RATE = 48000
CELLS = 60


@pytest.mark.parametrize("design", [biquads.high_pass, biquads.peak, biquads.high_shelf])
def test_cells_side_by_side_are_the_recursion(design: biquads.Design) -> None:
    """The plain loop over samples, from a state that is not 0, gives the same within 1e-10."""
    rng = np.random.default_rng(1)
    rows = design(np.geomspace(30, 9000, CELLS), 0.9, np.linspace(-18, 18, CELLS), RATE)
    block, state = rng.standard_normal((2, CELLS * 64)), rng.standard_normal((2, 2))
    wanted = np.empty_like(block)
    s, t = state.T
    for n in range(block.shape[1]):
        b0, b1, b2, _, a1, a2 = rows[n // 64]
        x = block[:, n]
        wanted[:, n] = y = b0 * x + s
        s, t = b1 * x - a1 * y + t, b2 * x - a2 * y
    out, end = swept(rows, block, state)
    np.testing.assert_allclose(out, wanted, atol=1e-10)
    np.testing.assert_allclose(end, np.stack((s, t), axis=1), atol=1e-10)

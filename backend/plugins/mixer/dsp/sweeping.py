"""One biquad whose coefficients change on a grid, all cells of the grid side by side.

Knows: the recursion of a biquad, and how the state is handed from cell to cell.
Does not know: which filter it is, nor how its coefficients were found.

docs/dsp.md, section 3. A biquad in transposed direct form II is, within a cell, the linear system
y = b0 x + s1, s' = A s + B x. Cells are independent but for the state at their beginning, so:

1. every cell runs from a state of 0, which gives its part F of the state at its end;
2. the states at the beginnings follow from S[m+1] = A[m]^64 S[m] + F[m];
3. every cell runs once more from its right state, which gives the samples.

In 1 and 3 a step of the recursion is taken for all cells and channels in one go.
"""

from __future__ import annotations

import numpy as np

from .parameters import GRID, Values
from .sections import Block


def swept(rows: Values, block: Block, state: Block) -> tuple[Block, Block]:
    """*block* [channels, GRID m] through the filters *rows* [m, 6], one for each `GRID` samples.

    *state* [channels, 2] is that of ``scipy.signal.sosfilt``; the new one is given back, too.
    """
    channels, cells = block.shape[0], len(rows)
    # [GRID, channels, m]: one step of all cells lies in one piece
    steps = np.ascontiguousarray(block.reshape(channels, cells, GRID).transpose(2, 0, 1))
    b0, b1, b2, _, a1, a2 = np.ascontiguousarray(rows.T)
    to_first, to_second = b1 - a1 * b0, b2 - a2 * b0
    first, second = np.zeros((2, channels, cells))
    for x in steps:
        first, second = to_first * x - a1 * first + second, to_second * x - a2 * first
    beginnings, end = _handed_on(_cell_matrices(a1, a2), first, second, state)
    first, second = beginnings
    for x in steps:
        y = b0 * x + first
        first, second = b1 * x - a1 * y + second, b2 * x - a2 * y
        x[:] = y
    return steps.transpose(1, 2, 0).reshape(block.shape), end


def _cell_matrices(a1: Values, a2: Values) -> Values:
    """A^GRID [m, 2, 2] of A = [[-a1, 1], [-a2, 0]]."""
    power = np.empty((a1.size, 2, 2))
    power[:, 0, 0], power[:, 0, 1], power[:, 1, 0], power[:, 1, 1] = -a1, 1.0, -a2, 0.0
    for _ in range(GRID.bit_length() - 1):
        power = power @ power
    return power


def _handed_on(matrices: Values, first: Block, second: Block, state: Block) -> tuple[Block, Block]:
    """States [2, channels, m] at the beginning of each cell, and [channels, 2] after the last."""
    beginnings = np.empty((2, *first.shape))
    end = np.empty_like(state)
    factors = matrices.reshape(-1, 4).tolist()
    for channel, (s, t) in enumerate(state.tolist()):
        found = []
        own = zip(factors, first[channel].tolist(), second[channel].tolist(), strict=True)
        for (ss, st, ts, tt), f, g in own:
            found.append((s, t))
            s, t = ss * s + st * t + f, ts * s + tt * t + g
        beginnings[:, channel] = np.array(found).T
        end[channel] = s, t
    return beginnings, end

"""Second-order sections one after another, fast: rows of samples as products of small matrices.

Knows: a cascade of biquads that stand still, and its state from block to block.
Does not know: what the filters are for, and coefficients that move.

A biquad waits for each output before it can begin the next, so a processor mostly idles. But a
cascade is linear: the outputs of a row are the samples of the row times one matrix, plus the state
before it times another; the state after it likewise (C. S. Burrus, "Block realization of digital
filters", IEEE Transactions on Audio and Electroacoustics 20, 1972). The matrices are what the plain
recursion answers to unit samples and unit states. Only states remain to be found one after another,
s[k+1] = s[k] M + f[k], once for a whole row and section by section: with M of 2 x 2,
(1 - z M)^-1 = (1 - z adj M) / (1 - z tr M + z^2 det M), which is a recursion of plain numbers.

The products are of one small size each, so that the library neither spreads them over threads of
its own nor adds up in another order where the stream is cut.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .parameters import Values
from .sections import Block
from .sliding import FAINT

_ROW: Final = 32
"""Samples of one row."""
_ROWS: Final = 128
"""Rows of one product."""
_PIECE: Final = 32 * _ROWS * _ROW
"""Samples that are worked on at a time, at most."""


class Cascade:
    """Biquads in transposed direct form II, one after another, over one stream."""

    def __init__(self, sections: Values, channels: int) -> None:
        """*sections* [s, 6] are rows as ``scipy.signal.sosfilt`` takes them."""
        from scipy.signal import sosfilt

        count = len(sections)
        self._sections = sections
        self._state = np.zeros((count, channels, 2))
        size = 2 * count
        samples, states = np.zeros((_ROW + size, _ROW)), np.zeros((count, _ROW + size, 2))
        samples[:_ROW] = np.eye(_ROW)
        states[:, _ROW:] = np.eye(size).reshape(size, count, 2).swapaxes(0, 1)
        answers, after = sosfilt(sections, samples, axis=-1, zi=states)
        after = after.swapaxes(0, 1).reshape(-1, size)
        self._passed, self._rung = answers[:_ROW], answers[_ROW:]
        self._taken, self._kept = after[:_ROW], after[_ROW:]

    def process(self, block: Block) -> Block:
        """What becomes of the next samples [channels, n], in an array of its own."""
        from scipy.signal import sosfilt

        self._state[np.abs(self._state) < FAINT] = 0.0
        out = np.empty(block.shape)
        whole = block.shape[1] - block.shape[1] % (_ROW * _ROWS)
        for begin in range(0, whole, _PIECE):
            here = slice(begin, min(begin + _PIECE, whole))
            self._rows(block[:, here], out[:, here])
        if whole < block.shape[1]:
            rest = block[:, whole:]
            out[:, whole:], self._state = sosfilt(self._sections, rest, axis=-1, zi=self._state)
        return out

    def _rows(self, block: Block, out: Block) -> None:
        """*out* for whole products of rows."""
        shape = len(block), -1, _ROWS, _ROW
        rows, made = block.reshape(shape), out.reshape(shape)
        np.matmul(rows, self._passed, out=made)
        before = self._before(rows @ self._taken)
        made += before.reshape(*before.shape[:2], -1, _ROWS).transpose(0, 2, 3, 1) @ self._rung

    def _before(self, taken: Values) -> Values:
        """The states [channels, 2 s, rows] before each row, from what each row adds to the one
        after it: [channels, any, _ROWS, 2 s]."""
        channels, size = len(taken), taken.shape[-1]
        added = taken.reshape(channels, -1, size).swapaxes(1, 2)
        states = np.empty((channels, size, 1 + added.shape[2]))
        states[:, :, 0] = self._state.swapaxes(0, 1).reshape(channels, size)
        states[:, :, 1:] = added
        for first in range(0, size, 2):
            self._solve(states, first)
        self._state = states[:, :, -1].reshape(channels, -1, 2).swapaxes(0, 1).copy()
        return states[:, :, :-1]

    def _solve(self, states: Values, first: int) -> None:
        """Solve the recursion of the two states from *first* on; those before are solved."""
        from scipy.signal import lfilter

        here = slice(first, first + 2)
        own, ((a, b), (c, d)) = states[:, here], self._kept[here, here]
        if first:
            own[:, :, 1:] += self._kept[:first, here].T @ states[:, :first, :-1]
        own[:, :, 1:] -= np.array([[d, -c], [-b, a]]) @ own[:, :, :-1]
        determinant = self._sections[first // 2, 5] ** _ROW
        own[:] = lfilter([1.0], [1.0, -(a + d), determinant], own, axis=-1)

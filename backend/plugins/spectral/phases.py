"""Phases for magnitudes that have none.

Knows: phase gradients from magnitudes, and how to integrate them over the whole plane.
Does not know: pictures, and the iterations that come after (``griffin_lim``).

The gradients are those of Průša, Balazs and Søndergaard, "A noniterative method for reconstruction
of phase from STFT magnitude" (IEEE/ACM TASLP 25, 2017): for a window like a Gaussian, the time
derivative of the phase follows from the frequency derivative of the log magnitude and the other way
round; γ = 0.25645 · n_fft² makes Hann's window that Gaussian.

They integrate from the loudest bin outwards, always over the loudest bin reached, by a heap. The
ways that this takes form a tree: it is Prim's algorithm, and the tree is the one of most loudness.
Here the same tree is found by Kruskal's (scipy), and the gradients are summed up along all its ways
at once by doubling: each bin adds what its parent has and takes its parent's parent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Indices = NDArray[np.int32]

HANN_GAMMA: Final = 0.25645
QUIETEST: Final = 1e-9
"""Magnitudes below this part of the largest are not told apart."""
HEARD: Final = 1e-3
"""Bins below this part of the loudest in their column (60 dB) are given no phase but 0."""
BLOCK: Final = 2**21
"""Bins that are integrated at a time; a block goes on from the last column of the one before."""
_TIE: Final = 0.1
"""Weight of the louder end of a way against the softer one: of two ways to a bin it breaks ties."""
_FAR: Final = 1e3
"""Cost of a start, larger than that of any way: each island of bins has one, at its loudest."""
_NEAR: Final = 1e-9


def integrated(
    magnitudes: NDArray[np.float32], n_fft: int, hop: int, checkpoint: Callable[[], None]
) -> NDArray[np.float32]:
    """Phases [columns, bins] for *magnitudes* of the same shape, as `Grid.forth` has them.

    *checkpoint* is called before each block.
    """
    columns, bins = magnitudes.shape
    phases = np.zeros((columns, bins), np.float32)
    largest = float(magnitudes.max())
    if largest <= 0.0:
        return phases
    stride = max(2, BLOCK // bins)
    for start in range(0, columns, stride):
        checkpoint()
        low, high = max(0, start - 1), min(columns, start + stride)
        around = np.arange(low - 1, high + 1).clip(0, columns - 1)
        logs = np.log(np.maximum(magnitudes[around].astype(np.float64), QUIETEST * largest))
        known = phases[low].astype(np.float64) if start else None
        phases[low:high] = np.mod(_integrated(logs, n_fft, hop, known), 2.0 * np.pi)
    # the gradients speak of a window whose middle is its zero of time, the spectra of its start
    phases[:, 1::2] += np.float32(np.pi)
    return phases


def _gradients(logs: Doubles, n_fft: int, hop: int) -> tuple[Doubles, Doubles]:
    """The phase's change from column to column and from bin to bin; *logs* has a column more at
    both ends."""
    gamma = HANN_GAMMA * n_fft**2
    wide = np.pad(logs[1:-1], ((0, 0), (1, 1)), mode="edge")
    turning = 2.0 * np.pi * hop / n_fft * np.arange(logs.shape[1])
    in_time = hop * n_fft / (2.0 * gamma) * (wide[:, 2:] - wide[:, :-2]) + turning
    in_frequency = -gamma / (2.0 * hop * n_fft) * (logs[2:] - logs[:-2])
    return in_time, in_frequency


def _integrated(logs: Doubles, n_fft: int, hop: int, known: Doubles | None) -> Doubles:
    """Phases of one block, [columns, bins] of *logs* [columns + 2, bins]; those of its first column
    may be *known*."""
    in_time, in_frequency = _gradients(logs, n_fft, hop)
    logs = logs[1:-1]
    heard = logs > logs.max(axis=1, keepdims=True) + np.log(HEARD)
    parent = _tree(logs, heard, known is not None)
    column, bin_ = np.nonzero(heard)
    from_column, from_bin = column[parent], bin_[parent]
    along = 0.5 * (
        (column - from_column) * (in_time[heard] + in_time[from_column, from_bin])
        + (bin_ - from_bin) * (in_frequency[heard] + in_frequency[from_column, from_bin])
    )
    if known is not None:
        along[column == 0] = known[bin_[column == 0]]
    phases = np.zeros(logs.shape)
    phases[heard] = _summed(along, parent)
    return phases


def _tree(logs: Doubles, heard: NDArray[np.bool_], known: bool) -> Indices:
    """For each bin that is *heard*, in order, the number of the one that its phase comes from:
    itself where one starts, and, where the first column is *known*, in all of that."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

    count = int(np.count_nonzero(heard))
    number = np.full(logs.shape, -1, np.int32)
    number[heard] = np.arange(count, dtype=np.int32)
    loudest = float(logs.max())
    ends, costs = [], []
    for one, other in (
        (np.s_[:-1, :], np.s_[1:, :]),
        (np.s_[:, :-1], np.s_[:, 1:]),
    ):
        both = heard[one] & heard[other]
        first, second = logs[one][both], logs[other][both]
        ends.append((number[one][both], number[other][both]))
        softer, louder = np.minimum(first, second), np.maximum(first, second)
        costs.append(_NEAR + (loudest - softer) + _TIE * (loudest - louder))
    peaks = _peaks(np.where(heard, logs, -np.inf)) & heard
    peaks[0] &= not known
    ends.append((number[peaks], np.full(np.count_nonzero(peaks), count, np.int32)))
    costs.append(_FAR + loudest - logs[peaks])
    if known:
        firsts = number[0][heard[0]]
        ends.append((firsts, np.full(firsts.size, count, np.int32)))
        costs.append(np.full(firsts.size, _NEAR / 2.0))
    rows, others = (np.concatenate(each) for each in zip(*ends, strict=True))
    graph = coo_matrix((np.concatenate(costs), (rows, others)), (count + 1, count + 1))
    tree = minimum_spanning_tree(graph.tocsr(), overwrite=True)
    parent = breadth_first_order(tree, count, directed=False)[1][:count]
    found: Indices = np.where(parent == count, np.arange(count, dtype=np.int32), parent)
    return found


def _peaks(logs: Doubles) -> NDArray[np.bool_]:
    """Bins that none of their four neighbours is louder than: the loudest of an island is one."""
    walled = np.pad(logs, 1, constant_values=-np.inf)
    peaks: NDArray[np.bool_] = (
        (logs >= walled[:-2, 1:-1])
        & (logs >= walled[2:, 1:-1])
        & (logs >= walled[1:-1, :-2])
        & (logs >= walled[1:-1, 2:])
    )
    return peaks


def _summed(along: Doubles, parent: Indices) -> Doubles:
    """The sum of *along* from each bin up to the start that it comes from."""
    starts = parent == np.arange(parent.size)
    # the sum from each bin up to, but without, the one *above* it that has been reached
    total, above = np.where(starts, 0.0, along), parent
    while True:
        higher = above[above]
        if np.array_equal(higher, above):
            break
        total = total + total[above]
        above = higher
    summed: Doubles = total + np.where(starts, along, 0.0)[above]
    return summed

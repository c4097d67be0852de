"""How the sections' tests feed them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from backend.plugins.mixer.dsp.sections import Section

Samples = npt.NDArray[np.float64]


def render(section: Section, samples: Samples, cuts: Sequence[int] = ()) -> Samples:
    """What *section* makes of *samples* [channels, n], with its latency taken out."""
    late = np.concatenate((samples, np.zeros((samples.shape[0], section.latency))), axis=1)
    edges = [0, *sorted(min(cut, late.shape[1]) for cut in cuts), late.shape[1]]
    blocks = [section.process(late[:, begin:end].copy(), begin) for begin, end in pairwise(edges)]
    return np.concatenate(blocks, axis=1)[:, section.latency :]


@pytest.fixture(scope="session", name="render")
def _render() -> Callable[..., Samples]:
    return render

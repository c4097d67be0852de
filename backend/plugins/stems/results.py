"""What a separation gives, and what may become of the rest.

Knows: the names of a separation's results.
Does not know: how a mix is taken apart (``separating``).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from backend.media.audio import Audio

Residual = Literal["leave", "return", "distribute"]


class Separated(NamedTuple):
    """What `stems.separate` gives."""

    stems: dict[str, Audio]
    """One sound for each source: drums, bass, other, vocals (and guitar, piano), or, with
    *two_stems*, the one asked for and ``no_`` it. Rate, channels and length are the mix's."""
    residual: Audio | None
    """What is in the mix and in no stem, if it was asked for."""

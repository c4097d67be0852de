"""The choices that the reactive operations offer, by the names that callers know.

Knows: names, and where the three bands lie.
Does not know: what is done for each of them.
"""

from __future__ import annotations

from typing import Final, Literal

Mode = Literal["rms", "low", "mid", "high", "band", "beat"]
"""What keyframes follow."""
Waveform = Literal["sine", "square", "triangle", "saw", "random"]
Bend = Literal["linear", "ease_in", "ease_out", "ease_in_out", "logarithmic", "exponential"]
"""How a value goes from one end of a range to the other."""
Step = Literal[Bend, "step"]
Method = Literal["linear", "nearest", "maximum"]
"""How a curve is read at another frame rate."""
Way = Literal["add", "subtract", "multiply", "minimum", "maximum", "average", "difference"]
"""How two curves become one."""

BANDS_HZ: Final = {
    "low": (20.0, 250.0),
    "mid": (250.0, 4000.0),
    "high": (4000.0, float("inf")),
}

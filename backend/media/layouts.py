"""Channels and rates as encoders know them: FFmpeg's layouts for 1 to 8 channels, AAC's rates.

Knows: one table for all that write sound, alone or with pictures.
Does not know: which format takes which number of channels.
"""

from __future__ import annotations

from typing import Final

LAYOUTS: Final = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
"""FFmpeg's layout for 1 to 8 channels, in WAVE's order; four are L, R, Ls, Rs."""

MOST_CHANNELS: Final = len(LAYOUTS)

AAC_RATES: Final = (
    *(8_000, 11_025, 12_000, 16_000, 22_050, 24_000),
    *(32_000, 44_100, 48_000, 64_000, 88_200, 96_000),
)
"""Sample rates of AAC in Hz (ISO/IEC 14496-3, table 1.18), but for 7350."""


def layout(channels: int) -> str:
    """FFmpeg's name for so many channels, 1 to 8."""
    return LAYOUTS[channels - 1]

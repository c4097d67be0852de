"""The picture of a mix's meters: every number fits, whatever it is."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from backend.media import plots
from backend.media.image import Image
from backend.plugins.mixer.meter_picture import draw
from backend.plugins.mixer.results import Level, Loudness, Meters, Reduction


def level(peak_db: float, *, loud: bool = True, **reductions: float) -> Level:
    loudness = Loudness(
        integrated_lufs=max(-240.0, peak_db - 12),
        momentary_max_lufs=max(-240.0, peak_db - 8),
        short_term_max_lufs=max(-240.0, peak_db - 10),
        range_lu=4.0,
        true_peak_db=max(-240.0, peak_db + 0.5),
    )
    return Level(
        peak_db=peak_db,
        rms_db=max(-240.0, peak_db - 15),
        loudness=loudness if loud else None,
        reductions={
            name: Reduction(max_db=most, mean_db=most / 3) for name, most in reductions.items()
        },
    )


def meters(strip: Level, strips: int = 1, buses: int = 0) -> Meters:
    return Meters(
        strips={f"s{i}": strip for i in range(strips)},
        buses={f"b{i}": strip for i in range(buses)},
        pre_master=strip,
        master=strip,
    )


def has(image: Image, colour: str) -> bool:
    return bool((np.abs(image.pixels - np.array(to_rgb(colour))).max(axis=2) < 0.01).any())


def test_each_strip_has_a_row_of_the_same_height():
    """32 strips and 4 buses are as legible as one."""
    one, many = draw(meters(level(-6)), {}), draw(meters(level(-6), 32, 4), {})
    assert one.width == many.width == 1200
    assert many.height - one.height == 35 * 26


@pytest.mark.parametrize("peak_db", [-240.0, -70.0, -6.0, 0.0, 90.0])
@pytest.mark.parametrize("loud", [True, False])
def test_any_level_can_be_drawn(peak_db: float, loud: bool):
    """Silence, what lies below the scale, and what lies far above it; loudness measured or not."""
    reductions = {"gate": 80.0, "compressor": 0.0, "limiter": 3.0}
    assert draw(meters(level(peak_db, loud=loud, **reductions)), {}).height == 218


def test_a_section_is_drawn_only_where_there_is_one():
    """Gate violet, compressor amber; without them their colours do not appear."""
    none, both = draw(meters(level(-6)), {}), draw(meters(level(-6, gate=20.0, compressor=6.0)), {})
    for colour in (plots.VIOLET, plots.AMBER):
        assert has(both, colour)
        assert not has(none, colour)


def test_names_are_what_people_wrote():
    """Formulas, unknown letters and long names are drawn, not read, and change the picture."""
    plain = draw(meters(level(-6)), {}).pixels
    for name in ("$\\frac$", "歌声", "A very long name of a strip, much too long"):
        assert not np.array_equal(draw(meters(level(-6)), {"s0": name}).pixels, plain)


def test_long_names_are_told_apart():
    """What differs only behind the 30th letter is drawn; no name is cut at the 17th."""
    names = [{"s0": "Backing vocals, second take, left" + last} for last in ("A", "B")]
    one, other = (draw(meters(level(-6)), each).pixels for each in names)
    assert not np.array_equal(one, other)


def test_a_reduction_beyond_the_scale_is_written():
    """60 and 80 dB both end at the edge of the scale; their numbers tell them apart."""
    one, other = (draw(meters(level(-6, gate=most)), {}).pixels for most in (60.0, 80.0))
    assert not np.array_equal(one, other)

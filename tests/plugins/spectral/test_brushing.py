"""Strokes in seconds and hertz: where they lie, what they do, and what they leave alone."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.context import Cancelled, Context
from backend.errors import InvalidParameters
from backend.media.audio import Audio
from backend.plugins.spectral.grid import Grid
from backend.plugins.spectral.operations import brush
from backend.plugins.spectral.shapes import Area, area
from backend.plugins.spectral.strokes import AnyStroke, Brush, Lasso, Rectangle

RATE = 8000
GRID = Grid(256, 64, 16_000)


def weights(stroke: AnyStroke) -> np.ndarray:
    """[columns, bins] over the two seconds of `GRID`: columns of 8 ms, bins of 31.25 Hz."""
    return area(stroke, GRID, RATE, "/strokes/0").weights(0, GRID.columns)


def test_a_rectangle_is_what_lies_between() -> None:
    """Every column and bin within the limits, whichever way round they are given, and no other."""
    times = np.arange(GRID.columns)[:, None] * 64 / RATE
    hertz = np.arange(129)[None, :] * RATE / 256
    inside = (times >= 0.5) & (times < 1.0) & (hertz >= 1000) & (hertz < 2000)
    for one, other in ((0.5, 1.0), (1.0, 0.5)):
        stroke = Rectangle(shape="rectangle", start_s=one, end_s=other, low_hz=999, high_hz=1999)
        assert np.array_equal(weights(stroke) > 0, inside)


def test_a_stroke_without_a_shape_is_a_brush() -> None:
    """As the schema says; another shape is named."""
    checked = brush.check(
        {"audio": "blake3:" + "0" * 64, "strokes": [{"points": [[1.0, 6000.0]]}]},
        lambda reference, kind: reference,
    )
    assert checked.params["strokes"][0]["shape"] == "brush"
    with pytest.raises(InvalidParameters, match="circle"):
        brush.check(
            {"audio": "blake3:" + "0" * 64, "strokes": [{"shape": "circle"}]},
            lambda reference, kind: reference,
        )


def test_a_lasso_follows_its_line() -> None:
    """A triangle holds half of its box, and a line that crosses itself has a hole."""
    triangle = weights(Lasso(shape="lasso", points=[(0.5, 500), (1.5, 500), (1.5, 3500)]))
    box = weights(Rectangle(shape="rectangle", start_s=0.5, end_s=1.5, low_hz=500, high_hz=3500))
    assert triangle.sum() == pytest.approx(box.sum() / 2, rel=0.02)
    ring = [(0.5, 500), (1.5, 500), (1.5, 3500), (0.5, 3500)]
    hole = [(0.9, 1500), (1.1, 1500), (1.1, 2500), (0.9, 2500)]
    with_hole = weights(Lasso(shape="lasso", points=[*ring, ring[0], *hole, hole[0]]))
    assert with_hole[125, 64] == 0
    assert with_hole[80, 64] == 1


def test_a_brush_is_round_and_soft() -> None:
    """1 within the core, half a cosine to the edge, 0 beyond; along a line as at a point."""
    dab = weights(Brush(points=[(1.0, 2000)], radius_s=0.16, radius_hz=625, feather=0.5))
    middle, bin_ = 125, 64
    assert (dab[middle - 10 : middle + 11, bin_] == 1.0).all()
    assert dab[middle + 15, bin_] == pytest.approx(0.5, abs=1e-9)
    assert dab[middle, bin_ + 15] == pytest.approx(0.5, abs=1e-9)
    assert dab[middle + 20, bin_] == pytest.approx(0.0, abs=1e-9)
    assert not dab[middle + 15 :, bin_ + 15 :].any()
    line = weights(
        Brush(points=[(0.5, 2000), (1.5, 2000)], radius_s=0.16, radius_hz=625, feather=0.5)
    )
    assert np.allclose(line[100], dab[middle])
    hard = weights(Brush(points=[(1.0, 2000)], radius_s=0.16, radius_hz=625, feather=0.0))
    assert set(np.unique(hard)) == {0.0, 1.0}


def test_feathers_grow_inwards_and_not_at_the_ends_of_the_sound() -> None:
    """A feathered rectangle is no larger; where the sound itself begins it is not faded."""
    soft: dict[str, Any] = {"feather_s": 0.2, "feather_hz": 500.0}
    inside = Rectangle(shape="rectangle", start_s=0.5, end_s=1.5, low_hz=1000, high_hz=3000)
    faded = weights(inside.model_copy(update=soft))
    assert not (faded > 0)[weights(inside) == 0].any()
    assert faded[125, 64] == 1.0
    assert faded[75, 64] == pytest.approx(0.5, abs=0.01)
    start = Rectangle(shape="rectangle", start_s=0.0, end_s=0.5, low_hz=0, **soft)
    assert weights(start)[0, 0] == 1.0
    assert weights(start)[0, -1] == 1.0


@pytest.mark.parametrize(("low_hz", "high_hz"), [(0, 1000), (3000, RATE / 2), (3000, 90_000)])
def test_nothing_fades_at_the_ends_of_the_spectrum(low_hz: float, high_hz: float) -> None:
    """A rectangle down to 0 Hz or up to half of the rate is whole there, and soft on the inside."""
    edge = Rectangle(
        shape="rectangle", start_s=0.5, end_s=1.5, low_hz=low_hz, high_hz=high_hz, feather_hz=500.0
    )
    column = weights(edge)[125]
    last, inner = (0, round(1000 / RATE * 2 * (column.size - 1))) if low_hz == 0 else (-1, 0)
    assert column[last] == 1.0
    assert inner == 0 or column[inner] < 0.1


@settings(max_examples=80, deadline=None)
@given(st.floats(0, 2), st.floats(0, 4000), st.booleans())
def test_the_smallest_stroke_touches_something(time_s: float, hertz: float, dab: bool) -> None:
    """A dab or a box of no size, wherever it is set, still lies on the nearest bin."""
    stroke: AnyStroke = (
        Brush(points=[(time_s, hertz)], radius_s=0.0, radius_hz=0.0)
        if dab
        else Rectangle(shape="rectangle", start_s=time_s, end_s=time_s, low_hz=hertz, high_hz=hertz)
    )
    assert 1 <= np.count_nonzero(weights(stroke)) <= 9


def test_attenuating_is_as_strong_as_it_says() -> None:
    """A steady tone under a wide stroke of 9 dB is 9 dB softer; at 120 dB it is gone."""
    tone = Audio.from_samples(0.5 * np.sin(2 * np.pi * 1000 * np.arange(24_000) / RATE), RATE)
    for strength_db, factor in ((9.0, 10 ** (-9 / 20)), (120.0, 0.0)):
        stroke = Rectangle(
            shape="rectangle", start_s=0.5, end_s=2.5, low_hz=500, high_hz=1500,
            strength_db=strength_db,
        )  # fmt: skip
        done = brush(tone, [stroke], 512, 128, picture=False)
        core = slice(8000, 16_000)
        assert np.abs(done.audio.samples - factor * tone.samples)[:, core].max() < 1e-5
        assert np.abs(done.removed.samples - (1 - factor) * tone.samples)[:, core].max() < 1e-5


def test_the_rest_stays_bit_for_bit(music: Audio) -> None:
    """Half a window beyond the stroke nothing changes, nor in frequencies far from it."""
    stroke = Rectangle(shape="rectangle", start_s=0.5, end_s=0.7, low_hz=2000, high_hz=4000)
    done = brush(music, [stroke], 1024, 256, picture=False)
    assert done.picture is None
    changed = np.flatnonzero((done.audio.samples != music.samples).any(axis=0))
    assert changed[0] > 0.5 * 44100 - 512 - 256
    assert changed[-1] < 0.7 * 44100 + 512 + 256
    spectrum = np.abs(np.fft.rfft(done.removed.samples[0]))
    hertz = np.fft.rfftfreq(music.frames, 1 / 44100)
    assert spectrum[hertz > 5000].max() < 0.02 * spectrum.max()
    # the source less the result
    assert np.array_equal(done.removed.samples, music.samples - done.audio.samples)


@pytest.mark.parametrize("mode", ["attenuate", "replace"])
def test_a_siren_is_brushed_away(siren, mode: Literal["attenuate", "replace"]) -> None:
    """A siren 15 dB over the music, followed with a narrow brush, leaves the music at least 15 dB
    over the rest."""
    stroke = Brush(points=siren.way, radius_s=0.02, radius_hz=90, feather=0.3, mode=mode)
    done = brush(siren.audio, [stroke], picture=False)
    assert siren.snr_db(siren.audio) == pytest.approx(-15.0, abs=0.1)
    assert siren.snr_db(done.audio) > 15.0


def test_replacing_fills_from_before_and_after() -> None:
    """A burst over noise, all frequencies wide, is brought to the noise's level by what lies
    before and after it; above and below there is nothing, and a sentence says so."""
    noise = 0.01 * np.random.default_rng(4).standard_normal(24_000)
    burst = noise.copy()
    burst[12_000:12_400] += 0.5 * np.random.default_rng(5).standard_normal(400)
    audio = Audio.from_samples(burst, RATE)
    box: dict[str, Any] = {"shape": "rectangle", "start_s": 1.47, "end_s": 1.58, "mode": "replace"}
    done = brush(audio, [Rectangle(**box, fill_from="time")], 512, 64, picture=False)
    inside = done.audio.samples[0, 11_900:12_500]
    assert 0.003 < np.sqrt((inside**2).mean()) < 0.03
    with pytest.raises(InvalidParameters, match="use fill_from 'time'") as caught:
        brush(audio, [Rectangle(**box)], 512, 64, picture=False)
    assert caught.value.errors[0].pointer == "/strokes/0"


def test_replacing_goes_no_farther_than_its_strength() -> None:
    """With 6 dB of strength a tone loses 6 dB, however soft its neighbourhood is."""
    tone = Audio.from_samples(0.5 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / RATE), RATE)
    stroke = Rectangle(
        shape="rectangle", start_s=0, end_s=2, low_hz=900, high_hz=1100,
        mode="replace", strength_db=6.0,
    )  # fmt: skip
    done = brush(tone, [stroke], 512, 128, picture=False)
    core = slice(4000, 12_000)
    level = np.sqrt((done.audio.samples[:, core] ** 2).mean() / (tone.samples[:, core] ** 2).mean())
    assert 20 * np.log10(level) == pytest.approx(-6.0, abs=0.1)


def test_strokes_that_overlap_multiply(music: Audio) -> None:
    """Twice 6 dB over each other is 12 dB."""
    once = Rectangle(shape="rectangle", start_s=0, end_s=2, strength_db=6.0)
    twice = once.model_copy(update={"strength_db": 12.0})
    one = brush(music, [once, once], 512, 128, picture=False).audio.samples
    other = brush(music, [twice], 512, 128, picture=False).audio.samples
    assert np.allclose(one, other, atol=1e-7)
    assert np.allclose(one, music.samples * 10 ** (-12 / 20), atol=1e-6)


@pytest.mark.parametrize(
    "stroke",
    [
        Brush(points=[(9.0, 1000)]),
        Brush(points=[(0.5, 30_000)]),
        Rectangle(shape="rectangle", start_s=5, end_s=6),
        Lasso(shape="lasso", points=[(0.5, 100), (0.5, 200), (0.5, 300)]),
    ],
)
def test_a_stroke_that_touches_nothing_is_refused(music: Audio, stroke: AnyStroke) -> None:
    """Behind the end, above the highest frequency, or without any area: not silently nothing."""
    good = Brush(points=[(0.5, 1000)])
    with pytest.raises(InvalidParameters, match=r"ends at 1\.2 s") as caught:
        brush(music, [good, stroke], picture=False)
    found = [(each.pointer, each.rule) for each in caught.value.errors]
    assert found == [("/strokes/1", "touches_nothing")]


@pytest.mark.parametrize("asked", [1, 2, 3])
def test_a_stroke_that_takes_long_can_be_stopped(
    music: Audio, monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    """Between all parts of a shape, while it is looked at and while its neighbours are, too."""
    looks = iter(range(asked))
    worked = []
    weights = Area.weights

    def counted(self: Area, at: int, columns: int) -> Any:
        worked.append(at)
        return weights(self, at, columns)

    monkeypatch.setattr(Area, "weights", counted)
    whole = Rectangle(shape="rectangle", start_s=0, end_s=2, mode="replace", fill_from="time")
    stopped = Context(is_cancelled=lambda: next(looks, None) is None)
    with pytest.raises(Cancelled):
        brush(music, [whole], 64, 1, picture=False, ctx=stopped)
    assert len(worked) == asked

"""Figures: one style, exact sizes, equal pixels, and words as people wrote them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import matplotlib
import numpy as np
import pytest

from backend.media import plots
from backend.media.image import Image


def drawing(title: str = "Level") -> Image:
    """A curve with every kind of axis."""
    figure, (above, below) = plots.figure(title, 640, 480, rows=2)
    above.plot([0, 150], [-40, -6], label="level")
    plots.time_axis(above, 150)
    plots.level_axis(above, -60, 0)
    plots.legend(above)
    plots.frequency_axis(below, 20, 20_000)
    plots.remark(below, "nothing")
    return plots.to_image(figure)


def labels(axis_of: matplotlib.axis.Axis) -> list[str]:
    """The labels of the ticks within the axes."""
    axis_of.figure.canvas.draw()
    low, high = sorted(axis_of.get_view_interval())
    places = zip(axis_of.get_ticklocs(), axis_of.get_ticklabels(), strict=False)
    return [label.get_text() for at, label in places if low <= at <= high]


def test_a_figure_has_the_size_asked_for_and_8_bits_of_rgb():
    """Width and height are pixels; an odd number is no problem."""
    figure, axes = plots.figure("x", 801, 333, widths=(2, 1))
    image = plots.to_image(figure)
    assert (image.width, image.height, image.channels, image.bit_depth) == (801, 333, 3, 8)
    assert len(axes) == 2
    assert np.array_equal(np.rint(image.pixels * 255) / np.float32(255), image.pixels)


def test_equal_figures_have_equal_pixels_in_any_thread():
    """Nothing is shared between figures, and no setting of the process is touched."""
    before = dict(matplotlib.rcParams)
    wanted = drawing().pixels
    with ThreadPoolExecutor(2) as pool:
        drawn = [image.pixels for image in pool.map(lambda _: drawing(), range(4))]
    assert all(np.array_equal(pixels, wanted) for pixels in drawn)
    assert dict(matplotlib.rcParams) == before


def test_text_can_be_read():
    """The background is dark, and text on it is brighter by the contrast WCAG AA asks for."""

    def luminance(colour: str) -> float:
        channels = np.array(matplotlib.colors.to_rgb(colour))
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for colour in (plots.TEXT, plots.FAINT, *plots.COLOURS):
        for ground in (plots.BACKGROUND, plots.PANEL):
            assert (luminance(colour) + 0.05) / (luminance(ground) + 0.05) > 4.5, colour


@pytest.mark.parametrize(
    ("duration_s", "unit", "some"),
    [
        (0.02, "time [ms]", "10"),
        (60.0, "time [s]", "30"),
        (150.0, "time [min:s]", "1:30"),
        (7200.0, "time [h:min:s]", "1:40:00"),
        (0.0, "time [s]", "1.0"),
    ],
)
def test_a_time_axis_has_the_unit_that_fits(duration_s: float, unit: str, some: str):
    """Milliseconds, seconds, minutes or hours; the values stay seconds."""
    figure, (axis,) = plots.figure("")
    plots.time_axis(axis, duration_s)
    plots.to_image(figure)
    assert axis.get_xlabel() == unit
    assert some in labels(axis.xaxis)
    assert axis.get_xlim()[1] == (duration_s or 1.0)


def test_level_and_frequency_axes_have_round_ticks_and_units():
    """Decibels in even steps; frequencies as musicians say them."""
    _, (above, below) = plots.figure("", rows=2)
    plots.level_axis(above, -60, 6)
    plots.frequency_axis(below, 20, 20_000)
    assert labels(above.yaxis) == ["−60", "−48", "−36", "−24", "−12", "0"]
    assert above.get_ylabel() == "level [dBFS]"
    assert labels(below.xaxis) == [
        *("20", "50", "100", "200", "500", "1k", "2k", "5k", "10k", "20k")
    ]
    assert below.get_xlabel() == "frequency [Hz]"


def test_axes_can_lie_the_other_way():
    """Levels across, frequencies upwards."""
    _, (axis,) = plots.figure("")
    plots.level_axis(axis, -24, 0, across=True)
    plots.frequency_axis(axis, 100, 1_000, upwards=True)
    assert axis.get_xlim() == (-24, 0)
    assert labels(axis.yaxis) == ["100", "200", "500", "1k"]


@pytest.mark.parametrize("text", ["$\\frac$", "cost: $5 or $6", "主唱", "a\x00b\nc", "{x}_^"])
def test_words_are_drawn_as_they_are(text: str):
    """No formula is read into a name, and a letter that the font lacks is a square, no warning."""
    shown = plots.words(text)
    assert len(shown.replace(r"\$", "$")) == len(text)
    assert drawing(text).width == 640


def test_numbers_have_true_minus_signs():
    """As the axes have them, and nothing is minus zero."""
    assert [plots.number(each) for each in (-3.04, -0.04, 6.0)] == ["−3.0", "0.0", "6.0"]

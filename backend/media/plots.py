"""Pictures of measurements: figures in Kino's one style, and what they become.

Knows: colours, sizes, axes of time, level and frequency, and how a figure becomes pixels.
Does not know: what is drawn.

matplotlib is imported when the first figure is made, and only its objects are used: no pyplot, no
setting that is shared, so figures can be drawn by several threads and equal ones have equal pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from backend.media.image import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI: Final = 100

BACKGROUND: Final = "#15181d"
PANEL: Final = "#1c2027"
GRID: Final = "#333a45"
FAINT: Final = "#8d97a5"
TEXT: Final = "#d9dee6"

BLUE: Final = "#6db3f2"
GREEN: Final = "#5fd0a5"
AMBER: Final = "#f2b950"
RED: Final = "#ff6b6b"
VIOLET: Final = "#b59cf5"
COLOURS: Final = (BLUE, AMBER, GREEN, VIOLET, RED, "#7fd6de", "#f29ac2", "#c3cc6b")
"""Of the curves of one figure, in this order."""

_BANDS_HZ: Final = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000)
_STEPS_DB: Final = (0.5, 1, 2, 3, 6, 12, 20, 40)


def figure(
    title: str,
    width_px: int = 1000,
    height_px: int = 400,
    rows: int = 1,
    widths: Sequence[float] = (1.0,),
) -> tuple[Figure, list[Axes]]:
    """A figure of that many pixels, with *rows* of axes; *widths* are those in a row, relatively.

    The axes come row by row, from left to right.
    """
    from matplotlib.figure import Figure

    made = Figure(
        (width_px / DPI, height_px / DPI), dpi=DPI, facecolor=BACKGROUND, layout="constrained"
    )
    if title:
        made.suptitle(words(title), color=TEXT, fontsize=12, fontweight="bold", x=0.012, ha="left")
    grid = made.add_gridspec(rows, len(widths), width_ratios=widths)
    axes = [made.add_subplot(grid[cell]) for cell in range(rows * len(widths))]
    for axis in axes:
        _dress(axis)
    return made, axes


def to_image(drawn: Figure) -> Image:
    """The figure as a picture: RGB of 8 bits."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(drawn)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[:, :, :3]
    return Image.from_array(pixels.astype(np.float32) / 255)


def remark(axis: Axes, text: str) -> None:
    """A sentence in the middle of the axes, where there is nothing to draw."""
    axis.text(
        0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", color=FAINT, fontsize=11
    )


def legend(axis: Axes, columns: int = 4) -> None:
    """The names of the labelled curves, above the axes at the right."""
    axis.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=9,
        labelcolor=TEXT,
        handlelength=1.4,
        borderaxespad=0.2,
    )


def time_axis(axis: Axes, duration_s: float, label: str = "time") -> None:
    """0 to *duration_s* from left to right, drawn in seconds.

    It is labelled in milliseconds below one second, from two minutes on as m:ss, then h:mm:ss.
    """
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    axis.set_xlim(0.0, duration_s if duration_s > 0 else 1.0)
    if 0 < duration_s < 1:
        axis.set_xlabel(f"{label} [ms]")
        axis.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{1000 * at:.6g}"))
    elif duration_s < 120:
        axis.set_xlabel(f"{label} [s]")
    else:
        hours = duration_s >= 3600
        axis.set_xlabel(f"{label} [{'h:min:s' if hours else 'min:s'}]")
        axis.xaxis.set_major_locator(MultipleLocator(_round_step_s(duration_s)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda at, _: clock(at, hours=hours)))


def words(text: str) -> str:
    """What people wrote, to be drawn as it is: no formulas, and a square for what has no letter."""
    from matplotlib.font_manager import findfont, get_font

    letters = get_font(findfont("DejaVu Sans"))
    drawn = (c if c.isprintable() and letters.get_char_index(ord(c)) else "□" for c in text)
    return "".join(drawn).replace("$", r"\$")


def number(value: float, digits: int = 1) -> str:
    """A number with a true minus sign, as on the axes, and without a minus before zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def clock(time_s: float, *, hours: bool = False) -> str:
    """A time as m:ss, or h:mm:ss."""
    minutes, seconds = divmod(round(time_s), 60)
    if not hours:
        return f"{minutes}:{seconds:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def level_axis(
    axis: Axes, low_db: float, high_db: float, label: str = "level [dBFS]", *, across: bool = False
) -> None:
    """*low_db* to *high_db* from below (*across*: from the left), with ticks at even steps."""
    from matplotlib.ticker import MultipleLocator

    step = next((each for each in _STEPS_DB if (high_db - low_db) / each <= 10), _STEPS_DB[-1])
    direction = axis.xaxis if across else axis.yaxis
    direction.set_major_locator(MultipleLocator(step))
    if across:
        axis.set_xlim(low_db, high_db)
        axis.set_xlabel(label)
    else:
        axis.set_ylim(low_db, high_db)
        axis.set_ylabel(label)


def frequency_axis(
    axis: Axes,
    low_hz: float,
    high_hz: float,
    label: str = "frequency [Hz]",
    *,
    upwards: bool = False,
) -> None:
    """*low_hz* to *high_hz*, logarithmic, from the left (*upwards*: from below)."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    direction = axis.yaxis if upwards else axis.xaxis
    if upwards:
        axis.set_yscale("log")
        axis.set_ylim(low_hz, high_hz)
        axis.set_ylabel(label)
    else:
        axis.set_xscale("log")
        axis.set_xlim(low_hz, high_hz)
        axis.set_xlabel(label)
    direction.set_major_locator(FixedLocator([f for f in _BANDS_HZ if low_hz <= f <= high_hz]))
    direction.set_minor_locator(NullLocator())
    direction.set_major_formatter(FuncFormatter(lambda at, _: _hertz(at)))


def _hertz(frequency_hz: float) -> str:
    return f"{frequency_hz / 1000:g}k" if frequency_hz >= 1000 else f"{frequency_hz:g}"


def _round_step_s(duration_s: float) -> float:
    steps = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
    return next((step for step in steps if duration_s / step <= 12), steps[-1])


def _dress(axis: Axes) -> None:
    axis.set_facecolor(PANEL)
    axis.set_prop_cycle(color=list(COLOURS))
    axis.grid(color=GRID, linewidth=0.7)
    axis.set_axisbelow(True)
    axis.tick_params(which="both", color=GRID, labelcolor=TEXT, labelsize=9, length=3)
    axis.xaxis.label.set(color=TEXT, fontsize=10)
    axis.yaxis.label.set(color=TEXT, fontsize=10)
    axis.title.set(color=TEXT, fontsize=10)
    for spine in axis.spines.values():
        spine.set(color=GRID)

"""Curves out of nothing and out of other curves."""

from __future__ import annotations

import csv
import io
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.context import scratch_in
from backend.errors import InvalidParameters, OperationFailed
from backend.media.automation import Automation
from backend.media.breakpoints import Breakpoints
from backend.plugins.reactive import curve_operations as curves
from backend.plugins.reactive import generators, shaping


def automation(values: list[float], fps: int | str = 24) -> Automation:
    return Automation.from_values(values, fps)


@pytest.mark.parametrize(
    ("waveform", "expected"),
    [
        ("sine", [0.5, 1.0, 0.5, 0.0]),
        ("square", [1.0, 1.0, 0.0, 0.0]),
        ("triangle", [0.5, 1.0, 0.5, 0.0]),
        ("saw", [0.0, 0.25, 0.5, 0.75]),
    ],
)
def test_waves_are_what_they_are_called(waveform: str, expected: list[float]) -> None:
    """A quarter of a period for each frame; the second period is the first one again."""
    made = curves.lfo(waveform, 4.0, frames=9)  # type: ignore[arg-type]
    assert made.curve.values.tolist() == pytest.approx([*expected, *expected, expected[0]])
    assert made.last_value == pytest.approx(expected[0])


def test_phase_moves_a_wave_and_amplitude_and_offset_scale_it() -> None:
    """A quarter turn makes a cosine; values lie around the offset."""
    made = curves.lfo("sine", 4.0, 2.0, -1.0, 0.25, 4)
    assert made.curve.values.tolist() == pytest.approx([1.0, -1.0, -3.0, -1.0])


def test_random_holds_a_value_for_each_period_and_follows_its_seed() -> None:
    """Equal seeds give equal values, other seeds others; values stay between -1 and 1."""
    one = curves.lfo("random", 10.0, 1.0, 0.0, 0.0, 50, seed=3).curve.values
    assert all(np.ptp(one[start : start + 10]) == 0 for start in range(0, 50, 10))
    assert len(set(one.tolist())) == 5 and np.abs(one).max() <= 1
    again = curves.lfo("random", 10.0, 1.0, 0.0, 0.0, 50, seed=3).curve.values
    other = curves.lfo("random", 10.0, 1.0, 0.0, 0.0, 50, seed=4).curve.values
    assert one.tolist() == again.tolist() != other.tolist()
    moved = curves.lfo("random", 10.0, 1.0, 0.0, 0.5, 50, seed=3).curve.values
    np.testing.assert_array_equal(moved[:45], one[5:])


def test_an_envelope_has_its_four_parts() -> None:
    """Up in 4, down to the sustained level in 2, held until 10, gone 5 frames later."""
    made = curves.adsr(4, 2, 0.5, 5, 10, frames=17, triggers=[1]).curve.values
    rise, fall, held = [0, 0.25, 0.5, 0.75, 1], [0.75], [0.5] * 4
    released = [0.5, 0.4, 0.3, 0.2, 0.1, 0]
    assert made.tolist() == pytest.approx([0, *rise, *fall, *held, *released])


def test_an_early_release_starts_from_where_the_envelope_is() -> None:
    """Let go halfway up, it falls from there; the predecessor jumped to the sustained level."""
    made = curves.adsr(10, 10, 0.7, 10, 5, frames=20).curve.values
    assert made[5] == pytest.approx(0.5)
    assert np.all(np.diff(made[5:]) <= 0) and np.abs(np.diff(made)).max() < 0.11


def test_a_new_trigger_starts_from_where_the_envelope_is() -> None:
    """No jump down to 0 while a note still sounds."""
    made = curves.adsr(5, 5, 0.8, 20, 10, frames=40, triggers=[0, 15]).curve.values
    assert made[14] > 0.5
    assert np.all(np.diff(made[15:21]) > 0) and made[15] == pytest.approx(made[14] - 0.04, abs=0.01)


def test_beats_trigger_an_envelope_at_their_own_rate() -> None:
    """The length and rate are those of the beats; a beat of two frames triggers once."""
    beats = automation([0, 1, 1, 0, 0, 0, 1, 0], "24000/1001")
    made = curves.adsr(0, 1, 0.0, 0, 1, triggers=[], beats=beats).curve
    assert made.values.tolist() == [0, 1, 0, 0, 0, 0, 1, 0]
    assert made.frame_rate == Fraction(24000, 1001)
    alone = curves.adsr(0, 1, 0.0, 0, 1, beats=beats).curve
    assert alone.values.tolist() == made.values.tolist()  # frame 0 is no trigger beside beats
    double = curves.adsr(0, 1, 0.0, 0, 1, triggers=[], beats=automation([0, 1]), fps=Fraction(48))
    assert double.curve.values.tolist() == [0, 0, 0, 1]


@settings(deadline=None, max_examples=50)
@given(
    st.integers(0, 20), st.integers(0, 20), st.floats(0, 1), st.integers(0, 20),
    st.integers(0, 30), st.lists(st.integers(0, 80), max_size=5),
)  # fmt: skip
def test_an_envelope_stays_between_0_and_1(
    attack: int, decay: int, sustain: float, release: int, hold: int, triggers: list[int]
) -> None:
    """Whatever its times, levels and triggers are."""
    shape = generators.Envelope(attack, decay, sustain, release, hold)
    values = generators.adsr(shape, 80, triggers)
    assert np.all((values >= -1e-12) & (values <= 1 + 1e-12))


def test_a_remap_bends_between_its_ends() -> None:
    """Every bend meets both ends, and its middle is where its formula says."""
    middles = {
        "linear": 0.5,
        "ease_in": 0.25,
        "ease_out": 0.75,
        "ease_in_out": 0.5,
        "logarithmic": np.log10(5.5),
        "exponential": (10**0.5 - 1) / 9,
    }
    for shape, middle in middles.items():
        made = curves.remap(15.0, 10.0, 20.0, -1.0, 1.0, shape, curve=automation([10, 15, 20]))  # type: ignore[arg-type]
        assert made.value == pytest.approx(2 * middle - 1)
        assert made.curve.values.tolist() == pytest.approx([-1, 2 * middle - 1, 1], abs=1e-6)


def test_a_remap_is_clamped_or_goes_on_straight() -> None:
    """Beyond its range a clamped value stops; otherwise the curve goes on without a kink."""
    assert curves.remap(2.0, shape="ease_in").value == 10.0
    assert curves.remap(2.0, shape="ease_in", clamp=False).value == pytest.approx(30.0)
    for shape in ("linear", "ease_in", "ease_out", "logarithmic", "exponential"):
        inside, outside = (
            curves.remap(at, out_max=1.0, shape=shape, clamp=False).value
            for at in (1 - 1e-6, 1 + 1e-6)
        )
        end = curves.remap(1.0, out_max=1.0, shape=shape, clamp=False).value
        assert outside - end == pytest.approx(end - inside, abs=1e-9)


def test_a_remap_without_a_range_or_a_curve_still_answers() -> None:
    """A source without width gives the lower end; without a curve, the value is the curve."""
    made = curves.remap(0.7, in_min=1.0, in_max=1.0, out_min=3.0)
    assert (made.value, made.curve.values.tolist()) == (3.0, [3.0])


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("add", [3, 6]), ("subtract", [-1, -2]), ("multiply", [2, 8]), ("minimum", [1, 2]),
        ("maximum", [2, 4]), ("average", [1.5, 3]), ("difference", [1, 2]),
    ],
)  # fmt: skip
def test_two_curves_become_one(way: str, expected: list[float]) -> None:
    """Frame by frame, in every way there is."""
    made = curves.combine(automation([1, 2]), automation([2, 4]), way).curve  # type: ignore[arg-type]
    assert made.values.tolist() == pytest.approx(expected)


def test_a_second_curve_at_another_rate_is_read_in_time() -> None:
    """A ramp at 48 a second added to one at 24 gives a ramp; its end holds."""
    slow, fast = automation([0, 2, 4, 6], 24), automation([-0.5, 0.5, 1.5, 2.5], 48)
    made = curves.combine(slow, fast, "subtract").curve
    assert made.frame_rate == 24
    assert made.values.tolist() == pytest.approx([0, 0, 1.5, 3.5])


def test_another_rate_keeps_the_time_and_the_beats() -> None:
    """A ramp stays a ramp; the largest value of a frame is kept, so no beat is lost."""
    ramp = automation([float(each) for each in range(48)], 48)
    made = curves.resample(ramp, Fraction(24)).curve
    assert (made.frames, str(made.frame_rate)) == (24, "24")
    assert made.values.tolist() == pytest.approx(np.arange(24) * 2 + 0.5)
    beats = np.zeros(300)
    beats[[3, 100, 101, 299]] = 1
    slower = shaping.resample(automation(beats.tolist(), 60), Fraction(24000, 1001), "maximum")
    assert slower.frames == 120
    assert np.flatnonzero(slower.values).tolist() == [1, 40, 119]
    nearest = curves.resample(automation([1, 2], 24), Fraction(48), "nearest").curve
    assert nearest.values.tolist() == [1, 1, 2, 2]


def test_smoothing_starts_at_the_first_value() -> None:
    """A curve does not begin with a fade from 0; a step is approached by half each frame."""
    made = curves.smooth(automation([1, 1, 0, 0]), 0.5).curve.values
    assert made.tolist() == [1, 1, 0.5, 0.25]


def test_breakpoints_become_frames() -> None:
    """Read in the middle of each frame; held outside; steps hold until the next point."""
    points = Breakpoints(points=[(1.0, 0.0), (2.0, 10.0), (3.0, 0.0)])
    made = curves.breakpoints(points, 4, Fraction(1)).curve.values
    assert made.tolist() == [0, 5, 5, 0]
    steps = curves.breakpoints(points, 4, Fraction(1), "step").curve.values
    assert steps.tolist() == [0, 0, 10, 0]
    one = curves.breakpoints(Breakpoints(points=[(5.0, 7.0)]), 3).curve.values
    assert one.tolist() == [7, 7, 7]


def test_texts_hold_until_the_next_one() -> None:
    """The first holds before it begins as well; a frame beyond the end gives the last text."""
    schedule = "# two shots\n2: a cat: sleeping\n\n 4 : a dog\n"
    made = curves.text(schedule, 6, 3)
    assert made.texts == ["a cat: sleeping"] * 4 + ["a dog"] * 2
    assert made.text == "a cat: sleeping"
    assert curves.text(schedule, 6, 99).text == "a dog"


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ("", "no line"),
        ("a cat", "line 1 has to be 'frame: text', not 'a cat'"),
        ("0: a\n0: b", "line 2: frame 0 has a text already"),
        ("-3: a", "frames count from 0"),
    ],
)
def test_a_schedule_that_cannot_be_read_names_its_line(schedule: str, told: str) -> None:
    """The predecessor left such lines out without a word."""
    with pytest.raises(InvalidParameters, match=told) as caught:
        curves.text(schedule)
    assert [each.pointer for each in caught.value.errors] == ["/schedule"]


def test_a_curve_is_exported_in_three_forms(tmp_path) -> None:
    """Schedule, JSON and CSV hold every value; the file holds the same text."""
    curve = automation([0.00001, -0.5, 1e9, 1 / 3], "24000/1001")
    with scratch_in(tmp_path):
        schedule = curves.export(curve, "schedule", 5)
        assert schedule.text == "0:(0.00001), 1:(-0.5), 2:(1000000000), 3:(0.33333)"
        content = json.loads(curves.export(curve, "json").text)
        table = curves.export(curve, "csv", 3)
        assert Automation.from_json(json.dumps(content).encode()).values.tolist() == (
            curve.values.tolist()
        )
        rows = list(csv.DictReader(io.StringIO(table.text)))
        assert [row["time_s"] for row in rows] == ["0.000000", "0.041708", "0.083417", "0.125125"]
        assert [row["value"] for row in rows] == ["0", "-0.5", "1000000000", "0.333"]
        assert table.file.path.read_text() == table.text
        assert (table.file.name, table.file.media_type) == ("curve.csv", "text/csv")


def test_a_long_text_is_only_in_the_file(tmp_path) -> None:
    """A schedule of more than a million characters would swell the result."""
    curve = Automation.from_values(np.full(100_000, 1 / 3), 24)
    with scratch_in(tmp_path):
        made = curves.export(curve)
        assert made.text == "" and made.file.path.stat().st_size > 1_000_000


def test_numbers_become_a_curve() -> None:
    """One number for each frame."""
    made = curves.from_values([1, 2.5], Fraction(30)).curve
    assert (made.values.tolist(), str(made.frame_rate)) == ([1.0, 2.5], "30")


@pytest.mark.parametrize(
    ("operation", "params", "pointer"),
    [
        (curves.lfo, {"period_frames": 0}, "/period_frames"),
        (curves.lfo, {"waveform": "random", "period_frames": 1e-6}, "/period_frames"),
        (curves.lfo, {"frames": 1_000_001}, "/frames"),
        (curves.lfo, {"frames": 0}, "/frames"),
        (curves.adsr, {"triggers": [-1]}, "/triggers/0"),
        (curves.adsr, {"attack_frames": -1}, "/attack_frames"),
        (curves.from_values, {"values": []}, "/values"),
        (curves.text, {"frames": 100_001}, "/frames"),
        (curves.breakpoints, {"curve": {"points": []}}, "/curve/points"),
        (curves.smooth, {"curve": "x"}, "/curve"),
    ],
)
def test_what_is_out_of_range_is_named(operation, params, pointer: str) -> None:
    """Nothing, too much and the impossible each have their pointer."""
    with pytest.raises(InvalidParameters) as caught:
        operation.check(params, lambda reference, kind: reference)
    assert [each.pointer for each in caught.value.errors] == [pointer]


SLOW = Automation.from_values([0.0, 1.0, 0.0], "1/999999999999")
"""Three values that last a hundred thousand years."""


@pytest.mark.parametrize(
    ("make", "pointer", "rule"),
    [
        (lambda: curves.resample(SLOW, Fraction(24)), "/fps", "frames"),
        (lambda: curves.adsr(beats=SLOW, fps=Fraction(24)), "/fps", "frames"),
        (lambda: curves.combine(automation([1.0]), automation([])), "/second", "empty"),
        (lambda: curves.text("0: " + "x" * 1000, 100_000), "/frames", "characters"),
    ],
)
def test_what_would_be_endless_or_comes_of_nothing_is_refused(make, pointer, rule) -> None:
    """A curve slower than any film, one without values, texts that would fill the memory."""
    with pytest.raises(InvalidParameters) as caught:
        make()
    assert [(each.pointer, each.rule) for each in caught.value.errors] == [(pointer, rule)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: curves.breakpoints(Breakpoints(points=[(0.0, 1e308)])),
        lambda: curves.breakpoints(Breakpoints(points=[(0.0, -1e308), (1.0, 1e308)])),
        lambda: curves.combine(automation([3e38]), automation([3e38]), "add"),
        lambda: curves.remap(1e6, 0.0, 1e-320, 0.0, 1.0, "linear", False),
        lambda: curves.remap(1e6, 0.0, 1e-320, 1.0, 1.0, "linear", False),
        lambda: curves.remap(1.0, 0.0, 1e-3, 0.0, 1e6, "linear", False, automation([3e38])),
    ],
)
def test_values_beyond_32_bit_float_are_refused(make) -> None:
    """Neither infinity nor NaN comes out of curves, and no picture is drawn of them."""
    with pytest.raises(OperationFailed, match="beyond 32-bit float"):
        make()


def test_a_bend_without_slope_takes_what_is_infinitely_far() -> None:
    """0 times infinity would be no number."""
    assert curves.remap(1e6, 0.0, 1e-320, 0.0, 1.0, "ease_in_out", False).value == 1.0


def test_peaks_survive_rates_of_many_digits() -> None:
    """The frame that a peak falls into is found in whole numbers of any size."""
    curve = automation([0.0, 1.0, 0.0, 0.0], "999999999999/99999999977")
    made = curves.resample(curve, Fraction(9_999_999, 1_000_003), "maximum").curve
    assert made.values.tolist() == [0.0, 1.0, 0.0, 0.0]


def test_blanks_in_a_schedule_cost_no_time() -> None:
    """A hundred thousand blanks within a text are one text, read at once."""
    line = "0: a" + " " * 100_000 + "b"
    assert curves.text(line, 1).text == line[3:]


def test_a_schedule_names_its_first_mistakes_only() -> None:
    """A hundred thousand wrong lines are not a hundred thousand errors."""
    with pytest.raises(InvalidParameters) as caught:
        curves.text("x\n" * 100_000)
    assert len(caught.value.errors) == 20


def test_halving_a_film_rate_takes_every_second_frame() -> None:
    """The middle of each new frame lies exactly on an edge of the old ones: nothing trembles."""
    fast = automation([float(n) for n in range(6000)], "60000/1001")
    slow = curves.resample(fast, Fraction(30000, 1001), "nearest").curve.values
    assert set(np.diff(slow).tolist()) == {2.0}


@pytest.mark.parametrize(("period", "phase"), [(1.1, 0.5), (7.7, 0.5), (3.0, 0.25)])
def test_a_random_wave_steps_once_a_period(period: float, phase: float) -> None:
    """Each value is held for one period; none flashes up for a frame at its end."""
    frames = 2000
    values = generators.lfo("random", frames, period, phase, 7)
    exact, shift = Fraction(str(period)), Fraction(str(phase))
    turns = [int(n / exact + shift) for n in range(frames)]
    for n in range(1, frames):
        assert (values[n] != values[n - 1]) == (turns[n] != turns[n - 1]), n

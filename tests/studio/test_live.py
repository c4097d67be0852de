"""What is moved while it plays glides: no clicks, and the end of the way is where it was sent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest

RATE: Final = 48000
BLOCK: Final = 128
HERTZ: Final = 50.0
LEVEL: Final = 0.5
STEADY: Final = LEVEL * 2 * math.pi * HERTZ / RATE
"""The largest step between two samples of the sine itself: 0.0033."""
MOST: Final = 0.02
"""The largest step that a move may make; one that does not glide makes 0.1 and more."""
AT: Final = 30
"""The block at which something is moved."""

Document = dict[str, Any]
Samples = npt.NDArray[np.float64]


def mix(master: Document | None = None, **strip: Any) -> Document:
    return {"strips": [{"id": "a", **strip}], "master": master or {}}


def play(engine: Any, doc: Document, *others: Document, blocks: int = 60) -> Any:
    """Play a sine through *doc*; from a crest on, move to the *others*, block after block."""
    sine = LEVEL * np.cos(2 * np.pi * HERTZ / RATE * (np.arange(blocks * BLOCK) - AT * BLOCK))
    moves = [[AT + n, other] for n, other in enumerate(others)]
    sources, total = [[sine.tolist(), sine.tolist()]], blocks * BLOCK
    return engine.ask("play", doc=doc, moves=moves, sources=sources, rate=RATE, total=total)


def largest_step(answer: Any) -> float:
    """Between two neighbouring samples, from before the move to the end."""
    master = np.array(answer["master"])
    return float(np.abs(np.diff(master[:, (AT - 1) * BLOCK :])).max())


COMPRESSOR: Final = {"threshold_db": -30.0, "ratio": 8.0}
MOVES: Final[dict[str, tuple[Document, Document]]] = {
    "fader down": (mix(), mix(fader_db=-60.0)),
    "fader to its bottom": (mix(), mix(fader_db=-120.0)),
    "fader onto a curve": (mix(), mix(fader_db={"points": [[0, -40], [0.1, -20]]})),
    "mute": (mix(), mix(mute=True)),
    "pan": (mix(pan=-1.0), mix(pan=1.0)),
    "band on": (mix(), mix(eq={"low": {"gain_db": -12.0}})),
    "band moved": (mix(eq={"low": {"gain_db": 6.0}}), mix(eq={"low": {"gain_db": -9.0}})),
    "high-pass on": (mix(), mix(eq={"high_pass_hz": 400.0})),
    "compressor on": (mix(), mix(compressor=COMPRESSOR)),
    "compressor off": (mix(compressor=COMPRESSOR), mix()),
    "threshold": (mix(compressor=COMPRESSOR), mix(compressor={**COMPRESSOR, "threshold_db": -6.0})),
    "makeup": (mix(compressor=COMPRESSOR), mix(compressor={**COMPRESSOR, "makeup_db": 12.0})),
    "gate on": (mix(), mix(gate={"threshold_db": 0.0})),
    "delay on": (mix(), mix(delay={"time_s": 0.01, "mix": 0.9})),
    "delay time": (mix(delay={"time_s": 0.01}), mix(delay={"time_s": 0.017})),
    "delay onto a curve": (
        mix(delay={"time_s": 0.01}),
        mix(delay={"time_s": {"points": [[0, 0.01], [0.2, 0.012]]}}),
    ),
    "hold": (
        mix(compressor={**COMPRESSOR, "hold_ms": 0.0}),
        mix(compressor={**COMPRESSOR, "hold_ms": 50.0}),
    ),
    "drive on": (mix(), mix({"drive": 1.0})),
    "drive off": (mix({"drive": 1.0}), mix()),
    "drive moved": (mix({"drive": 0.0}), mix({"drive": 3.0})),
    "limiter on": (mix(), mix({"limiter": {"ceiling_db": -12.0}})),
    "ceiling": (mix({"limiter": {}}), mix({"limiter": {"ceiling_db": -18.0}})),
    "release": (mix({"limiter": {}}), mix({"limiter": {"release_ms": 5.0}})),
    "width": (mix({"width": 0.0}), mix({"width": 2.0})),
    "volume": (mix(), mix({"volume_db": -40.0})),
}


@pytest.mark.parametrize("name", MOVES)
def test_a_move_makes_no_click(engine: Any, name: str) -> None:
    """On a steady sine, no two neighbouring samples are further apart than a glide makes them."""
    answer = play(engine, *MOVES[name])
    assert answer["moved"] == [True]
    assert largest_step(answer) < MOST


@pytest.mark.parametrize("name", ["fader down", "mute", "pan", "band on", "drive on", "delay time"])
def test_without_the_glide_there_would_be_a_click(
    altered: Callable[[str], Any], dsp_text: str, name: str
) -> None:
    """The bound means something: a glide of one sample goes over it."""
    sudden = altered(dsp_text.replace("GLIDE_S = 0.02", "GLIDE_S = 1e-9"))
    assert largest_step(play(sudden, *MOVES[name])) > MOST


def test_a_fader_is_heard_at_once_and_arrives(engine: Any) -> None:
    """A fader that is pulled down is half-way after 10 ms, and after 20 ms where it was set."""
    moved, still = (
        np.array(each["master"])[0, each["latency"] :]
        for each in (play(engine, mix(), mix(fader_db=-20.0)), play(engine, mix()))
    )
    begin, ten_ms = AT * BLOCK, round(0.01 * RATE)
    np.testing.assert_array_equal(moved[:begin], still[:begin])
    assert abs(moved[begin + ten_ms]) == pytest.approx(abs(still[begin + ten_ms]) * 10**-0.5)
    np.testing.assert_allclose(moved[begin + 2 * ten_ms :], still[begin + 2 * ten_ms :] / 10)


@pytest.mark.parametrize("name", ["band moved", "compressor on", "drive on", "limiter on", "pan"])
def test_in_the_end_it_sounds_as_if_it_had_always_been_so(engine: Any, name: str) -> None:
    """Some time after a move the samples are those of a mixer that began with the new document."""
    before, after = MOVES[name]
    moved, fresh = (
        np.array(each["master"])
        for each in (play(engine, before, after, blocks=130), play(engine, after, blocks=130))
    )
    assert 20 * math.log10(np.abs((moved - fresh)[:, -20 * BLOCK :]).max() + 1e-15) < -120


def test_moves_in_quick_succession_end_at_the_last(engine: Any) -> None:
    """A section that is switched while it still fades in waits, then follows the latest word."""
    on, off = mix(compressor=COMPRESSOR), mix()
    answer = play(engine, off, on, off, on, off, blocks=120)
    assert answer["moved"] == [True] * 4
    assert largest_step(answer) < MOST
    still = np.array(play(engine, off, blocks=120)["master"])
    np.testing.assert_allclose(np.array(answer["master"])[:, -BLOCK:], still[:, -BLOCK:], atol=1e-9)


@pytest.mark.parametrize(
    "other",
    [
        mix(compressor={"lookahead_ms": 5.0}),
        mix({"limiter": {"lookahead_ms": 15.0}}),
        {"strips": [{"id": "a", "sends": [{"bus": "x"}]}], "buses": [{"id": "x"}]},
        {"strips": [{"id": "b"}]},
    ],
)
def test_what_cannot_glide_is_refused_and_nothing_moves(engine: Any, other: Document) -> None:
    """Another latency or other strips and buses take a new mixer; this one plays on as it was."""
    other["strips"][0]["fader_db"] = -60.0
    answer = play(engine, mix(), other, blocks=40)
    assert answer["moved"] == [False]
    assert answer["master"] == play(engine, mix(), blocks=40)["master"]

"""kino-dsp.js gives what the server renders: section by section, all together, and ducking."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest

from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.media.breakpoints import Breakpoints
from backend.plugins.mixer.document import MixDoc
from backend.plugins.mixer.inserts import Compressor, Delay, Gate, Limiter
from backend.plugins.mixer.operations import duck, mix

LIMIT_DB: Final = -120.0
RATE: Final = 48000
FRAMES: Final = 7200

Block = npt.NDArray[np.float32]
Document = dict[str, Any]


def bursts(channels: int, frames: int, seed: int) -> Block:
    """Noise that comes in bursts and fades: every detector has something to do."""
    made = np.random.default_rng(seed).standard_normal((channels, frames))
    turn = np.arange(frames) / RATE * 12 % 1
    return (0.4 * made * (0.01 + np.exp(-6 * turn))).astype(np.float32)


SOURCES: Final = [bursts(2, FRAMES, 1), bursts(1, FRAMES - 2000, 2), bursts(6, FRAMES - 777, 3)]


def points(*pairs: tuple[float, float]) -> Breakpoints:
    return Breakpoints(points=list(pairs))


def curve(first: float, last: float, rate: str = "30000/1001") -> Automation:
    """A wave from *first* to *last* and back, frame by frame."""
    turn = np.sin(np.linspace(0, 9, 8)) / 2 + 0.5
    return Automation.from_values(first + (last - first) * turn, rate)


def document(master: Document | None = None, **strip: Any) -> Document:
    """A mix of two strips, the first of which is told *strip*."""
    buses = strip.pop("buses", [])
    strips = [{"id": "a", **strip}, {"id": "b", "pan": -0.3, "fader_db": -2.5}]
    return {"sample_rate": RATE, "strips": strips, "buses": buses, "master": master or {}}


COMPRESSOR: Final = {"threshold_db": -30.0, "ratio": 3.0, "attack_ms": 4.0, "release_ms": 60.0}
GATE: Final = {"threshold_db": -22.0, "hold_ms": 8.0, "release_ms": 30.0, "range_db": 50.0}
EQ: Final[Document] = {
    "high_pass_hz": 60.0,
    "low": {"gain_db": 6.0},
    "mid": {"gain_db": -9.0, "q": 2.0, "frequency_hz": 1500.0},
    "high": {"gain_db": 4.5},
    "low_pass_hz": 15000.0,
}
MOVING_EQ: Final[Document] = {
    "high_pass_hz": points((0.05, 20.0), (0.2, 900.0)),
    "low": {"gain_db": curve(-12, 12)},
    "mid": {"gain_db": 5.0, "frequency_hz": curve(200, 4000), "q": points((0.0, 0.3), (0.2, 5.0))},
    "high": {"gain_db": points((0.01, 0.0), (0.1, 9.0))},
}
SENDS: Final = [
    {"bus": "echo", "pre_fader": True, "gain_db": -6.0},
    {"bus": "echo", "gain_db": points((0.0, -120.0), (0.1, -3.0))},
    {"bus": "plain", "gain_db": -9.0},
]
BUSES: Final = [
    {
        "id": "echo",
        "eq": {"low_pass_hz": 3000.0},
        "delay": {"time_s": 0.021, "feedback": 0.3, "mix": 1.0},
        "fader_db": -2.0,
    },
    {"id": "plain", "fader_db": curve(-20, 0)},
]
KEYED: Final = {**COMPRESSOR, "key": "strip:b", "lookahead_ms": 4.0, "hold_ms": 5.0}
MASTER: Final = {
    "high_pass_hz": 30.0,
    "drive": curve(0, 1.5),
    "low_pass_hz": 16000.0,
    "gate": {"threshold_db": -60.0, "lookahead_ms": 2.0},
    "compressor": {"threshold_db": -20.0, "key": "strip:a", "range_db": 6.0, "makeup_db": 2.0},
    "eq": {"mid": {"gain_db": 3.0}},
    "width": curve(0.5, 1.5),
    "balance": -0.1,
    "volume_db": 9.0,
    "limiter": {
        "ceiling_db": points((0.0, -1.0), (0.2, -5.0)),
        "lookahead_ms": curve(2, 9),
        "release_ms": curve(20, 200),
    },
}
ZIGZAG: Final = points((0.03, 0.0), (0.05, -24.0), (0.1, -3.0), (0.15, -20.0))
DOCUMENTS: Final[dict[str, Document]] = {
    "neutral": document(),
    "gate": document(gate=GATE),
    "gate ahead, moving": document(
        gate={
            **GATE,
            "lookahead_ms": 3.0,
            "threshold_db": curve(-40, -15),
            "attack_ms": curve(0, 9),
        }
    ),
    "gate, all moving": document(
        gate={
            "threshold_db": curve(-40, -15),
            "hysteresis_db": curve(0, 9),
            "range_db": curve(20, 60),
            "attack_ms": curve(0, 9),
            "hold_ms": curve(0, 40),
            "release_ms": curve(1, 60),
            "lookahead_ms": curve(0, 20),
        }
    ),
    "gate, hold moving": document(gate={**GATE, "hold_ms": points((0.03, 0.0), (0.1, 60.0))}),
    "gate, look-ahead moving": document(gate={**GATE, "lookahead_ms": curve(9, 1)}),
    "compressor": document(compressor={**COMPRESSOR, "hold_ms": 6.0, "makeup_db": 4.0}),
    "compressor, hard knee": document(compressor={**COMPRESSOR, "knee_db": 0.0, "attack_ms": 0.0}),
    "compressor, range": document(compressor={**COMPRESSOR, "range_db": 5.0, "ratio": 60.0}),
    "compressor, keyed": document(compressor=KEYED, gate={"lookahead_ms": 2.0}),
    "compressor, moving": document(
        compressor={
            "threshold_db": curve(-40, -10),
            "ratio": curve(1, 9),
            "knee_db": curve(0, 20),
            "attack_ms": curve(0, 20),
            "release_ms": curve(5, 200),
            "makeup_db": curve(-3, 9),
        }
    ),
    "compressor, hold moving": document(
        compressor={**COMPRESSOR, "release_ms": 3.0, "hold_ms": curve(0, 60)}
    ),
    "compressor, look-ahead moving": document(
        compressor={**KEYED, "lookahead_ms": points((0.02, 12.0), (0.06, 0.0), (0.1, 7.0))}
    ),
    "compressor, range and hold moving": document(
        compressor={**COMPRESSOR, "range_db": curve(0, 20), "hold_ms": points((0, 50), (0.1, 0))}
    ),
    "equalizer": document(eq=EQ),
    "equalizer, moving": document(eq=MOVING_EQ),
    "delay, endless": document(delay={"time_s": 0.013, "feedback": 0.7, "mix": 0.4}),
    "delay, counted": document(
        delay={"time_s": 0.0131, "feedback": points((0, 0.2), (0.2, 0.9)), "mix": 0.5, "echoes": 5}
    ),
    "delay, moving": document(
        delay={"time_s": 0.01, "feedback": curve(0, 0.9), "mix": curve(0, 1)}
    ),
    "delay, time moving": document(
        delay={"time_s": curve(0.002, 0.05), "feedback": 0.7, "mix": 0.6}
    ),
    "delay, counted, time moving": document(
        delay={
            "time_s": points((0.02, 0.03), (0.05, 0.001), (0.14, 0.02)),
            "feedback": curve(0.2, 0.9),
            "mix": 0.6,
            "echoes": 4,
        }
    ),
    "fader": document(fader_db=points((0.01, -120.0), (0.05, -119.0), (0.15, 6.0))),
    "pan, stereo": document(pan=curve(-1, 1)),
    "sends": document(sends=SENDS, fader_db=-4.0, gate={"lookahead_ms": 2.0}, buses=BUSES),
    "mute": document(mute=True, sends=SENDS, buses=BUSES),
    "solo": document(solo=True, compressor=KEYED),
    "fold of 5.1": {
        "sample_rate": RATE,
        "strips": [{"id": "a", "mute": True}, {"id": "b"}, {"id": "c", "pan": curve(-1, 1)}],
    },
    "drive": document({"drive": 0.8}),
    "drive, moving": document({"drive": curve(0, 3)}),
    "passes": document({"high_pass_hz": 200.0, "drive": 0.2, "low_pass_hz": curve(500, 9000)}),
    "place": document({"width": 1.7, "balance": 0.4, "volume_db": -3.0}),
    "place, moving": document(
        {"width": curve(0, 2), "balance": curve(-1, 1), "volume_db": curve(-9, 9)}
    ),
    "limiter": document({"limiter": {}, "volume_db": 12.0}),
    "limiter, moving": document(
        {"limiter": {"ceiling_db": curve(-12, 0), "lookahead_ms": 1.0, "release_ms": 20.0}}
    ),
    "limiter, release moving": document(
        {"limiter": {"ceiling_db": -9.0, "release_ms": curve(1, 200)}, "volume_db": 12.0}
    ),
    "limiter, look-ahead moving": document(
        {"limiter": {"lookahead_ms": curve(1, 20), "release_ms": 9.0}, "volume_db": 12.0}
    ),
    "limiter, all moving": document(
        {
            "limiter": {
                "ceiling_db": ZIGZAG,
                "lookahead_ms": points((0.02, 2.0), (0.06, 15.0), (0.12, 7.0)),
                "release_ms": curve(1, 90),
            }
        }
    ),
}
TOGETHER: Final = document(
    MASTER,
    gate={**GATE, "lookahead_ms": curve(0, 3), "threshold_db": curve(-40, -20)},
    compressor={**KEYED, "hold_ms": curve(0, 20)},
    eq=MOVING_EQ,
    delay={"time_s": curve(0.012, 0.014), "feedback": 0.7, "mix": 0.4, "echoes": 3},
    pan=curve(-1, 1),
    fader_db=points((0.0, -12.0), (0.2, 3.0)),
    sends=SENDS,
    buses=BUSES,
)

SLIPPERY: Final = document(
    {
        "drive": curve(0, 1),
        "low_pass_hz": 23900.0,
        "limiter": {"ceiling_db": ZIGZAG, "lookahead_ms": curve(2, 5), "release_ms": curve(9, 90)},
    },
    gate={**GATE, "lookahead_ms": curve(1, 2), "hold_ms": curve(0, 20)},
    compressor={**KEYED, "hold_ms": curve(0, 30)},
    eq={"mid": {"gain_db": curve(-12, 12)}},
    delay={"time_s": curve(0.009, 0.013), "mix": 0.4, "echoes": 2},
)
"""Where every number of the code is heard."""
DUCK_DEFAULTS: Final = {"threshold_db": -24.0, "ratio": 4.0, "attack_ms": 10.0}


@dataclass(frozen=True)
class Pair:
    """The same mix by the server and by the twin, float64 [4, n]: master, then pre-master."""

    server: npt.NDArray[np.float64]
    twin: npt.NDArray[np.float64]

    @property
    def difference_db(self) -> float:
        """The largest difference of a sample, in dBFS, as far as both go."""
        frames = min(self.server.shape[1], self.twin.shape[1])
        difference = np.abs(self.server[:, :frames] - self.twin[:, :frames]).max()
        return 20 * math.log10(max(float(difference), 1e-15))

    def check(self) -> None:
        """Both are as long, and no sample differs by more than the limit."""
        assert self.server.shape == self.twin.shape
        assert self.difference_db < LIMIT_DB


@pytest.fixture(scope="session")
def rendered(as_json: Callable[..., Any]) -> Callable[..., Pair]:
    """Renders a document by both; *twins* is the twin's document where it is another one."""

    def render(engine: Any, told: Document, twins: Any = None, piece: int = 4096) -> Pair:
        sources = SOURCES[: len(told["strips"])]
        audio = [Audio.from_samples(each, told["sample_rate"]) for each in sources]
        strips = [{**s, "source": a} for s, a in zip(told["strips"], audio, strict=True)]
        model = MixDoc.model_validate({**told, "strips": strips})
        made = mix(model, loudness="master")
        answer = engine.ask(
            "render",
            doc=as_json(model, RATE) if twins is None else twins,
            sources=[each.tolist() for each in sources],
            rate=RATE,
            piece=piece,
        )
        server = np.concatenate([made.master.samples, made.pre_master.samples])
        twin = np.array(answer["master"] + answer["pre_master"])
        return Pair(server.astype(np.float64), twin)

    return render


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_twin_renders_what_the_server_renders(
    any_engine: Any, rendered: Callable[..., Pair], name: str
) -> None:
    """No sample of master or pre-master differs by more than -120 dBFS, for every section alone."""
    pair = rendered(any_engine, DOCUMENTS[name])
    assert np.abs(pair.server).max() > 0.05
    pair.check()


def test_all_sections_together_are_the_same(any_engine: Any, rendered: Callable[..., Pair]) -> None:
    """A mix of everything, most of it moving, differs by less than -120 dBFS."""
    pair = rendered(any_engine, TOGETHER)
    assert np.abs(pair.server).max() > 0.3
    pair.check()


def test_the_cut_of_a_stream_changes_no_bit(engine: Any, rendered: Callable[..., Pair]) -> None:
    """In blocks of 128, as an audio thread works, or with odd ends, every bit is the same."""
    cut, odd = (rendered(engine, TOGETHER, piece=size).twin for size in (128, 1777))
    np.testing.assert_array_equal(cut, odd)


def test_what_a_document_leaves_out_is_the_same_default(
    engine: Any, rendered: Callable[..., Pair]
) -> None:
    """A document in its shortest form is told to the twin as a person would write it."""
    told = {
        "strips": [
            {"id": "a", "eq": {"low": {"gain_db": 3.0}}, "delay": {"time_s": 0.01}, "gate": {}},
            {"id": "b"},
        ],
        "master": {"compressor": {}, "limiter": {}, "eq": {"high": {"gain_db": 3.0}}},
        "sample_rate": RATE,
    }
    rendered(engine, told, twins=told).check()


def test_the_defaults_of_the_sections_are_the_documents(engine: Any) -> None:
    """Names and defaults in JavaScript are those of the document's models."""
    models = {"Gate": Gate, "Compressor": Compressor, "Delay": Delay, "Limiter": Limiter}
    assert engine.ask("defaults") == {name: kind().model_dump() for name, kind in models.items()}


MISTAKES: Final = {
    "1 ms of a compressor's release": ("compressor", "release_ms", 1.0),
    "1 ms of a gate's release": ("gate", "release_ms", 1.0),
    "0.001 dB of an equalizer": (
        "eq",
        "mid",
        {**EQ["mid"], "gain_db": EQ["mid"]["gain_db"] + 0.001},
    ),
    "one sample of a delay": ("delay", "time_s", 1 / RATE),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_parameter_is_seen(
    engine: Any, rendered: Callable[..., Pair], mistake: str
) -> None:
    """The smallest slip of a parameter goes over the limit that the twin keeps."""
    section, name, change = MISTAKES[mistake]
    delay = {"time_s": 0.02, "feedback": 0.3, "mix": 0.2}
    right = document(gate=GATE, compressor=COMPRESSOR, eq=EQ, delay=delay)
    strip = right["strips"][0]
    wrong = change if isinstance(change, dict) else strip[section][name] + change
    slipped = {**strip, section: {**strip[section], name: wrong}}
    twins = {**right, "strips": [slipped, right["strips"][1]]}
    rendered(engine, right, twins=right).check()
    assert rendered(engine, right, twins=twins).difference_db > LIMIT_DB


SLIPS: Final = [
    ("const CONTROL = 16;", "const CONTROL = 15;"),
    ("const GRID = 64;", "const GRID = 32;"),
    ("step * (inside + j - i + 1)", "step * (inside + j - i)"),
    ("start - 92", "start - 91"),
    ("start + i - 12;", "start + i - 11;"),
    ("- 0.35)", "- 0.3501)"),
    ("this.box.length + 11", "this.box.length + 10"),
    ("line, i + 23)", "line, i + 22)"),
    ("new DelayLine(56", "new DelayLine(57"),
    ("count / 2, 11)", "count / 2, 11.001)"),
    ("1 + amount / 2", "1 + amount / 2.0001"),
    ("knee > 0 ?", "knee > 99 ?"),
    ("0.49 * rate", "0.48 * rate"),
    ("this.closedFor > this.steps(n)", "this.closedFor >= this.steps(n)"),
    ("this.steps(n) + 1", "this.steps(n) + 2"),
    ("this.wait(start - this.latency)", "this.wait(start)"),
    ("latency + 1 + i - Math", "latency + i - Math"),
    ("n + 12 - this.latency)", "n + 12)"),
    ("late(this.least, rate)", "late(this.most - 1, rate)"),
    ("left = decay(1, release_ms.at(n), rate)", "left"),
    ("(d - 2)) / 6)", "(d - 2)) / 6.01)"),
    ("this.moving.at(start + i)", "this.moving.at(start)"),
    ("(p + 1) / 8", "(p + 1.01) / 8"),
    ("newest, 24) * MOST_GAIN", "newest, 24) * 0.1"),
    ("wait + strip.rack.before(Compressor)", "wait"),
    ("samples.fill(0, 0, Math.max(0, -start))", ""),
]


@pytest.mark.parametrize(("right", "wrong"), SLIPS)
def test_a_mistake_in_the_code_is_seen(
    altered: Callable[[str], Any],
    rendered: Callable[..., Pair],
    dsp_text: str,
    right: str,
    wrong: str,
) -> None:
    """One wrong number anywhere in the file goes over the limit."""
    assert dsp_text.count(right) == 1
    engine = altered(dsp_text.replace(right, wrong))
    assert rendered(engine, SLIPPERY).difference_db > LIMIT_DB


DUCKING: Final[dict[str, dict[str, Any]]] = {
    "as it is": {},
    "ahead": {"lookahead_ms": 7.0, "hold_ms": 12.0, "range_db": 12.0, "makeup_db": 3.0},
    "moving": {"threshold_db": curve(-40, -20), "ratio": curve(2, 10), "release_ms": 40.0},
    "hold and look-ahead moving": {"hold_ms": curve(0, 60), "lookahead_ms": curve(12, 0)},
}


@pytest.mark.parametrize("name", DUCKING)
def test_ducking_is_the_same(any_engine: Any, as_json: Callable[..., Any], name: str) -> None:
    """mixer.duck and its twin differ by less than -120 dBFS; 1 ms more of release is seen."""
    music, voice = SOURCES[:2]
    given = {"release_ms": 200.0, **DUCKING[name]}
    made = duck(Audio.from_samples(music, RATE), Audio.from_samples(voice, RATE), **given)
    settings = {**DUCK_DEFAULTS, **{k: as_json(v, RATE) for k, v in given.items()}}
    answers = [
        any_engine.ask(
            "duck",
            music=music.tolist(),
            voice=voice.tolist(),
            settings={**settings, "release_ms": settings["release_ms"] + more},
            rate=RATE,
        )
        for more in (0.0, 1.0)
    ]
    right, wrong = (Pair(made.samples.astype(np.float64), np.array(each)) for each in answers)
    assert right.difference_db < LIMIT_DB < wrong.difference_db
    assert not np.array_equal(made.samples, music)

"""The file in a real AudioWorklet: the samples of the render, and moves while it plays."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pytest

from backend.media.audio import Audio
from backend.plugins.mixer.document import MixDoc
from backend.plugins.mixer.operations import mix

RATE: Final = 48000
FRAMES: Final = 24000

RENDER: Final = """async ({doc, sources, rate, frames}) => {
  const context = new OfflineAudioContext(2, frames, rate);
  await context.audioWorklet.addModule("/kino-dsp.js");
  const told = sources.map((source) => ({channels: source.length, frames: source[0].length}));
  const node = new AudioWorkletNode(context, "kino-mixer", {
    numberOfInputs: sources.length, outputChannelCount: [2], processorOptions: {doc, sources: told},
  });
  sources.forEach((source, i) => {
    const buffer = context.createBuffer(source.length, source[0].length, rate);
    source.forEach((samples, c) => buffer.copyToChannel(Float32Array.from(samples), c));
    const player = new AudioBufferSourceNode(context, {buffer});
    player.connect(node, 0, i);
    player.start();
  });
  node.connect(context.destination);
  const first = new Promise((resolve) => (node.port.onmessage = ({data}) => resolve(data)));
  const made = await context.startRendering();
  return {...(await first), master: [0, 1].map((c) => Array.from(made.getChannelData(c)))};
}"""

PLAY: Final = """async ({doc, others}) => {
  const context = new AudioContext({sampleRate: 48000});
  await context.audioWorklet.addModule("/kino-dsp.js");
  const node = new AudioWorkletNode(context, "kino-mixer", {
    outputChannelCount: [2], processorOptions: {doc, sources: [{channels: 1}], live: true},
  });
  new ConstantSourceNode(context).connect(node);
  node.connect(context.destination);
  const heard = [];
  const all = new Promise((resolve) => {
    node.port.onmessage = ({data}) => heard.push(data) > others.length && resolve(heard);
  });
  for (const other of others) node.port.postMessage({doc: other});
  await all;
  await context.close();
  return heard;
}"""


def document() -> dict[str, Any]:
    """A mix that uses a key, a bus, a mono and a stereo source, drive and limiter."""
    first = {
        "id": "a",
        "gate": {"threshold_db": -40.0, "lookahead_ms": 2.0},
        "compressor": {"threshold_db": -30.0, "key": "strip:b"},
        "eq": {"mid": {"gain_db": {"points": [[0.1, -12.0], [0.4, 12.0]]}}},
        "sends": [{"bus": "x", "gain_db": -6.0}],
        "pan": {"points": [[0.0, -1.0], [0.5, 1.0]]},
    }
    bus = {"id": "x", "delay": {"time_s": 0.03, "mix": 1.0, "echoes": 3}}
    master = {"drive": 0.5, "width": 1.3, "volume_db": 6.0, "limiter": {}}
    strips = [first, {"id": "b", "fader_db": -3.0}]
    return {"sample_rate": RATE, "strips": strips, "buses": [bus], "master": master}


@pytest.mark.xdist_group("chromium")
def test_a_worklet_plays_what_the_server_renders(chromium: Any) -> None:
    """Through Chromium's own audio graph, with its latency taken out, the render is the same to
    -120 dBFS."""
    noise = np.random.default_rng(5)
    sources = [
        (0.2 * noise.standard_normal((channels, FRAMES))).astype(np.float32) for channels in (2, 1)
    ]
    told = document()
    strips = [
        {**strip, "source": Audio.from_samples(each, RATE)}
        for strip, each in zip(told["strips"], sources, strict=True)
    ]
    server = mix(MixDoc.model_validate({**told, "strips": strips}), loudness="master")
    given = {
        "doc": told,
        "sources": [each.tolist() for each in sources],
        "rate": RATE,
        "frames": FRAMES + 8192,
    }
    made = chromium.run(RENDER, given)
    latency, frames = made["latency"], server.master.frames
    assert made["frames"] == frames
    worklet = np.array(made["master"])[:, latency : latency + frames]
    difference = np.abs(worklet - server.master.samples).max()
    assert np.abs(worklet).max() > 0.5
    assert 20 * math.log10(difference + 1e-15) < -120


@pytest.mark.xdist_group("chromium")
def test_a_playing_worklet_is_moved_by_messages(chromium: Any) -> None:
    """In real time, a document that can glide is taken and one that cannot is refused."""
    doc = {"strips": [{"id": "a"}]}
    others = [
        {"strips": [{"id": "a", "fader_db": -6.0}]},
        {"strips": [{"id": "a"}], "master": {"drive": 1.0}},
        {"strips": [{"id": "b"}]},
    ]
    first, *answers = chromium.run(PLAY, {"doc": doc, "others": others})
    assert (first["lead"], first["latency"]) == (0, 384)
    assert answers == [{"moved": True}, {"moved": True}, {"moved": False}]


METERED: Final = """async (doc) => {
  const context = new OfflineAudioContext(2, 48000, 48000);
  await context.audioWorklet.addModule("/kino-dsp.js");
  const node = new AudioWorkletNode(context, "kino-mixer", {
    numberOfInputs: 2, outputChannelCount: [2],
    processorOptions: {doc, sources: [{channels: 1}, {channels: 1}], live: true, meters: 0.1},
  });
  [0.5, 0.25].forEach((offset, i) => {
    const source = new ConstantSourceNode(context, {offset});
    source.connect(node, 0, i);
    source.start();
  });
  node.connect(context.destination);
  const heard = [];
  node.port.onmessage = ({data}) => data.meters && heard.push(data.meters);
  await context.startRendering();
  while (heard.length < 9) await new Promise((resolve) => setTimeout(resolve, 10));
  return heard;
}"""


@pytest.mark.xdist_group("chromium")
def test_a_worklet_tells_levels(chromium: Any) -> None:
    """Ten times a second it tells the peaks after the faders and of the master, and how far
    compressors lower."""
    squeezed = {"threshold_db": -18.0618, "ratio": 2, "knee_db": 0, "attack_ms": 0}
    pan = {"pan": -1.0}
    strips = [{"id": "a", "fader_db": -6.0206, **pan}, {"id": "b", "compressor": squeezed, **pan}]
    heard = chromium.run(METERED, {"strips": strips})
    assert heard[1]["position"] - heard[0]["position"] == pytest.approx(4800, abs=128)
    last = heard[-1]
    assert last["strips"] == pytest.approx([0.25, 0.25 * 10 ** (-3.0103 / 20)], rel=1e-3)
    assert last["reductions"] == pytest.approx([0, 3.0103], abs=1e-3)
    assert last["master"] == pytest.approx([sum(last["strips"]), 0], abs=1e-6)

"""The mixers' node: one widget that is a console, whose value is the mix as one document."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

pytestmark = pytest.mark.xdist_group("editor")

MIXER: Final = "InternodeAudioMixer"
LINKED: Final = """async (files) => {
  const mixer = LiteGraph.createNode("InternodeAudioMixer");
  mixer.pos = [420, 60];
  app.graph.add(mixer);
  files.forEach((name, i) => {
    const loader = LiteGraph.createNode("InternodeAudioLoader");
    loader.pos = [70, 60 + 330 * i];
    app.graph.add(loader);
    loader.widgets[0].value = name;
    loader.connect(0, mixer, i);
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  return mixer.id;
}"""
VALUE: Final = "(id) => app.graph.getNodeById(id).widgets.find(({name}) => name === 'mix').value"
SET: Final = """([id, text]) => {
  app.graph.getNodeById(id).widgets.find(({name}) => name === "mix").value = text;
}"""
CONSOLE: Final = "(id) => app.graph.getNodeById(id).widgets[0].element"
SLIDERS: Final = """(id) => [
  ...app.graph.getNodeById(id).widgets[0].element.shadowRoot.querySelectorAll("kino-slider"),
].map(({track}) => ({
  name: track.getAttribute("aria-label"),
  words: track.getAttribute("aria-valuetext"),
  range: ["min", "max", "now"].map((each) => Number(track.getAttribute("aria-value" + each))),
  role: track.getAttribute("role"),
  focusable: track.tabIndex === 0,
}))"""
ROUND: Final = """async ([id, way]) => {
  const {changeTracker} = app.extensionManager.workflow.activeWorkflow;
  if (way === "copy") {
    const copy = app.graph.getNodeById(id).clone();
    app.graph.add(copy);
    return copy.widgets.map(({name, value}) => [name, value]);
  }
  const saved = JSON.parse(JSON.stringify(app.graph.serialize()));
  if (way === "undo") {
    changeTracker.captureCanvasState();
    await changeTracker.undo();
  } else await app.loadGraphData(saved);
  const node = app.graph.getNodeById(id);
  return [...node.widgets.map(({name, value}) => [name, value]), saved.nodes[0].widgets_values];
}"""
RICH: Final = {
    "version": 1,
    "strips": [
        {"id": "track_2", "fader_db": -3.5, "delay": {"mix": 0.2}, "mine": {"a": [1, None]}},
        {"id": "x", "pan": {"points": [[0, -1], [1, 1]]}, "compressor": {"ratio": 8}},
    ],
    "buses": [{"id": "echo", "fader_db": -6}],
    "master": {"width": 1.2, "x-note": "kept"},
    "x-anything": "kept",
}


def test_the_console_is_the_one_widget(each_editor: Any) -> None:
    """A new node has one widget, visible, and its prompt has a document and nothing else."""
    node = each_editor.add(MIXER)
    widgets = each_editor.run("(id) => app.graph.getNodeById(id).widgets.map((w) => w.name)", node)
    assert widgets == ["mix"]
    each_editor.do(lambda page: page.locator("kino-mixer").wait_for(state="visible"))
    inputs = each_editor.prompt()[str(node)]["inputs"]
    assert list(inputs) == ["mix"]
    assert json.loads(inputs["mix"]) == {"version": 1, "strips": []}


def test_every_control_is_a_slider_with_a_name_and_a_unit(editor: Any) -> None:
    """Whoever cannot see the console hears of each control what it is and where it stands."""
    node = editor.run(LINKED, ["none"])
    sliders = editor.run(SLIDERS, node)
    assert [each["name"] for each in sliders] == [
        *("Track 1: High", "Track 1: Mid", "Track 1: Low", "Track 1: Gate threshold"),
        *("Track 1: Compressor threshold", "Track 1: Pan", "Track 1: Fader", "Master: Drive"),
        *("Master: Limiter ceiling", "Master: Volume"),
    ]
    for each in sliders:
        assert each["role"] == "slider"
        assert each["focusable"]
        low, high, now = each["range"]
        assert low <= now <= high
        assert re.fullmatch(r"[−+]?[\d.]+ dB|centre|off", each["words"])
    meters = editor.do(lambda page: page.get_by_role("meter").count())
    assert meters == 3


def test_keys_move_a_fader(each_editor: Any) -> None:
    """Arrows, Shift, Page, Home, End and Delete do what they do on a slider; the node stays."""
    node = each_editor.run(LINKED, ["none"])
    press = each_editor.press
    fader = "Track 1: Fader"
    assert press(fader, "ArrowDown") == "−1.0 dB"
    assert press(fader, "Shift+ArrowDown") == "−1.1 dB"
    assert press(fader, "PageUp") == "+4.9 dB"
    assert press(fader, "End") == "+12.0 dB"
    assert press(fader, "Home") == "−∞ dB"
    assert press(fader, "ArrowUp") == "−60.0 dB"
    assert press(fader, "Delete") == "0.0 dB"
    assert press("Track 1: Pan", "ArrowLeft", "ArrowLeft") == "left 20 %"
    mix = json.loads(each_editor.run(VALUE, node))
    assert mix["strips"] == [{"id": "track_1", "fader_db": 0, "pan": -0.2}]
    assert mix == json.loads(each_editor.prompt()[str(node)]["inputs"]["mix"])


def test_the_pointer_moves_a_fader(each_editor: Any) -> None:
    """A drag moves it and not the node, a double click gives the default, a click types."""
    node = each_editor.run(LINKED, ["none"])
    where = "(id) => Array.from(app.graph.getNodeById(id).pos)"
    before = each_editor.run(where, node)

    def drag(page: Any) -> Any:
        box = page.get_by_role("slider", name="Track 1: Fader").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x, y + box["height"] * 0.44, steps=5)
        page.mouse.up()
        return json.loads(page.evaluate(VALUE, node))["strips"][0]["fader_db"]

    assert each_editor.do(drag) == pytest.approx(-20, abs=1.5)
    assert each_editor.run(where, node) == before

    def twice(page: Any) -> None:
        page.get_by_role("slider", name="Track 1: Fader").dblclick()

    each_editor.do(twice)
    assert json.loads(each_editor.run(VALUE, node))["strips"][0]["fader_db"] == 0

    def typed(page: Any) -> None:
        page.locator("kino-slider[vertical] button").first.click()
        page.keyboard.type("-7,25 dB")
        page.keyboard.press("Enter")

    each_editor.do(typed)
    assert json.loads(each_editor.run(VALUE, node))["strips"][0]["fader_db"] == -7.25


def test_sections_go_on_and_off(editor: Any) -> None:
    """Gate, compressor, limiter, drive, mute and solo are buttons that say whether they are on; a
    section that comes back is as it was."""
    node = editor.run(LINKED, ["none"])

    def click(page: Any, *names: str) -> Any:
        for name in names:
            page.get_by_role("button", name=name, exact=True).click()
        return json.loads(page.evaluate(VALUE, node))

    on = ["Track 1: Gate on", "Track 1: Compressor on", "Track 1: Mute", "Track 1: Solo"]
    on += ["Master: Limiter on", "Master: Drive on"]
    mix = editor.do(lambda page: click(page, *on))
    strip = {"id": "track_1", "gate": {}, "compressor": {}, "mute": True, "solo": True}
    assert mix["strips"] == [strip]
    assert mix["master"] == {"limiter": {}, "drive": 0.5}
    pressed = editor.do(lambda page: page.locator("kino-mixer section [aria-pressed=true]").count())
    assert pressed == len(on)
    assert editor.press("Track 1: Compressor threshold", "ArrowDown") == "−19.0 dB"
    mix = editor.do(lambda page: click(page, "Track 1: Compressor on"))
    assert mix["strips"][0]["compressor"] is None
    mix = editor.do(lambda page: click(page, "Track 1: Compressor on"))
    assert mix["strips"][0]["compressor"] == {"threshold_db": -19}


@pytest.mark.parametrize("way", ["reload", "copy"])
def test_a_mix_survives(each_editor: Any, way: str) -> None:
    """Saving and loading, and duplicating, keep the document as one value of the graph."""
    node = each_editor.run(LINKED, [])
    text = json.dumps(RICH, indent=2)
    each_editor.run(SET, [node, text])
    found = each_editor.run(ROUND, [node, way])
    assert found[0] == ["mix", text]
    if way == "reload":
        assert found[1] == [text]


def test_a_move_is_undone(each_editor: Any) -> None:
    """The editor's undo takes one move back, and leaves the one before."""
    node = each_editor.run(LINKED, ["none"])
    each_editor.run(
        "() => app.extensionManager.workflow.activeWorkflow.changeTracker.captureCanvasState()"
    )
    each_editor.press("Track 1: Fader", "ArrowDown")
    each_editor.press("Track 1: Fader", "PageDown")
    assert json.loads(each_editor.run(VALUE, node))["strips"][0]["fader_db"] == -7
    each_editor.do(lambda page: page.keyboard.press("Control+z"))
    each_editor.until(f"(id) => JSON.parse(({VALUE})(id)).strips[0].fader_db === -1", node)


def test_what_is_not_known_is_not_touched(each_editor: Any) -> None:
    """A moved fader changes its own number; every other field stays, in its order."""
    node = each_editor.run(LINKED, ["none", "none"])
    each_editor.run(SET, [node, json.dumps(RICH)])
    each_editor.press("Track 2: Fader", "ArrowUp")
    expected = json.loads(json.dumps(RICH))
    expected["strips"][0]["fader_db"] = -2.5
    assert each_editor.run(VALUE, node) == json.dumps(expected, separators=(",", ":"))


OLDER: Final = """async (values) => {
  const id = 1;
  const node = {id, type: "InternodeAudioMixer", pos: [60, 60], size: [400, 300], mode: 0,
    title: "Desk", inputs: [], outputs: [], widgets_values: values};
  await app.loadGraphData({version: 0.4, last_node_id: 1, last_link_id: 0, nodes: [node],
    links: [], groups: []});
  return id;
}"""


def test_the_knobs_of_an_older_mixer_are_told(each_editor: Any) -> None:
    """A graph whose mixer held a knob in each widget opens with an empty mix, and says so; one
    that holds a document says nothing."""
    told = "() => document.body.innerText.includes('Desk: not set as it was saved')"
    node = each_editor.run(OLDER, ['{"strips": []}'])
    assert json.loads(each_editor.run(VALUE, node))["strips"] == []
    assert not each_editor.run(told)
    node = each_editor.run(OLDER, [0.75] * 64)
    each_editor.until(told, seconds=60)
    assert json.loads(each_editor.run(VALUE, node))["strips"] == []
    each_editor.run("() => app.extensionManager.toast.removeAll()")
    each_editor.until(f"() => !({told})()", seconds=60)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "This is not JSON"),
        ("[]", "a JSON object with a list of strips"),
        ('{"version": 2}', "version: 2 is not known"),
        ('{"strips": [7]}', "strips/0: a strip is an object"),
        ('{"strips": [{"id": "a", "fader_db": "loud"}]}', 'strips/0/fader_db: "loud" is not a num'),
        ('{"strips": [{"id": "a", "fader_db": 99}]}', "99 is not from -120 to 24"),
        ('{"strips": [{"id": "a", "eq": 3}]}', "strips/0/eq"),
        ('{"strips": [{"id": "a", "mute": 1}]}', "strips/0/mute: this must be true or false"),
        ('{"master": {"drive": 9}}', "master/drive: 9 is not from 0 to 3"),
    ],
)
def test_a_broken_document_is_shown_and_kept(editor: Any, text: str, told: str) -> None:
    """Its problem is said, its text goes where it went before, and it can be mended here."""
    node = editor.run(LINKED, ["none"])
    editor.run(SET, [node, text])
    assert editor.run(ROUND, [node, "reload"])[0] == ["mix", text]
    said = editor.do(lambda page: page.get_by_role("alert").first.text_content())
    assert told in said
    assert editor.prompt()[str(node)]["inputs"]["mix"] == text
    good = '{"strips": [{"id": "track_1", "fader_db": -9}]}'
    editor.do(lambda page: page.get_by_label("The mix as JSON").fill(good))
    assert editor.run(VALUE, node) == good
    assert editor.run(f"(id) => ({CONSOLE})(id).problem", node) is None


def test_markup_in_a_name_is_text(editor: Any) -> None:
    """The names of strips are shown as they are written: opening a graph runs no script."""
    node = editor.run(LINKED, [])
    name = "<img src=x onerror='window.fired = 1'>"
    editor.run(SET, [node, json.dumps({"strips": [{"id": "a", "name": name}]})])
    shown = editor.do(lambda page: page.locator("kino-mixer h3").first.text_content())
    assert shown == name
    assert editor.run("() => window.fired ?? null") is None


LEVEL: Final = """([id, strip, wanted]) => {
  const {levels} = app.graph.getNodeById(id).widgets[0].element;
  return Math.abs((levels?.strips.get(strip) ?? 99) - wanted) < 0.2;
}"""
TONE_DB: Final = 20 * math.log10(12_000 / 32_768)
FLOOR_DB: Final = -120.0


def test_a_mix_is_heard_while_it_is_turned(
    each_editor: Any, tone: Path, tmp_path: Path, make_wav: Callable[..., bytes]
) -> None:
    """Play plays the linked files through the mix; a move is heard at once, by the right dB; it
    stops when it is told to, and at the end."""
    long = tmp_path / "a long tone.wav"  # longer than we take, however slow the machine is
    long.write_bytes(make_wav(90.0, 440.0, 8_000))
    each_editor.upload(long)
    node = each_editor.run(LINKED, [long.name, long.name])
    each_editor.do(lambda page: page.get_by_role("button", name="Play").click())
    each_editor.until(LEVEL, [node, 1, TONE_DB])
    each_editor.until(LEVEL, [node, 2, TONE_DB])
    each_editor.press("Track 1: Fader", "PageDown")
    each_editor.until(LEVEL, [node, 1, TONE_DB - 6], seconds=300)
    each_editor.until(LEVEL, [node, 2, TONE_DB], seconds=300)
    each_editor.do(lambda page: page.get_by_role("button", name="Track 2: Mute").click())
    each_editor.until(LEVEL, [node, 2, FLOOR_DB], seconds=300)
    each_editor.do(lambda page: page.get_by_role("button", name="Stop").click())
    each_editor.until(f"(id) => !({CONSOLE})(id).isPlaying", node)
    each_editor.run("() => app.graph.clear()")
    each_editor.upload(tone)
    node = each_editor.run(LINKED, [tone.name])
    each_editor.do(lambda page: page.get_by_role("button", name="Play").click())
    each_editor.until(f"(id) => !({CONSOLE})(id).isPlaying", node)


RENDER: Final = """async (id) => {
  const mixer = app.graph.getNodeById(id);
  const saved = LiteGraph.createNode("SaveAudio");
  const next = LiteGraph.createNode("InternodeAudioMixer");
  for (const node of [saved, next]) app.graph.add(node);
  mixer.connect(0, saved, 0);
  mixer.connect(0, next, 0);
  if (!(await app.queuePrompt(0))) throw new Error("the prompt was not taken");
  return [saved.id, next.id];
}"""


def test_a_render_is_heard_in_the_next_console(editor: Any, tone: Path) -> None:
    """A graph that the editor runs mixes as its document says; what it saved is a source for the
    console behind it, at the level of the render."""
    editor.upload(tone)
    node = editor.run(LINKED, [tone.name])
    editor.run(SET, [node, '{"strips": [{"id": "track_1", "fader_db": -12}]}'])
    assert editor.service.ask("POST", "/v1/queue/pause").status == 200
    saved, after = editor.run(RENDER, node)
    play = f"async (id) => {{ const it = ({CONSOLE})(id); await it.start(); return it.silent; }}"
    assert editor.run(play, after) == "track 1: it is heard here once the graph has saved it"
    assert editor.service.ask("POST", "/v1/queue/resume").status == 200
    editor.until("(id) => app.nodeOutputs[id]?.audio?.length === 1", saved, seconds=300)
    assert editor.run(play, after) == ""
    editor.until(LEVEL, [after, 1, TONE_DB - 12])


def test_a_graph_with_knobs_is_run_as_before(editor: Any, tone: Path) -> None:
    """A prompt with the inputs of an older graph is taken and mixed at /editor/ too."""
    editor.upload(tone)
    loader = {"class_type": "InternodeAudioLoader", "inputs": {"audio_file": tone.name}}
    knobs = {"track_1": ["1", 0], "vol_1": 0.5, "pan_1": 0.0, "master_vol": 1.0}
    graph = {
        "1": loader,
        "2": {"class_type": "InternodeAudioMixer", "inputs": knobs},
        "3": {"class_type": "KinoSaveAsset", "inputs": {"name": "mix", "audio": ["2", 0]}},
    }
    answer = editor.service.ask("POST", "/editor/api/prompt", {"prompt": graph})
    assert answer.status == 200
    prompt = answer.json()["prompt_id"]
    jobs = editor.service.get("/v1/jobs?operation=comfyui.prompt&limit=1")["items"]
    job = editor.service.get(f"/v1/jobs/{jobs[0]['id']}?wait=120")
    assert job["state"] == "succeeded"
    assert prompt in json.dumps(job)

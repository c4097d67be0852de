"""Loaders in the graph editor: dropped files are sent, named, and shown, or refused in words."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any, Final

import mido
import pytest

pytestmark = pytest.mark.xdist_group("editor")

MIDI: Final = bytes.fromhex(
    "4d546864 00000006 0001 0001 0060"  # one track, 96 ticks a beat
    "4d54726b 00000014 00903c64 60803c00 00904064 609040 00 00ff2f00"
)
DROP: Final = """async ([id, name, type, text, where]) => {
  const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, {type}));
  const node = app.graph.getNodeById(id);
  const file = node.widgets.find((each) => each.name === "kino_file").element;
  const init = {dataTransfer: data, bubbles: true, cancelable: true, composed: true};
  if (where === "file") {
    file.dispatchEvent(new DragEvent("dragover", init));
    file.dispatchEvent(new DragEvent("drop", init));
    return;
  }
  const [x, y] = app.canvasPosToClientPos([node.pos[0] + 20, node.pos[1] + 10]);
  const at = {...init, clientX: x, clientY: y};
  // the curtain of a page that has just opened may still be there
  const isCurtain = (each) => each.matches(".p-overlay-mask");
  const target = document.elementsFromPoint(x, y).find((each) => !isCurtain(each));
  target.dispatchEvent(new DragEvent("dragover", at));
  await new Promise((resolve) => setTimeout(resolve, 50));
  target.dispatchEvent(new DragEvent("drop", at));
}"""
VALUE: Final = "(id) => app.graph.getNodeById(id).widgets[0].value"
FILE: Final = (
    "(id) => app.graph.getNodeById(id).widgets.find((w) => w.name === 'kino_file').element"
)
SHOWN: Final = f"""(id) => {{
  const file = ({FILE})(id);
  const shown = file.preview.firstElementChild;
  const ready = shown?.tagName === "IMG" ? shown.complete && shown.naturalWidth > 0
    : shown?.tagName === "CANVAS" || shown?.readyState >= 1;
  return ready ? [shown.tagName, file.label.textContent] : null;
}}"""


LONG: Final = b"x" * 1_600_000
WORDS: Final = f"(id) => ({FILE})(id).preview.firstElementChild?.ariaLabel"
PLAY: Final = """async (id) => {
  const node = app.graph.getNodeById(id);
  const [keep, show] = ["KinoSaveAsset", "PreviewImage"].map((type, i) => {
    const made = LiteGraph.createNode(type);
    made.pos = [520, 80 + 400 * i];
    app.graph.add(made);
    return made;
  });
  node.connect(0, keep, keep.inputs.findIndex(({name}) => name === "midi"));
  node.connect(1, show, 0);
  node.widgets.find(({name}) => name === "transpose").value = 12;
  if (!(await app.queuePrompt(0))) throw new Error("the prompt was not taken");
  return show.id;
}"""


def drop(editor: Any, node: int, path: Path, *, kind: str = "", where: str = "node") -> None:
    """Let go of a file over a node: over its title, or over the widget that shows its file."""
    text = base64.b64encode(path.read_bytes()).decode()
    editor.run(DROP, [node, path.name, kind, text, where])


@pytest.mark.parametrize("where", ["node", "file"])
def test_a_dropped_sound_is_loaded(each_editor: Any, tone: Path, where: str) -> None:
    """The file goes to the input folder, its name into the widget, and a player is shown; after
    saving and loading it is still there, and the prompt has only the loader's own inputs."""
    node = each_editor.add("InternodeAudioLoader", 120, 120)
    drop(each_editor, node, tone, kind="audio/wav", where=where)
    each_editor.until(f"(id) => ({VALUE})(id) !== 'none'", node)
    name = each_editor.run(VALUE, node)
    assert name.startswith("a tone")
    each_editor.until(SHOWN, node)
    assert each_editor.run(SHOWN, node) == ["AUDIO", name]
    inputs = each_editor.prompt()[str(node)]["inputs"]
    assert sorted(inputs) == ["audio_file", "mono_to_stereo", "normalize", "target_sample_rate"]
    each_editor.run("async () => app.loadGraphData(app.graph.serialize())")
    assert each_editor.run(VALUE, node) == name
    each_editor.until(SHOWN, node)
    assert len(each_editor.run("() => app.graph.nodes")) == 1  # it was not opened as a workflow


def test_a_dropped_video_is_loaded(each_editor: Any, tmp_path: Path, make_film: Any) -> None:
    """A video is sent and shown as one."""
    film = make_film(tmp_path / "film.webm", codec="libvpx-vp9")
    node = each_editor.add("InternodeVideoLoader", 120, 120)
    drop(each_editor, node, film, kind="video/webm")
    each_editor.until(SHOWN, node)
    assert each_editor.run(SHOWN, node) == ["VIDEO", each_editor.run(VALUE, node)]


def test_a_dropped_midi_file_becomes_an_asset(each_editor: Any, tmp_path: Path) -> None:
    """KinoLoadAsset holds the reference of the upload; its notes are drawn and counted."""
    path = tmp_path / "tune.mid"
    path.write_bytes(MIDI)
    node = each_editor.add("KinoLoadAsset", 120, 120)
    drop(each_editor, node, path)
    each_editor.until(SHOWN, node)
    assert each_editor.run(SHOWN, node) == ["CANVAS", "tune.mid"]
    reference = each_editor.run(VALUE, node)
    asset = each_editor.service.get(f"/v1/assets/{reference}")
    assert (asset["kind"], asset["file_name"]) == ("midi", "tune.mid")
    words = each_editor.run(f"(id) => ({FILE})(id).preview.firstElementChild.ariaLabel", node)
    assert words == "tune.mid: 2 notes on 1 tracks"


@pytest.mark.parametrize("where", ["node", "file", "picker"])
def test_a_midi_file_is_loaded(each_editor: Any, tmp_path: Path, where: str) -> None:
    """Dropped or chosen, it goes to the input folder, its name into the widget, and its notes are
    drawn and counted; saving and loading keep it, and the prompt has the loader's own inputs."""
    path = tmp_path / f"a {where} tune.mid"
    path.write_bytes(MIDI)
    node = each_editor.add("InternodeMidiLoader", 120, 120)
    if where == "picker":
        choose(each_editor, path)
    else:
        drop(each_editor, node, path, where=where)
    each_editor.until(SHOWN, node)
    name = each_editor.run(VALUE, node)
    assert name.startswith(f"a {where} tune")
    assert each_editor.run(SHOWN, node) == ["CANVAS", name]
    assert each_editor.run(WORDS, node) == f"{name}: 2 notes on 1 tracks"
    inputs = each_editor.prompt()[str(node)]["inputs"]
    assert sorted(inputs) == [
        *("channel", "midi_file", "piano_roll", "tempo_scale", "track", "transpose"),
    ]
    each_editor.run("async () => app.loadGraphData(app.graph.serialize())")
    each_editor.until(SHOWN, node)
    assert each_editor.run(VALUE, node) == name
    assert each_editor.prompt()[str(node)]["inputs"] == inputs
    assert len(each_editor.run("() => app.graph.nodes")) == 1  # it was not opened as a workflow


def choose(editor: Any, path: Path) -> None:
    """Take a file by the button of the only loader."""

    def go(page: Any) -> None:
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Choose…").click()
        chooser.value.set_files(path)

    editor.do(go)


def test_a_loaded_midi_file_is_played_on(editor: Any, tmp_path: Path) -> None:
    """A run shows the piano roll in the editor, and keeps the notes an octave higher as an asset
    of the job."""
    before = {job["id"] for job in editor.service.get("/v1/jobs")["items"]}
    path = tmp_path / "octave.mid"
    path.write_bytes(MIDI)
    node = editor.add("InternodeMidiLoader", 120, 120)
    drop(editor, node, path)
    editor.until(SHOWN, node)
    shown = editor.run(PLAY, node)
    editor.until("(id) => app.nodeOutputs[id]?.images?.length === 1", shown, seconds=300)
    (job,) = (job for job in editor.service.get("/v1/jobs")["items"] if job["id"] not in before)
    done = editor.service.get(f"/v1/jobs/{job['id']}?wait=120")
    assert done["state"] == "succeeded", done
    kept = editor.service.ask("GET", done["result"]["saved_1"]["href"]).body
    notes = mido.MidiFile(file=io.BytesIO(kept)).tracks[0]
    assert {each.note for each in notes if each.type == "note_on"} == {72, 76}


def test_hanging_notes_and_running_status_are_drawn(editor: Any, tmp_path: Path) -> None:
    """A note that nothing ends is counted, as is one whose status came before a text."""
    events = bytes.fromhex("00903c64 00ff010141 003e64 60ff2f00")
    path = tmp_path / "hanging.mid"
    path.write_bytes(MIDI[:14] + b"MTrk" + len(events).to_bytes(4) + events)
    node = editor.add("InternodeMidiLoader", 120, 120)
    drop(editor, node, path)
    editor.until(SHOWN, node)
    assert editor.run(WORDS, node).endswith(": 2 notes on 1 tracks")


def test_what_is_no_midi_file_inside_says_so(editor: Any, tmp_path: Path) -> None:
    """It is taken, as ComfyUI takes it, and its preview tells."""
    path = tmp_path / "letter.mid"
    path.write_bytes(b"Dear reader, there is no music in here.")
    node = editor.add("InternodeMidiLoader", 120, 120)
    drop(editor, node, path)
    editor.until(f"(id) => ({FILE})(id).problem?.includes('this is no MIDI file')", node)


@pytest.mark.parametrize(
    ("kind", "name", "content", "told"),
    [
        (
            "InternodeAudioLoader",
            "picture.png",
            b"x",
            "picture.png is a picture; this takes",
        ),
        ("InternodeVideoLoader", "a.wav", b"x", "a.wav is a sound; this takes a video."),
        ("InternodeMidiLoader", "a.wav", b"x", "a.wav is a sound; this takes a MIDI file."),
        ("InternodeAudioLoader", "a.mid", MIDI, "a.mid is a MIDI file; this takes a sound."),
        ("KinoLoadAsset", "cut.mid", MIDI[:-3], "cut.mid: the MIDI file was not accepted"),
        ("InternodeAudioLoader", "empty.wav", b"", "empty.wav is empty."),
        (
            "InternodeAudioLoader",
            "long.wav",
            LONG,
            "long.wav: an upload may have 1500000",
        ),
        ("KinoLoadAsset", "long.wav", LONG, "long.wav: an upload may have 1500000"),
        ("KinoLoadAsset", "broken.png", b"\x89PNG\r\n\x1a\n" + b"x" * 90, "broken.png: "),
    ],
)
def test_a_refused_file_is_told_on_the_node(
    editor: Any, tmp_path: Path, kind: str, name: str, content: bytes, told: str
) -> None:
    """What cannot be taken is said where it was dropped; the loader keeps what it had."""
    path = tmp_path / name
    path.write_bytes(content)
    node = editor.add(kind, 120, 120)
    before = editor.run(VALUE, node)
    drop(editor, node, path)
    editor.until(f"(id) => ({FILE})(id).problem !== null", node)
    said = editor.do(lambda page: page.get_by_role("alert").first.text_content())
    assert said.startswith(told)
    assert len(said) > len(name) + 9
    assert editor.run(VALUE, node) == before


def test_a_sound_that_the_browser_cannot_play_says_so(editor: Any, tmp_path: Path) -> None:
    """A file that is no sound inside is taken, as ComfyUI takes it, and its preview tells."""
    path = tmp_path / "noise.wav"
    path.write_bytes(b"this is no sound" * 20)
    node = editor.add("InternodeAudioLoader", 120, 120)
    drop(editor, node, path)
    editor.until(f"(id) => ({FILE})(id).problem?.includes('this browser cannot show it')", node)


def test_markup_in_a_file_name_is_text(editor: Any) -> None:
    """The first of three ways in: a file's name in a shared workflow that is read as markup."""
    node = editor.add("InternodeAudioLoader", 120, 120)
    name = "<img src=x onerror='window.fired = 1'>.wav"
    editor.run(
        "([id, name]) => { const [w] = app.graph.getNodeById(id).widgets;"
        " w.value = name; w.callback(name); }",
        [node, name],
    )
    editor.until(f"([id, name]) => ({FILE})(id).label.textContent === name", [node, name])
    editor.until(f"(id) => ({FILE})(id).problem !== null", node)  # there is no such file
    assert editor.run("() => window.fired ?? null") is None
    assert editor.run(f"(id) => ({FILE})(id).shadowRoot.querySelector('.name img')", node) is None

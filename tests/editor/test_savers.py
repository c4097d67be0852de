"""What Kino's savers keep is seen and heard in the graph editor, below their nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

pytestmark = pytest.mark.xdist_group("editor")

RUN: Final = """async (name) => {
  const [loader, picture, saver] = ["InternodeAudioLoader", "EmptyImage", "KinoSaveAsset"].map(
    (type, i) => {
      const node = LiteGraph.createNode(type);
      node.pos = [60 + 360 * i, 80];
      app.graph.add(node);
      return node;
    },
  );
  loader.widgets[0].value = name;
  loader.connect(0, saver, saver.inputs.findIndex(({name}) => name === "audio"));
  picture.connect(0, saver, saver.inputs.findIndex(({name}) => name === "image"));
  await new Promise((resolve) => setTimeout(resolve, 200));
  await app.queuePrompt(0);
  return saver.id;
}"""
HEARD: Final = """(id) => {
  const sound = app.graph.getNodeById(id).widgets.find(({name}) => name === "kino_sound")?.element;
  return sound?.duration > 1.9 && sound.duration < 2.1 && sound.isConnected;
}"""
SAVED: Final = "(id) => app.graph.getNodeById(id).serialize().widgets_values"
SEEN: Final = "(id) => app.nodeOutputs[id].images.length === 1"


def test_what_is_kept_is_heard_and_seen(each_editor: Any, tone: Path) -> None:
    """A run of KinoSaveAsset gives a player with the sound, two seconds long, and the picture; the
    widgets are saved as before."""
    editor = each_editor
    editor.upload(tone)
    saver = editor.run(RUN, tone.name)
    editor.until(HEARD, saver, seconds=90)
    assert editor.run(SEEN, saver)
    assert editor.run(SAVED, saver)[:2] == ["result", "8"]

/**
 * Savers in ComfyUI's graph editor: a sound that was kept is heard below the node.
 *
 * Knows: which nodes keep sounds, and how the editor tells what they gave. Does not know: how they
 * are kept. Pictures and videos the editor shows by itself, below any node.
 */

const { app } = globalThis.comfyAPI.app;
const { api } = globalThis.comfyAPI.api;

const SAVERS = new Set(["KinoSaveAsset", "InternodeAudioSaver"]);
const HEIGHT_PX = 54;

/** The player below a node, made for its first sound. It comes after all widgets that hold a value,
 * and is none itself, so that the order in which those are saved stays as it is. */
function player(node) {
  const known = node.widgets?.find(({ name }) => name === "kino_sound");
  if (known !== undefined) return known.element;
  const sound = document.createElement("audio");
  sound.controls = true;
  sound.preload = "metadata";
  const widget = node.addDOMWidget("kino_sound", "KINO_SOUND", sound, {
    serialize: false,
    hideOnZoom: false,
    getValue: () => "",
    getMinHeight: () => HEIGHT_PX,
  });
  widget.serialize = false;
  return sound;
}

function show(node, output) {
  const [first] = output?.audio ?? [];
  if (first === undefined || !SAVERS.has(node?.comfyClass)) return;
  const { filename, subfolder, type } = first;
  player(node).src = api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}

app.registerExtension({
  name: "Kino.Savers",
  nodeCreated(node) {
    if (!SAVERS.has(node.comfyClass)) return;
    const before = node.onExecuted;
    node.onExecuted = function (output) {
      before?.call(this, output);
      show(this, output);
    };
  },
  onNodeOutputsUpdated(outputs) {
    for (const [id, output] of Object.entries(outputs)) show(app.graph.getNodeById(id), output);
  },
});

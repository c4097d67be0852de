/**
 * The mixers' nodes in ComfyUI's graph editor: their `mix` is a console instead of a text.
 *
 * Knows: the editor's extensions and widgets, and which sound is linked to a track. Does not know:
 * what a mix is (`kino-mixer.mjs`). The document is the widget's value: one entry of
 * `widgets_values`, and the text of the input `mix` in a prompt.
 */

import "../kino/kino-mixer.mjs";

const { app } = globalThis.comfyAPI.app;
const { api } = globalThis.comfyAPI.api;

const NODES = new Set(["InternodeAudioMixer", "InternodeAudioMixer8"]);
const TYPE = "KINO_MIX";
const COLUMN_PX = 140;
const HEIGHT_PX = 400;
const NORMALIZED_DB = -0.1;
const SOUND = /\.(wav|wave|flac|mp3|ogg|oga|opus|m4a|aac|aif|aiff|mp4|webm|mkv|mov)$/i;
const REFERENCE = /^(blake3:[0-9a-f]{64}|ast_\w+)$/;

/** The node that feeds an input, past reroutes; null without one. */
function feeding(node, slot) {
  let found = node.getInputNode(slot);
  while (found?.type === "Reroute") found = found.getInputNode(0);
  return found ?? null;
}

/** The tracks with something linked to them, and the titles of what that is. */
function linkedTracks(node) {
  const found = [];
  (node.inputs ?? []).forEach(({ name, link }, slot) => {
    const track = /^track_([1-8])$/.exec(name);
    if (track === null || link === null || link === undefined) return;
    found.push({ track: Number(track[1]), slot, name: feeding(node, slot)?.title ?? "" });
  });
  return found;
}

const viewOf = ({ filename, subfolder = "", type = "output" }) =>
  api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);

/** Where a loader's file is served; null if its value names none. */
function fileUrl(value) {
  if (typeof value !== "string") return null;
  if (REFERENCE.test(value)) return `/v1/assets/${encodeURIComponent(value)}/content`;
  const [, path, type = "input"] = /^(.*?)(?: \[(input|output|temp)\])?$/.exec(value);
  if (!SOUND.test(path)) return null;
  const [filename, ...folders] = path.split("/").reverse();
  return viewOf({ filename, subfolder: folders.reverse().join("/"), type });
}

/** What an Audio Loader does to its file, as a source of the player. */
function prepared(loader, url) {
  if (loader.comfyClass !== "InternodeAudioLoader") return { url };
  const set = (name) => loader.widgets.find((widget) => widget.name === name)?.value;
  const normalizeDb = set("normalize") ? NORMALIZED_DB : null;
  return { url, stereo: Boolean(set("mono_to_stereo")), normalizeDb };
}

/** A sound that the graph has made and saved, of the output that feeds an input. */
function renderedUrl(node, slot) {
  const link = node.getInputLink(slot);
  const source = link && node.graph.getNodeById(link.origin_id);
  const links = source?.outputs[link.origin_slot]?.links ?? [];
  const others = links.map((id) => node.graph.links.get(id)?.target_id);
  for (const id of [source?.id, ...others]) {
    const made = app.nodeOutputs?.[id]?.audio?.[0];
    if (made !== undefined) return viewOf(made);
  }
  return null;
}

/** What a track hears, as the console asks for it. */
function sourceOf(node, track) {
  const slot = node.inputs.findIndex(({ name }) => name === `track_${track}`);
  const loader = slot < 0 ? null : feeding(node, slot);
  if (loader === null) return "nothing is linked to it";
  for (const { value } of loader.widgets ?? []) {
    const url = fileUrl(value);
    if (url !== null) return prepared(loader, url);
  }
  const url = renderedUrl(node, slot);
  return url === null ? "it is heard here once the graph has saved it" : { url };
}

/** Let the editor know that a change has ended: its undo goes back to here. */
function captured(node) {
  node.graph?.setDirtyCanvas(true, true);
  app.extensionManager?.workflow?.activeWorkflow?.changeTracker?.captureCanvasState?.();
}

/** Make room for all columns; a node that people made larger stays so. */
function grow(node, console_) {
  const width = COLUMN_PX * console_.columns + 40;
  if (node.size[0] < width) node.setSize([width, node.size[1]]);
}

/** Say that a graph was saved by the older mixer: in which order its knobs are, nothing tells. */
function tellOlder(node) {
  app.extensionManager?.toast?.add({
    severity: "warn",
    summary: `${node.title}: not set as it was saved`,
    detail:
      "This graph was saved by an older mixer, whose knobs cannot be read from it. Turn them " +
      "anew on the console, or open the graph where it was made and use Export (API).",
  });
}

/** The widget of the input `mix`. */
function mixWidget(node, name) {
  const console_ = document.createElement("kino-mixer");
  const widget = node.addDOMWidget(name, TYPE, console_, {
    getValue: () => console_.value,
    setValue: (value) => {
      const isText = typeof value === "string";
      if (!isText && value != null) tellOlder(node); // older graphs hold a knob here
      console_.value = isText ? value : "";
    },
    getMinHeight: () => HEIGHT_PX,
    hideOnZoom: false,
  });
  console_.sourceOf = (track) => sourceOf(node, track);
  console_.addEventListener("input", () => widget.callback?.(console_.value));
  console_.addEventListener("change", () => captured(node));
  const look = () => {
    console_.tracks = linkedTracks(node);
    grow(node, console_);
  };
  for (const hook of ["onConnectionsChange", "onConfigure", "onAdded"]) {
    const before = node[hook];
    node[hook] = function (...given) {
      const result = before?.apply(this, given);
      queueMicrotask(look); // the links stand when the editor has gone on
      return result;
    };
  }
  const removed = widget.onRemove;
  widget.onRemove = () => {
    console_.stop();
    removed?.call(widget);
  };
  return { widget, minWidth: 3 * COLUMN_PX + 40, minHeight: HEIGHT_PX };
}

app.registerExtension({
  name: "Kino.Mixer",
  getCustomWidgets: () => ({ [TYPE]: (node, name) => mixWidget(node, name) }),
  beforeRegisterNodeDef(nodeType, definition) {
    if (!NODES.has(definition.name)) return;
    const [type, options] = definition.input.optional.mix;
    definition.input.optional.mix = [type, { ...options, widgetType: TYPE }];
  },
});

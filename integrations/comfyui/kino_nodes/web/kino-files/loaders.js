/**
 * Loaders in ComfyUI's graph editor: a file can be dropped on them, and is shown.
 *
 * Knows: which nodes load what, and how files get to the server. Does not know: how a file is shown
 * (`kino-file.mjs`). Files go to ComfyUI's input folder, by its own upload, and the widget holds
 * their name, as with ComfyUI's own loaders; for `KinoLoadAsset` they become assets of Kino, and
 * the widget holds the reference.
 */

import { kindOf } from "../kino/kino-file.mjs";

const { app } = globalThis.comfyAPI.app;
const { api } = globalThis.comfyAPI.api;

const NOTHING = new Set(["", "none"]);
const REFERENCE = /^(blake3:[0-9a-f]{64}|ast_\w+)$/;
/** @type {Object<string, {input: string, kinds: string[], asset?: boolean}>} */
const LOADERS = {
  InternodeAudioLoader: { input: "audio_file", kinds: ["audio"] },
  InternodeVideoLoader: { input: "video_file", kinds: ["video"] },
  InternodeImageLoader: { input: "image_file", kinds: ["image"] },
  InternodeMidiLoader: { input: "midi_file", kinds: ["midi"] },
  KinoLoadAsset: { input: "asset", kinds: ["audio", "video", "image", "midi"], asset: true },
};
const HEIGHT_PX = 90;
const TALL_PX = 190;
const DESCRIBED_MS = 10000;

/** POST *body* and return the JSON of the answer; a refusal is an Error with its sentence. */
function post(url, body, headers, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how far an upload has come
    request.open("POST", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 0);
    request.onerror = () => reject(new Error("the server cannot be reached, or ended the upload"));
    request.onload = () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(new Error(refusal(request)));
    };
    request.send(body);
  });
}

/** Why the server refused, in its own words if it has some. */
function refusal({ status, responseText }) {
  try {
    const { detail, title } = JSON.parse(responseText);
    if (typeof (detail ?? title) === "string") return detail ?? title;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return status === 413 ? "it is too large for this server" : `the server refused it (${status})`;
}

/** Send a file into the input folder; its name there. */
async function toInputFolder(file, onProgress) {
  const form = new FormData();
  form.append("image", file); // the field is called so for every kind of file
  const { name, subfolder } = await post(api.apiURL("/upload/image"), form, {}, onProgress);
  return subfolder ? `${subfolder}/${name}` : name;
}

/** Send a file to Kino; the reference of the asset. */
async function toAssets(file, onProgress) {
  const url = `/v1/assets?${new URLSearchParams({ file_name: file.name })}`;
  const type = { "Content-Type": "application/octet-stream" };
  return (await post(url, file, type, onProgress)).reference;
}

/** What a loader's widget holds, for a preview: null where it is nothing, or not known. */
async function located(value) {
  const given = String(value ?? "").trim();
  if (NOTHING.has(given)) return null;
  if (REFERENCE.test(given)) return asset(given);
  const [filename, ...folders] = given.split("/").reverse();
  const subfolder = folders.reverse().join("/");
  const url = api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type: "input" })}`);
  return { url, kind: kindOf(filename), name: given };
}

async function asset(reference) {
  const path = `/v1/assets/${encodeURIComponent(reference)}`;
  const answer = await fetch(path, { signal: AbortSignal.timeout(DESCRIBED_MS) });
  if (!answer.ok) return { url: path, kind: null, name: `${reference} is not known to this Kino` };
  const { kind, file_name: name } = await answer.json();
  return { url: `${path}/content`, kind, name: name ?? reference };
}

/** Put the file below a loader's widgets. It is no value of the graph: the widget above it is. */
function addFile(node, { input, kinds, asset: isAsset = false }) {
  const target = node.widgets?.find(({ name }) => name === input);
  if (target === undefined) return; // it has been made an input
  const file = document.createElement("kino-file");
  Object.assign(file, { kinds, send: isAsset ? toAssets : toInputFolder, locate: located });
  const isTall = kinds.includes("image") || kinds.includes("video");
  const widget = node.addDOMWidget("kino_file", "KINO_FILE", file, {
    serialize: false,
    hideOnZoom: false,
    getValue: () => "",
    getMinHeight: () => (isTall ? TALL_PX : HEIGHT_PX),
  });
  widget.serialize = false;
  const follow = () => (file.value = target.value);
  file.addEventListener("change", () => {
    target.value = file.value;
    target.callback?.(file.value);
    node.graph?.setDirtyCanvas(true, true);
    app.extensionManager?.workflow?.activeWorkflow?.changeTracker?.captureCanvasState?.();
  });
  chain(target, "callback", follow);
  chain(node, "onConfigure", follow);
  node.onDragOver = (event) => Boolean(event.dataTransfer?.types.includes("Files"));
  node.onDragDrop = async (event) => {
    const [dropped] = event.dataTransfer?.files ?? [];
    if (dropped === undefined) return false;
    await file.take(dropped);
    return true; // whatever became of it: else the editor would open it as a workflow
  };
  follow();
}

/** Call *then* after *name* of *holder*, whatever that did before. */
function chain(holder, name, then) {
  const before = holder[name];
  holder[name] = function (...given) {
    const result = before?.apply(this, given);
    then();
    return result;
  };
}

app.registerExtension({
  name: "Kino.Loaders",
  nodeCreated(node) {
    const loader = LOADERS[node.comfyClass];
    if (loader !== undefined) addFile(node, loader);
  },
});

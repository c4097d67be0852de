/**
 * `<kino-file>`: a loader's file: dropped or chosen, sent, named, and shown as a small preview.
 *
 * Knows: which files a loader takes, progress, refusals in words, previews of sound, video,
 * pictures and MIDI. Does not know: where files go: whoever places it gives
 * `send(file, onProgress)`, which answers the value that stands for the file, and
 * `locate(value)`, which answers {url, kind, name}.
 *
 * `value` is what the loader holds. It tells "change" when a new file is in.
 */

import { element, styles } from "./elements.mjs";
import { readMidi } from "./midi.mjs";

const SHEET = styles(`
  :host {
    display: flex; flex-direction: column; gap: 5px; box-sizing: border-box; min-height: 0;
    font: 11px/1.3 system-ui, sans-serif; color: #d5dde6; background: #171b20; padding: 7px;
    border: 1px dashed #414b58; border-radius: 6px; overflow: hidden; text-align: left;
  }
  :host([over]) { border-color: #6cb6ff; background: #1d2834; }
  .row { display: flex; gap: 6px; align-items: center; }
  .name { flex: 1; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  button {
    font: inherit; color: #d5dde6; background: #2d353f; border: 1px solid #414b58;
    border-radius: 4px; padding: 2px 8px; cursor: pointer;
  }
  button:hover { background: #384250; }
  button:focus-visible { outline: 2px solid #6cb6ff; }
  .told { color: #ffb4ae; margin: 0; overflow-wrap: anywhere; }
  .preview { flex: 1; min-height: 0; display: flex; align-items: center; justify-content: center; }
  audio { width: 100%; height: 32px; }
  video, img, canvas { max-width: 100%; max-height: 100%; min-height: 0; }
  progress { width: 100%; height: 6px; }
  [hidden] { display: none !important; }
`);

/** What files are, by the ends of their names: a browser has no type for many of them. */
const ENDINGS = {
  audio: "wav wave flac mp3 ogg oga opus m4a aac aif aiff rf64 w64",
  video: "mp4 m4v mov mkv webm avi",
  image: "png jpg jpeg webp bmp gif tif tiff",
  midi: "mid midi smf",
};
const WORDS = { audio: "a sound", video: "a video", image: "a picture", midi: "a MIDI file" };

/** The kind of a file by its name, else by its type; null where neither tells. */
export function kindOf(name, type = "") {
  const ending = /\.([^./\\]+)$/.exec(name)?.[1].toLowerCase();
  const known = Object.keys(ENDINGS).find((kind) => ENDINGS[kind].split(" ").includes(ending));
  const told = type.split("/")[0];
  return known ?? (type === "audio/midi" ? "midi" : told in WORDS ? told : null);
}

export class KinoFile extends HTMLElement {
  #value = "";
  #shown = null;
  #busy = null;

  /** The kinds that it takes. @type {string[]} */
  kinds = [];
  /** @type {(file: File, onProgress: (share: number) => void) => Promise<string>} */
  send = async () => "";
  /** @type {(value: string) => Promise<{url: string, kind: string, name: string} | null>} */
  locate = async () => null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [SHEET];
    this.label = element("span", { className: "name" });
    this.choose = element("button", { type: "button" }, "Choose…");
    this.picker = element("input", { type: "file", hidden: true });
    this.told = element("p", { className: "told", role: "alert", hidden: true });
    this.bar = element("progress", { max: 1, hidden: true, "aria-label": "Sending" });
    this.preview = element("div", { className: "preview" });
    root.append(
      element("div", { className: "row" }, this.label, this.choose, this.picker),
      ...[this.bar, this.told, this.preview],
    );
    this.choose.addEventListener("click", () => this.picker.click());
    this.picker.addEventListener("change", () => {
      void this.take(this.picker.files[0]);
      this.picker.value = "";
    });
    for (const name of ["pointerdown", "mousedown", "dblclick", "keydown"]) {
      root.addEventListener(name, (event) => {
        const onControl = event.composedPath()[0].closest?.("button, audio, video");
        if (onControl && !event.ctrlKey && !event.metaKey) event.stopPropagation();
      });
    }
    this.addEventListener("dragover", (event) => this.#over(event));
    this.addEventListener("dragleave", () => this.removeAttribute("over"));
    this.addEventListener("drop", (event) => this.#drop(event));
    this.#name("No file: drop one here");
  }

  get value() {
    return this.#value;
  }

  set value(value) {
    this.#value = value;
    void this.#show();
  }

  /** Why the last file was not taken, or null. */
  get problem() {
    return this.told.hidden ? null : this.told.textContent;
  }

  /** Take a file: refuse it, or send it and hold what stands for it. Returns whether it is in. */
  async take(file) {
    if (file === undefined) return false;
    this.#tell(null);
    const kind = kindOf(file.name, file.type);
    if (kind !== null && !this.kinds.includes(kind)) {
      const wanted = this.kinds.map((each) => WORDS[each]).join(" or ");
      this.#tell(`${file.name} is ${WORDS[kind]}; this takes ${wanted}.`);
      return false;
    }
    if (file.size === 0) {
      this.#tell(`${file.name} is empty.`);
      return false;
    }
    const mine = (this.#busy = {});
    this.#name(`Sending ${file.name}…`);
    this.bar.hidden = false;
    this.bar.value = 0;
    try {
      const value = await this.send(file, (share) => (this.bar.value = share));
      if (this.#busy !== mine) return false; // a later file came
      this.#value = value;
      this.#shown = null;
      this.dispatchEvent(new CustomEvent("change"));
      return true;
    } catch (error) {
      this.#tell(`${file.name}: ${error.message}`);
      return false;
    } finally {
      if (this.#busy === mine) {
        this.bar.hidden = true;
        this.#busy = null;
        await this.#show();
      }
    }
  }

  #over(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    this.setAttribute("over", "");
  }

  #drop(event) {
    this.removeAttribute("over");
    const file = event.dataTransfer?.files[0];
    if (file === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    void this.take(file);
  }

  #name(words) {
    this.label.textContent = this.label.title = words;
  }

  #tell(problem) {
    this.told.hidden = problem === null;
    this.told.textContent = problem ?? "";
  }

  /** Show the name and the preview of what it holds. */
  async #show() {
    const value = this.#value;
    if (this.#busy !== null || this.#shown === value) return;
    this.#shown = value;
    const found = await this.locate(value);
    if (this.#shown !== value) return;
    this.#name(found?.name ?? "No file: drop one here");
    this.preview.replaceChildren();
    if (found === null) return;
    try {
      const made = await preview(found, (problem) => this.#tell(problem));
      if (this.#shown === value && made !== null) this.preview.replaceChildren(made);
    } catch (error) {
      this.#tell(`${found.name}: ${error.message}`);
    }
  }
}

/** An element that shows the file; *tell* hears of a browser that cannot. */
async function preview({ url, kind, name }, tell) {
  if (kind === "midi") return pianoRoll(await fetched(url), name);
  const given = {
    audio: { controls: true, preload: "metadata" },
    video: { controls: true, preload: "metadata", muted: true },
    image: { alt: name },
  }[kind];
  if (given === undefined) return null;
  const made = element(kind === "image" ? "img" : kind, { ...given, "aria-label": name });
  made.addEventListener("error", () => tell(`${name}: this browser cannot show it.`));
  made.src = url;
  return made;
}

async function fetched(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  return answer.arrayBuffer();
}

/** The notes as a small picture, with their number in words. */
function pianoRoll(bytes, name) {
  const { notes, tracks, end } = readMidi(bytes);
  const told = `${name}: ${notes.length} notes on ${tracks} tracks`;
  const canvas = element("canvas", { width: 320, height: 64, role: "img", "aria-label": told });
  canvas.title = told;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#6cb6ff";
  const keys = notes.map(({ key }) => key);
  const lowest = keys.reduce((a, b) => Math.min(a, b), 127) - 2;
  const highest = keys.reduce((a, b) => Math.max(a, b), 0) + 2;
  const height = canvas.height / Math.max(highest - lowest, 1);
  for (const { key, start, end: stop } of notes) {
    const x = (start / Math.max(end, 1)) * canvas.width;
    const width = Math.max(((stop - start) / Math.max(end, 1)) * canvas.width, 1);
    pen.fillRect(x, (highest - key) * height, width, Math.max(height - 0.5, 1));
  }
  return canvas;
}

if (!customElements.get("kino-file")) customElements.define("kino-file", KinoFile);

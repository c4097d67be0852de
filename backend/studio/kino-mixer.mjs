/**
 * `<kino-mixer>`: a console over one MixDoc, which can be heard while it is turned.
 *
 * Knows: strips and the master with their controls and meters, the document as text, playing it.
 * Does not know: the graph editor, or where tracks come from: whoever places it gives `tracks`,
 * and `sourceOf(track)`, which answers {url, …} (player.mjs) or in words why it is not heard.
 *
 * `value` is the text. It tells "input" at each move and "change" when a move has ended. A text
 * that is no mix stays as it is: its problem is shown, and people can mend it.
 */

import { element, styles } from "./elements.mjs";
import "./kino-slider.mjs";
import * as mixdoc from "./mixdoc.mjs";
import { Player } from "./player.mjs";

const SHEET = styles(`
  :host {
    display: flex; flex-direction: column; gap: 6px; box-sizing: border-box; min-height: 0;
    font: 11px/1.3 system-ui, sans-serif; color: #d5dde6; background: #171b20; border-radius: 6px;
    padding: 8px; overflow: hidden; text-align: left;
  }
  * { box-sizing: border-box; }
  header { display: flex; gap: 6px; align-items: center; min-height: 24px; }
  header span { color: #9fabb8; white-space: nowrap; }
  header .status { flex: 1; overflow: hidden; text-overflow: ellipsis; }
  .desk { display: flex; gap: 4px; flex: 1; min-height: 0; overflow: auto; }
  section {
    display: flex; flex-direction: column; gap: 3px; flex: 1 1 132px; min-width: 132px;
    max-width: 180px; padding: 6px; background: #20262d; border-radius: 5px; min-height: 330px;
  }
  section.master { background: #26303b; }
  section.open { opacity: 0.62; }
  h3 {
    margin: 0 0 2px; font-size: 11px; font-weight: 600; white-space: nowrap; overflow: hidden;
    text-overflow: ellipsis;
  }
  .row { display: flex; align-items: center; gap: 4px; }
  .row > span, .row > button { flex: 0 0 30px; }
  .row > span { color: #9fabb8; }
  .row kino-slider { flex: 1; }
  .level { display: flex; flex: 1; min-height: 130px; justify-content: center; gap: 4px; }
  .level kino-slider { flex: 0 0 64px; }
  .buttons { display: flex; gap: 4px; justify-content: center; }
  button {
    font: inherit; color: #d5dde6; background: #2d353f; border: 1px solid #414b58;
    border-radius: 4px; padding: 2px 6px; min-height: 20px; cursor: pointer;
  }
  button:hover { background: #384250; }
  button:focus-visible, textarea:focus-visible { outline: 2px solid #6cb6ff; outline-offset: 1px; }
  button[aria-pressed=true] { background: #2b6a4b; border-color: #4fb283; color: #fff; }
  button.mute[aria-pressed=true] { background: #a33636; border-color: #d66; }
  button.solo[aria-pressed=true] { background: #8a6d12; border-color: #d2ab2f; }
  .meter {
    position: relative; width: 8px; background: #0d1014; border-radius: 2px; overflow: hidden;
  }
  .meter div {
    position: absolute; inset: 0; transform-origin: bottom; transform: scaleY(0);
    background: #37b27a;
  }
  .meter.clipped { box-shadow: 0 0 0 1px #ff6b66; }
  .problem { color: #ffb4ae; margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
  textarea {
    flex: 1; min-height: 120px; font: 11px/1.4 ui-monospace, monospace; color: #d5dde6;
    background: #0d1014; border: 1px solid #414b58; border-radius: 4px; resize: none; padding: 6px;
  }
  [hidden] { display: none !important; }
`);

const LOWEST_METER_DB = -60;
const decibels = (peak) => 20 * Math.log10(Math.max(peak, 1e-6));

/** A bar that shows a level; *name* is what it measures. */
class Meter {
  constructor(name) {
    this.bar = element("div");
    this.root = element("div", { className: "meter", role: "meter", "aria-label": name }, this.bar);
    this.root.setAttribute("aria-valuemin", LOWEST_METER_DB);
    this.root.setAttribute("aria-valuemax", 0);
    this.show(0);
  }

  show(peak) {
    const db = Math.max(decibels(peak), LOWEST_METER_DB);
    this.bar.style.transform = `scaleY(${1 - Math.min(db, 0) / LOWEST_METER_DB})`;
    this.root.setAttribute("aria-valuenow", Math.min(db, 0).toFixed(1));
    const words = db > LOWEST_METER_DB ? `${db.toFixed(1)} dB` : "silent";
    this.root.setAttribute("aria-valuetext", words);
    this.root.classList.toggle("clipped", peak > 1);
  }
}

/** The column of a strip, or of the master: its controls over a part of the document. */
class Channel {
  /**
   * @param {string} name what people call it
   * @param {() => Object} holder the part of the document
   * @param {(change: (holder: Object) => Object, ended: boolean) => void} change
   */
  constructor(name, holder, change) {
    this.name = name;
    this.holder = holder;
    this.change = change;
    this.refreshers = [];
    this.parked = {}; // sections that were switched off, as they were
    this.title = element("h3", { title: name }, name);
    this.root = element("section", { role: "group", "aria-label": name }, this.title);
  }

  add(...children) {
    this.root.append(...children);
    return this;
  }

  /** A slider over *control*. */
  slider(control, vertical = false) {
    const slider = element("kino-slider", vertical ? { vertical: "" } : {});
    slider.control = [control, `${this.name}: ${control.label}`];
    const give = (ended) => (event) => {
      event.stopPropagation();
      this.change((holder) => mixdoc.set(holder, control.path, slider.value), ended);
    };
    slider.addEventListener("input", give(false));
    slider.addEventListener("change", give(true));
    this.refreshers.push(() => {
      const holder = this.holder();
      const off = control.path[0] in mixdoc.SECTIONS && (holder[control.path[0]] ?? null) === null;
      slider.value = mixdoc.valueOf(holder, control);
      slider.locked = off ? "off" : mixdoc.isAutomated(holder, control) ? "moves" : null;
    });
    return slider;
  }

  row(word, control) {
    return element("div", { className: "row" }, element("span", {}, word), this.slider(control));
  }

  /** A row whose section can be switched off. */
  sectionRow(word, section, control, told) {
    const pressed = () => (this.holder()[section] ?? null) !== null;
    const toggle = () => {
      const now = this.holder()[section] ?? null;
      if (now !== null) this.parked[section] = now;
      const next = now === null ? this.parked[section] ?? mixdoc.SECTIONS[section] : null;
      this.change((holder) => mixdoc.set(holder, [section], next), true);
    };
    const button = this.button(word, `${this.name}: ${told}`, pressed, toggle);
    return element("div", { className: "row" }, button, this.slider(control));
  }

  /** A button that is pressed or not. */
  button(word, told, pressed, toggle, className = "") {
    const named = { type: "button", title: told, "aria-label": told, className };
    const made = element("button", named, word);
    made.addEventListener("click", toggle);
    this.refreshers.push(() => made.setAttribute("aria-pressed", pressed()));
    return made;
  }

  /** A button over a field that is true or false. */
  switch(word, field, told) {
    const pressed = () => this.holder()[field] === true;
    const toggle = () => this.change((holder) => ({ ...holder, [field]: !pressed() }), true);
    return this.button(word, `${this.name}: ${told}`, pressed, toggle, field);
  }

  refresh() {
    for (const each of this.refreshers) each();
  }
}

export class KinoMixer extends HTMLElement {
  #text = mixdoc.NEUTRAL;
  #doc = mixdoc.read(mixdoc.NEUTRAL).doc;
  #problem = null;
  #tracks = [];
  #channels = [];
  #built = "";
  #asText = false;
  #heard = []; // the tracks that play, in the order of the player's strips
  #player = new Player((meters) => this.#measure(meters), () => this.#ended());

  /** @type {(track: number) => import("./player.mjs").Source | string | Promise<…>} */
  sourceOf = () => "nothing is linked to it";

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [SHEET];
    this.play = element("button", { type: "button", className: "play" }, "▶ Play");
    this.play.addEventListener("click", () => this.#toggle());
    this.clock = element("span", { className: "clock" });
    this.status = element("span", { className: "status", role: "status" });
    this.mode = element("button", { type: "button", title: "The mix as text" }, "{ }");
    this.mode.addEventListener("click", () => this.#showText(!this.#asText));
    this.told = element("p", { className: "problem", role: "alert", hidden: true });
    this.desk = element("div", { className: "desk" });
    this.area = element("textarea", { spellcheck: false, "aria-label": "The mix as JSON" });
    this.area.addEventListener("input", () => this.#give(this.area.value, false));
    this.area.addEventListener("change", () => this.#give(this.area.value, true));
    root.append(
      element("header", {}, this.play, this.clock, this.status, this.mode), this.told, this.desk,
      this.area,
    );
    for (const name of ["pointerdown", "mousedown", "dblclick", "keydown"]) {
      root.addEventListener(name, (event) => this.#keep(event));
    }
    this.#refresh();
  }

  disconnectedCallback() {
    // an editor may move it to another place in the page, and it plays on
    queueMicrotask(() => this.isConnected || this.stop());
  }

  /** The document as it was given, or as it has been turned. */
  get value() {
    return this.#text;
  }

  set value(text) {
    if (text === this.#text) return;
    this.#take(String(text ?? ""));
  }

  /** What is wrong with the document, or null. */
  get problem() {
    return this.#problem;
  }

  /** The tracks that something is linked to: {track: 1…8, name}. */
  set tracks(tracks) {
    this.#tracks = tracks;
    this.#refresh();
  }

  /** How many columns it shows, the master included. */
  get columns() {
    return this.#channels.length + 1;
  }

  /** The levels that were last measured, in dB: {strips: Map from track, master: [left, right]}. */
  get levels() {
    return this.measured;
  }

  /** Keep what is meant for a control from the page around it: it moves nodes, and deletes them. */
  #keep(event) {
    const inside = event.composedPath()[0];
    if (!(inside instanceof Element)) return;
    if (!inside.closest("button, textarea, input, [role=slider]")) return;
    const forPage = event.type === "keydown" && (event.ctrlKey || event.metaKey);
    const typing = inside.closest("textarea, input") !== null;
    if (!forPage || typing) event.stopPropagation();
  }

  // --- the document ---------------------------------------------------------------------------

  #take(text) {
    this.#text = text.trim() === "" ? mixdoc.NEUTRAL : text;
    const { doc, problem } = mixdoc.read(this.#text);
    this.#problem = problem;
    if (doc !== null) this.#doc = doc;
    this.#refresh();
    this.#moved();
  }

  #give(text, ended) {
    this.#take(text);
    this.dispatchEvent(new CustomEvent("input"));
    if (ended) this.dispatchEvent(new CustomEvent("change"));
  }

  #change(doc, ended) {
    this.#give(JSON.stringify(doc), ended);
  }

  // --- what is shown --------------------------------------------------------------------------

  #refresh() {
    const broken = this.#problem !== null;
    this.told.hidden = !broken;
    this.told.textContent = this.#problem ?? "";
    this.desk.hidden = broken || this.#asText;
    this.area.hidden = !this.desk.hidden;
    this.mode.setAttribute("aria-pressed", this.#asText);
    if (!this.area.hidden && this.shadowRoot.activeElement !== this.area) {
      this.area.value = this.#text;
    }
    if (!broken) this.#build();
    for (const each of [...this.#channels, this.master]) each?.refresh();
    this.#refreshPlay();
  }

  #showText(asText) {
    this.#asText = asText;
    this.#refresh();
  }

  /** Make the columns anew where others are to be shown. */
  #build() {
    const assigned = mixdoc.tracksOf(this.#doc);
    const linked = new Map(this.#tracks.map(({ track, name }) => [track, name]));
    const shown = [...new Set([...linked.keys(), ...assigned.keys()])].sort((a, b) => a - b);
    if (shown.length === 0) shown.push(1, 2);
    const named = shown.map((track) => [track, this.#nameOf(track)]);
    const key = JSON.stringify([named, [...linked]]);
    if (key === this.#built) return;
    this.#built = key;
    this.#channels = named.map(([track, name]) => this.#strip(track, name, linked.get(track)));
    this.master = this.#master();
    this.desk.replaceChildren(...[...this.#channels, this.master].map(({ root }) => root));
  }

  #nameOf(track) {
    const { name } = mixdoc.stripOf(this.#doc, track);
    return typeof name === "string" && name !== "" ? name : `Track ${track}`;
  }

  #strip(track, name, source) {
    const change = (each, ended) => this.#change(mixdoc.changeStrip(this.#doc, track, each), ended);
    const made = new Channel(name, () => mixdoc.stripOf(this.#doc, track), change);
    const { STRIP } = mixdoc;
    made.root.classList.toggle("open", source === undefined);
    made.title.title = source === undefined ? `${name}: nothing is linked` : `${name}: ${source}`;
    made.track = track;
    made.meters = [new Meter(`${name}: level`)];
    made.add(
      made.row("High", STRIP.high), made.row("Mid", STRIP.mid), made.row("Low", STRIP.low),
      made.sectionRow("G", "gate", STRIP.gate, "Gate on"),
      made.sectionRow("C", "compressor", STRIP.compressor, "Compressor on"),
      made.row("Pan", STRIP.pan),
      element("div", { className: "level" }, made.slider(STRIP.fader, true), made.meters[0].root),
      element(
        "div", { className: "buttons" }, made.switch("M", "mute", "Mute"),
        made.switch("S", "solo", "Solo"),
      ),
    );
    return made;
  }

  #master() {
    const change = (each, ended) =>
      this.#change({ ...this.#doc, master: each(this.#doc.master ?? {}) }, ended);
    const made = new Channel("Master", () => this.#doc.master ?? {}, change);
    const { MASTER } = mixdoc;
    made.meters = [new Meter("Master: left level"), new Meter("Master: right level")];
    made.root.classList.add("master");
    made.add(
      made.sectionRow("Drv", "drive", MASTER.drive, "Drive on"),
      made.sectionRow("Lim", "limiter", MASTER.limiter, "Limiter on"),
      element(
        "div", { className: "level" }, made.slider(MASTER.fader, true),
        ...made.meters.map(({ root }) => root),
      ),
    );
    return made;
  }

  // --- what is heard --------------------------------------------------------------------------

  get isPlaying() {
    return this.#player.isPlaying;
  }

  #toggle() {
    if (this.#player.isPlaying) this.stop();
    else void this.start();
  }

  /** Play the mix from its start; what keeps it from that is told in the status. */
  async start() {
    this.status.textContent = "Loading…";
    const found = await Promise.all(
      this.#tracks.map(async ({ track }) => [track, await this.sourceOf(track)]),
    );
    const heard = found.filter(([, source]) => typeof source !== "string");
    const silent = found.filter(([, source]) => typeof source === "string");
    this.silent = silent.map(([track, why]) => `track ${track}: ${why}`).join("; ");
    if (heard.length === 0) {
      this.status.textContent = this.silent || "Link sounds to the tracks to hear them.";
      return;
    }
    this.#heard = heard.map(([track]) => track);
    const playing = this.#player.play(
      mixdoc.playable(this.#doc, this.#heard), heard.map(([, source]) => source),
    );
    this.#refreshPlay();
    try {
      await playing;
      this.#moved(); // what was turned meanwhile
      this.status.textContent = this.silent && `Not heard: ${this.silent}`;
    } catch (error) {
      this.stop();
      this.status.textContent = `It cannot be played: ${error.message}`;
    }
  }

  stop() {
    this.#player.stop();
    this.#ended();
  }

  #ended() {
    this.#heard = [];
    this.status.textContent = this.clock.textContent = "";
    this.measured = undefined;
    for (const { meters } of [...this.#channels, this.master]) {
      for (const meter of meters) meter.show(0);
    }
    this.#refreshPlay();
  }

  #refreshPlay() {
    const { isPlaying } = this.#player;
    this.play.textContent = isPlaying ? "■ Stop" : "▶ Play";
    this.play.setAttribute("aria-pressed", isPlaying);
    this.play.disabled = this.#problem !== null && !isPlaying;
  }

  #moved() {
    if (this.#problem !== null || this.#heard.length === 0) return;
    this.#player.move(mixdoc.playable(this.#doc, this.#heard));
  }

  #measure({ strips, master }) {
    const peaks = new Map(this.#heard.map((track, i) => [track, strips[i]]));
    for (const { track, meters } of this.#channels) meters[0].show(peaks.get(track) ?? 0);
    this.master.meters.forEach((meter, side) => meter.show(master[side]));
    this.measured = {
      strips: new Map([...peaks].map(([track, peak]) => [track, decibels(peak)])),
      master: master.map(decibels),
    };
    const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
    const { position, duration } = this.#player;
    this.clock.textContent = `${clock(Math.min(position, duration))} / ${clock(duration)}`;
  }
}

if (!customElements.get("kino-mixer")) customElements.define("kino-mixer", KinoMixer);

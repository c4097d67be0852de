/**
 * `<kino-slider>`: one control with its value in words.
 *
 * Knows: keys, the pointer, typing a value, what screen readers are told. Does not know: what the
 * value means (it is given a Control of mixdoc.mjs), or where it is kept.
 *
 * Arrows move by a step, with Shift by a tenth of it, PageUp and PageDown further, Home and End to
 * the ends; Delete and a double click give the default; a click on the value lets it be typed. It
 * tells "input" at each move and "change" when a move has ended; `value` is a number.
 */

import { element, styles } from "./elements.mjs";
import { inWords, limits, position, typed, valueAt } from "./mixdoc.mjs";

const FINE = 0.1;

const SHEET = styles(`
  :host { display: flex; align-items: center; gap: 5px; min-width: 0; }
  :host([vertical]) { flex-direction: column; }
  .track {
    position: relative; flex: 1; min-width: 24px; height: 14px; cursor: ew-resize; outline: none;
    touch-action: none; border-radius: 4px;
  }
  .track::before {
    content: ""; position: absolute; inset: 5px 0; border-radius: 2px; background: #0d1014;
    box-shadow: inset 0 0 0 1px #39414d;
  }
  .track:focus-visible { box-shadow: 0 0 0 2px #6cb6ff; }
  .thumb {
    position: absolute; top: 1px; width: 8px; height: 12px; margin-left: -4px; border-radius: 2px;
    background: #b9c4d0; pointer-events: none;
  }
  .track:hover .thumb, .track:focus-visible .thumb { background: #fff; }
  :host([vertical]) .track { width: 26px; height: auto; min-height: 90px; cursor: ns-resize; }
  :host([vertical]) .track::before { inset: 0 11px; }
  :host([vertical]) .thumb {
    top: auto; left: 2px; width: 22px; height: 11px; margin: 0 0 -6px; border-radius: 3px;
    background: linear-gradient(#dbe3ec 44%, #1d232b 44% 56%, #aab5c2 56%);
  }
  .track[aria-disabled=true] { opacity: 0.35; cursor: not-allowed; }
  button, input {
    font: inherit; color: #d5dde6; background: none; border: 0; padding: 1px 2px; margin: 0;
    border-radius: 3px; cursor: text; text-align: right; white-space: nowrap;
    font-variant-numeric: tabular-nums; min-width: 50px; box-sizing: border-box;
  }
  :host([vertical]) button, :host([vertical]) input { text-align: center; }
  button:hover { background: #2b333d; }
  button:focus-visible { outline: 2px solid #6cb6ff; }
  input { width: 54px; background: #0d1014; outline: 1px solid #6cb6ff; }
`);

export class KinoSlider extends HTMLElement {
  /** @type {import("./mixdoc.mjs").Control} */
  #control = { path: [], label: "", min: 0, max: 1, step: 0.1, page: 0.2, value: 0, unit: "plain" };
  #value = 0;
  #drag = null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [SHEET];
    this.thumb = element("div", { className: "thumb" });
    this.track = element("div", { className: "track", role: "slider", tabIndex: 0 }, this.thumb);
    const typing = { type: "button", tabIndex: -1, title: "Click to type a value" };
    this.shown = element("button", typing);
    root.append(this.track, this.shown);
    this.track.addEventListener("keydown", (event) => this.#key(event));
    this.track.addEventListener("pointerdown", (event) => this.#press(event));
    this.track.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      this.track.addEventListener(name, (event) => this.#release(event));
    }
    this.track.addEventListener("dblclick", (event) => {
      event.stopPropagation();
      this.#commit(this.#control.value);
    });
    this.shown.addEventListener("click", () => this.#type());
    for (const name of ["pointerdown", "mousedown", "dblclick"]) {
      this.shown.addEventListener(name, (event) => event.stopPropagation());
    }
  }

  /** The control that it moves, with the name that people hear. */
  set control([control, name]) {
    this.#control = control;
    this.track.setAttribute("aria-label", name);
    this.track.setAttribute("aria-valuemin", control.min);
    this.track.setAttribute("aria-valuemax", control.max);
    this.track.setAttribute(
      "aria-orientation", this.hasAttribute("vertical") ? "vertical" : "horizontal",
    );
    this.track.title = `${name}: drag, or arrow keys; double click for the default`;
    this.value = control.value;
  }

  get value() {
    return this.#value;
  }

  set value(value) {
    this.#value = value;
    const { min, max } = this.#control;
    const place = `${100 * position(this.#control, value)}%`;
    this.thumb.style[this.hasAttribute("vertical") ? "bottom" : "left"] = place;
    this.track.setAttribute("aria-valuenow", Math.min(Math.max(value, min), max));
    this.#say(inWords(this.#control, value));
  }

  /** Where the value is not for people to move: *words* are shown instead of it, null ends that. */
  set locked(words) {
    this.track.setAttribute("aria-disabled", words !== null);
    this.shown.disabled = words !== null;
    if (words !== null) this.#say(words);
  }

  get #isLocked() {
    return this.track.getAttribute("aria-disabled") === "true";
  }

  #say(words) {
    this.track.setAttribute("aria-valuetext", words);
    this.shown.textContent = words;
  }

  /** Take a value that a person gave. */
  #give(value, ended) {
    const [low, high] = limits(this.#control);
    const rounded = Math.round(value * 1e4) / 1e4;
    this.value = Math.min(Math.max(rounded, low), high);
    this.dispatchEvent(new CustomEvent("input", { bubbles: true }));
    if (ended) this.dispatchEvent(new CustomEvent("change", { bubbles: true }));
  }

  #commit(value) {
    if (!this.#isLocked) this.#give(value, true);
  }

  #key(event) {
    const { min, max, step, page, value, law } = this.#control;
    const by = event.shiftKey ? FINE * step : step;
    const now = this.#value;
    const steps = {
      ArrowUp: by, ArrowRight: by, ArrowDown: -by, ArrowLeft: -by, PageUp: page, PageDown: -page,
    };
    const ends = { Home: min, End: max, Delete: value, Backspace: value }; // Apple has no Delete
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") this.#type();
    else if (event.key in ends) this.#commit(ends[event.key]);
    else if (event.key in steps) this.#commit(this.#stepped(now, steps[event.key], law));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** One step on; the bottom of a fader is one step below the lowest level that it shows. */
  #stepped(now, by, law) {
    const lowest = law?.[1][1];
    const { min, max } = this.#control;
    if (lowest !== undefined && now + by < lowest) return by < 0 ? min : lowest;
    return by > 0 ? Math.max(now, Math.min(now + by, max)) : Math.max(now + by, min);
  }

  #press(event) {
    event.stopPropagation();
    if (event.button !== 0 || this.#isLocked) return;
    const box = this.track.getBoundingClientRect();
    const vertical = this.hasAttribute("vertical");
    this.track.setPointerCapture(event.pointerId);
    this.#drag = {
      at: vertical ? -event.clientY : event.clientX,
      place: position(this.#control, this.#value),
      length: vertical ? box.height : box.width,
      moved: false,
    };
  }

  #move(event) {
    if (this.#drag === null) return;
    event.stopPropagation();
    const now = this.hasAttribute("vertical") ? -event.clientY : event.clientX;
    const way = ((now - this.#drag.at) / this.#drag.length) * (event.shiftKey ? FINE : 1);
    if (way === 0) return;
    const place = Math.min(Math.max(this.#drag.place + way, 0), 1);
    Object.assign(this.#drag, { at: now, place, moved: true });
    this.#give(this.#onGrid(valueAt(this.#control, place)), false);
  }

  #release(event) {
    if (this.#drag === null) return;
    event.stopPropagation();
    const { moved } = this.#drag;
    this.#drag = null;
    if (moved) this.dispatchEvent(new CustomEvent("change", { bubbles: true }));
  }

  /** A value in fine steps, as nobody wants -5.8372 dB. */
  #onGrid(value) {
    const grid = FINE * this.#control.step;
    return Math.round(value / grid) * grid;
  }

  /** Let the value be typed: Enter and leaving take it, Escape does not. */
  #type() {
    if (this.#isLocked) return;
    const label = this.track.getAttribute("aria-label");
    const value = this.shown.textContent;
    const field = element("input", { type: "text", "aria-label": label, value });
    let isOpen = true;
    const end = (take) => {
      if (!isOpen) return;
      isOpen = false; // taking the field away is leaving it, which comes here again
      const given = take ? typed(this.#control, field.value) : null;
      field.replaceWith(this.shown);
      if (given !== null) this.#commit(given);
    };
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key !== "Enter" && event.key !== "Escape") return;
      end(event.key === "Enter");
      this.track.focus();
    });
    field.addEventListener("pointerdown", (event) => event.stopPropagation());
    field.addEventListener("blur", () => end(true));
    this.shown.replaceWith(field);
    field.focus();
    field.select();
  }
}

if (!customElements.get("kino-slider")) customElements.define("kino-slider", KinoSlider);

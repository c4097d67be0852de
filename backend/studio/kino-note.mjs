/**
 * `<kino-note>`: a note in Markdown, shown; a double click, or Enter, edits its text.
 *
 * Knows: when it is shown and when it is edited. Does not know: Markdown (`markdown.mjs`), nor
 * where the text is kept. `value` is the text; it tells "input" while it is written and "change"
 * after that.
 */

import { element, styles } from "./elements.mjs";
import { rendered } from "./markdown.mjs";

const SHEET = styles(`
  :host {
    display: flex; box-sizing: border-box; min-height: 0; overflow: hidden; border-radius: 6px;
    background: #171b20; color: #d5dde6; font: 13px/1.45 system-ui, sans-serif; text-align: left;
  }
  article, textarea { flex: 1; min-width: 0; padding: 8px 12px; overflow: auto; outline: none; }
  article:focus-visible { box-shadow: inset 0 0 0 2px #6cb6ff; border-radius: 6px; }
  textarea {
    font: 12px/1.45 ui-monospace, monospace; color: inherit; background: #0d1014; border: 0;
    resize: none;
  }
  h1, h2, h3, h4, h5, h6 { margin: 0.7em 0 0.3em; line-height: 1.2; }
  h1 { font-size: 1.5em; } h2 { font-size: 1.3em; } h3 { font-size: 1.15em; }
  h4, h5, h6 { font-size: 1em; }
  article > :first-child { margin-top: 0; }
  p, ul, ol, pre, blockquote { margin: 0 0 0.6em; }
  ul, ol { padding-left: 1.5em; }
  a { color: #6cb6ff; }
  code {
    font-family: ui-monospace, monospace; background: #0d1014; padding: 0 3px; border-radius: 3px;
  }
  pre { background: #0d1014; padding: 8px; border-radius: 4px; overflow: auto; }
  blockquote { border-left: 3px solid #414b58; padding-left: 10px; color: #b4bfca; }
  img { max-width: 100%; }
  [hidden] { display: none !important; }
`);

export class KinoNote extends HTMLElement {
  #text = "";

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [SHEET];
    this.page = element("article", { tabIndex: 0, title: "Double click to edit" });
    this.area = element("textarea", { hidden: true, "aria-label": "The note in Markdown" });
    root.append(this.page, this.area);
    this.page.addEventListener("dblclick", (event) => {
      event.stopPropagation();
      this.edit();
    });
    this.page.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.target !== this.page) return;
      event.preventDefault(); // else the text would get it
      event.stopPropagation();
      this.edit();
    });
    this.area.addEventListener("input", () => this.#write(this.area.value, "input"));
    this.area.addEventListener("blur", () => this.#close());
    this.area.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key !== "Escape") return;
      this.area.blur();
      this.page.focus();
    });
    for (const name of ["pointerdown", "mousedown", "dblclick"]) {
      root.addEventListener(name, (event) => {
        if (event.composedPath()[0].closest?.("a, textarea")) event.stopPropagation();
      });
    }
  }

  get value() {
    return this.#text;
  }

  set value(text) {
    this.#text = String(text ?? "");
    this.area.value = this.#text;
    this.page.replaceChildren(rendered(this.#text));
  }

  /** Show the text itself, to be changed. */
  edit() {
    this.page.hidden = true;
    this.area.hidden = false;
    this.area.focus();
  }

  #close() {
    this.area.hidden = true;
    this.page.hidden = false;
    this.value = this.area.value;
    this.dispatchEvent(new CustomEvent("change"));
  }

  #write(text, told) {
    this.#text = text;
    this.dispatchEvent(new CustomEvent(told));
  }
}

if (!customElements.get("kino-note")) customElements.define("kino-note", KinoNote);

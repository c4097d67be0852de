/**
 * A MixDoc in the page: read from text, asked for what a control shows, and changed.
 *
 * Knows: the controls that a console shows with their ranges, which strip a track has, and how
 * a document is changed without touching what it does not know. Does not know: the page, sound,
 * or the whole form of a document (docs/mixdoc.schema.json): the server checks that.
 *
 * Documents are never changed in place: what is set gives a new one, with every other field as it
 * was, known or not.
 *
 * @typedef {Object<string, any>} Holder a document or a part of it
 * @typedef {Object} Control
 * @property {string[]} path where the value stands in a strip or in the master
 * @property {string} label what people call it
 * @property {number} min the lower end of the slider
 * @property {number} max the upper end of the slider
 * @property {number} [low] the least that may be typed, where the slider does not go so far
 * @property {number} [high] the most that may be typed
 * @property {number} step of an arrow key; a tenth of it with Shift
 * @property {number} page of PageUp and PageDown
 * @property {number} value the default
 * @property {"dB"|"pan"|"plain"} unit
 * @property {Array<[number, number]>} [law] (position, value) pairs of a slider that is not linear
 */

export const TRACKS = 8;
export const SILENT_DB = -120;
/** A console that changes nothing. */
export const NEUTRAL = '{"version":1,"strips":[]}';

/** The fader's scale: the last 12 dB take a fifth of the way, the lowest 60 dB hardly any. */
const FADER_LAW = [
  [0, SILENT_DB], [0.04, -60], [0.16, -40], [0.36, -20], [0.56, -10], [0.8, 0], [1, 12],
];
const fader = (name, label) => ({
  path: [name], label, min: SILENT_DB, max: 12, low: SILENT_DB, high: 24, step: 1, page: 6,
  value: 0, unit: "dB", law: FADER_LAW,
});
const decibels = (path, label, min, max, value, more = {}) => ({
  path, label, min, max, step: 1, page: 6, value, unit: "dB", ...more,
});
const band = (name, label) =>
  decibels(["eq", name, "gain_db"], label, -24, 24, 0, { low: -60, high: 24 });

/** @type {Object<string, Control>} */
export const STRIP = {
  fader: fader("fader_db", "Fader"),
  pan: {
    path: ["pan"], label: "Pan", min: -1, max: 1, step: 0.1, page: 0.5, value: 0, unit: "pan",
  },
  high: band("high", "High"),
  mid: band("mid", "Mid"),
  low: band("low", "Low"),
  gate: decibels(["gate", "threshold_db"], "Gate threshold", -120, 0, -50),
  compressor: decibels(["compressor", "threshold_db"], "Compressor threshold", -60, 0, -18, {
    low: -120, high: 0,
  }),
};

/** @type {Object<string, Control>} */
export const MASTER = {
  fader: fader("volume_db", "Volume"),
  drive: {
    path: ["drive"], label: "Drive", min: 0, max: 3, step: 0.1, page: 0.5, value: 0.5,
    unit: "plain",
  },
  limiter: decibels(["limiter", "ceiling_db"], "Limiter ceiling", -24, 0, -1),
};

/** What can be switched off, which a document says by null, and what it is when it comes on. */
export const SECTIONS = { gate: {}, compressor: {}, limiter: {}, drive: 0.5 };

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/**
 * The document in a text. `problem` is a sentence where there is none to work with.
 * @param {string} text
 * @returns {{doc: Holder|null, problem: string|null}}
 */
export function read(text) {
  let doc;
  try {
    doc = JSON.parse(text.trim() === "" ? NEUTRAL : text);
  } catch (error) {
    return { doc: null, problem: `This is not JSON: ${error.message}` };
  }
  const problem = problemOf(doc);
  return { doc: problem === null ? doc : null, problem };
}

/** What keeps a document from being shown, or null. */
function problemOf(doc) {
  if (!isObject(doc)) return "A mix is a JSON object with a list of strips.";
  const { version = 1, strips = [], master = {} } = doc;
  if (version !== 1) return `version: ${JSON.stringify(version)} is not known here; it is 1.`;
  if (!Array.isArray(strips)) return "strips: this must be a list.";
  if (!isObject(master)) return "master: this must be an object.";
  for (const [index, strip] of strips.entries()) {
    const place = `strips/${index}`;
    if (!isObject(strip)) return `${place}: a strip is an object.`;
    const problem = problemIn(strip, STRIP, place) ?? switchProblem(strip, place);
    if (problem !== null) return problem;
  }
  return problemIn(master, MASTER, "master");
}

function switchProblem(strip, place) {
  const wrong = ["mute", "solo"].find((name) => typeof (strip[name] ?? false) !== "boolean");
  return wrong === undefined ? null : `${place}/${wrong}: this must be true or false.`;
}

/** A control's value that is no number, or is out of range. */
function problemIn(holder, controls, place) {
  for (const control of Object.values(controls)) {
    const where = `${place}/${control.path.join("/")}`;
    const value = at(holder, control.path);
    if (value === undefined) return `${where}: there must be an object before its last part.`;
    if (value === null || isObject(value) || isReference(value)) continue;
    const [low, high] = limits(control);
    if (typeof value !== "number") return `${where}: ${JSON.stringify(value)} is not a number.`;
    if (value < low || value > high) return `${where}: ${value} is not from ${low} to ${high}.`;
  }
  return null;
}

const isReference = (value) => typeof value === "string" && /^(blake3:|ast_)/.test(value);

/** The least and the most that a control may be. */
export const limits = ({ min, max, low = min, high = max }) => [low, high];

/** What stands at *path*: null where nothing does, undefined where something else is in the way. */
function at(holder, path) {
  let value = holder;
  for (const key of path) {
    if (value === null) return null;
    if (!isObject(value)) return undefined;
    value = value[key] ?? null;
  }
  return value;
}

/** Where the value of a control moves by itself, no number stands there. */
export const isAutomated = (holder, { path }) => {
  const value = at(holder, path);
  return isObject(value) || isReference(value);
};

/** The number that a control shows. */
export function valueOf(holder, { path, value }) {
  const found = at(holder, path);
  if (isObject(found)) return found.points?.[0]?.[1] ?? value;
  return typeof found === "number" ? found : value;
}

/** *holder* with *value* at *path*; what is missing on the way is made. */
export function set(holder, path, value) {
  const [key, ...rest] = path;
  const made = rest.length === 0 ? value : set(holder?.[key] ?? {}, rest, value);
  return { ...holder, [key]: made };
}

const TRACK = new RegExp(`^track_([1-${TRACKS}])$`);

/**
 * Which strip each track has, as the server sees it: the one of its id, else the one in its place.
 * @param {Holder} doc
 * @returns {Map<number, number>} from the number of a track to the index of a strip
 */
export function tracksOf({ strips = [] }) {
  const named = new Set(strips.map(({ id }) => id));
  const found = new Map();
  strips.forEach((strip, index) => {
    const own = TRACK.exec(String(strip.id));
    const track = own === null ? index + 1 : Number(own[1]);
    const taken = own === null && (named.has(`track_${track}`) || track > TRACKS);
    if (!taken && !strip.source && !found.has(track)) found.set(track, index);
  });
  return found;
}

/** The document with *change* of a track's strip, which is added where there is none. */
export function changeStrip(doc, track, change) {
  const strips = doc.strips ?? [];
  const index = tracksOf(doc).get(track);
  const changed = change(index === undefined ? { id: `track_${track}` } : strips[index]);
  const all = strips.map((each, i) => (i === index ? changed : each));
  if (index === undefined) all.push(changed);
  return { ...doc, strips: all };
}

/** A track's strip; one that does nothing where there is none. */
export function stripOf(doc, track) {
  const index = tracksOf(doc).get(track);
  return index === undefined ? { id: `track_${track}` } : doc.strips[index];
}

/**
 * The document with a strip for each of *tracks*, and no other, as it can be played here: strips
 * get the ids of their tracks where they have none, and what an automation in an asset moves
 * stands at its default.
 * @param {Holder} doc
 * @param {number[]} tracks
 */
export function playable(doc, tracks) {
  const strips = tracks.map((track) => ({ id: `track_${track}`, ...plain(stripOf(doc, track)) }));
  return { ...plain(doc), strips };
}

/** A value without references to assets, and without the fields that held one. */
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (!isObject(value)) return value;
  const fields = Object.entries(value).filter(([, each]) => !isReference(each));
  return Object.fromEntries(fields.map(([name, each]) => [name, plain(each)]));
}

/** A value in words, with its unit. */
export function inWords({ unit }, value) {
  if (unit === "pan") {
    const percent = Math.round(Math.abs(value) * 100);
    return percent === 0 ? "centre" : `${value < 0 ? "left" : "right"} ${percent} %`;
  }
  if (unit !== "dB") return value.toFixed(2);
  if (value <= SILENT_DB) return "−∞ dB";
  const rounded = Math.abs(value).toFixed(1);
  const sign = rounded === "0.0" ? "" : value < 0 ? "−" : "+";
  return `${sign}${rounded} dB`;
}

/** The number that somebody typed, or null where it is none; it is kept in range. */
export function typed(control, text) {
  const word = text.trim().toLowerCase().replace("−", "-").replace(",", ".");
  const [low, high] = limits(control);
  if (control.unit === "dB" && /^-\s*(∞|inf)/.test(word)) return low;
  const found = /[-+]?\s*(\d+\.?\d*|\.\d+)/.exec(word);
  if (control.unit === "pan" && /^c/.test(word)) return 0;
  if (found === null) return null;
  let number = Number(found[0].replace(/\s/g, ""));
  if (control.unit === "pan") {
    if (/[%lr]/.test(word) || Math.abs(number) > 1) number /= 100;
    if (word.startsWith("l")) number = -Math.abs(number);
  }
  return Math.min(Math.max(number, low), high);
}

/** Where a value stands on its slider, from 0 to 1. */
export function position({ min, max, law = [[0, min], [1, max]] }, value) {
  return between(law.map(([place, each]) => [each, place]), value);
}

/** The value at a place on its slider. */
export function valueAt({ min, max, law = [[0, min], [1, max]] }, place) {
  return between(law, place);
}

/** Straight lines through points, held at both ends. */
function between(points, x) {
  const next = points.findIndex(([each]) => each >= x);
  if (next < 0) return points[points.length - 1][1];
  if (next === 0) return points[0][1];
  const [[x0, y0], [x1, y1]] = [points[next - 1], points[next]];
  return y0 + ((x - x0) / (x1 - x0)) * (y1 - y0);
}

/**
 * Markdown as elements of a page, safe for text from anywhere.
 *
 * Knows: headings, lists, quotes, code, rules, emphasis, links and pictures (the usual part of
 * CommonMark). Does not know: HTML: what looks like it is text. Every element is made by name and
 * every text by `textContent`; nothing is ever read as markup. Links lead to the protocols of an
 * allow list, pictures come from this server only; what is refused stays readable as text.
 */

import { element } from "./elements.mjs";

const PROTOCOLS = new Set(["http:", "https:", "mailto:"]);
const MOST_DEPTH = 8; // of quotes and lists within each other

/** The address, as the browser itself reads it, or null where it may not be followed. */
function allowed(address) {
  const url = URL.parse?.(address, location.href) ?? parsed(address);
  return url !== null && PROTOCOLS.has(url.protocol) ? url : null;
}

function parsed(address) {
  try {
    return new URL(address, location.href);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return null;
  }
}

/**
 * @param {string} text
 * @returns {DocumentFragment}
 */
export function rendered(text) {
  const fragment = document.createDocumentFragment();
  fragment.append(...blocks(text.replace(/\r\n?/g, "\n").split("\n"), 0));
  return fragment;
}

/** The kinds of blocks: how each begins, and what takes its lines off the front and makes it. */
const KINDS = [
  [/^\s*(```|~~~)/, fence],
  [/^#{1,6}\s/, heading],
  [/^\s{0,3}([-*_])(\s*\1){2,}\s*$/, (lines) => (lines.shift(), element("hr"))],
  [/^\s{0,3}>/, quote],
  [/^\s{0,3}([-*+]|\d{1,9}[.)])\s+/, list],
];

function blocks(lines, depth) {
  const made = [];
  const rest = [...lines];
  while (rest.length > 0) {
    if (rest[0].trim() === "") {
      rest.shift();
      continue;
    }
    const kind = KINDS.find(([begins, make]) => begins.test(rest[0]) && fits(make, depth));
    made.push(kind === undefined ? paragraph(rest) : kind[1](rest, depth));
  }
  return made;
}

const fits = (make, depth) => depth < MOST_DEPTH || (make !== quote && make !== list);

/** Take lines off the front as long as *goes*. */
function taken(lines, goes) {
  const end = lines.findIndex((line, i) => !goes(line, i));
  return lines.splice(0, end < 0 ? lines.length : end);
}

function fence(lines) {
  const [, mark] = /^\s*(```|~~~)/.exec(lines.shift());
  const code = taken(lines, (line) => !line.trim().startsWith(mark));
  lines.shift();
  return element("pre", {}, element("code", {}, code.join("\n")));
}

function heading(lines) {
  const [, marks, words] = /^(#{1,6})\s+(.*?)\s*#*\s*$/.exec(lines.shift()) ?? [null, "#", ""];
  return element(`h${marks.length}`, {}, ...inline(words));
}

function quote(lines, depth) {
  const own = taken(lines, (line) => /^\s{0,3}>/.test(line));
  const inside = own.map((line) => line.replace(/^\s{0,3}> ?/, ""));
  return element("blockquote", {}, ...blocks(inside, depth + 1));
}

function list(lines, depth) {
  const [, margin, mark] = /^(\s{0,3})([-*+]|\d)/.exec(lines[0]);
  const ordered = /\d/.test(mark);
  const marks = ordered ? "\\d{1,9}[.)]" : "[-*+]";
  const item = new RegExp(`^\\s{0,${margin.length + 1}}${marks}\\s+`);
  const made = element(ordered ? "ol" : "ul");
  while (lines.length > 0 && item.test(lines[0])) {
    const first = lines.shift();
    const indent = item.exec(first)[0].length;
    const more = taken(lines, (line) => /^\s{2,}\S/.test(line) && !item.test(line));
    const inside = more.map((line) => line.replace(new RegExp(`^\\s{1,${indent}}`), ""));
    const [head, ...tail] = [...inline(first.replace(item, "")), ...blocks(inside, depth + 1)];
    made.append(element("li", {}, head ?? "", ...tail));
  }
  return made;
}

function paragraph(lines) {
  const own = [lines.shift(), ...taken(lines, (line) => line.trim() !== "" && !begins(line))];
  const made = element("p");
  own.forEach((line, i) => {
    if (i > 0) made.append(/ {2}$/.test(own[i - 1]) ? element("br") : " ");
    made.append(...inline(line.trim()));
  });
  return made;
}

const begins = (line) => KINDS.some(([start]) => start.test(line));

/** What stands within a line, by what it looks like; the first that matches earliest counts. */
const SPANS = [
  [/\\([\\`*_{}[\]()#+\-.!>~|])/, ([, sign]) => sign],
  [/(`+)(.+?)\1(?!`)/, ([, , code]) => element("code", {}, code.trim())],
  [/!\[([^\]]*)\]\(((?:[^()]|\([^()]*\))*)\)/, ([, alt, to]) => picture(alt, addressOf(to))],
  [
    /\[((?:[^[\]]|\[[^\]]*\])*)\]\(((?:[^()]|\([^()]*\))*)\)/,
    ([, words, to]) => link(words, addressOf(to)),
  ],
  [/<(https?:\/\/[^\s<>]+|mailto:[^\s<>]+)>/, ([, address]) => link(address, address)],
  [/\bhttps?:\/\/[^\s<>()]+[^\s<>().,;:!?'"]/, ([address]) => link(address, address)],
  [
    /\*\*(?=\S)(.+?\S?)\*\*|__(?=\S)(.+?\S?)__/,
    ([, a, b]) => element("strong", {}, ...inline(a ?? b)),
  ],
  [/\*(?=\S)([^*]+)\*|\b_(?=\S)([^_]+)_\b/, ([, a, b]) => element("em", {}, ...inline(a ?? b))],
  [/~~(?=\S)(.+?)~~/, ([, words]) => element("s", {}, ...inline(words))],
];

/** A line as texts and elements. */
function inline(text) {
  const made = [];
  let rest = text;
  while (rest !== "") {
    const found = earliest(rest);
    if (found === null) break;
    const [match, make] = found;
    made.push(rest.slice(0, match.index), make(match));
    rest = rest.slice(match.index + match[0].length);
  }
  return [...made, rest].filter((each) => each !== "");
}

function earliest(text) {
  let best = null;
  for (const [looks, make] of SPANS) {
    const match = looks.exec(text);
    if (match !== null && (best === null || match.index < best[0].index)) best = [match, make];
  }
  return best;
}

/** The address in the parentheses of a link, without its title and its angle brackets. */
function addressOf(inside) {
  const bare = inside.trim().replace(/\s+("[^"]*"|'[^']*')$/, "");
  return bare.replace(/^<(.*)>$/, "$1");
}

/** A link, or its words where it may not be followed. */
function link(words, address) {
  const url = allowed(address);
  const inside = words === address ? [words] : inline(words);
  if (url === null) return element("span", { title: "This address is not followed." }, ...inside);
  const made = element("a", { target: "_blank", rel: "noopener noreferrer" }, ...inside);
  made.href = url.href;
  return made;
}

/** A picture of this server; of any other, its words and a link. */
function picture(alt, address) {
  const url = allowed(address);
  const isOurs = url !== null && url.origin === location.origin;
  if (!isOurs) return link(alt === "" ? address : alt, address);
  const made = element("img", { alt, loading: "lazy" });
  made.src = url.href;
  return made;
}

/**
 * Making elements and style sheets; nothing here takes markup as text.
 *
 * Knows: properties and attributes. Does not know: what is shown.
 */

/**
 * An element with properties (`className`, `tabIndex`) or attributes (`role`) and children.
 * @param {string} tag
 * @param {Object<string, any>} [given]
 * @param {...(Node|string)} children a string is text, whatever is in it
 * @returns {HTMLElement}
 */
export function element(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** A style sheet for shadow roots, which a content security policy without inline styles allows. */
export function styles(text) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(text);
  return sheet;
}

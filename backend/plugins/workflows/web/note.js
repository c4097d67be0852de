/**
 * The note in ComfyUI's graph editor: its text is shown as Markdown.
 *
 * Knows: the editor's extensions and widgets. Does not know: Markdown (`kino-note.mjs`). The text
 * is the widget's value, as it is with the editor's own text.
 */

import "../kino/kino-note.mjs";

const { app } = globalThis.comfyAPI.app;

const TYPE = "KINO_NOTE";
const WIDTH_PX = 320;
const HEIGHT_PX = 200;

/** The widget of the input `text`. */
function noteWidget(node, name, [, options = {}]) {
  const note = document.createElement("kino-note");
  note.value = options.default ?? "";
  const widget = node.addDOMWidget(name, TYPE, note, {
    getValue: () => note.value,
    setValue: (value) => (note.value = value),
    getMinHeight: () => HEIGHT_PX,
    hideOnZoom: false,
  });
  note.addEventListener("input", () => widget.callback?.(note.value));
  note.addEventListener("change", () => {
    app.extensionManager?.workflow?.activeWorkflow?.changeTracker?.captureCanvasState?.();
  });
  return { widget, minWidth: WIDTH_PX, minHeight: HEIGHT_PX };
}

app.registerExtension({
  name: "Kino.Note",
  getCustomWidgets: () => ({ [TYPE]: noteWidget }),
  beforeRegisterNodeDef(nodeType, definition) {
    if (definition.name !== "InternodeMarkdownNote") return;
    const [type, options] = definition.input.required.text;
    definition.input.required.text = [type, { ...options, widgetType: TYPE }];
  },
});

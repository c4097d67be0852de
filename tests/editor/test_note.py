"""The note in the graph editor: Markdown, and opening a shared workflow runs no script."""

from __future__ import annotations

from typing import Any, Final

import pytest

pytestmark = pytest.mark.xdist_group("editor")

NOTE: Final = "InternodeMarkdownNote"
WRITE: Final = """([id, text]) => {
  const [widget] = app.graph.getNodeById(id).widgets;
  widget.value = text;
  return Array.from(widget.element.page.querySelectorAll("*"), (each) => [
    each.tagName, Array.from(each.attributes, ({name}) => name).sort().join(" "),
    each.getAttribute("href") ?? each.getAttribute("src") ?? each.textContent,
  ]);
}"""
TEXT: Final = "(id) => app.graph.getNodeById(id).widgets[0].element.page.textContent"
TOUCH: Final = """async (id) => {
  const {page} = app.graph.getNodeById(id).widgets[0].element;
  for (const each of page.querySelectorAll("*")) {
    for (const name of ["click", "mouseover", "error", "load", "focus"]) {
      each.dispatchEvent(new Event(name, {bubbles: true, cancelable: true}));
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  return window.fired ?? null;
}"""
PAGE: Final = """# Title *here*

A **bold** word, `code <b>`, ~~gone~~ and a [link](https://example.org/a_(b) "title").

- one
  - inside
- two

1. first

> quoted

```
<script>
```
***
https://example.org/bare. End
"""


def test_a_note_is_shown_as_markdown(each_editor: Any) -> None:
    """The usual part of Markdown becomes elements; the text stays the value of the graph."""
    node = each_editor.add(NOTE)
    made = each_editor.run(WRITE, [node, PAGE])
    tags = " ".join(tag for tag, _, _ in made)
    assert tags == "H1 EM P STRONG CODE S A UL LI UL LI LI OL LI BLOCKQUOTE P PRE CODE HR P A"
    assert ["A", "href rel target", "https://example.org/a_(b)"] in made
    assert ["A", "href rel target", "https://example.org/bare"] in made
    assert ["CODE", "", "<script>"] in made
    assert each_editor.prompt()[str(node)]["inputs"] == {"text": PAGE}
    each_editor.run("async () => app.loadGraphData(app.graph.serialize())")
    assert "Title here" in each_editor.run(TEXT, node)


def test_a_note_is_written_in_place(each_editor: Any) -> None:
    """A double click shows the text, leaving it shows the page; the value follows each key."""
    node = each_editor.add(NOTE)
    each_editor.do(lambda page: page.locator("kino-note article").dblclick())
    each_editor.do(lambda page: page.get_by_label("The note in Markdown").fill("# New"))
    assert each_editor.prompt()[str(node)]["inputs"] == {"text": "# New"}
    each_editor.do(lambda page: page.keyboard.press("Escape"))
    assert each_editor.do(lambda page: page.locator("kino-note h1").text_content()) == "New"


@pytest.mark.parametrize(
    "text",
    [
        "[click](java\tscript:window.fired=1)",
        "[click](javascript:window.fired=1)",
        "[click](\x01javascript:window.fired=1)",
        "[click](JaVaScRiPt:window.fired=1)",
        "<javascript:window.fired=1>",
        "[click](data:text/html,<script>window.fired=1</script>)",
        "[click](vbscript:window.fired=1)",
        "[click](blob:https://example.org/x)",
        "[click](java\nscript:window.fired=1)",
    ],
)
def test_no_link_is_a_script(editor: Any, text: str) -> None:
    """The second way in: an address that is a script as the browser reads it, which is the way it
    is looked at here; and every other protocol that is not on the list."""
    node = editor.add(NOTE)
    made = editor.run(WRITE, [node, text])
    links = [link for tag, _, link in made if tag == "A"]
    assert links == []
    assert editor.run(TOUCH, node) is None


@pytest.mark.parametrize(
    "text",
    [
        '![a" onerror="window.fired=1](x.png)',
        "![a' onerror='window.fired=1](/nothing.png)",
        '![a](x.png"onerror="window.fired=1)',
        '[a" onmouseover="window.fired=1](https://example.org/"onclick="window.fired=1)',
        "<img src=x onerror=window.fired=1>",
        "<svg onload=window.fired=1><script>window.fired=1</script></svg>",
        "`</code><img src=x onerror=window.fired=1>`",
        "# </h1><iframe srcdoc='<script>parent.fired=1</script>'>",
    ],
)
def test_no_text_becomes_an_attribute_or_an_element(editor: Any, text: str) -> None:
    """The third way in: words that end an attribute and begin another, or bring their own tags."""
    node = editor.add(NOTE)
    made = editor.run(WRITE, [node, text])
    known = {"", "href rel target", "alt loading src", "title"}
    assert {names for _, names, _ in made} <= known
    assert {tag for tag, _, _ in made} <= {"P", "A", "IMG", "CODE", "H1", "SPAN"}
    assert editor.run(TOUCH, node) is None


def test_pictures_come_from_here_only(editor: Any) -> None:
    """A picture of another host would tell it who opened the note: it stays a link."""
    node = editor.add(NOTE)
    abroad = ("https://example.org/a.png", "//example.org/b.png", "data:image/png;base64,AA")
    made = editor.run(WRITE, [node, " ".join(f"![words]({each})" for each in abroad)])
    assert [tag for tag, _, _ in made] == ["P", "A", "A", "SPAN"]
    here = editor.run(WRITE, [node, "![d](/editor/assets/d.png)"])
    assert [tag for tag, _, _ in here] == ["P", "IMG"]


def test_a_long_note_takes_no_long_time(editor: Any) -> None:
    """Texts that would make a careless pattern try everything are shown soon."""
    node = editor.add(NOTE)
    for text in ("*" * 80_000, "[" * 20_000 + "(" * 20_000, "> " * 8_000 + "x", "`" * 39_999 + "a"):
        taken = editor.run(
            "([id, text]) => { const from = performance.now();"
            " app.graph.getNodeById(id).widgets[0].value = text;"
            " return performance.now() - from; }",
            [node, text],
        )
        assert taken < 20_000

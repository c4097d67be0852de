"""Hold our conversion of workflows against the graph editor's own, on the official templates.

Knows: the templates package, ComfyUI's own server, its editor in a headless Chromium, and the
reasons why a template may be converted otherwise.
Does not know: how the conversion works.

::

    python scripts/conversion.py             all templates (about six minutes)
    python scripts/conversion.py --sample 30
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from backend.plugins.workflows.conversion.converting import convert
from bench_rows import servers

PATIENCE_MS: Final = 120_000.0
FLAGS: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
READY: Final = "window.app && window.app.graph && window.app.extensionManager"
ASK: Final = """async (workflow) => {
    const quiet = {showMissingNodesDialog: false, showMissingModelsDialog: false};
    await app.loadGraphData(workflow, true, false, null, quiet);
    return (await app.graphToPrompt()).output;
}"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One template: is it converted as the editor does, and if not, why."""

    name: str
    reason: str | None
    differences: tuple[str, ...] = ()


def templates() -> dict[str, dict[str, Any]]:
    """Every official template that is a workflow, by name."""
    spec = find_spec("comfyui_workflow_templates_json")
    if spec is None or spec.origin is None:
        raise SystemExit("The package comfyui-workflow-templates is not installed.")
    found = {}
    for path in sorted((Path(spec.origin).parent / "templates").glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and "nodes" in content:
            found[path.stem] = content
    return found


def sample(names: Iterable[str], count: int) -> list[str]:
    """*count* of *names*, evenly spread over their order."""
    ordered = sorted(names)
    return [ordered[number * len(ordered) // count] for number in range(count)]


class Editor:
    """The genuine editor in front of the genuine server."""

    def __init__(self, page: Any, definitions: dict[str, Any]) -> None:
        self._page = page
        self.definitions = definitions
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def convert(self, workflow: dict[str, Any]) -> dict[str, Any]:
        """What the editor would queue."""
        output: dict[str, Any] = self._page.evaluate(ASK, workflow)
        return output


@contextmanager
def editor(folder: Path) -> Iterator[Editor]:
    """Start ComfyUI's server with all its nodes, and open its editor. Raises ``SystemExit`` where
    no Chromium is found."""
    from playwright.sync_api import sync_playwright

    browser_path = shutil.which("chromium")
    if browser_path is None:
        raise SystemExit("Chromium is not installed: apt-get install chromium")
    with servers.stock(folder, api_nodes=True) as served, sync_playwright() as playwright:
        definitions = servers.get_json(f"{served.url}/object_info")
        browser = playwright.chromium.launch(executable_path=browser_path, args=list(FLAGS))
        try:
            page = browser.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(served.url)
            page.wait_for_function(READY)
            yield Editor(page, definitions)
        finally:
            browser.close()


def verdict(name: str, workflow: dict[str, Any], there: Editor) -> Verdict:
    """Convert a template both ways and compare: ids, types and every input of every node. Titles
    are left out: the editor translates those that nobody has set."""
    converted = convert(workflow, there.definitions)
    expected = there.convert(workflow)
    differences = tuple(_differences(converted.graph, expected))
    if not differences:
        return Verdict(name, None)
    return Verdict(name, _reason(workflow, converted.missing, differences), differences)


def _differences(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    for node in sorted(ours.keys() | theirs.keys()):
        if node not in ours or node not in theirs:
            side = "only the editor has" if node not in ours else "only we have"
            yield f"{side} node {node} ({(theirs.get(node) or ours[node])['class_type']})"
            continue
        mine, other = ours[node]["inputs"], theirs[node]["inputs"]
        kind = ours[node]["class_type"]
        if theirs[node]["class_type"] not in (kind, None):
            yield f"node {node} is a {theirs[node]['class_type']}, not a {kind}"
        for key in sorted(mine.keys() | other.keys()):
            if key not in mine or key not in other or mine[key] != other[key]:
                yield f"{kind}.{key}"


def _reason(
    workflow: dict[str, Any], missing: dict[str, list[str]], differences: tuple[str, ...]
) -> str:
    """Why a template differs, as far as it has a name."""
    if missing:
        return f"node types that are not installed: {', '.join(sorted(missing))}"
    kinds = {text.partition(".")[0] for text in differences if "." in text.partition(" ")[0]}
    if kinds == {"Load3D"}:
        return "Load3D sends a picture that the editor renders of its scene"
    if kinds == {"CreateBoundingBoxes"}:
        return "CreateBoundingBoxes sends the state of the editor's own canvas"
    if all(text.startswith("only the editor has") for text in differences):
        return "the editor sends what lies in a bypassed subgraph inside a subgraph, unconnected"
    return "not explained"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=int, default=0, help="only so many, evenly spread")
    count = parser.parse_args().sample
    known = templates()
    chosen = sample(known, count) if count else sorted(known)
    verdicts = []
    with tempfile.TemporaryDirectory() as folder, editor(Path(folder)) as there:
        for name in chosen:
            verdicts.append(verdict(name, known[name], there))
            if verdicts[-1].reason:
                print(f"{name}: {verdicts[-1].reason}: {', '.join(verdicts[-1].differences[:4])}")
    same = sum(each.reason is None for each in verdicts)
    print(f"\n{same} of {len(verdicts)} are converted identically ({same / len(verdicts):.1%}).")
    for reason, times in Counter(each.reason for each in verdicts if each.reason).most_common():
        print(f"{times} × {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

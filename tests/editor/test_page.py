"""ComfyUI's graph editor at /editor/: it opens, it calls nobody else, and it runs graphs."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.xdist_group("editor")


def test_the_editor_is_found_without_its_slash(served: Any) -> None:
    """``/editor`` leads to ``/editor/``, as the page names its files relative to a folder."""
    answer = served.ask("GET", "/editor?a=b")
    assert (answer.status, answer.headers["location"]) == (308, "/editor/?a=b")
    page = served.ask("GET", "/editor/")
    assert page.status == 200
    assert b"<title>ComfyUI</title>" in page.body


def test_the_editors_calls_are_answered(served: Any) -> None:
    """What the page asks for when it opens is there, below its own folder."""
    info = served.get("/editor/api/object_info")
    assert {"InternodeAudioMixer", "KinoLoadAsset", "KinoMixerMix", "KSampler"} <= info.keys()
    assert served.get("/editor/api/users")["storage"] == "server"
    extensions = served.get("/editor/api/extensions")
    ours = {each for each in extensions if each.startswith("/extensions/kino")}
    assert ours == {
        "/extensions/kino/kino-dsp.js",
        "/extensions/kino-files/loaders.js",
        "/extensions/kino-files/savers.js",
        "/extensions/kino-mixer/mixer.js",
        "/extensions/kino-workflows/note.js",
    }
    for path in ours:
        assert served.ask("GET", "/editor" + path).headers["content-type"].endswith("javascript")


@pytest.mark.parametrize("path", ["/editor/", "/comfy/", "/editor/scripts/app.js"])
def test_pages_may_only_call_this_service(served: Any, path: str) -> None:
    """The policy of every page lets nothing come from elsewhere, or go there."""
    policy = served.ask("GET", path).headers["content-security-policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'self'"
    words = {word for rule in rules.values() for word in rule.split()}
    local = {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}
    assert words <= local
    assert "'unsafe-eval'" not in rules["connect-src"]


def test_what_never_changes_is_fetched_once(served: Any) -> None:
    """Scripts whose names hold a hash of their content stay in the browser; all others, and files
    that are not there, are asked for again."""
    page = served.ask("GET", "/editor/").body.decode()
    (script,) = re.findall(r'<script type="module" crossorigin src="\./(assets/[^"]+)"', page)

    def kept(path: str) -> str:
        return str(served.ask("GET", f"/editor/{path}").headers["cache-control"])

    assert kept(script) == "private, max-age=31536000, immutable"
    for other in (
        "",
        "assets/none-Abcd1234.js",
        "scripts/app.js",
        "extensions/kino-mixer/mixer.js",
    ):
        assert "immutable" not in kept(other)


def test_the_editor_opens_and_nothing_leaves(editor: Any) -> None:
    """The stock page boots with Kino's nodes in it; its calls to other hosts do not leave it."""
    editor.open()
    editor.until("() => app.ui !== undefined && app.graph !== undefined")
    own = urlsplit(editor.service.url).netloc
    outside = [each for each in editor.requests if urlsplit(each.url).netloc not in (own, "")]
    assert outside  # it does try
    failures = editor.do(lambda _: {each.failure for each in outside})
    assert failures == {"csp"}
    names = editor.run("() => Object.keys(LiteGraph.registered_node_types)")
    assert {"InternodeAudioMixer", "InternodeAudioLoader", "KinoMixerMix"} <= set(names)


def test_a_graph_is_run_from_the_editor(editor: Any) -> None:
    """Run gives the picture in the editor, and the prompt was a durable job of Kino."""
    prompts = "/v1/jobs?operation=comfyui.prompt"  # others describe what is shipped
    before = {job["id"] for job in editor.service.get(prompts)["items"]}
    node = editor.queue_picture()
    editor.until("(id) => app.nodeOutputs[id]?.images?.length === 1", node, seconds=300)
    assert editor.kind_of(node) == "PNG"
    (job,) = [job for job in editor.service.get(prompts)["items"] if job["id"] not in before]
    done = editor.service.get(f"/v1/jobs/{job['id']}?wait=120")
    assert done["state"] == "succeeded"

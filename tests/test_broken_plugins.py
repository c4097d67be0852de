"""A service with plugins that are broken in every way: it starts, says so, and works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import numpy as np

from backend.media.audio import Audio
from backend.testing.service import Service, until

PLUGINS = {
    "a_raises": "raise RuntimeError('no engine today')",
    "b_collides": """
        from backend.plugins import hookimpl, operation

        @operation("mixer.mix")
        def mix() -> str:
            '''Mine now.'''
            return "mine"

        @hookimpl
        def register_operations():
            return [mix]
        """,
    "c_lacks": "import a_module_that_nobody_has",
    "d_hangs": """
        import threading
        from backend.plugins import hookimpl, operation

        @operation("hangs.hello")
        def hello() -> str:
            '''Say hello.'''
            return "hello"

        @hookimpl
        def register_operations():
            return [hello]

        @hookimpl
        def startup(host):
            threading.Event().wait()
        """,
    "e_works": """
        from backend.plugins import hookimpl, operation

        @operation("works.hello")
        def hello() -> str:
            '''Say hello.'''
            return "hello"

        @hookimpl
        def register_operations():
            return [hello]
        """,
}


def test_nothing_else_is_affected(tmp_path: Path, launch: Callable[..., Service]) -> None:
    """Each is listed with its reason and a remedy; the mixer and the good plugin run."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    for name, code in PLUGINS.items():
        (folder / f"{name}.py").write_text(dedent(code))
    service = launch(plugins_dir=folder)
    assert service.ask("GET", "/healthz").status == 200  # while one plugin still hangs

    def listed() -> dict[str, str] | None:
        found = {item["name"]: item["unavailable"] for item in service.get("/v1/plugins")["items"]}
        assert all(why is None or why["remedy"] for why in found.values())
        reasons = {name: why["reason"] if why else "" for name, why in found.items()}
        return reasons if reasons["d_hangs"] else None

    reasons = until("the plugin that hangs is given up", listed, seconds=300)
    assert "RuntimeError: no engine today" in reasons["a_raises"]
    assert "'mixer.mix' belongs to the plugin 'mixer'" in reasons["b_collides"]
    assert "a_module_that_nobody_has" in reasons["c_lacks"]
    assert reasons["d_hangs"] == "startup did not return within 10 s"
    assert reasons["e_works"] == reasons["mixer"] == reasons["files"] == ""

    service.wait_ready()
    assert service.run("works.hello", {})["result"] == {"result": "hello"}
    refused = service.ask("POST", "/v1/operations/hangs.hello", {})
    assert refused.status == 503
    assert "did not return" in refused.json()["detail"]
    Audio.from_samples(np.zeros((1, 100), np.float32), 48000).save(tmp_path / "a.wav")
    asset = service.upload((tmp_path / "a.wav").read_bytes(), "a.wav")
    mixed = service.run(
        "mixer.mix", {"mix": {"strips": [{"id": "a", "source": asset["reference"]}]}}
    )
    assert mixed["state"] == "succeeded"

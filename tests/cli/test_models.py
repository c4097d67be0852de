"""`kino models`: what plugins want, and fetching it, without a running service."""

from __future__ import annotations

import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PLUGIN = """
from backend.plugins import ModelFile, hookimpl
name = "wisher"
summary = "Wants a file."

@hookimpl
def register_models():
    return [ModelFile("wish/one", "wishes", "one.bin", "CC0", "{url}/one.bin")]
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Nothing."""


def test_models_are_listed_and_fetched(kino: Any, tmp_path: Path) -> None:
    """A missing file is listed as missing, fetched by its name, and then is here."""
    served, plugins = tmp_path / "served", tmp_path / "plugins"
    served.mkdir()
    plugins.mkdir()
    (served / "one.bin").write_bytes(b"weights")
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: Quiet(*a, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    (plugins / "wisher.py").write_text(PLUGIN.format(url=url))
    here = {"plugins_dir": plugins, "data_dir": tmp_path / "data"}
    try:
        before = {each["id"]: each for each in kino.ok("models", "list", "--json", **here).json()}
        assert before["wish/one"]["present"] is False
        assert before["htdemucs/955717e8"]["licence"] == "MIT"
        fetched = kino.ok("models", "download", "wish", **here)
        path = tmp_path / "data" / "models" / "wishes" / "one.bin"
        assert fetched.out.strip() == str(path)
        assert path.read_bytes() == b"weights"
        assert "here" in kino.ok("models", "list", **here).out
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_an_unknown_model_is_wrong_usage(kino: Any, tmp_path: Path) -> None:
    """The known ones are named."""
    ended = kino("models", "download", "nobody", data_dir=tmp_path)
    assert ended.status == 2
    assert "htdemucs_ft" in ended.err

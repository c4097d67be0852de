"""ComfyUI's history, where it is long: the whole of it is told, and nobody else waits for that."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.services import ledger
from backend.testing.service import Service

MANY = 3000
GRAPH = {
    str(n): {"class_type": "ImageBlur", "inputs": {"image": [str(n - 1), 0], "blur_radius": n}}
    for n in range(1, 21)
}
ENDED = {
    "outputs": {"20": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}},
    "meta": {"20": {"node_id": "20", "display_node": "20", "real_node_id": "20"}},
    "status": {"status_str": "success", "completed": True, "messages": []},
}


def fill(path: Path, count: int) -> None:
    """A ledger with *count* prompts that have ended, the first one first."""
    connection = sqlite3.connect(path, isolation_level=None)
    ledger.migrate(connection)
    connection.execute("BEGIN")
    for n in range(count):
        params = {"number": n, "prompt_id": f"p{n}", "prompt": GRAPH, "extra_data": {}}
        connection.execute(
            "INSERT INTO job (id, operation, version, params, inputs, metadata, capability,"
            " priority, state, max_attempts, timeout_s, created, started, finished)"
            " VALUES (?, 'comfyui.prompt', 1, ?, '[]', '{}', 'comfy', 0, 'succeeded', 2, 60,"
            " ?, ?, ?)",
            (f"job_{n:08}", json.dumps({**params, "outputs": ["20"]}), n, n, n),
        )
        connection.execute(
            "INSERT INTO prompt (job_id, prompt_id, number, history) VALUES (?, ?, ?, ?)",
            (f"job_{n:08}", f"p{n}", n, json.dumps(ENDED)),
        )
    connection.execute("COMMIT")
    connection.close()


def test_a_long_history_holds_nobody_up(tmp_path: Path, launch: Callable[..., Service]) -> None:
    """While thousands of prompts are read and written, /healthz answers as ever; and all of them
    are there, in ComfyUI's order and form."""
    data = tmp_path / "data"
    data.mkdir()
    fill(data / "kino.db", MANY)
    service = launch(data_dir=data)
    others, over = 0, threading.Event()

    def ask() -> None:
        nonlocal others
        while not over.is_set():
            assert service.ask("GET", "/healthz").status == 200
            others += 1

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        answer = service.ask("GET", "/comfy/history")
        meanwhile = others
    finally:
        over.set()
        asking.join(600)
    found: dict[str, Any] = answer.json()
    assert list(found) == [f"p{n}" for n in range(MANY)]
    assert found["p7"] == {"prompt": [7, "p7", GRAPH, {}, ["20"]], **ENDED}
    # of the time the machine decides; but between one piece and the next it is somebody else's turn
    assert meanwhile > 8  # in one piece it would be those before the first byte
    few = service.get("/comfy/history?max_items=2")
    assert list(few) == [f"p{MANY - 2}", f"p{MANY - 1}"]
    assert service.get("/comfy/history/p3") == {"p3": found["p3"]}
    assert service.get("/comfy/api/history/none") == {}
    assert service.ask("HEAD", "/comfy/history").body == b""

"""Prompts of stock clients: run as jobs, told and listed as ComfyUI does."""

from __future__ import annotations

import io
import uuid

import pytest
from PIL import Image

from backend.testing.service import until


def kinds(client):
    return [message["type"] for message in client.heard]


def test_a_prompt_runs_as_a_job(stock, client, graphs):
    """The client hears ComfyUI's own messages in their order, and reads its files from /view."""
    answer = client.post(graphs.picture(color=0xFF0000))
    prompt_id = answer["prompt_id"]
    assert answer["node_errors"] == {}
    assert str(uuid.UUID(prompt_id)) == prompt_id
    entry = client.until_done(prompt_id)
    told = [each for each in kinds(client) if each != "progress_state"]
    assert told == [
        *("status", "status", "status", "execution_start", "execution_cached"),
        *("executing", "executing", "executed", "execution_success", "status", "executing"),
    ]
    (item,) = entry["outputs"]["2"]["images"]
    assert item["type"] == "output"
    shown = client.view(item)
    assert shown.status == 200
    assert Image.open(io.BytesIO(shown.body)).getpixel((5, 5)) == (255, 0, 0)
    assert (stock.data_dir / "comfyui" / "output" / item["filename"]).read_bytes() == shown.body
    assert entry["status"]["status_str"] == "success"
    job = stock.get("/v1/jobs?operation=comfyui.prompt&limit=1")["items"][0]
    assert (job["state"], job["params"]["prompt_id"]) == ("succeeded", prompt_id)
    assert job["result"]["outputs"] == entry["outputs"]


def test_the_clients_own_prompt_id_is_kept(client, graphs):
    """A prompt_id that a client gives is the one of queue, messages and history."""
    mine = str(uuid.uuid4())
    assert client.post(graphs.picture(1), prompt_id=mine)["prompt_id"] == mine
    assert client.until_done(mine)["prompt"][1] == mine


def test_both_ports_and_api_paths_are_the_same(stock, client, graphs):
    """``/comfy``, ``/comfy/api``, the second port's root and its ``/api`` answer alike."""
    prompt_id = client.post(graphs.picture(2))["prompt_id"]
    client.until_done(prompt_id)
    root = type(client)(graphs.root_url(stock))
    for path in (f"/history/{prompt_id}", "/queue", "/prompt", "/object_info/KSampler", "/users"):
        answers = [each.get(way + path) for each in (client, root) for way in ("", "/api")]
        assert answers == [answers[0]] * 4, path
    assert root.ask("GET", "/").headers["content-type"] == "text/html"
    assert client.ask("GET", "/").body == root.ask("GET", "/").body
    assert root.ask("GET", "/v1/jobs").status == 404  # nothing but ComfyUI's own


def test_a_cached_prompt_reports_the_older_file(client, graphs):
    """An equal prompt runs no node, and its history names the file that is there."""
    first = client.until_done(client.post(graphs.picture(3))["prompt_id"])
    client.heard.clear()
    second = client.until_done(client.post(graphs.picture(3))["prompt_id"])
    assert second["outputs"] == first["outputs"]
    cached = next(each for each in client.heard if each["type"] == "execution_cached")
    assert cached["data"]["nodes"] == ["1", "2"]


def test_numbers_decide_among_prompts(stock, client, graphs, tmp_path):
    """A lower number goes first, and front goes before everything that waits."""
    go = tmp_path / "go"
    client.post(graphs.held(10, go))
    client.until("executing")
    later = client.post(graphs.picture(11), number=5000.5)["prompt_id"]
    sooner = client.post(graphs.picture(12), number=5000.25)["prompt_id"]
    normal = client.post(graphs.picture(13))["prompt_id"]
    front = [client.post(graphs.picture(each), front=True) for each in (14, 15)]
    assert all(answer["number"] < 0 for answer in front)
    waiting = [item[1] for item in client.get("/queue")["queue_pending"]]
    expected = [front[1]["prompt_id"], front[0]["prompt_id"], normal, sooner, later]
    assert waiting == expected
    go.touch()
    client.until_done(later)
    started = [m["data"]["prompt_id"] for m in client.heard if m["type"] == "execution_start"]
    assert [each for each in started if each in expected] == expected


def test_interrupt_ends_what_runs(stock, client, graphs, tmp_path):
    """/interrupt ends the running prompt; the next one runs; its history says interrupted."""
    running = client.post(graphs.held(20, tmp_path / "never"))["prompt_id"]
    following = client.post(graphs.picture(21))["prompt_id"]
    client.until("executing", running)
    assert client.ask("POST", "/interrupt", {"prompt_id": following}).status == 200
    assert client.ask("POST", "/interrupt").status == 200
    client.until("execution_interrupted", running)
    client.until_done(following)
    status = client.history(running)["status"]
    assert (status["status_str"], status["completed"]) == ("error", False)
    assert status["messages"][-1][0] == "execution_interrupted"
    assert client.history(following)["status"]["completed"] is True
    jobs = stock.get("/v1/jobs?operation=comfyui.prompt&limit=2")["items"]
    assert [job["state"] for job in jobs] == ["succeeded", "cancelled"]


def test_interrupt_leaves_other_jobs_alone(stock, client, graphs, tmp_path):
    """A job of Kino's own on the same lane is none of a stock client's business."""
    go = tmp_path / "go"
    graph = graphs.held(22, go)
    job = stock.ask("POST", "/v1/operations/workflows.run", {"graph": graph}).json()
    here = f"/v1/jobs/{job['id']}"
    until("it runs", lambda: (stock.get(here)["progress"] or 0) > 0, seconds=300, every=0.01)
    assert client.get("/queue") == {"queue_running": [], "queue_pending": []}
    assert client.ask("POST", "/interrupt").status == 200
    go.touch()
    ended = until("it ended", lambda: (j := stock.get(here))["finished"] and j, seconds=300)
    assert ended["state"] == "succeeded"


def test_jobs_of_both_kinds_share_the_lane_without_mixing(stock, client, graphs, tmp_path):
    """A stock client hears nothing of Kino's job beside its prompt, whose folders are its own, and
    sees its own files while that job runs."""
    shown = client.until_done(client.post(graphs.picture(30))["prompt_id"])
    (item,) = shown["outputs"]["2"]["images"]
    client.heard.clear()
    go = tmp_path / "go"
    graph = graphs.held(31, go)
    job = stock.ask("POST", "/v1/operations/workflows.run", {"graph": graph}).json()
    mine = client.post(graphs.picture(32))["prompt_id"]
    here = f"/v1/jobs/{job['id']}"
    until("it runs", lambda: (stock.get(here)["progress"] or 0) > 0, seconds=300, every=0.01)
    assert client.view(item).status == 200
    go.touch()
    entry = client.until_done(mine)
    assert {m["data"].get("prompt_id", mine) for m in client.heard} == {mine}
    names = [image["filename"] for image in entry["outputs"]["2"]["images"]]
    assert (stock.data_dir / "comfyui" / "output" / names[0]).is_file()
    ended = until("it ended", lambda: (j := stock.get(here))["finished"] and j, seconds=300)
    assert ended["state"] == "succeeded"
    assert len(ended["result"]["images"]) == 1


def test_the_queue_can_be_emptied(stock, client, graphs, tmp_path):
    """Waiting prompts are deleted by id and all at once; they leave no history, their jobs are
    cancelled."""
    client.post(graphs.held(40, tmp_path / "never"))
    client.until("executing")
    waiting = [client.post(graphs.picture(41 + n))["prompt_id"] for n in range(4)]
    assert client.get("/prompt")["exec_info"]["queue_remaining"] == 5
    assert client.ask("POST", "/queue", {"delete": [waiting[1], "unknown"]}).status == 200
    left = [item[1] for item in client.get("/queue")["queue_pending"]]
    assert left == [waiting[0], waiting[2], waiting[3]]
    assert client.ask("POST", "/api/queue", {"clear": True}).status == 200
    assert client.get("/queue")["queue_pending"] == []
    client.ask("POST", "/interrupt")
    until("it ended", lambda: not client.get("/queue")["queue_running"], seconds=300)
    assert client.get(f"/history/{waiting[0]}") == {}
    jobs = stock.get("/v1/jobs?operation=comfyui.prompt&limit=4")["items"]
    assert {job["state"] for job in jobs} == {"cancelled"}


def test_history_is_paged_and_deleted(client, graphs):
    """``max_items`` and ``offset`` count as ComfyUI counts; deleting forgets the job too."""
    ids = [client.post(graphs.picture(50 + n))["prompt_id"] for n in range(3)]
    client.until_done(ids[-1])
    everything = list(client.get("/history"))
    assert everything[-3:] == ids
    assert list(client.get("/history?max_items=2")) == ids[1:]
    assert list(client.get(f"/history?max_items=1&offset={len(everything) - 3}")) == [ids[0]]
    assert client.ask("POST", "/history", {"delete": [ids[1]]}).status == 200
    assert list(client.get("/history"))[-2:] == [ids[0], ids[2]]
    assert (
        client.ask("GET", "/history?max_items=many").json()["errors"][0]["pointer"] == "/max_items"
    )
    assert client.ask("POST", "/history", {"clear": True}).status == 200
    assert client.get("/history") == {}


def test_comfyuis_own_job_list_sees_them(client, graphs, tmp_path):
    """``/api/jobs``, which ComfyUI builds from its queue and history, shows and cancels prompts."""
    done = client.post(graphs.picture(60))["prompt_id"]
    client.until_done(done)
    listed = {job["id"]: job["status"] for job in client.get("/api/jobs")["jobs"]}
    assert listed[done] == "completed"
    running = client.post(graphs.held(61, tmp_path / "never"))["prompt_id"]
    client.until("executing", running)
    assert client.get(f"/api/jobs/{running}")["status"] == "in_progress"
    answer = client.ask("POST", f"/api/jobs/{running}/cancel")
    assert answer.json() == {"cancelled": True}
    client.until("execution_interrupted", running)
    client.until_listed(running)
    assert client.get(f"/api/jobs/{running}")["status"] == "cancelled"


def test_a_node_that_fails_is_told_as_comfyui_tells_it(stock, client, graphs):
    """The client gets execution_error with the node; the job's problem names it too."""
    graph = {
        "1": {
            "class_type": "RegexReplace",
            "inputs": {
                "string": "a", "regex_pattern": "(", "replace": "b", "case_insensitive": True,
                "multiline": False, "dotall": False, "count": 0,
            },
        },
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }  # fmt: skip
    prompt_id = client.post(graph)["prompt_id"]
    try:
        error = client.until("execution_error", prompt_id, seconds=300)
    except TimeoutError:
        pytest.fail(f"no error came: {kinds(client)}")
    assert (error["node_id"], error["node_type"]) == ("1", "RegexReplace")
    client.until_listed(prompt_id)
    job = stock.get("/v1/jobs?operation=comfyui.prompt&limit=1")["items"][0]
    assert job["state"] == "failed"
    assert (job["error"]["node_id"], job["error"]["status"]) == ("1", 500)
    assert str(stock.data_dir) not in str(job["error"])


def test_assets_travel_through_prompts(stock, client):
    """KinoLoadAsset and KinoSaveAsset work in a prompt; an asset that is not there is refused."""
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), (9, 8, 7)).save(buffer, "PNG")
    asset = stock.upload(buffer.getvalue(), "small.png")
    graph = {
        "1": {"class_type": "KinoLoadAsset", "inputs": {"asset": asset["id"]}},
        "2": {"class_type": "KinoSaveAsset", "inputs": {"name": "kept", "image": ["1", 1]}},
    }
    prompt_id = client.post(graph)["prompt_id"]
    client.until_listed(prompt_id)
    job = stock.get("/v1/jobs?operation=comfyui.prompt&limit=1")["items"][0]
    assert job["state"] == "succeeded", job["error"]
    assert job["inputs"] == [asset["reference"]]
    kept = job["result"]["saved_1"]
    assert (kept["width"], kept["height"]) == (4, 3)
    again = client.post(graph)["prompt_id"]
    client.until_listed(again)
    second = stock.get("/v1/jobs?operation=comfyui.prompt&limit=1")["items"][0]
    assert second["id"] != job["id"]
    assert second["result"]["saved_1"]["reference"] == kept["reference"]
    gone = {"class_type": "KinoLoadAsset", "inputs": {"asset": "ast_unknown"}}
    answer = client.ask("POST", "/prompt", {"prompt": {**graph, "1": gone}})
    assert answer.status == 422
    assert answer.json()["error"]["type"]


def test_freeing_memory_waits_for_the_lane(client, graphs):
    """/free unloads between two prompts: what was cached before runs again."""
    client.until_done(client.post(graphs.picture(70))["prompt_id"])
    assert client.ask("POST", "/free", {"unload_models": True, "free_memory": True}).status == 200
    client.heard.clear()
    client.until_done(client.post(graphs.picture(70))["prompt_id"])
    cached = next(each for each in client.heard if each["type"] == "execution_cached")
    assert cached["data"]["nodes"] == []


def test_system_stats_are_comfyuis(client):
    """The machine is told by ComfyUI itself, of the process that it runs in."""
    assert client.get("/system_stats")["system"]["comfyui_version"].count(".") == 2

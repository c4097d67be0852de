"""A session recorded from ComfyUI's own server and from Kino: the same but for ids and times."""

from __future__ import annotations

import difflib
import json
import re
from typing import Any

import pytest

from backend.testing import checkpoints
from backend.testing.service import Service, until
from backend.testing.stock_client import StockClient
from bench_rows import servers

TIMES = {"timestamp", "create_time"}
SETS = {"current_outputs", "executed"}  # ComfyUI makes lists of sets, whose order is chance
LIMITS = {"max_upload_size"}  # the service's own setting
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}")


def sampled(seed: int) -> dict[str, Any]:
    """A prompt with a real checkpoint and its sampler's progress and previews."""
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "a tree"}},
        "3": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": 64, "height": 64, "batch_size": 1},
        },
        "4": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0], "positive": ["2", 0], "negative": ["2", 0],
                "latent_image": ["3", 0], "seed": seed, "steps": 4, "cfg": 1.0,
                "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
            },
        },
        "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
        "6": {
            "class_type": "SaveImage",
            "inputs": {"images": ["5", 0], "filename_prefix": "recorded"},
        },
    }  # fmt: skip


def broken() -> dict[str, Any]:
    """A prompt that ComfyUI accepts and whose node fails."""
    return {
        "1": {
            "class_type": "RegexReplace",
            "inputs": {
                "string": "a", "regex_pattern": "(", "replace": "b", "case_insensitive": True,
                "multiline": False, "dotall": False, "count": 0,
            },
        },
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }  # fmt: skip


def session(url: str, graphs: Any) -> dict[str, Any]:
    """Everything that a client hears and reads, from its first message to its last."""
    client = StockClient(url).connect()
    client.until("status")
    client.say({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
    client.until("feature_flags")
    histories, answers = [], []

    def done(prompt: dict[str, Any], **more: Any) -> None:
        answers.append(client.post(prompt, **more))
        histories.append(client.until_done(answers[-1]["prompt_id"]))

    done(graphs.picture(1))
    done(graphs.picture(1))
    # without previews ComfyUI tells of steps by the clock: not twice the same
    previews = {"preview_method": "latent2rgb"}
    done(sampled(1), extra_data=previews)
    done(sampled(2), extra_data=previews, front=True)
    answers.append(client.post(broken(), prompt_id="0a0a0a0a-0000-4000-8000-000000000001"))
    client.until("execution_error")
    client.until_listed(answers[-1]["prompt_id"])
    client.until("executing")
    histories.append(client.history(answers[-1]["prompt_id"]))
    unknown = {"1": {"class_type": "No", "inputs": {}}}
    wrong: list[dict[str, Any]] = [{}, {"prompt": {}}, {"prompt": unknown}]
    for refused in wrong:
        answer = client.ask("POST", "/prompt", refused)
        answers.append([answer.status, answer.json()])
    client.post(graphs.long_work(9, size=1500, times=100), client_id="somebody else")
    until("it runs", lambda: bool(client.get("/queue")["queue_running"]), seconds=300, every=0.01)
    waiting = client.post(graphs.picture(10))["prompt_id"]
    queued = client.get("/queue")["queue_pending"]
    client.ask("POST", "/queue", {"delete": [waiting]})
    client.ask("POST", "/interrupt", {})
    until("it ended", lambda: not client.get("/queue")["queue_running"], seconds=300)
    views = [client.view(each["outputs"]["6"]["images"][0]).body for each in histories[2:4]]
    client.close()
    heard = [m for m in client.heard if m["type"] != "status"]
    return {
        "heard": heard,
        "statuses": [m for m in client.heard if m["type"] == "status"][:14],
        "binary": [[int.from_bytes(part[:4], "big"), len(part) // 100] for part in client.binary],
        "histories": histories,
        "answers": answers,
        "queued": queued,
        "sizes": [len(body) for body in views],
    }


def plain(value: Any, ids: dict[str, str]) -> Any:
    """*value* without times, with ids numbered in their order, without paths."""
    if isinstance(value, dict):
        return {
            plain(key, ids): 0
            if key in TIMES | LIMITS
            else plain(sorted(item) if key in SETS else item, ids)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [plain(item, ids) for item in value]
    if isinstance(value, str):
        text = re.sub(r'File "[^"]*"', 'File "…"', value)
        return UUID.sub(lambda found: ids.setdefault(found[0], f"id {len(ids)}"), text)
    return value


@pytest.mark.contract
def test_a_session_is_the_same_as_with_comfyuis_own_server(tmp_path_factory, graphs):
    """Messages, answers, histories, files; queue, cache, progress, previews, errors, refusals."""
    folder = tmp_path_factory.mktemp("recorded")
    with servers.stock(folder / "genuine") as genuine:
        models = folder / "genuine" / "base" / "models" / "checkpoints"
        models.mkdir(parents=True, exist_ok=True)
        checkpoints.write_sd15(models / "sd15.safetensors")
        expected = session(genuine.url, graphs)
    service = Service.start(
        folder / "kino", workers=["comfy"], comfyui__models_dir=models.parent, comfyui__port=0
    )
    try:
        service.wait_ready()
        found = session(graphs.root_url(service), graphs)
    finally:
        service.stop()
    for part, value in expected.items():
        theirs, ours = (
            json.dumps(plain(each, {}), indent=1).splitlines() for each in (value, found[part])
        )
        different = list(difflib.unified_diff(theirs, ours, "genuine", "kino", lineterm="", n=12))
        assert not different, part + "\n" + "\n".join(different[:300])

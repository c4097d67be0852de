"""Speaking HTTP to a Kino service, with the standard library.

Knows: uploads, jobs, progress, cancelling, and how a refusal reads.
Does not know: tensors, and which node asks.
"""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

DEFAULT_URL = "http://127.0.0.1:8190"
POLL_S = 0.2
ANSWER_S = 60.0
"""The longest time without any answer of the service."""


class ServiceError(RuntimeError):
    """What the service, or the way to it, had to say."""


def service_url():
    """Where the service is, by the environment of ComfyUI."""
    return os.environ.get("KINO_URL", DEFAULT_URL).rstrip("/")


def ask(method, path, body=None, media_type="application/json"):
    """One request; its body as bytes. Raises `ServiceError` with the problem's sentence."""
    request = urllib.request.Request(service_url() + path, data=body, method=method)
    if body is not None:
        request.add_header("Content-Type", media_type)
    key = os.environ.get("KINO_API_KEY")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise ServiceError(_sentence(error.read(), error.code)) from None
    except (urllib.error.URLError, OSError) as error:
        raise ServiceError(
            f"there is no Kino at {service_url()} ({getattr(error, 'reason', error)}): start it "
            "with 'kino serve', or set KINO_URL where ComfyUI is started"
        ) from None


def ask_json(method, path, body=None):
    sent = None if body is None else json.dumps(body).encode()
    return json.loads(ask(method, path, sent))


def upload(content, file_name):
    """Store a file; its content reference."""
    query = urllib.parse.urlencode({"file_name": file_name})
    answer = ask("POST", f"/v1/assets?{query}", content, "application/octet-stream")
    return json.loads(answer)["reference"]


def run(operation, params, on_progress, is_cancelled):
    """Run an operation to its end; the job. Raises `ServiceError` if it failed.

    *on_progress* gets a fraction; where *is_cancelled* says yes the job is cancelled, and this
    returns ``None``.
    """
    job = ask_json("POST", f"/v1/operations/{operation}", params)
    while job["state"] in ("queued", "running"):
        if is_cancelled():
            ask_json("POST", f"/v1/jobs/{job['id']}/cancel")
            return None
        on_progress(job["progress"] or 0.0)
        time.sleep(POLL_S)
        job = ask_json("GET", f"/v1/jobs/{job['id']}")
    if job["state"] != "succeeded":
        problem = job["error"] or {"detail": f"the job was {job['state']}"}
        raise ServiceError(_told(problem))
    on_progress(1.0)
    return job


def _sentence(body, status):
    try:
        return _told(json.loads(body))
    except ValueError:
        return f"{service_url()} answered {status}, and not as Kino does"


def _told(problem):
    sentence = problem.get("detail") or problem.get("title") or "the service refused"
    remedy = problem.get("remedy")
    return f"{sentence}. {remedy}" if remedy else sentence

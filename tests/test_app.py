"""The API process: how it starts, refuses to start, and ends."""

import hashlib
import socket
import subprocess
import sys

import psutil
import pytest

from backend.testing.service import Service, environment, until

MIX = "/v1/operations/mixer.mix"


def refused(tmp_path, **settings):
    """Start a service that must not start; return what it says on stderr."""
    given = {"port": 0, "data_dir": tmp_path / "data", "workers": [], **settings}
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "backend", "serve"],
        env=environment(given),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    (line,) = ended.stderr.strip().splitlines()
    return line


def test_it_lives_at_once(launch, slow_to_load, tmp_path):
    """/healthz answers while ComfyUI is still loaded, however long that takes."""
    service = launch(workers=["cpu", "comfy"], **slow_to_load(tmp_path))
    assert service.ask("GET", "/healthz").status == 200
    answer = service.ask("GET", "/readyz")
    assert answer.status == 503
    assert answer.json()["state"] == "starting"
    assert [worker["state"] for worker in answer.json()["workers"]] != ["ready", "ready"]
    assert answer.headers["retry-after"]


def test_it_is_light():
    """The API process imports nothing heavy."""
    code = (
        "import sys, backend.app; heavy = {'torch', 'transformers', 'diffusers', 'demucs', "
        "'pedalboard', 'scipy', 'sqlalchemy', 'alembic', 'PIL', 'av', 'soundfile'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert ended.stdout.strip() == "[]", ended.stderr


def test_both_loopbacks(launch):
    """By default it listens on 127.0.0.1 and, where there is one, on ::1."""
    service = launch(workers=[])
    port = int(service.url.rpartition(":")[2])
    try:
        with socket.create_connection(("::1", port), timeout=600):
            pass
    except OSError:
        with pytest.raises(OSError, match=r".*"), socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))


def test_a_second_instance_is_refused(launch, tmp_path):
    """Two services never share a data folder: the second ends at once, in one sentence."""
    first = launch(workers=[])
    line = refused(tmp_path, data_dir=first.data_dir)
    assert f"another Kino (process {first.pid}) already uses this data folder" in line
    assert first.get("/healthz") == {"status": "ok"}


def test_the_folder_is_free_after_a_crash(launch):
    """The lock dies with its process, even by kill -9."""
    first = launch(workers=["cpu"])
    first.kill()
    second = launch(workers=["cpu"], data_dir=first.data_dir)
    assert second.get("/healthz") == {"status": "ok"}


def test_a_busy_port(launch, tmp_path):
    """A port in use is said in one sentence with the remedy."""
    first = launch(workers=[])
    line = refused(tmp_path, port=first.url.rpartition(":")[2])
    assert "is in use" in line
    assert "KINO_PORT" in line


def test_an_open_address_needs_a_key(tmp_path, launch):
    """Without a key it refuses to be reached from other machines; with one it asks for it."""
    for host in ("0.0.0.0", "::"):
        line = refused(tmp_path, host=host)
        assert "KINO_API_KEYS" in line
    keys = [f"ci:{hashlib.sha256(b'open').hexdigest()}"]
    service = launch(workers=[], host="0.0.0.0", api_keys=keys)
    port = int(service.url.rpartition(":")[2])
    here = Service(f"http://127.0.0.1:{port}", service.pid, service.data_dir, service.log)
    assert here.ask("GET", "/v1/jobs").status == 401
    headers = {"Authorization": "Bearer open"}
    assert here.ask("GET", "/v1/jobs", headers=headers).status == 200
    assert "open" not in service.log.read_text().split("Authorization")[-1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"host": "192.0.2.1", "api_keys": ["a:" + "0" * 64]}, "no address of this machine"),
        ({"api_keys": ["plain"]}, "name:sha256"),
        ({"data_dir": "/proc/nowhere"}, "data folder cannot be written"),
    ],
)
def test_what_cannot_be(tmp_path, settings, words):
    """Each setting that cannot be is said in one sentence."""
    assert words in refused(tmp_path, **settings)


def test_a_damaged_ledger(tmp_path):
    """A ledger that is no database stops the start, and is left as it is."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "kino.db").write_bytes(b"not a database at all")
    assert "the ledger cannot be used" in refused(tmp_path)
    assert (tmp_path / "data" / "kino.db").read_bytes() == b"not a database at all"


def test_sigterm_loses_nothing(launch, make_wav):
    """SIGTERM ends with 0, workers and all; every accepted job is there after the next start."""
    service = launch()
    service.wait_ready()
    tone = service.upload(make_wav(), "tone.wav")
    accepted = []
    for n in range(20):
        body = {"mix": {"strips": [{"id": "a", "source": tone["reference"], "fader_db": -n}]}}
        answer = service.ask("POST", MIX, body)
        assert answer.status == 202
        accepted.append(answer.json()["id"])
    children = psutil.Process(service.pid).children(recursive=True)
    assert service.stop() == 0
    _, alive = psutil.wait_procs(children, timeout=600)
    assert alive == []
    again = launch(data_dir=service.data_dir)
    for job in accepted:
        assert again.get(f"/v1/jobs/{job}?wait=120")["state"] == "succeeded"


def test_sigterm_answers_who_waits(launch, make_wav):
    """A request that waits for a running job gets its answer before the service ends."""
    service = launch(limits__drain_s=1.0, limits__cancel_grace_s=1.0)
    service.wait_ready()
    tone = service.upload(make_wav(), "tone.wav")
    (worker,) = service.get("/v1/system")["workers"]
    psutil.Process(worker["pid"]).suspend()
    body = {"mix": {"strips": [{"id": "a", "source": tone["reference"]}]}}
    job = service.ask("POST", MIX, body).json()["id"]
    until("it runs", lambda: service.get(f"/v1/jobs/{job}")["state"] == "running", seconds=300)
    with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2]))) as waiting:
        waiting.settimeout(300)
        waiting.sendall(f"GET /v1/jobs/{job}?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert service.stop() == 0
        assert waiting.recv(65536).startswith(b"HTTP/1.1 200 ")
    again = launch(data_dir=service.data_dir)
    assert again.get(f"/v1/jobs/{job}?wait=120")["state"] == "succeeded"

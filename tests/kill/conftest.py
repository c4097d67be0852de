"""What the kill loops share: a journalling client, killers, and the checker.

Knows: the promise. A job answered with 202 is never lost and never finishes twice.
Does not know: how the service keeps it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import blake3
import pytest

from backend.testing.service import Service, until

TRIAL_PLUGINS = Path(__file__).parent.parent / "services" / "trial_plugins"
TERMINAL = ("succeeded", "failed", "cancelled")

GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1}},
    "2": {
        "class_type": "KinoTestSleep",
        "inputs": {"seconds": 0.03, "steps": 3, "image": ["1", 0]},
    },
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "kill"}},
}
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("test.sleep", {"steps": 4, "duration_ms": 15.0}),
    ("workflows.run", {"graph": GRAPH}),
    ("test.make", {"size": 8, "frames": 20_000}),  # one take is a file, the rest is small
    ("workflows.run", {"graph": GRAPH}),
    ("test.work", {"counter": os.devnull, "steps": 3, "duration_ms": 20.0}),  # pure, and slow
)


@dataclass
class Journal:
    """What the clients were promised: idempotency key → job id, written down at each 202."""

    accepted: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, key: str, job_id: str) -> None:
        with self.lock:
            known = self.accepted.setdefault(key, job_id)
        assert known == job_id, "one idempotency key gave two jobs"


@dataclass
class Clients:
    """Threads that submit jobs; each repeats a submit with the same key until it has a 202."""

    where: Callable[[], Service]
    journal: Journal
    jobs: int
    threads: int = 4
    failures: list[BaseException] = field(default_factory=list)
    _running: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        for number in range(self.threads):
            thread = threading.Thread(target=self._work, args=(number,), daemon=True)
            thread.start()
            self._running.append(thread)

    @property
    def are_done(self) -> bool:
        return not any(thread.is_alive() for thread in self._running)

    def join(self, seconds: float) -> None:
        until("the clients are done", lambda: self.are_done, seconds=seconds)
        assert not self.failures, self.failures

    def _work(self, number: int) -> None:
        try:
            for n in range(number, self.jobs, self.threads):
                self._submit(f"key-{n}", *CALLS[n % len(CALLS)])
        except (AssertionError, TimeoutError, ValueError, KeyError) as error:
            self.failures.append(error)

    def _submit(self, key: str, operation: str, params: dict[str, Any]) -> None:
        end = time.monotonic() + 600
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer = self.where().ask(
                    *("POST", f"/v1/operations/{operation}", params),
                    headers={"Idempotency-Key": key},
                    seconds=300,
                )
                if answer.status in (200, 202):
                    self.journal.note(key, answer.json()["id"])
                    return
                # loading workers report late, and a full queue empties
                assert answer.status in (429, 503), answer.body
            time.sleep(0.02)
        raise TimeoutError(f"{key} was never accepted")


def kill_a_worker(service: Service) -> bool:
    """Kill -9 one ready worker, chosen by chance; whether there was one."""
    workers = [w for w in service.get("/v1/system")["workers"] if w["state"] == "ready"]
    if not workers:
        return False
    # the group, as out of memory would take all of it
    with contextlib.suppress(ProcessLookupError):
        os.killpg(random.choice(workers)["pid"], signal.SIGKILL)
    return True


def live_jobs(service: Service) -> int:
    """How many jobs have not ended."""
    counts = service.get("/v1/system")["jobs"]
    return int(counts["queued"] + counts["running"])


@dataclass(frozen=True)
class Verdict:
    """What the ledger holds in the end."""

    states: Counter[str]
    attempts: int


def check(data_dir: Path, journal: Journal) -> Verdict:
    """Hold the ledger of a stopped service against the journal: nothing lost, nothing doubled,
    every result whole, and the database sound."""
    ledger = sqlite3.connect(data_dir / "kino.db")
    ledger.row_factory = sqlite3.Row
    with contextlib.closing(ledger):
        assert ledger.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        rows = {row["id"]: dict(row) for row in ledger.execute("SELECT * FROM job")}
        promised = set(journal.accepted.values())
        assert len(promised) == len(journal.accepted), "two keys gave one job"
        assert promised == set(rows), "a job was lost, or made without a promise"
        lost = [job_id for job_id, row in rows.items() if row["state"] not in TERMINAL]
        assert not lost, f"without a terminal state: {lost}"
        ends = Counter(
            row["job_id"]
            for row in ledger.execute(
                "SELECT job_id FROM job_event WHERE type IN ('succeeded', 'failed', 'cancelled')"
            )
        )
        doubled = [job_id for job_id in rows if ends[job_id] != 1]
        assert not doubled, f"not exactly one finish record: {doubled}"
        assets = {row["id"]: dict(row) for row in ledger.execute("SELECT * FROM asset")}
        small = dict(ledger.execute("SELECT digest, content FROM small_blob"))
    for row in rows.values():
        for leaf in leaves(json.loads(row["result"] or "null")):
            digest = assets[leaf["asset"]]["reference"].removeprefix("blake3:")
            content = small.get(digest) or (data_dir / "blobs" / digest[:2] / digest).read_bytes()
            assert blake3.blake3(content).hexdigest() == digest
    states = Counter(row["state"] for row in rows.values())
    return Verdict(states, sum(row["attempt"] for row in rows.values()))


def leaves(value: Any) -> list[dict[str, Any]]:
    """The assets of a result."""
    if isinstance(value, dict) and "asset" in value:
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [leaf for item in inner for leaf in leaves(item)]


SETTINGS: dict[str, object] = {
    "engine": "fake",
    "workers": ["cpu", "comfy"],
    "plugins_dir": TRIAL_PLUGINS,
    "limits__job_attempts": 20,
    "limits__retry_backoff_s": 0.01,
    "log_level": "warning",
}


@dataclass(frozen=True)
class KillLoops:
    """The loops, as tests call them."""

    launch: Callable[..., Service]
    folder: Path

    def workers(self, jobs: int, kills: int, seconds: float) -> tuple[Verdict, int]:
        """Kill a worker *kills* times while *jobs* jobs are submitted and run."""
        service = self.launch(folder=self.folder, **SETTINGS)
        service.wait_ready()
        journal = Journal()
        clients = Clients(lambda: service, journal, jobs)
        clients.start()
        killed, end = 0, time.monotonic() + seconds
        while killed < kills and time.monotonic() < end:
            time.sleep(random.uniform(0.0, 0.12))
            killed += kill_a_worker(service)
        clients.join(seconds)
        until("every job has ended", lambda: live_jobs(service) == 0, seconds=seconds)
        assert service.stop() == 0
        return check(service.data_dir, journal), killed

    def service(
        self, jobs: int, kills: int, seconds: float, *, cache: bool = False
    ) -> tuple[Verdict, int]:
        """Kill the whole service *kills* times while clients submit and repeat. Each job is worked
        for; with *cache*, equal ones share their work."""
        settings = {**SETTINGS, "cache": cache}
        current = [self.launch(folder=self.folder, **settings)]
        journal = Journal()
        clients = Clients(lambda: current[0], journal, jobs)
        clients.start()

        def running_or_over() -> bool:
            counts = current[0].get("/v1/system")["jobs"]
            return bool(counts["running"]) or (clients.are_done and not counts["queued"])

        for number in range(kills):
            # at times while it starts, mostly while jobs run
            if number % 4:
                until("a job runs", running_or_over, seconds=seconds, every=0.01)
            time.sleep(random.uniform(0.0, 0.4))
            current[0].kill()
            current[0] = self.launch(folder=self.folder, **settings)
        clients.join(seconds)
        until("every job has ended", lambda: live_jobs(current[0]) == 0, seconds=seconds)
        assert current[0].stop() == 0
        return check(current[0].data_dir, journal), kills


@pytest.fixture
def kill_loops(launch: Callable[..., Service], tmp_path: Path) -> KillLoops:
    return KillLoops(launch, tmp_path / "service")

"""The ingest child's answers, and the limits it lives under."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from backend.worker.ingest import decode

LIMITS = {"image_pixels": 1000, "audio_seconds": 1.0, "disk_floor_bytes": 0}


def limited(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"from backend.worker import confinement\n{code}"],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=Path(__file__).parents[2],
    )


def ask(path: Path, folder: Path) -> dict:
    return decode({"path": str(path), "scratch": str(folder), "limits": LIMITS})


def test_a_good_file_gives_a_leaf(tmp_path: Path):
    """The answer names the canonical file inside the scratch folder."""
    (tmp_path / "raw").write_bytes(b'{"frame_rate": 1, "values": [1]}')
    media = ask(tmp_path / "raw", tmp_path)["stored"]["$media"]
    assert media["kind"] == "automation"
    assert Path(media["path"]).parent == tmp_path


def test_a_bad_file_gives_a_problem(tmp_path: Path):
    """The answer is the problem object, ready for the caller."""
    (tmp_path / "raw").write_bytes(b"words")
    assert ask(tmp_path / "raw", tmp_path)["problem"]["status"] == 415


def test_what_the_system_refuses_is_a_problem_too(tmp_path: Path):
    """A file that cannot be opened does not end the child, and no path is told."""
    problem = ask(tmp_path / "gone", tmp_path)["problem"]
    assert problem["status"] == 415
    assert str(tmp_path) not in str(problem)


def test_a_file_may_only_grow_so_far(tmp_path: Path):
    """Beyond the cap a write fails as an error that can be answered, not as a signal."""
    run = limited(
        "confinement.limit_files(1000, 32)\n"
        f"file = open({str(tmp_path / 'x')!r}, 'wb', 0)\n"
        "try:\n    file.write(bytes(900)); file.write(bytes(900)); file.write(bytes(900))\n"
        "except OSError as error:\n    print(error.errno)\n"
    )
    assert run.stdout.strip() == "27", run.stderr


def test_memory_is_capped():
    """An allocation over the cap is a MemoryError."""
    run = limited(
        "confinement.limit_memory(2**30)\n"
        "try:\n    bytearray(2**31)\nexcept MemoryError:\n    print('capped')\n"
    )
    assert run.stdout.strip() == "capped", run.stderr


def test_processor_time_is_capped():
    """A loop that never ends is killed by the system."""
    run = limited(
        "confinement.limit_files(10**6, 32)\nconfinement.limit_processor(0.2)\nwhile 1: pass"
    )
    assert run.returncode < 0

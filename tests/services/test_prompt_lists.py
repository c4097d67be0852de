"""What stock clients ask of the queue and the history stays cheap among many jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from backend.services.ledger import Ledger, Statement
from backend.services.prompt_lists import PromptLists
from backend.services.runner import Runner


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    made = Ledger(tmp_path / "kino.db")
    await made.start()
    yield made
    await made.close()


def prompt(number: int) -> list[Statement]:
    """A prompt that has succeeded."""
    job = f"job_{number:026d}"
    return [
        (
            "INSERT INTO job (id, operation, version, params, inputs, metadata, capability,"
            " priority, state, max_attempts, timeout_s, created, started, finished)"
            " VALUES (?, 'comfyui.prompt', 1, ?, '[]', '{}', 'comfy', 0, 'succeeded', 2, 1, 0, 0,"
            " 0)",
            (
                job,
                '{"number": 0, "prompt_id": "", "prompt": {}, "extra_data": {}, "outputs": []}',
            ),
        ),
        (
            "INSERT INTO prompt (job_id, prompt_id, number, history) VALUES (?, ?, 0, ?)",
            (job, f"p{number}", '{"outputs": {}, "status": {}, "meta": {}}'),
        ),
    ]


async def test_one_prompt_is_found_as_fast_among_many(ledger: Ledger) -> None:
    """A client asks for the history of its prompt: SQLite takes no more steps among thousands."""
    lists = PromptLists(ledger, cast("Runner", None))

    async def steps() -> int:
        counted = 0

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        reader: Any = ledger._reader
        reader.set_progress_handler(count, 1)
        assert [prompt_id async for prompt_id, _ in lists.history("p0")] == ["p0"]
        reader.set_progress_handler(None, 0)
        return counted

    await ledger.write(*prompt(0), *prompt(1))
    few = await steps()
    await ledger.write(*(each for number in range(2, 3000) for each in prompt(number)))
    assert 10 < few < 500
    assert await steps() < 1.2 * few

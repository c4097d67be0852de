"""A hash that cannot be kept is told as failed; it never stands as running for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.errors import StorageFull
from backend.services.ledger import Ledger
from backend.services.model_hashes import ModelHashes


class FullLedger(Ledger):
    """A ledger whose disk is full until it is not."""

    full = True

    async def write(self, *statements: Any, **how: Any) -> list[list[dict[str, Any]]]:
        if self.full:
            raise StorageFull("the disk is full")
        return await super().write(*statements, **how)


async def test_a_full_disk_fails_the_hash_and_it_can_be_asked_for_again(tmp_path: Path) -> None:
    """The state says why; with room again, the next call works it out."""
    file = tmp_path / "a.safetensors"
    file.write_bytes(b"weights")
    ledger = FullLedger(tmp_path / "kino.db")
    await ledger.start()
    try:
        hashes = ModelHashes(ledger)
        state = await hashes.start(file, 120)
        assert (state["state"], state["reason"]) == ("failed", "the disk is full")
        ledger.full = False
        assert (await hashes.start(file, 120))["state"] == "done"
        await hashes.stop()
    finally:
        await ledger.close()

"""The data folder's lock, also with what every system has."""

from __future__ import annotations

import os

import pytest

from backend.errors import Conflict
from backend.services.data_folder import LOCK, locked


@pytest.mark.parametrize("missing", [(), ("pread", "pwrite", "O_CLOEXEC")], ids=["all", "less"])
def test_a_second_holder_is_told_who_the_first_is(tmp_path, monkeypatch, missing) -> None:
    """One process at a time; Windows lacks some of the calls of other systems."""
    for name in missing:
        monkeypatch.delattr(os, name)
    with locked(tmp_path):
        with pytest.raises(Conflict, match=str(os.getpid())), locked(tmp_path):
            pytest.fail("two hold the folder")
        assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"
    with locked(tmp_path):  # free again
        assert (tmp_path / LOCK).exists()

"""Identifiers are unique, well-formed and in order."""

from __future__ import annotations

import time

from backend.services import identifiers


def test_identifiers_have_their_form() -> None:
    """Jobs and assets are told apart by the prefix; 26 lower-case characters follow."""
    assert identifiers.JOB_ID.fullmatch(identifiers.job_id())
    assert identifiers.ASSET_ID.fullmatch(identifiers.asset_id())


def test_later_identifiers_sort_after_earlier_ones() -> None:
    """Thousands made within a few milliseconds are all different and in order."""
    made = [identifiers.job_id() for _ in range(5000)]
    assert made == sorted(set(made))


def test_a_clock_set_back_keeps_the_order(monkeypatch) -> None:
    """The order holds although the wall clock jumps back by a year."""
    before = identifiers.job_id()
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now - 365 * 86400 * 10**9)
    assert identifiers.job_id() > before


def test_tokens_are_not_guessable() -> None:
    """Tokens have 128 bits and never repeat."""
    made = {identifiers.token() for _ in range(1000)}
    assert len(made) == 1000
    assert {len(token) for token in made} == {32}

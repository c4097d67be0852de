"""Sweeps: combinations, items, and errors that point into the request."""

from __future__ import annotations

from typing import Any

import pytest

from backend.errors import FieldError, InvalidParameters
from backend.services.sweeps import BatchRequest, items


def made(most: int = 100, **request) -> list[dict]:
    return [item.params for item in items(BatchRequest(operation="a.b", **request), most)]


def test_every_combination_is_made_and_the_last_changes_fastest() -> None:
    """Two prompts and three seeds are six jobs, in a known order."""
    found = made(params={"steps": 4}, sweep={"prompt": ["cat", "dog"], "seed": [1, 2, 3]})
    assert len(found) == 6
    assert [(each["prompt"], each["seed"]) for each in found[:4]] == [
        ("cat", 1), ("cat", 2), ("cat", 3), ("dog", 1),
    ]  # fmt: skip
    assert {each["steps"] for each in found} == {4}


def test_a_pointer_leads_into_a_parameter() -> None:
    """Nested values are swept; what is shared stays as it was given."""
    shared: dict[str, Any] = {
        "mix": {"strips": [{"id": "a", "fader_db": 0.0}, {"id": "b"}], "a/b": {"~": 1}}
    }
    sweep = {"/mix/strips/1/fader_db": [-6.0, -12.0], "/mix/a~1b/~0": [2]}
    found = made(params=shared, sweep=sweep)
    assert [each["mix"]["strips"][1]["fader_db"] for each in found] == [-6.0, -12.0]
    assert all(each["mix"]["a/b"] == {"~": 2} for each in found)
    assert "fader_db" not in shared["mix"]["strips"][1]
    assert found[0]["mix"]["strips"][0] == {"id": "a", "fader_db": 0.0}


def test_items_stand_on_top_of_what_is_shared() -> None:
    """Each item's own parameters win."""
    assert made(params={"a": 1, "b": 2}, items=[{}, {"b": 3}]) == [
        {"a": 1, "b": 2}, {"a": 1, "b": 3},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "pointer", "rule"),
    [
        ({}, "/sweep", "one_of"),
        ({"sweep": {"a": [1]}, "items": [{}]}, "/sweep", "one_of"),
        ({"sweep": {"a": [0] * 11, "b": [0] * 10}}, "/sweep", "batch_jobs"),
        ({"items": [{}] * 101}, "/items", "batch_jobs"),
        ({"sweep": {"/strips/0/x": [1]}}, "/sweep/~1strips~10~1x", "pointer"),
        ({"params": {"l": [1]}, "sweep": {"/l/1": [1]}}, "/sweep/~1l~11", "pointer"),
        ({"params": {"l": [1]}, "sweep": {"/l/01": [1]}}, "/sweep/~1l~101", "pointer"),
        ({"params": {"s": "x"}, "sweep": {"/s/a": [1]}}, "/sweep/~1s~1a", "pointer"),
        ({"params": {"m": {}}, "sweep": {"m": [{}], "/m/a": [1]}}, "/sweep/~1m~1a", "overlap"),
    ],
)
def test_what_cannot_be_meant_is_named(request_, pointer, rule) -> None:
    """A pointer that leads nowhere, too many jobs, both or neither of the two forms."""
    with pytest.raises(InvalidParameters) as refused:
        made(**request_)
    (error,) = refused.value.errors
    assert (error.pointer, error.rule) == (pointer, rule)


def test_errors_point_to_where_the_value_stands() -> None:
    """A value of the sweep, of an item, or of what is shared."""
    sweep = list(items(BatchRequest(operation="a.b", sweep={"seed": [1, -1]}), 9))
    item = list(items(BatchRequest(operation="a.b", params={"p": 1}, items=[{}, {"seed": 1}]), 9))
    for told, inside, outside in (
        (sweep[1].told, "/seed", "/sweep/seed/1"),
        (sweep[1].told, "/seed/deep", "/sweep/seed/1/deep"),
        (sweep[1].told, "/seeds", "/params/seeds"),
        (item[1].told, "/seed", "/items/1/seed"),
        (item[1].told, "/p", "/params/p"),
        (item[0].told, "/missing", "/items/0/missing"),
    ):
        assert told(FieldError(inside, "rule", "why")).pointer == outside

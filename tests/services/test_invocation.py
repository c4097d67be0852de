"""One call: naming of outputs, and results that hold files at any depth."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from backend.errors import OperationFailed
from backend.media.audio import Audio
from backend.operations import operation
from backend.services import invocation, results


def tone(frames: int) -> Audio:
    return Audio.from_samples(np.zeros(frames, np.float32), 8000)


@operation("test.any")
def anything() -> dict[str, Any]:
    """Return whatever the test gives."""
    return {}


def test_files_at_any_depth_get_flat_names(tmp_path) -> None:
    """Lists count from 1, dicts add their key, and names hold nothing of a path."""
    value = {"a": [tone(1), {"x/../y": tone(2)}], "b": 3, "c": "text", "d": None}
    made = invocation.result_of(anything, value, tmp_path)["result"]
    assert (made["b"], made["c"], made["d"]) == (3, "text", None)
    leaves = [made["a"][0]["$media"], made["a"][1]["x/../y"]["$media"]]
    assert [leaf["file_name"] for leaf in leaves] == ["result_a_1.wav", "result_a_2_x____y.wav"]
    assert all((tmp_path / leaf["file_name"]).is_file() for leaf in leaves)


def test_a_result_cannot_pretend_to_be_a_file(tmp_path) -> None:
    """The mark of a stored file is reserved."""
    with pytest.raises(OperationFailed, match="reserved"):
        invocation.result_of(anything, {"$media": {"path": "/etc/passwd"}}, tmp_path)


def test_outputs_are_found_by_their_flat_names() -> None:
    """Every file of an adopted result can be fetched by the last part of its link."""
    leaf = {"asset": "ast_1", "href": "…"}
    other = {"asset": "ast_2", "href": "…"}
    result = {"master": leaf, "stems": {"drums": other}, "takes": [leaf, [other]], "n": 3}
    found = {
        name: results.find(result, name)
        for name in ("master", "stems_drums", "takes_1", "takes_2_1", "takes", "n", "x")
    }
    assert [value and value["asset"] for value in found.values()] == [
        "ast_1", "ast_2", "ast_1", "ast_2", None, None, None,
    ]  # fmt: skip


def test_text_that_cannot_be_written_is_made_readable(tmp_path) -> None:
    """A name with bytes that are no characters does not cost the result."""
    value = {"na\udcffme": ["café \udcff", 1, None], "plain": "a"}
    made = invocation.result_of(anything, value, tmp_path)["result"]
    assert made == {"na?me": ["café ?", 1, None], "plain": "a"}
    json.dumps(made, ensure_ascii=False).encode()

"""Names of downloaded files, whatever a service may propose."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.cli import saving
from backend.cli.client import Client
from backend.cli.failure import Failure


@given(st.text(max_size=400))
def test_a_name_is_one_plain_part_of_a_path(proposed: str) -> None:
    """No proposal leaves the folder, hides itself, or holds control characters."""
    name = saving.safe_name(proposed)
    assert Path(name).name == name
    assert name not in ("", ".", "..")
    assert not name.startswith(".")
    assert not any(c in name for c in '/\\:*?"<>|\x00\n')
    assert len(name) <= 160


@pytest.mark.parametrize(
    ("proposed", "name"),
    [
        ("mix.wav", "mix.wav"),
        ("Müller & Söhne.wav", "Müller & Söhne.wav"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..\\..\\x.wav", "_.._x.wav"),
        ("/etc/passwd", "_etc_passwd"),
        (".bashrc", "bashrc"),
        ("con.wav", "_con.wav"),
        ("", "output"),
        ("...", "output"),
    ],
)
def test_good_names_stay_and_bad_ones_are_tamed(proposed: str, name: str) -> None:
    """Ordinary names pass unchanged; paths become one name."""
    assert saving.safe_name(proposed) == name


def test_a_link_in_the_way_is_not_followed(cpu_service, tmp_path: Path) -> None:
    """A link with the wanted name, even a dangling one, is left alone."""
    asset = cpu_service.upload(_midi(), "song.mid")
    outside = tmp_path / "outside"
    into = saving.folder(tmp_path / "into")
    (into / "song.mid").symlink_to(outside)
    path = saving.save(
        Client(cpu_service.url), f"/v1/assets/{asset['id']}/content", into, "song.mid", None
    )
    assert path.name == "song_2.mid"
    assert not outside.exists()


def test_damage_on_the_way_is_noticed(cpu_service, tmp_path: Path) -> None:
    """Content that is not what the reference says leaves no file behind."""
    asset = cpu_service.upload(_midi(), "song.mid")
    href = f"/v1/assets/{asset['id']}/content"
    with pytest.raises(Failure, match="damaged"):
        saving.save(Client(cpu_service.url), href, tmp_path, "song.mid", "blake3:" + "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_outputs_are_found_wherever_they_stand() -> None:
    """Files in lists and dicts have flat names; plain values are no files."""

    def leaf(name: str) -> dict[str, str]:
        return {"href": f"/v1/jobs/job_1/outputs/{name}", "asset": "ast_1"}

    result = {"a": leaf("a"), "b": [leaf("b_1")], "c": {"x": leaf("c_x")}, "d": {"peak": 1.0}}
    assert list(saving.outputs(result)) == ["a", "b_1", "c_x"]
    assert saving.outputs(None) == {}


def _midi() -> bytes:
    head = b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60"
    events = b"\x00\x90\x40\x40\x60\x80\x40\x40\x00\xff\x2f\x00"
    return head + b"MTrk" + len(events).to_bytes(4, "big") + events

"""kino assets: files up and down."""

from __future__ import annotations

from pathlib import Path


def test_a_file_goes_up_and_comes_back(kino, cpu_service, folder: Path) -> None:
    """put prints the reference; get writes the very content that HTTP gives."""
    reference = kino.ok("assets", "put", "music.wav").out.strip()
    said = kino.ok("assets", "get", reference, "--output", "back").out.strip()
    assert said == str(Path("back") / "music.wav")
    content = cpu_service.ask("GET", f"/v1/assets/{reference}/content").body
    assert (folder / "back" / "music.wav").read_bytes() == content
    again = kino.ok("assets", "get", reference, "--output", "back", "--json").json()
    assert again["path"] == str(Path("back") / "music_2.wav")
    assert again["reference"] == reference


def test_many_files_go_up_in_order(kino) -> None:
    """put takes several files; --json gives the assets."""
    stored = kino.ok("assets", "put", "music.wav", "voice.wav", "--json").json()
    assert [asset["file_name"] for asset in stored] == ["music.wav", "voice.wav"]
    listed = kino.ok("assets", "list", "--kind=audio", "--json").json()
    ids = [asset["id"] for asset in listed]
    assert {asset["id"] for asset in stored} <= set(ids)
    assert stored[0]["id"] in kino.ok("assets", "list", "--limit=200").out


def test_files_and_assets_that_are_not_there(kino) -> None:
    """A missing file is wrong usage (2), a missing asset is a problem (1)."""
    assert kino("assets", "put", "nothing.wav").status == 2
    for name in ("ast_00000000000000000000000000", "..", "a b"):
        ended = kino("assets", "get", name)
        assert (ended.status, ended.out) == (1, "")


def test_a_folder_that_cannot_be_made_is_said(kino, folder: Path) -> None:
    """--output below a file is refused with 2, and nothing is left behind."""
    reference = kino.ok("assets", "put", "music.wav").out.strip()
    before = sorted(folder.iterdir())
    ended = kino("assets", "get", reference, "--output", "voice.wav/deep")
    assert ended.status == 2
    assert "voice.wav" in ended.err
    assert sorted(folder.iterdir()) == before


def test_a_file_over_the_limit_is_refused(kino_at, launch, folder: Path) -> None:
    """The service's 413 is heard while the file is still being sent."""
    service = launch(workers=[], limits__upload_bytes=1_000_000)
    with (folder / "huge.wav").open("wb") as file:
        file.truncate(400_000_000)
    ended = kino_at(service.url)("assets", "put", "huge.wav", "--json")
    assert (ended.status, ended.json()["status"]) == (1, 413)
    assert "1000000" in ended.err

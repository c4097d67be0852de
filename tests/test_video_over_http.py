"""Video through the outermost door: uploaded, listed, fetched in parts, worked on, refused."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from backend.media.video import Video
from backend.testing.service import Answer, Service

Film = Callable[..., Path]
NTSC = Fraction(30000, 1001)

pytestmark = pytest.mark.xdist_group("video over http")


@pytest.fixture(scope="module")
def uploaded(
    cpu_service: Service, make_film: Film, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A video of 20 frames at 30000/1001 with a click, in the shared service; its asset's JSON."""
    path = make_film(tmp_path_factory.mktemp("film") / "holiday.mkv", rate=NTSC, sound="aac")
    return cpu_service.upload(path.read_bytes(), path.name)


def succeeded(job: Any) -> Any:
    assert job["state"] == "succeeded", job
    return job["result"]


def content(service: Service, asset: Any, **headers: str) -> Answer:
    return service.ask("GET", f"/v1/assets/{asset['id']}/content", headers=headers)


def test_a_video_is_an_asset_of_its_own_kind(cpu_service: Service, uploaded: Any):
    """Kind, type and facts are told, and a list of videos holds it."""
    assert (uploaded["kind"], uploaded["media_type"]) == ("video", "video/mp4")
    assert uploaded["details"] == {
        "duration_s": pytest.approx(20 * 1001 / 30000),
        "frame_rate": "30000/1001",
        "frames": 20,
        "width": 64,
        "height": 48,
        "has_audio": True,
    }
    listed = cpu_service.get("/v1/assets?kind=video")["items"]
    assert uploaded["id"] in [asset["id"] for asset in listed]


def test_its_content_is_served_in_parts(cpu_service: Service, uploaded: Any, tmp_path: Path):
    """A player seeks by ranges; the whole is a video that opens, and nothing of the upload's name
    or encoder is in its header."""
    whole = content(cpu_service, uploaded)
    part = content(cpu_service, uploaded, Range="bytes=100-199")
    assert (whole.status, whole.headers["content-type"]) == (200, "video/mp4")
    assert (part.status, part.body) == (206, whole.body[100:200])
    (tmp_path / "x.mp4").write_bytes(whole.body)
    assert Video.open(tmp_path / "x.mp4").frame_rate == NTSC
    assert b"Lavf" not in whole.body


def test_operations_take_and_give_videos(cpu_service: Service, uploaded: Any):
    """Loaded with its sound, saved anew and probed: the rate is exact at the end."""
    reference = uploaded["reference"]
    loaded = succeeded(
        cpu_service.run("files.load_video", {"video": reference, "start_frame": 5, "height": 24})
    )
    assert (loaded["frame_rate"], loaded["frame_count"]) == ("30000/1001", 15)
    assert (loaded["width"], loaded["height"]) == (32, 24)
    images = [image["reference"] for image in loaded["images"]]
    made = succeeded(
        cpu_service.run(
            "files.save_video",
            {"images": images, "fps": loaded["frame_rate"], "audio": loaded["audio"]["reference"]},
        )
    )["video"]
    assert (made["kind"], made["media_type"]) == ("video", "video/mp4")
    facts = succeeded(cpu_service.run("files.probe_video", {"video": made["reference"]}))
    assert (facts["frame_rate"], facts["frame_count"]) == ("30000/1001", 15)
    assert (facts["video_codec"], facts["audio_codec"]) == ("h264", "aac")


def test_a_video_goes_through_the_real_comfyui(service: Service, make_film: Film, tmp_path: Path):
    """Load, split, join and save by stock nodes: a video comes out, at the exact rate."""
    path = make_film(tmp_path / "x.mp4", rate=NTSC, sound="aac")
    asset = service.upload(path.read_bytes(), path.name)

    def node(class_type: str, **inputs: Any) -> dict[str, Any]:
        return {"class_type": class_type, "inputs": inputs}

    graph = {
        "1": node("KinoLoadAsset", asset=asset["id"]),
        "2": node("GetVideoComponents", video=["1", 6]),
        "3": node("CreateVideo", images=["2", 0], audio=["2", 1], fps=["2", 2]),
        "4": node("KinoSaveAsset", name="made", video=["3", 0]),
        "5": node("KinoSaveAsset", name="same", video=["1", 6]),
        "6": node("SaveVideo", video=["1", 6], filename_prefix="x", format="auto", codec="auto"),
        "7": node("InternodeVideoLoader", video_file=asset["reference"], load_audio=True,
                  frame_load_cap=3, start_frame=0, frame_step=1, resize_mode="original"),
        "8": node("KinoSaveAsset", name="frames", image=["7", 0], audio=["7", 1]),
        "9": node("KinoFilesLoadVideo", video=["1", 6]),
        "10": node("KinoFilesSaveVideo", images_1=["9", 0], format="mkv_ffv1"),
        "11": node("KinoSaveAsset", name="again", video=["10", 0]),
    }  # fmt: skip
    result = succeeded(service.run("workflows.run", {"graph": graph}))
    made, same, stock, again = result["videos"]
    assert again["frames"] == 20
    assert [video["kind"] for video in (made, same, stock)] == ["video"] * 3
    assert (made["frame_rate"], made["frames"], made["has_audio"]) == ("30000/1001", 20, True)
    assert stock["frame_rate"] == "30000/1001"
    assert same["reference"] == asset["reference"]
    assert len(result["images"]) == 3
    assert result["audio"][0]["frames"] == round(3 / NTSC * 48_000)
    assert result["nodes"]["6"] == ["videos_3"]


def test_a_video_is_not_a_sound_and_a_sound_no_video(
    cpu_service: Service, uploaded: Any, tone: Any
):
    """Each in the other's place is refused at the door, by the parameter."""
    for operation, params in (
        ("files.probe_audio", {"audio": uploaded["reference"]}),
        ("files.probe_video", {"video": tone["reference"]}),
        ("files.load_video", {"video": "/etc/passwd"}),
        ("files.load_video", {"video": "../../x.mp4"}),
    ):
        answer = cpu_service.ask("POST", f"/v1/operations/{operation}", params)
        assert answer.status == 422, operation
        (error,) = answer.json()["errors"]
        assert error["pointer"] == f"/{next(iter(params))}"
        assert error["rule"] in ("asset", "reference")


def test_a_path_in_the_old_loader_leads_nowhere(service: Service):
    """The older loader opened any path; this one knows references and names in one folder."""
    for path in ("/etc/passwd", "../../../etc/passwd", "C:\\x.mp4", "missing.mp4"):
        graph = {
            "1": {"class_type": "InternodeVideoLoader", "inputs": {"video_file": path}},
            "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 2]}},
        }
        job = service.run("workflows.run", {"graph": graph})
        assert job["state"] == "failed", path
        (error,) = job["error"]["errors"]
        assert error["pointer"] == "/graph/1/inputs/video_file"


def test_openapi_names_the_medium(cpu_service: Service):
    """Clients see that a parameter takes a video, that a result is one, and which may be none."""
    document = cpu_service.get("/openapi.json")
    load = document["components"]["schemas"]["FilesLoadVideoParams"]["properties"]["video"]
    assert (load["format"], load["x-kino-media"]) == ("kino-asset", "video")
    loading = document["paths"]["/v1/operations/files.load_video"]["post"]
    answer = loading["responses"]["200"]["content"]["application/json"]["schema"]
    audio = answer["allOf"][1]["properties"]["result"]["properties"]["audio"]
    assert audio == {"anyOf": [{"$ref": "#/components/schemas/Media"}, {"type": "null"}]}
    save = document["paths"]["/v1/operations/files.save_video"]["post"]
    answer = save["responses"]["200"]["content"]["application/json"]["schema"]
    assert "video" in answer["allOf"][1]["properties"]["result"]["properties"]

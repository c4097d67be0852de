"""Video operations: spans, sizes, exact rates, sound of the same time, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import InvalidParameters
from backend.media.audio import Audio
from backend.media.image import Image
from backend.media.video import Video
from backend.plugins.files import video_frames, video_nodes
from backend.plugins.files import video_operations as video

Film = Callable[..., Path]
NTSC = Fraction(30000, 1001)


@pytest.fixture
def clip(make_film: Film, tmp_path: Path) -> Video:
    """20 frames at 30000/1001, 64 x 48, with a click at frame 10."""
    return Video.open(make_film(tmp_path / "clip.mp4", rate=NTSC, sound="aac"))


def shown(images: list[Image]) -> list[int]:
    """Which frames these are, by their grey."""
    return [round(float(image.pixels[-8:, -8:].mean()) * 255 / 8) for image in images]


def broken(work: Callable[[], Any]) -> tuple[str, str, str]:
    """Pointer, rule and sentence of the rule that *work* breaks."""
    with pytest.raises(InvalidParameters) as caught:
        work()
    (error,) = caught.value.errors
    return error.pointer, error.rule, error.message


def test_29_97_stays_exact_from_load_to_save_to_probe(clip: Video):
    """30000/1001 comes out of a load, goes into a save, and is what the new file says: never 29."""
    loaded = video.load_video(clip)
    assert (loaded.frame_rate, loaded.fps) == ("30000/1001", 30000 / 1001)
    saved = video.save_video(loaded.images, Fraction(loaded.frame_rate), loaded.audio)
    facts = video.probe_video(saved)
    assert (facts.frame_rate, facts.frame_count) == ("30000/1001", 20)
    assert facts.duration_s == pytest.approx(20 * 1001 / 30000)


def test_a_video_tells_its_facts(clip: Video):
    """Size, length, rates and codecs, without a frame being decoded."""
    facts = video.probe_video(clip)
    assert (facts.width, facts.height, facts.bit_depth) == (64, 48, 8)
    assert (facts.has_audio, facts.audio_sample_rate, facts.audio_channels) == (True, 48_000, 1)
    assert (facts.media_type, facts.video_codec, facts.audio_codec) == ("video/mp4", "h264", "aac")
    assert facts.variable_frame_rate is False


def test_a_span_of_frames_comes_with_its_sound(clip: Video):
    """Frames 4, 7, 10, 13: a third of the rate, and the click where frame 10 is shown."""
    loaded = video.load_video(clip, frame_load_cap=4, start_frame=4, frame_step=3)
    assert shown(loaded.images) == [4, 7, 10, 13]
    assert loaded.frame_count == 4
    assert Fraction(loaded.frame_rate) == NTSC / 3
    assert loaded.audio is not None
    assert loaded.audio.frames == round(12 / NTSC * 48_000)
    click = int(np.abs(loaded.audio.samples[0]).argmax())
    assert abs(click - 6 / NTSC * 48_000) < 48


def test_the_cap_is_150_and_0_means_all(make_film: Film, tmp_path: Path):
    """Old graphs count on the default; sound is left away where it is not wanted."""
    path = make_film(tmp_path / "x.mp4", frames=160, rate=60, size=(16, 16))
    loaded = video.load_video(Video.open(path))
    assert (loaded.frame_count, len(loaded.images), loaded.audio) == (150, 150, None)
    assert video.load_video(Video.open(path), frame_load_cap=0).frame_count == 160


def test_sound_is_only_loaded_if_it_is_wanted(clip: Video):
    """``load_audio`` false gives frames alone."""
    assert video.load_video(clip, load_audio=False).audio is None


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({}, (64, 48)),
        ({"width": 32}, (32, 24)),
        ({"height": 24}, (32, 24)),
        ({"width": 30, "height": 30}, (30, 22)),
        ({"width": 30, "height": 30, "fit": "crop"}, (30, 30)),
        ({"width": 30, "height": 30, "fit": "pad"}, (30, 30)),
        ({"width": 30, "height": 30, "fit": "stretch"}, (30, 30)),
        ({"width": 128, "height": 128, "fit": "crop"}, (128, 128)),
        ({"width": 1, "height": 16384}, (1, 1)),
    ],
)
def test_the_size_that_is_asked_for(clip: Video, given: dict[str, Any], size: tuple[int, int]):
    """The size told is the size of every image."""
    loaded = video.load_video(clip, frame_load_cap=2, **given)
    assert (loaded.width, loaded.height) == size
    assert {(image.width, image.height) for image in loaded.images} == {size}


def test_proportions_are_kept_unless_told_otherwise():
    """A circle stays round in every way but ``stretch``; ``pad`` has bars, ``crop`` cuts off."""
    y, x = np.mgrid[0:96, 0:160]
    disc = ((x - 79.5) ** 2 + (y - 47.5) ** 2 < 40**2).astype(np.float32)
    clip = video.save_video(
        [Image.from_array(np.repeat(disc[:, :, None], 3, 2))], format="mkv_ffv1"
    )

    def sides(fit: Any) -> tuple[int, int]:
        (image,) = video.load_video(clip, width=80, height=80, fit=fit).images
        bright = image.pixels[:, :, 0] > 0.5
        return int(bright.any(0).sum()), int(bright.any(1).sum())

    assert sides("inside") == (40, 40)
    assert sides("pad") == (40, 40)
    assert sides("crop") == pytest.approx((67, 67), abs=1)
    assert sides("stretch") == pytest.approx((40, 67), abs=1)
    (padded,) = video.load_video(clip, width=80, height=80, fit="pad").images
    assert not padded.pixels[:16].any() and not padded.pixels[-16:].any()


def test_too_many_pixels_name_the_cap_and_the_size(clip: Video, monkeypatch: pytest.MonkeyPatch):
    """The rule says what to lower; what fits below it is loaded."""
    monkeypatch.setattr(video_frames, "PIXEL_BUDGET", 10 * 64 * 48)
    pointer, rule, told = broken(lambda: video.load_video(clip))
    assert (pointer, rule) == ("/frame_load_cap", "frame_budget")
    assert "frame_load_cap" in told and "width and height" in told
    assert video.load_video(clip, frame_load_cap=10).frame_count == 10
    assert video.load_video(clip, width=32).frame_count == 20


def test_a_strip_that_is_to_fill_a_square_is_refused():
    """Cutting comes after scaling: what would be billions of pixels between both has a rule."""
    strip = video.save_video([Image.from_array(np.zeros((1024, 2, 3), np.float32))])
    pointer, rule, told = broken(
        lambda: video.load_video(strip, width=8192, height=8192, fit="crop")
    )
    assert (pointer, rule) == ("/fit", "frame_budget") and "8192 x 4194304" in told
    assert video.load_video(strip, width=8, height=8, fit="crop").width == 8


def test_a_start_past_the_end_is_refused(clip: Video):
    """By its parameter, with the number of frames."""
    assert broken(lambda: video.load_video(clip, start_frame=20))[:2] == ("/start_frame", "frame")
    assert broken(lambda: video.load_video_frame(clip, 20))[:2] == ("/frame", "frame")
    assert shown([video.load_video_frame(clip, 19)]) == [19]


def test_the_sound_of_a_video(clip: Video, make_film: Film, tmp_path: Path):
    """All of it, in time; a silent film is refused."""
    audio = video.extract_audio(clip)
    assert audio.frames == pytest.approx(20 / NTSC * 48_000, abs=48)  # the file says it in ms
    assert abs(int(np.abs(audio.samples[0]).argmax()) - 10 / NTSC * 48_000) < 48
    silent = Video.open(make_film(tmp_path / "silent.mp4"))
    assert broken(lambda: video.extract_audio(silent))[:2] == ("/video", "no_audio")


def test_images_of_different_sizes_are_no_video():
    """The image that differs is named; so is sound with too many channels."""
    images = [Image.from_array(np.zeros((8, width, 3))) for width in (8, 8, 9)]
    pointer, rule, told = broken(lambda: video.save_video(images))
    assert (pointer, rule) == ("/images/2", "size")
    assert "9 x 8" in told
    wide = Audio.from_samples(np.zeros((9, 100)), 48_000)
    assert broken(lambda: video.save_video(images[:2], audio=wide))[:2] == ("/audio", "channels")


@pytest.mark.parametrize("fps", [0, 10_000, "0/1", "30000/0", -24, "fast"])
def test_rates_out_of_reach_are_refused_at_the_door(fps: Any):
    """0 and 10 000 frames a second break the rule of the parameter."""
    body = {"images": ["blake3:" + "0" * 64], "fps": fps}
    with pytest.raises(InvalidParameters) as caught:
        video.save_video.check(body, lambda reference, kind: reference)
    assert [(each.pointer, each.rule) for each in caught.value.errors] == [("/fps", "frame_rate")]


def test_deep_pictures_stay_deep_in_a_lossless_file():
    """One image of 16 bits makes the file one of 16 bits, and loading gives such images."""
    ramp = np.linspace(0, 1, 64 * 48 * 3, dtype=np.float32).reshape(48, 64, 3)
    saved = video.save_video([Image.from_array(ramp, 16)], format="mkv_ffv1")
    (image,) = video.load_video(saved).images
    assert image.bit_depth == 16
    assert np.abs(image.pixels - ramp).max() < 1 / 65535


def test_the_old_node_maps_its_knobs():
    """The default keeps 512x512, proportions are kept, and ``original`` changes nothing."""
    shape = video_nodes.VIDEO_LOADER
    knobs = {item.name: item.options.get("default") for item in shape.inputs}
    assert (knobs["frame_load_cap"], knobs["resize_mode"]) == (150, "512x512")
    assert [shown_ for shown_, _ in shape.outputs] == [
        *("images", "audio", "fps", "frame_count", "width", "height")
    ]
    given = {"video_file": "blake3:1", "frame_step": 2, "resize_mode": "768x512"}
    expected = {"video": "blake3:1", "frame_step": 2, "width": 768, "height": 512, "fit": "crop"}
    assert video_nodes.parameters(given) == expected
    assert video_nodes.parameters({**given, "resize_mode": "original"}) == {
        "video": "blake3:1",
        "frame_step": 2,
    }

"""Decoding: an uploaded file becomes a canonical one, or is refused with a sentence.

Knows: which formats are accepted, and the limits of MIDI and automation files.
Does not know: processes. It reads bytes from outside, so it runs only in a limited child
(``worker.ingest``); everything else sees canonical files.

Whatever a file claims, it is decoded in full and written anew; metadata stays behind.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from backend.errors import AssetRejected, AssetTooLarge
from backend.media import codecs, smf
from backend.media.automation import Automation, NotAutomation
from backend.media.midi import Midi, duration_of
from backend.media.reference import MediaValue

ACCEPTED: Final = (
    "Accepted are WAV, FLAC, AIFF, MP3, M4A, AAC and Ogg audio, PNG, JPEG, WebP, GIF, BMP and TIFF "
    "images, MP4, MOV, Matroska and WebM video, Standard MIDI Files, and automation in JSON."
)
MIDI_BYTES: Final = 2**20
MIDI_EVENTS: Final = 200_000
MIDI_SECONDS: Final = 3600.0
AUTOMATION_BYTES: Final = 32 * 2**20

Family = Literal["image", "audio", "video", "midi", "automation"]

_HEAD: Final = 4096
_IMAGE: Final = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|BM.{4}\0\0\0\0|II\*\0|MM\0\*|RIFF.{4}WEBP",
    re.DOTALL,
)
_AUDIO: Final = re.compile(
    rb"RIFF.{4}WAVE|RF64.{4}WAVE|fLaC|OggS|FORM.{4}AIF[FC]|ID3|.{4}ftypM4[AB]|\xff[\xe2-\xff]",
    re.DOTALL,
)
_VIDEO: Final = re.compile(rb".{4}(?:ftyp|moov|mdat|wide|free|skip)|\x1a\x45\xdf\xa3", re.DOTALL)
_PICTURE_BRANDS: Final = (b"heic", b"heix", b"heim", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
_JSON: Final = re.compile(rb"(\xef\xbb\xbf)?\s*[\[{]")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a decoded file may be; over it is `AssetTooLarge`, or ``StorageFull`` for the disk."""

    image_pixels: int = 50_000_000
    audio_seconds: float = 4 * 3600.0
    video_seconds: float = 4 * 3600.0
    video_pixels: int = 36_000_000
    disk_floor_bytes: int = 0


def decode_upload(path: Path, folder: Path, limits: Limits) -> codecs.StoredFile:
    """Decode the file at *path* and write it anew, canonical and durable, into *folder*.

    Raises `AssetRejected` for what is damaged, cut, or of a type that is not accepted,
    `AssetTooLarge` (a limit is named) and ``InvalidParameters`` (channels, sample rate).
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise AssetRejected("the file is empty", rule="empty")
    value = _DECODERS[family_of(head)](path, folder, limits)
    return codecs.store(value, folder, "canonical")


def family_of(head: bytes) -> Family:
    """What the first bytes of a file promise. Raises `AssetRejected` and names what was found."""
    if head.startswith(b"MThd"):
        return "midi"
    if _IMAGE.match(head):
        return "image"
    if _AUDIO.match(head):
        return "audio"
    if head[4:8] == b"ftyp" and head[8:12] in _PICTURE_BRANDS:
        told = "the file is a HEIF or AVIF image, which is not accepted"
        raise AssetRejected(told, rule="format")
    if _VIDEO.match(head):
        return "video"
    if _JSON.match(head):
        return "automation"
    told = f"the file is {_name(head)}, which is not accepted"
    raise AssetRejected(told, rule="format", remedy=ACCEPTED)


def _name(head: bytes) -> str:
    """What people call a file that begins like this."""
    import puremagic

    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in text:
        return "an SVG image"
    if text.startswith((b"<!doctype html", b"<html")) or b"<script" in text:
        return "an HTML page"
    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        found = []
    names = [match.name for match in found if match.name]
    return f'of the type "{names[0]}"' if names else "of a type that is not known"


def _image(path: Path, folder: Path, limits: Limits) -> MediaValue:
    from backend.media import decoding_image

    return decoding_image.decode(path, folder, limits.image_pixels)


def _audio(path: Path, folder: Path, limits: Limits) -> MediaValue:
    from backend.media import decoding_audio

    return decoding_audio.decode(path, folder, limits.audio_seconds, limits.disk_floor_bytes)


def _video(path: Path, folder: Path, limits: Limits) -> MediaValue:
    from backend.media import containers, decoding_video

    if not containers.holds_pictures(path):
        # such a container without pictures is a sound by another name
        return _audio(path, folder, limits)
    return decoding_video.decode(path, folder, limits)


def _midi(path: Path, folder: Path, limits: Limits) -> MediaValue:
    if path.stat().st_size > MIDI_BYTES:
        raise _too_large(f"a MIDI file may have {MIDI_BYTES} bytes", "midi_bytes")
    try:
        file = smf.read(path.read_bytes())
        if sum(map(len, file.tracks)) > MIDI_EVENTS:
            raise _too_large(f"a MIDI file may have {MIDI_EVENTS} events", "midi_events")
        if duration_of(file) > MIDI_SECONDS:
            raise _too_large(f"a MIDI file may last {MIDI_SECONDS:g} s", "midi_seconds")
    except smf.NotMidi as error:
        told = f"the MIDI file was not accepted: {error}"
        raise AssetRejected(told, rule=error.rule) from error
    return Midi(smf.write(file))


def _automation(path: Path, folder: Path, limits: Limits) -> MediaValue:
    if path.stat().st_size > AUTOMATION_BYTES:
        told = f"an automation file may have {AUTOMATION_BYTES} bytes"
        raise _too_large(told, "automation_bytes")
    try:
        return Automation.from_json(path.read_bytes())
    except NotAutomation as error:
        told = f"the file is JSON, but not an automation: {error}"
        raise AssetRejected(told, rule="format", remedy=ACCEPTED) from error


def _too_large(told: str, limit: str) -> AssetTooLarge:
    return AssetTooLarge(f"{told} (limit {limit})", rule=limit)


_DECODERS: Final[dict[Family, Callable[[Path, Path, Limits], MediaValue]]] = {
    "image": _image,
    "audio": _audio,
    "video": _video,
    "midi": _midi,
    "automation": _automation,
}

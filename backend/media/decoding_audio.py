"""Decoding sound: any accepted format, streamed, into a canonical WAV file.

Knows: PyAV with allow-lists, exact scales for integer samples, and how to see that a file is cut.
Does not know: where the file came from.
"""

from __future__ import annotations

import shutil
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from backend.errors import (
    AssetRejected,
    AssetTooLarge,
    FieldError,
    InvalidParameters,
    StorageFull,
)
from backend.media import wav
from backend.media.audio import Audio
from backend.media.mp4 import movie_timescale
from backend.media.sound_frames import to_float
from backend.media.wholeness import matroska_is_whole, mp4_is_whole

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

FORMATS: Final = "wav,flac,ogg,mp3,aac,aiff,mov,mp4,m4a,matroska"
MAX_CHANNELS: Final = 8
RATES: Final = (8_000, 384_000)

_EXACT: Final = ("wav", "flac", "aiff")
"""Containers that say exactly how many frames they hold."""
_PACKET: Final = 4096
"""Frames that an MP4 may hold beyond its end."""
_VORBIS_ORDER: Final = {
    3: (0, 2, 1),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 5, 3, 4),
    7: (0, 2, 1, 6, 5, 3, 4),
    8: (0, 2, 1, 7, 5, 6, 3, 4),
}
_DISK_CHECK: Final = 64 * 2**20
_TAIL: Final = 256 * 1024


def decode(path: Path, folder: Path, max_seconds: float, disk_floor: int) -> Audio:
    """Decode the first sound stream at *path* into a canonical WAV file in *folder*.

    Memory stays constant. Raises `AssetRejected` (damaged, cut, video, not finite),
    `AssetTooLarge` (limit audio_seconds), `InvalidParameters` (channels, rate), `StorageFull`.
    """
    import av
    from av.error import FFmpegError

    av.logging.set_level(None)
    _check_wav(path)
    target = folder / f"audio-{uuid.uuid4().hex}.wav"
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
    try:
        # a file object, so that no format can open a path
        with (
            path.open("rb") as file,
            av.open(file, "r", container_options=options, metadata_errors="replace") as container,
        ):
            stream = _stream(container)
            rate, channels = stream.rate, stream.channels
            declared = _declared_frames(path, container, stream)
            with wav.WavWriter(target, rate, channels) as writer:
                for block in _samples(path, container, stream):
                    _check(block, writer.frames, rate, max_seconds)
                    writer.write(block)
                    _check_disk(folder, disk_floor, writer.frames, block)
    except FFmpegError as error:
        raise _damaged() from error
    if writer.frames == 0:
        raise AssetRejected("the audio file holds no samples", rule="empty")
    if writer.frames < declared:
        raise _cut(f"it declares {declared} frames and holds {writer.frames}")
    return Audio.open(target)


def _stream(container: InputContainer) -> AudioStream:
    """The first sound stream, if the file holds nothing else of weight."""
    for video in container.streams.video:
        # a cover picture in an audio file is no film
        if "attached_pic" not in str(video.disposition):
            told = "the file holds video; upload its sound as an audio file"
            raise AssetRejected(told, rule="video")
    if not container.streams.audio:
        raise AssetRejected("the file holds no sound", rule="empty")
    stream = container.streams.audio[0]
    if not 1 <= stream.channels <= MAX_CHANNELS:
        raise _invalid("channels", f"audio has 1 to {MAX_CHANNELS} channels, not {stream.channels}")
    if not RATES[0] <= stream.rate <= RATES[1]:
        raise _invalid(
            "sample_rate", f"a sample rate is {RATES[0]} to {RATES[1]} Hz, not {stream.rate}"
        )
    return stream


def _invalid(rule: str, sentence: str) -> InvalidParameters:
    return InvalidParameters(
        f"the audio file breaks a rule: {sentence}", errors=[FieldError("/file", rule, sentence)]
    )


def _cut(why: str) -> AssetRejected:
    return AssetRejected(f"the audio file is cut: {why}", rule="cut")


def _damaged() -> AssetRejected:
    told = "the audio is damaged, cut or in a format not accepted"
    return AssetRejected(told, rule="damaged")


def _samples(
    path: Path, container: InputContainer, stream: AudioStream
) -> Iterator[NDArray[np.float32]]:
    name = container.format.name
    if name == "ogg" and stream.codec_context.codec.canonical_name == "vorbis":
        return _vorbis(path, stream)
    end = _mp4_end(path, stream) if "mp4" in name else None
    return _ended(_blocks(container, stream), end)


def _mp4_end(path: Path, stream: AudioStream) -> int | None:
    """Before which frame an MP4's sound ends, as exactly as the file says it; no earlier."""
    if not stream.duration or stream.time_base is None:
        return None
    timescale = movie_timescale(path) or stream.rate
    frames = round(stream.duration * stream.time_base * stream.rate)
    return frames + max(0, -(-stream.rate // timescale) - 1)


def _blocks(container: InputContainer, stream: AudioStream) -> Iterator[NDArray[np.float32]]:
    """Every decoded frame as float32 ``[channels, n]``."""
    shape = (stream.rate, stream.channels)
    for frame in container.decode(stream):
        if (frame.sample_rate, frame.layout.nb_channels) != shape:
            told = "the sample rate or the channels change within the audio file"
            raise AssetRejected(told, rule="changing")
        yield to_float(frame, stream.channels)


def _ended(
    blocks: Iterator[NDArray[np.float32]], frames: int | None
) -> Iterator[NDArray[np.float32]]:
    """*blocks* without what an MP4's last packet holds beyond the declared *frames*.

    Where there is more than that, the declaration is not believed.
    """
    held: list[NDArray[np.float32]] = []
    left, beyond = frames, 0
    for block in blocks:
        if left is None or block.shape[1] <= left:
            yield block
            left = None if left is None else left - block.shape[1]
            continue
        if left:
            yield block[:, :left]
        held.append(block[:, left:])
        beyond += held[-1].shape[1]
        left = 0
        if beyond > _PACKET:
            yield from held
            left = None


def _vorbis(path: Path, stream: AudioStream) -> Iterator[NDArray[np.float32]]:
    """The sound of an Ogg Vorbis file, by libsndfile: FFmpeg 8.1 begins and ends up to a window
    beside the right sample."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            if (file.samplerate, file.channels) != (stream.rate, stream.channels):
                told = "the header of the Ogg file contradicts its sound"
                raise AssetRejected(told, rule="damaged")
            order = vorbis_order(file.channels)
            for block in file.blocks(65536, dtype="float32", always_2d=True):
                yield np.ascontiguousarray(block.T[order])
    except soundfile.LibsndfileError as error:
        raise _damaged() from error


def vorbis_order(channels: int) -> list[int]:
    """Vorbis' place for each of our channels (Vorbis I specification, 4.3.9)."""
    return list(_VORBIS_ORDER.get(channels, range(channels)))


def _check(block: NDArray[np.float32], before: int, rate: int, max_seconds: float) -> None:
    if not np.isfinite(block).all():
        raise AssetRejected("the audio holds samples that are NaN or infinite", rule="finite")
    if before + block.shape[1] > max_seconds * rate:
        told = f"the audio lasts longer than {max_seconds:g} s (limit audio_seconds)"
        raise AssetTooLarge(told, rule="audio_seconds")


def _check_disk(folder: Path, floor: int, frames: int, block: NDArray[np.float32]) -> None:
    """Look at the free space every 64 MiB that are written."""
    written, step = frames * block.shape[0] * 4, block.nbytes
    if (written // _DISK_CHECK) != ((written - step) // _DISK_CHECK) and (
        shutil.disk_usage(folder).free < floor
    ):
        raise StorageFull("there is not enough disk space to decode the audio file")


def _check_wav(path: Path) -> None:
    """Refuse a WAV file whose samples are fewer than declared; decoders tolerate that."""
    with path.open("rb") as file:
        if file.read(4) not in (b"RIFF", b"RF64"):
            return
    try:
        info = wav.read_info(path)
    except wav.NotWav as error:
        told = f"the WAV file was not accepted: {error}"
        raise AssetRejected(told, rule="damaged") from error
    if info.present < info.data_size:
        raise _cut(f"it declares {info.data_size} bytes of samples and holds {info.present}")


def _declared_frames(path: Path, container: InputContainer, stream: AudioStream) -> int:
    """How many frames the file says it holds, at least; 0 where it does not say.

    Raises `AssetRejected` for an Ogg, MP3, MP4 or Matroska file that is seen to be cut.
    """
    name = container.format.name
    if name == "ogg" and not _ogg_ends(path):
        raise _cut("its last page is missing")
    if "mp4" in name and not mp4_is_whole(path):
        raise _cut("its last box is not whole")
    if "matroska" in name and not matroska_is_whole(path):
        raise _cut("its last element is not whole")
    if name == "mp3" and not _mp3_is_whole(path):
        raise _cut("it declares more bytes than it holds")
    if stream.duration is None or stream.time_base is None:
        return 0
    seconds = stream.duration * stream.time_base
    if name in _EXACT:
        return round(seconds * stream.rate)
    # an MP4 counts the codec's padding too
    return max(0, int(seconds * stream.rate) - 4096) if "mp4" in name else 0


def _ogg_ends(path: Path) -> bool:
    """Whether the last page is whole and carries the end-of-stream flag (RFC 3533)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    start = tail.rfind(b"OggS")
    if start < 0 or len(tail) < start + 27:
        return False
    segments = tail[start + 26]
    table = tail[start + 27 : start + 27 + segments]
    whole = len(table) == segments and len(tail) >= start + 27 + segments + sum(table)
    return whole and bool(tail[start + 5] & 4)


def _mp3_is_whole(path: Path) -> bool:
    """Whether the file has as many bytes as its Xing or Info header, if any, declares."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(10)
        start = 0
        if head[:3] == b"ID3" and len(head) == 10:
            a, b, c, d = head[6:10]
            start = 10 + (a << 21 | b << 14 | c << 7 | d)
        file.seek(start)
        first = file.read(256)
    for name in (b"Xing", b"Info"):
        at = first.find(name)
        if at >= 0 and len(first) >= at + 16:
            flags = struct.unpack(">I", first[at + 4 : at + 8])[0]
            if flags & 2:
                offset = at + 8 + (4 if flags & 1 else 0)
                declared = struct.unpack(">I", first[offset : offset + 4])[0]
                return bool(start + declared <= size)
    return True

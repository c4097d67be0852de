"""Containers of video: opened with allow-lists, and the streams in them that count.

Knows: which containers and codecs are read, and that a file can never lead to another one.
Does not know: what the pictures show, and where the file came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

FORMATS: Final = "mov,matroska"
"""FFmpeg's demuxers for MP4, MOV and M4V, and for Matroska and WebM."""

PICTURE_CODECS: Final = frozenset(
    {"h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mpeg2video", "prores", "mjpeg", "ffv1"}
)
SOUND_CODECS: Final = frozenset(
    {"aac", "mp3", "opus", "vorbis", "flac", "alac", "ac3", "eac3"}
    | {f"pcm_{form}" for form in ("u8", "s8", "s16le", "s16be", "s24le", "s24be", "s32le")}
    | {f"pcm_{form}" for form in ("s32be", "f32le", "f32be", "f64le", "f64be", "mulaw", "alaw")}
)
_DECODERS: Final = (
    *sorted(PICTURE_CODECS | SOUND_CODECS),
    *("libdav1d", "libopus", "libvorbis", "mp3float"),
)


THREADS: Final = 4
"""Threads that decode the pictures of one file."""


class NotVideo(ValueError):
    """The file is not a video that can be read; the text says why."""


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """Within this block the container at *path* is open.

    Raises `NotVideo` for what is none of the accepted containers, and for what FFmpeg finds
    damaged while the block runs.
    """
    import av
    from av.error import FFmpegError

    # anything but silence lets decoding threads ask for the interpreter's lock, and wait for ever
    av.logging.set_level(None)
    options = {
        "format_whitelist": FORMATS,
        "protocol_whitelist": "none",
        "codec_whitelist": ",".join(_DECODERS),
    }
    try:
        # a file object, so that no format can open a path
        with (
            path.open("rb") as file,
            av.open(file, "r", container_options=options, metadata_errors="replace") as container,
        ):
            yield container
    except FFmpegError as error:
        raise NotVideo("the video is damaged, cut or in a format not accepted") from error


def holds_pictures(path: Path) -> bool:
    """Whether a container holds moving pictures, or cannot be read at all."""
    try:
        with opened(path) as container:
            return any(not _is_cover(stream) for stream in container.streams.video)
    except NotVideo:
        return True


def _is_cover(stream: VideoStream) -> bool:
    """Whether it is the cover picture of a sound, which is no film."""
    return "attached_pic" in str(stream.disposition)


def picture_stream(container: InputContainer) -> VideoStream:
    """The first stream of moving pictures. Raises `NotVideo` if there is none, or by its codec."""
    for stream in container.streams.video:
        if _is_cover(stream):
            continue
        name = codec_name(stream)
        if name not in PICTURE_CODECS:
            raise NotVideo(f"the pictures are in the codec {name}, which is not accepted")
        if stream.codec_context.width < 1 or stream.codec_context.height < 1:
            raise NotVideo("the size of the pictures is not known")
        stream.thread_type = "AUTO"
        # more threads hold more pictures, and a child that decodes uploads may not hold many
        stream.codec_context.thread_count = THREADS
        return stream
    raise NotVideo("the file holds no video")


def sound_stream(container: InputContainer) -> AudioStream | None:
    """The first stream of sound in a codec that is read; None without any sound.

    Raises `NotVideo` if there is sound, but none that can be read.
    """
    names = []
    for stream in container.streams.audio:
        name = codec_name(stream)
        if name in SOUND_CODECS and stream.rate and stream.channels:
            return stream
        names.append(name)
    if names:
        raise NotVideo(f"the sound is in the codec {names[0]}, which is not accepted")
    return None


def codec_name(stream: VideoStream | AudioStream) -> str:
    """Name of the codec (``h264``), not of the library that decodes it (``libdav1d``)."""
    # a stream for which FFmpeg has no decoder has no context
    codec = getattr(stream.codec_context, "codec", None)
    return "unknown" if codec is None else str(codec.canonical_name)


def suffix_of(path: Path) -> str:
    """``.mp4``, ``.mov``, ``.webm`` or ``.mkv``, by the type that the file itself declares."""
    with path.open("rb") as file:
        head = file.read(64)
    if head[4:8] == b"ftyp":
        return ".mov" if head[8:12] == b"qt  " else ".mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return ".webm" if b"webm" in head else ".mkv"
    # an old QuickTime file has no declaration of its type
    return ".mov"


def is_matroska(container: InputContainer) -> bool:
    """Whether the file is Matroska or WebM, as opposed to MP4 or MOV."""
    return "matroska" in container.format.name

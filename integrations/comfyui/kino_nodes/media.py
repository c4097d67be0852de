"""Sound and pictures as files, without loss of what matters: float32 WAV and 16-bit PNG.

Knows: two file formats, as far as Kino writes them, and ComfyUI's tensors.
Does not know: HTTP, and what a node does.
"""

import struct
import zlib

import numpy as np
import torch

FLOAT = 3
EXTENSIBLE = 0xFFFE


def wav_of(sound):
    """An AUDIO ``{"waveform": [1, C, T], "sample_rate"}`` as a WAV file of 32-bit floats."""
    samples = sound["waveform"]
    if samples.ndim != 3 or samples.shape[0] != 1:
        raise ValueError(f"one sound is taken at a time, not {tuple(samples.shape)}")
    frames = np.ascontiguousarray(samples[0].detach().cpu().numpy().astype("<f4").T)  # [T, C]
    channels, rate = frames.shape[1], int(sound["sample_rate"])
    data = frames.tobytes()
    form = struct.pack("<HHIIHHH", FLOAT, channels, rate, 4 * rate * channels, 4 * channels, 32, 0)
    fact = struct.pack("<I", frames.shape[0])
    chunks = (b"fmt ", form), (b"fact", fact), (b"data", data)
    body = b"".join(name + struct.pack("<I", len(part)) + part for name, part in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def sound_of(content):
    """A WAV file of 32-bit floats, as Kino keeps sound, as AUDIO."""
    if content[:4] not in (b"RIFF", b"RF64") or content[8:12] != b"WAVE":
        raise ValueError("the service sent a sound that is no WAV file")
    place, rate, channels, long_size = 12, None, 0, None
    while place + 8 <= len(content):
        name, size = content[place : place + 4], struct.unpack_from("<I", content, place + 4)[0]
        place += 8
        if name == b"ds64":
            long_size = struct.unpack_from("<Q", content, place + 8)[0]
        elif name == b"fmt ":
            kind, channels, rate = struct.unpack_from("<HHI", content, place)
            bits = struct.unpack_from("<H", content, place + 14)[0]
            if kind == EXTENSIBLE:
                kind = struct.unpack_from("<H", content, place + 24)[0]
            if (kind, bits) != (FLOAT, 32):
                raise ValueError("the service sent a sound that is not in 32-bit floats")
        elif name == b"data" and rate is not None:
            size = long_size if size == 0xFFFFFFFF and long_size is not None else size
            frames = np.frombuffer(content, "<f4", size // 4, place).reshape(-1, channels)
            waveform = torch.from_numpy(np.ascontiguousarray(frames.T).astype(np.float32))
            return {"waveform": waveform[None], "sample_rate": rate}
        place += size + size % 2
    raise ValueError("the service sent a WAV file without samples")


def png_of(pixels):
    """One picture [H, W, C] or [H, W], 0..1, as a PNG file of 16 bits a channel."""
    array = pixels.detach().cpu().numpy()
    array = array[:, :, None] if array.ndim == 2 else array
    height, width, channels = array.shape
    colour = {1: 0, 3: 2, 4: 6}[channels]
    whole = np.rint(np.clip(array, 0.0, 1.0) * 65535.0).astype(">u2").reshape(height, -1)
    rows = np.zeros((height, 1 + 2 * whole.shape[1]), np.uint8)
    rows[:, 1:] = whole.view(np.uint8)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, part) for name, part in chunks)


def _chunk(name, part):
    return struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))


def pixels_of(content):
    """A PNG file of 8 or 16 bits, grey or in colour, as float32 [H, W, C], 0..1."""
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("the service sent a picture that is no PNG file")
    place, packed, header = 8, b"", None
    while place + 8 <= len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        part = content[place + 8 : place + 8 + size]
        if name == b"IHDR":
            header = struct.unpack(">IIBBBBB", part)
        elif name == b"IDAT":
            packed += part
        place += 12 + size
    if header is None:
        raise ValueError("the service sent a PNG file without a header")
    width, height, bits, colour, _, _, interlaced = header
    if bits not in (8, 16) or colour not in (0, 2, 4, 6) or interlaced:
        raise ValueError("the service sent a PNG file of another sort than it keeps")
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, -1)
    plain = _unfiltered(rows, channels * bits // 8)
    whole = plain.view(">u2" if bits == 16 else np.uint8).reshape(height, width, channels)
    return torch.from_numpy(whole.astype(np.float32) / np.float32(2**bits - 1))


def _unfiltered(rows, step):
    """The bytes of the rows without PNG's filters (PNG specification, section 9)."""
    kinds, rows = rows[:, 0], rows[:, 1:].copy()
    above = np.zeros(rows.shape[1], np.uint8)
    for kind, row in zip(kinds, rows, strict=True):
        if kind == 1:
            for first in range(step):
                row[first::step] = np.cumsum(row[first::step], dtype=np.uint8)
        elif kind == 2:
            row += above
        elif kind in (3, 4):
            _unfilter_slowly(kind, row, above, step)
        above = row
    return rows


def _unfilter_slowly(kind, row, above, step):
    """Average and Paeth: each byte needs the one before."""
    values, over = row.tolist(), above.tolist()
    for place, value in enumerate(values):
        left = values[place - step] if place >= step else 0
        up, corner = over[place], over[place - step] if place >= step else 0
        if kind == 3:
            guess = (left + up) // 2
        else:
            near = left + up - corner
            guess = min((left, up, corner), key=lambda each, near=near: abs(near - each))
        values[place] = (value + guess) & 255
    row[:] = values

"""The ingest child: decodes one uploaded file after the other, within limits.

Knows: the ``ingest`` message, the limits of the process, and ``media.decoding``.
Does not know: the network, the ledger, where assets lie.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, Final

from backend.errors import AssetRejected, AssetTooLarge, KinoError, StorageFull
from backend.media import decoding
from backend.media.containers import THREADS
from backend.wire import Message
from backend.worker import confinement

ADDRESS_SPACE: Final = 4 * 2**30
FILE_SIZE: Final = 16 * 2**30
OPEN_FILES: Final = 64


class IngestHandler:
    """Decodes files; the process loop gives it one message at a time."""

    def start(self) -> Message:
        """Load the decoders, then give up what decoding does not need."""
        import av
        import mido
        import PIL.Image

        from backend.media import decoding_audio, decoding_image, decoding_video

        loaded = (av, mido, PIL.Image, decoding_audio, decoding_image, decoding_video)
        confinement.limit_files(FILE_SIZE, OPEN_FILES)
        confinement.limit_memory(ADDRESS_SPACE)
        return {"decoders": [module.__name__ for module in loaded]}

    def handle(self, message: Message) -> Message:
        """Decode ``path`` into ``scratch``: ``{"stored": leaf}`` or ``{"problem": …}``.

        *message* also holds ``limits`` (of `decoding.Limits`) and ``seconds`` of processor time.
        """
        # video is decoded in threads, and the limit counts all of them
        confinement.limit_processor(float(message["seconds"]) * THREADS)
        return {"id": message["id"], **decode(message)}

    def interrupt(self, job_id: str, attempt: int) -> None:
        """Nothing: whoever does not want to wait kills the process."""

    def told(self, name: str, data: Message) -> None:
        """Nothing: this child is told nothing."""

    def stop(self) -> None:
        """Nothing is held."""


def decode(message: Message) -> dict[str, Any]:
    """What `IngestHandler.handle` answers, without the processor's limit."""
    limits = decoding.Limits(**message["limits"])
    try:
        stored = decoding.decode_upload(Path(message["path"]), Path(message["scratch"]), limits)
    except KinoError as error:
        return {"problem": error.as_problem()}
    except MemoryError:
        problem: KinoError = AssetTooLarge(
            "decoding the file needs more memory than is allowed", rule="memory"
        )
    except OSError as error:
        problem = _of_system(error)
    else:
        return {"stored": stored.as_leaf()}
    return {"problem": problem.as_problem()}


def _of_system(error: OSError) -> KinoError:
    """What the operating system's refusal means to whoever sent the file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("the disk is full", remedy="Free some space and upload again.")
    if error.errno == errno.EFBIG:
        told = f"the decoded file is larger than {FILE_SIZE} bytes"
        return AssetTooLarge(told, rule="decoded_bytes")
    return AssetRejected("the file could not be decoded", rule="damaged")

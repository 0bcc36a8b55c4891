"""TFRecord files without TensorFlow: the framing, with both of its checksums.

A record is: length (8 bytes, little-endian), masked CRC-32C of the length (4), the data, masked CRC-32C of it (4).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from nas_lightning.benchmarks.errors import BenchmarkError

MAX_RECORD = 64 * 2**20  # bytes; a longer length can only be a damaged one


def masked_crc32c(data: bytes) -> int:
    """CRC-32C, rotated and offset as the format wants it. Needs the package google-crc32c."""
    try:
        import google_crc32c
    except ImportError:
        raise BenchmarkError(
            "reading TFRecord files needs the package google-crc32c; install it with pip install google-crc32c"
        ) from None
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(path: Path, progress: Callable[[int], None] | None = None) -> Iterator[bytes]:
    """The records of a file, one at a time; `progress` hears the position in bytes.

    Raises BenchmarkError naming the position where the file is truncated or a checksum does not match.
    """
    position = 0
    with path.open("rb", buffering=2**20) as file:
        while head := file.read(12):
            if len(head) < 12:
                raise _broken(path, position, "ends inside a record's head")
            (length,), (crc,) = struct.unpack("<Q", head[:8]), struct.unpack("<I", head[8:])
            if masked_crc32c(head[:8]) != crc or length > MAX_RECORD:
                raise _broken(path, position, "has a record length that does not match its checksum")
            body = file.read(length + 4)
            if len(body) < length + 4:
                raise _broken(path, position, "ends inside a record")
            data = body[:length]
            if masked_crc32c(data) != struct.unpack("<I", body[length:])[0]:
                raise _broken(path, position, "has a record that does not match its checksum")
            yield data
            position += length + 16
            if progress:
                progress(position)


def _broken(path: Path, position: int, what: str) -> BenchmarkError:
    return BenchmarkError(f"{path} is damaged or incomplete (it {what} at byte {position}); fetch it again")

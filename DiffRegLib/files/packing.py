"""Gzip on all cores: one member, as every reader takes it, whose pieces were packed side by side (as pigz does)."""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

PIECE = 1 << 21
"""Bytes packed at a time."""
LEVEL = 1
"""Of compression: a CT becomes a tenth larger than with the usual 6, in a fifth of the time."""
HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"


def packed(blocks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The bytes of a gzip file of these blocks, one after the other; few are held at a time."""
    pieces = (block[n : n + PIECE] for block in blocks for n in range(0, len(block), PIECE))
    yield HEAD
    checksum = size = 0
    cores = os.cpu_count() or 1
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(cores) as pool:
        for piece in pieces:
            checksum, size = zlib.crc32(piece, checksum), size + len(piece)
            waiting.append(pool.submit(_deflated, piece))
            if len(waiting) > 2 * cores:
                yield waiting.popleft().result()
        for deflated in waiting:
            yield deflated.result()
    yield b"\x03\x00" + struct.pack("<II", checksum, size & 0xFFFFFFFF)


def _deflated(piece: bytes | memoryview) -> bytes:
    """A piece that ends at a byte, so that the next one can follow."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)

"""Streaming gzip decompression in bounded memory."""

import zlib
from collections.abc import Iterator

from faregate.core.errors import MalformedError

__all__ = ["PIECE_BYTES", "Inflater"]

PIECE_BYTES = 64 * 1024
_GZIP_ONLY = 16 + zlib.MAX_WBITS


class Inflater:
    """Decompresses one gzip stream of any number of members, in pieces."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_ONLY)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Return the decompressed `data`, in pieces of at most 64 KiB.

        Raises:
            MalformedError: not gzip, or damaged.
        """
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP_ONLY)
            self._begun = True
            try:
                piece = self._member.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise MalformedError("the body is not the gzip that Content-Encoding says it is") from None
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if piece:
                yield piece

    def end(self) -> Iterator[bytes]:
        """Return the remaining bytes.

        Raises:
            MalformedError: the stream ends before its last member is complete.
        """
        if not self._begun:
            return
        if not self._member.eof:
            rest = self._member.flush(PIECE_BYTES)
            if rest:
                yield rest
        if not self._member.eof:
            raise MalformedError("the gzip body ends too early; send all of it")

"""ZIP archives for streams that cannot seek. Pure.

`zipfile` decides before the first byte whether a member may exceed 4 GiB, and spreadsheet programs distrust members that may.
Here sizes follow the data of a member, and only the directory of an archive that needs it has the ZIP64 form.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["ZipStream"]

_LIMIT = 0xFFFF_FFFF
_LEVEL = 1
_SIZES_FOLLOW = 8
_DEFLATED = 8
_FIRST_OF_1980 = 0x21
_VERSION, _VERSION_64 = 20, 45


@dataclass(slots=True)
class _Member:
    name: bytes
    offset: int
    crc: int = 0
    packed: int = 0
    size: int = 0

    @property
    def is_large(self) -> bool:
        return max(self.offset, self.packed, self.size) >= _LIMIT


class ZipStream:
    """Returns the bytes of an archive in pieces: `begin`, `add` any number of times and `end` each member, then `finish`.

    `add` compresses without holding the interpreter's lock: it may run in a thread, one call at a time.
    """

    def __init__(self) -> None:
        self._members: Final[list[_Member]] = []
        self._deflate = _deflater()
        self._offset = 0

    def begin(self, name: str) -> bytes:
        """Return the header of a member."""
        self._deflate = _deflater()
        self._members.append(_Member(name.encode(), self._offset))
        head = struct.pack(
            "<4s5H3L2H",
            b"PK\3\4",
            _VERSION,
            _SIZES_FOLLOW,
            _DEFLATED,
            0,
            _FIRST_OF_1980,
            0,
            0,
            0,
            len(name.encode()),
            0,
        )
        return self._sent(head + name.encode())

    def add(self, data: bytes) -> bytes:
        """Return the compressed data that is ready; often empty."""
        member = self._members[-1]
        member.crc = zlib.crc32(data, member.crc)
        member.size += len(data)
        return self._packed(self._deflate.compress(data))

    def end(self) -> bytes:
        """Return the rest of a member and its sizes."""
        member = self._members[-1]
        rest = self._packed(self._deflate.flush())
        layout = "<4sL2Q" if max(member.packed, member.size) >= _LIMIT else "<4s3L"
        return rest + self._sent(struct.pack(layout, b"PK\7\x08", member.crc, member.packed, member.size))

    def member(self, name: str, data: bytes) -> bytes:
        """Return a whole member."""
        return self.begin(name) + self.add(data) + self.end()

    def finish(self) -> bytes:
        """Return the directory."""
        directory = b"".join(_entry(member) for member in self._members)
        count, start = len(self._members), self._offset
        if max(start, len(directory)) < _LIMIT:
            return directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), start, 0)
        end = start + len(directory)
        return b"".join(
            [
                directory,
                struct.pack(
                    "<4sQ2H2L4Q",
                    *(b"PK\6\6", 44, _VERSION_64, _VERSION_64, 0, 0, count, count, len(directory), start),
                ),
                struct.pack("<4sLQL", b"PK\6\7", 0, end, 1),
                struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, 0xFFFF_FFFF, 0xFFFF_FFFF, 0),
            ]
        )

    def _packed(self, data: bytes) -> bytes:
        self._members[-1].packed += len(data)
        return self._sent(data)

    def _sent(self, data: bytes) -> bytes:
        self._offset += len(data)
        return data


def _entry(member: _Member) -> bytes:
    """Return a member's entry of the directory."""
    sizes = (member.packed, member.size)
    extra, version, offset = b"", _VERSION, member.offset
    if member.is_large:
        extra = struct.pack("<2H3Q", 1, 24, member.size, member.packed, member.offset)
        version, sizes, offset = _VERSION_64, (0xFFFF_FFFF, 0xFFFF_FFFF), 0xFFFF_FFFF
    head = struct.pack(
        "<4s6H3L5H2L",
        *(b"PK\1\2", version, version, _SIZES_FOLLOW, _DEFLATED, 0, _FIRST_OF_1980, member.crc, *sizes),
        *(len(member.name), len(extra), 0, 0, 0, 0, offset),
    )
    return head + member.name + extra


def _deflater() -> Any:
    return zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)

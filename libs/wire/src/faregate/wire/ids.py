"""Ids: UUIDv7 for own ids, one pattern for callers' ids."""

import os
import re
from datetime import UTC, datetime, timedelta
from threading import Lock
from uuid import UUID

from faregate.wire.clock import unix_milliseconds
from faregate.wire.errors import InvalidError

__all__ = [
    "EXTERNAL_ID_PATTERN",
    "ORGANIZATION_PREFIX",
    "check_external_id",
    "check_not_reserved",
    "check_user_id",
    "is_reserved",
    "new_uuid7",
    "new_uuid7_text",
    "organization_id_of",
    "organization_owner_id",
    "reserved_error",
    "uuid7_span",
]

EXTERNAL_ID_PATTERN = r"^[A-Za-z0-9._:@|+/=-]{1,255}$"
"""Pattern of callers' ids: 24-hex object ids, UUIDs, slugs, e-mail addresses with tags, subjects such as `auth0|123`, base64."""

ORGANIZATION_PREFIX = "org:"
RESERVED_PREFIXES = ("user:", "key:", "system:", "erased:", "faregate:", "subject:", "cli:")
"""Prefixes of actors that are not users; case-insensitive."""

RESERVED_NAMES = frozenset({"bootstrap", "cli", "plans"})
"""Actors without a prefix: the bootstrap key, the commands and the plans."""

_EXTERNAL_ID = re.compile(EXTERNAL_ID_PATTERN)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LAST_MILLISECOND = 253_402_300_799_000
"""The last second of the year 9999, the largest date that Python supports."""


class _Tick:
    """Counter of milliseconds with 12 bits below; increases with every id of this process."""

    def __init__(self) -> None:
        self._last = 0
        self.renew_lock()

    def renew_lock(self) -> None:
        self._lock = Lock()

    def next(self) -> int:
        with self._lock:
            self._last = max(self._last + 1, unix_milliseconds() << 12)
            return self._last


class _Random:
    """Bytes of the operating system's generator for 512 ids, read in one call."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._parts: list[bytes] = []

    def take(self) -> bytes:
        """Return eight bytes that no other call returns."""
        try:
            return self._parts.pop()
        except IndexError:
            read = os.urandom(4096)
            self._parts.extend([read[at : at + 8] for at in range(8, 4096, 8)])
            return read[:8]


_TICK = _Tick()
_RANDOM = _Random()
os.register_at_fork(after_in_child=_TICK.renew_lock)  # another thread may hold the lock at the fork
os.register_at_fork(after_in_child=_RANDOM.forget)  # or both processes would make the same ids


def new_uuid7() -> UUID:
    """Return a new UUID of version 7 (RFC 9562), ordered by time and, within one process, by the order of the calls."""
    return UUID(int=_uuid7_number())


def new_uuid7_text() -> str:
    """Return the text of a new UUID of version 7, at half the cost of `str(new_uuid7())`."""
    digits = f"{_uuid7_number():032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _uuid7_number() -> int:
    tick = _TICK.next()
    tail = int.from_bytes(_RANDOM.take(), "big") & ((1 << 62) - 1)
    return (tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0x2 << 62 | tail


def uuid7_span(value: UUID) -> tuple[datetime, datetime]:
    """Return the millisecond of a UUID of version 7: its start (included) and end (excluded)."""
    since = _EPOCH + timedelta(milliseconds=min(value.int >> 80, _LAST_MILLISECOND))
    return since, since + timedelta(milliseconds=1)


def check_external_id(value: str, *, param: str) -> str:
    """Return `value` if it is a valid id.

    Raises:
        InvalidError: it is not; the error names `param`.
    """
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]  hosts without types give numbers
        raise InvalidError(f"{param} must be a text, not {type(value).__name__}; give str({value!r})", param=param)
    if not _EXTERNAL_ID.fullmatch(value):
        raise InvalidError(f"{param} must be 1 to 255 characters of A-Z a-z 0-9 . _ : @ | + / = -", param=param)
    return value


def check_user_id(value: str, *, param: str = "user_id") -> str:
    """Return `value` if it is a valid user id.

    Raises:
        InvalidError: it is not, or it begins with `org:`, which is reserved for organisations.
    """
    if check_external_id(value, param=param).startswith(ORGANIZATION_PREFIX):
        raise InvalidError(
            f"{param} must not begin with {ORGANIZATION_PREFIX!r}; that names an organisation", param=param
        )
    return value


def is_reserved(value: str) -> bool:
    """Return whether an id is reserved for credentials, internal actors or erased users."""
    name = value.removeprefix(ORGANIZATION_PREFIX).lower()
    return name in RESERVED_NAMES or name.startswith(RESERVED_PREFIXES)


def check_not_reserved(value: str, *, param: str = "user_id") -> str:
    """Return `value` if a new user or organisation may have this id.

    Raises:
        InvalidError: the id is reserved; the error names `param`.
    """
    if is_reserved(value):
        raise reserved_error(value, param=param)
    return value


def reserved_error(value: str, *, param: str) -> InvalidError:
    """Return the error for an id that is reserved."""
    return InvalidError(
        f"{param} {value.removeprefix(ORGANIZATION_PREFIX)!r} is reserved: ids of users and organisations must not be "
        f"{', '.join(sorted(RESERVED_NAMES))}, nor begin with {' '.join(RESERVED_PREFIXES)}; choose another",
        param=param,
    )


def organization_owner_id(organization_id: str) -> str:
    """Return the owner id of an organisation's wallet."""
    return ORGANIZATION_PREFIX + check_external_id(organization_id, param="organization_id")


def organization_id_of(owner_id: str | None) -> str | None:
    """Return the organisation id of an owner id `org:<id>`; None for None."""
    return owner_id.removeprefix(ORGANIZATION_PREFIX) if owner_id is not None else None

"""Check of addresses in settings."""

from urllib.parse import urlsplit

__all__ = ["address_problem"]

_PORTS = range(1, 65_536)
_WITHOUT_HOST = ("postgres:", "postgresql:", "postgresql+asyncpg:", "unix:")
"""URLs that may name a socket instead of a host."""


def address_problem(url: str) -> str | None:
    """Return why `url` names no host and port, without repeating the URL: it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return (
            "its host or port cannot be read; a port is a number from 1 to 65535, and / ? # @ in a password are escaped"
        )
    if port is not None and port not in _PORTS:
        return "a port is a number from 1 to 65535"
    if not parts.hostname and not url.startswith(_WITHOUT_HOST):
        return "the host is missing"
    return None

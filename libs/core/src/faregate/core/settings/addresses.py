"""Checks of addresses in settings."""

from urllib.parse import SplitResult, parse_qsl, urlsplit

__all__ = ["address_problem"]

_PORTS = range(1, 65_536)
_POSTGRES = ("postgres:", "postgresql:", "postgresql+asyncpg:")
_WITHOUT_HOST = (*_POSTGRES, "unix:")
"""URLs that may name a socket instead of a host."""
_TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_UNESCAPED = "user and password cannot be told from the host; write / as %2F, ? as %3F, # as %23 and @ as %40 in them"


def address_problem(url: str) -> str | None:
    """Return why `url` names no host and port, without repeating the URL: it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return (
            "its host or port cannot be read; a port is a number from 1 to 65535, and in a password / is written %2F, ? %3F, "
            "# %23 and @ %40"
        )
    if port is not None and port not in _PORTS:
        return "a port is a number from 1 to 65535"
    if not parts.hostname and not url.startswith(_WITHOUT_HOST):
        return "the host is missing"
    return _postgres_problem(parts) if url.startswith(_POSTGRES) else None


def _postgres_problem(parts: SplitResult) -> str | None:
    """Return what the driver would misread: it takes what follows an unescaped character for host, database or options."""
    login_lost = "@" in parts.path + parts.query and "@" not in parts.netloc
    if parts.netloc.count("@") > 1 or parts.fragment or login_lost:
        return _UNESCAPED
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "sslmode" and value not in _TLS_MODES:
            return f"sslmode is {value!r}; it must be one of {', '.join(_TLS_MODES)}"
    return None

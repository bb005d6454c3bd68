"""Certificate authorities that clients of HTTP trust."""

import asyncio
import ssl
import threading
from functools import cache

__all__ = ["trusted_authorities"]

_reading = threading.Lock()


async def trusted_authorities() -> ssl.SSLContext:
    """Return the authorities of SSL_CERT_FILE or SSL_CERT_DIR, otherwise the usual ones, for the TLS of `httpx2`.

    They are read once per process, in a thread: that takes tens of milliseconds, in which the event loop would serve nobody. A
    process that is to trust other authorities is started again.
    """
    return _read() if _read.cache_info().currsize else await asyncio.to_thread(_read_once)


def _read_once() -> ssl.SSLContext:
    with _reading:
        return _read()


@cache
def _read() -> ssl.SSLContext:
    import httpx2

    return httpx2.create_ssl_context()

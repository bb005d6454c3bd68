"""Certificate authorities that clients of HTTP trust."""

import asyncio
import os
import ssl
from functools import lru_cache

__all__ = ["trusted_authorities"]


async def trusted_authorities() -> ssl.SSLContext:
    """Return the authorities of SSL_CERT_FILE or SSL_CERT_DIR, otherwise the usual ones, for the TLS of `httpx2`.

    They are read once per process, in a thread: that takes tens of milliseconds, in which the event loop would serve nobody. A
    process that is to trust a changed file is started again.
    """
    return await asyncio.to_thread(_read, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=4)
def _read(_file: str | None, _directory: str | None) -> ssl.SSLContext:
    import httpx2

    return httpx2.create_ssl_context()

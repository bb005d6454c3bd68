"""Authorities that clients of HTTP trust."""

import asyncio
import ssl
import threading
from collections.abc import Iterator

import httpx2
import pytest

from faregate.core.runtime import trusted_authorities as module
from faregate.core.runtime.trusted_authorities import trusted_authorities


@pytest.fixture
def unread() -> Iterator[None]:
    """Nothing was read before, and what the test reads is left to no other."""
    module._read.cache_clear()
    yield
    module._read.cache_clear()


@pytest.mark.usefixtures("unread")
async def test_they_are_read_once_and_the_event_loop_goes_on_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    readers, given = list[threading.Thread](), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def read() -> ssl.SSLContext:
        readers.append(threading.current_thread())
        return given

    monkeypatch.setattr(httpx2, "create_ssl_context", read)
    found = [*await asyncio.gather(*(trusted_authorities() for _ in range(3))), await trusted_authorities()]

    assert all(each is given for each in found)
    assert len(readers) == 1
    assert readers[0] is not threading.current_thread()

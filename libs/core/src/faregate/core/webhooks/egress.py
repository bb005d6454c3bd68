"""SSRF guard for URLs that callers set."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from faregate.core.errors import FaregateError
from faregate.core.webhooks.special_addresses import is_metadata, is_public

__all__ = ["Egress", "Target", "UnsafeUrlError", "is_public"]

_PORTS = frozenset({443, 8443})

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class UnsafeUrlError(FaregateError):
    """The address of a webhook resolves, or may resolve, to a forbidden network address."""

    code = "unsafe_url"

    def __init__(self, problem: str) -> None:
        super().__init__(f"url: {problem}", param="url")


@dataclass(frozen=True, slots=True)
class Target:
    """A checked destination: connect to `address`, with `host` as the requested host."""

    url: str
    host: str
    address: str
    port: int


class Egress:
    """Checks destinations.

    Args:
        allow_private: also allows private networks, http and any port, for receivers of the deployment itself; the metadata
            services of clouds are still refused.
        resolve: returns the network addresses of a name; for tests.
    """

    def __init__(self, *, allow_private: bool = False, resolve: Resolve | None = None) -> None:
        self._allow_private = allow_private
        self._resolve = resolve or _resolve

    def check(self, url: str) -> SplitResult:
        """Return the parts of `url` if its text is allowed.

        Raises:
            UnsafeUrlError: it is not a plain https address.
        """
        try:
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname
        except ValueError:
            raise UnsafeUrlError("is not an address such as https://hooks.example.com/faregate") from None
        if not host or any(letter <= " " or letter in "\\\x7f" for letter in url) or not url.isascii():
            raise UnsafeUrlError("is not an address such as https://hooks.example.com/faregate")
        if parts.username is not None or parts.password is not None:
            raise UnsafeUrlError("must not hold a user name or password")
        if parts.fragment:
            raise UnsafeUrlError("must not have a fragment")
        if self._allow_private and parts.scheme in {"http", "https"}:
            return parts
        if parts.scheme != "https":
            raise UnsafeUrlError("must begin with https://")
        if (port or 443) not in _PORTS:
            raise UnsafeUrlError(f"must use port {' or '.join(map(str, sorted(_PORTS)))}")
        return parts

    async def target(self, url: str) -> Target:
        """Resolve the host once and return the address to connect to, so that a later DNS answer has no effect.

        Raises:
            UnsafeUrlError: one of its addresses is not public, or a cloud's metadata service, or it has none.
        """
        parts = self.check(url)
        host = str(parts.hostname)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):
            raise UnsafeUrlError("the host cannot be resolved; check its name") from None
        if not addresses:
            raise UnsafeUrlError("the host has no address; check its name")
        if any(is_metadata(address) for address in addresses):
            raise UnsafeUrlError("leads to the metadata service of a cloud; give the host of your receiver")
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise UnsafeUrlError("leads to an address that is not public; give a host of the public Internet")
        return Target(url, host, addresses[0], port)


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]

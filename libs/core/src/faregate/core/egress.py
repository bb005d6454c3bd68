"""Where we may send requests that somebody else has given the address of: to the public Internet, and nowhere inside."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from faregate.core.errors import FaregateError

__all__ = ["Egress", "Target", "UnsafeUrlError", "is_public"]

_PORTS = frozenset({443, 8443})
_TRANSLATED = (
    ip_network("64:ff9b::/96"),
    ip_network("64:ff9b:1::/48"),
    ip_network("2002::/16"),
    ip_network("2001::/32"),
)
"""IPv6 that carries an IPv4 address inside: NAT64, 6to4, Teredo. What it leads to cannot be told."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class UnsafeUrlError(FaregateError):
    """The address of a webhook leads, or may lead, to where it must not."""

    code = "unsafe_url"

    def __init__(self, problem: str) -> None:
        super().__init__(f"url: {problem}", param="url")


@dataclass(frozen=True, slots=True)
class Target:
    """An address that was looked at: connect to `address`, ask for `host`."""

    url: str
    host: str
    address: str
    port: int


class Egress:
    """Decides about addresses.

    Args:
        allow_private: lets everything pass, for deployments whose receivers are their own.
        resolve: returns the network addresses of a name; for tests.
    """

    def __init__(self, *, allow_private: bool = False, resolve: Resolve | None = None) -> None:
        self._allow_private = allow_private
        self._resolve = resolve or _resolve

    def check(self, url: str) -> SplitResult:
        """Return the parts of `url` if it may be one of ours, as far as its text tells.

        Raises:
            UnsafeUrlError: it is no plain https address.
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
        """Resolve the host once, and return where to connect: whoever answers differently later is not asked again.

        Raises:
            UnsafeUrlError: one of its addresses is not public, or it has none.
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
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise UnsafeUrlError("leads to an address that is not public; give a host of the public Internet")
        return Target(url, host, addresses[0], port)


def is_public(address: str) -> bool:
    """Tell whether a network address is one of the public Internet's, and surely so."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if isinstance(found, IPv6Address) and any(found in network for network in _TRANSLATED):
        return False
    return _is_global(found)


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )
    return address.is_global and not special and not getattr(address, "is_site_local", False)


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]

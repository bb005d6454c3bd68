"""Client addresses behind trusted proxies."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["ForwardedAddress", "Networks", "address_of", "client_of"]

Networks = Sequence[IPv4Network | IPv6Network]


class ForwardedAddress:
    """Sets the client's address and scheme in the scope from the headers of trusted proxies; headers of others are ignored."""

    def __init__(self, app: ASGIApp, trusted: Networks) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if scope["type"] == "http" and client and _is_trusted(address_of(client[0]), self._trusted):
            headers = Headers(scope=scope)
            scope["client"] = (client_of(client[0], headers.getlist("x-forwarded-for"), self._trusted), 0)
            if headers.get("x-forwarded-proto") in {"http", "https"}:
                scope["scheme"] = headers["x-forwarded-proto"]
        await self._app(scope, receive, send)


def client_of(peer: str, forwarded_for: Sequence[str], trusted: Networks) -> str:
    """Return the nearest address that is not a trusted proxy's; the search stops before a value that is not an address."""
    nearest = peer
    for part in reversed(",".join(forwarded_for).split(",")):
        address = address_of(part.strip())
        if address is None:
            return nearest
        nearest = str(address)
        if not _is_trusted(address, trusted):
            return nearest
    return nearest


def address_of(text: str | None) -> IPv4Address | IPv6Address | None:
    """Return a network address without port, and an IPv4 address mapped into IPv6 as IPv4; None for anything else."""
    if not text or len(text) > 64:
        return None
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _is_trusted(address: IPv4Address | IPv6Address | None, trusted: Networks) -> bool:
    return address is not None and any(address in network for network in trusted)

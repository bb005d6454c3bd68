"""Network addresses that are not public hosts, after IANA's registries.

Python's `ipaddress` follows the registries of its own release and lacks, for instance, 3fff::/20 and 192.0.0.8/29. To update:
fetch both registries, enter the block of each row here, and set `SNAPSHOT`.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["METADATA", "SNAPSHOT", "SOURCES", "SPECIAL", "is_metadata", "is_public"]

SNAPSHOT = "2026-07-18"
"""The date of the registries' contents below."""

SOURCES = (
    "https://www.iana.org/assignments/iana-ipv4-special-registry/",
    "https://www.iana.org/assignments/iana-ipv6-special-registry/",
    "https://www.iana.org/assignments/ipv4-address-space/",
    "https://www.iana.org/assignments/ipv6-address-space/",
)

SPECIAL = (
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private use"),
    ("100.64.0.0/10", "shared address space"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link local"),
    ("172.16.0.0/12", "private use"),
    ("192.0.0.0/24", "IETF protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "automatic multicast tunneling"),
    ("192.88.99.0/24", "6to4 and 6a44 relay anycast, deprecated"),
    ("192.168.0.0/16", "private use"),
    ("192.175.48.0/24", "AS112 direct delegation"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved, and limited broadcast"),
    ("64:ff9b:1::/48", "IPv4-IPv6 translation, local use"),
    ("100::/64", "discard only"),
    ("100:0:0:1::/64", "dummy prefix"),
    ("2001::/23", "IETF protocol assignments: Teredo, benchmarking, ORCHID, anycasts"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "AS112 direct delegation"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "unique local"),
    ("fe80::/10", "link local"),
    ("fec0::/10", "site local, deprecated"),
    ("ff00::/8", "multicast"),
)
"""Blocks without public hosts. They include anycast services that are globally reachable: none of these receives webhooks."""

METADATA = (
    ("169.254.0.0/16", "AWS, Google Cloud, Azure, DigitalOcean, Tencent and others; ECS and EKS credentials"),
    ("168.63.129.16/32", "Azure WireServer"),
    ("192.0.0.192/32", "Oracle Cloud"),
    ("100.100.100.200/32", "Alibaba Cloud"),
    ("fd00:ec2::/32", "AWS over IPv6"),
    ("fd20:ce::254/128", "Google Cloud over IPv6"),
)
"""Addresses where clouds serve a machine's own credentials. Azure's is in no registry: it looks like a public address."""

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


def _networks(rows: tuple[tuple[str, str], ...]) -> tuple[_Network, ...]:
    return tuple(ip_network(block) for block, _ in rows)


_SPECIAL = _networks(SPECIAL)
_METADATA = _networks(METADATA)
_GLOBAL_UNICAST = ip_network("2000::/3")
_MAPPED = ip_network("::ffff:0:0/96")
_NAT64 = ip_network("64:ff9b::/96")
_NAT64_LOCAL = ip_network("64:ff9b:1::/48")
_COMPATIBLE = ip_network("::/96")
_LOW = 0xFFFF_FFFF


def is_public(address: str) -> bool:
    """Return whether a network address is certainly a host of the public Internet; False for text that is not an address.

    An IPv4 address inside an IPv6 address is judged as itself (IPv4-mapped, NAT64). IPv6 must be global unicast.
    """
    found = _parsed(address)
    if found is None or is_metadata(address) or _lies_in(found, _SPECIAL):
        return False
    if isinstance(found, IPv4Address) or found in _GLOBAL_UNICAST:
        return True
    carries = found in _MAPPED or found in _NAT64
    return carries and not any(_lies_in(inner, _SPECIAL) for inner in _embedded(found))


def is_metadata(address: str) -> bool:
    """Return whether a network address is, or contains, one where a cloud serves credentials."""
    found = _parsed(address)
    return found is not None and any(_lies_in(each, _METADATA) for each in (found, *_embedded(found)))


def _parsed(address: str) -> _Address | None:
    try:
        return ip_address(address.partition("%")[0])
    except ValueError:
        return None


def _lies_in(address: _Address, networks: tuple[_Network, ...]) -> bool:
    return any(address in network for network in networks)


def _embedded(address: _Address) -> Iterator[IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address may be translated to."""
    if isinstance(address, IPv4Address):
        return
    bits = int(address)
    if any(address in network for network in (_MAPPED, _NAT64, _NAT64_LOCAL, _COMPATIBLE)):
        yield IPv4Address(bits & _LOW)
    if address in _NAT64_LOCAL:  # the form of RFC 6052 for a prefix of 48 bits, around the octet that is always zero
        yield IPv4Address(bits >> 48 & 0xFFFF_0000 | bits >> 40 & 0xFFFF)
    if address.sixtofour is not None:
        yield address.sixtofour
    yield from address.teredo or ()

"""Device, platform and country of the client of a request.

Device and platform come from the user agent, the country from a header or from a file. Addresses and user agents are not
stored.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from faregate.core.errors import MissingExtraError
from faregate.core.runtime.bounded_memory import bounded_cache
from faregate.usage.events.event import Device

__all__ = ["country_reader", "device_of"]

_LONGEST_AGENT = 512
_DESKTOPS = frozenset({"Windows", "Mac OS X", "Linux", "Chrome OS", "Ubuntu", "Fedora", "Debian", "FreeBSD"})
_TABLETS = frozenset({"iPad", "Kindle", "Kindle Fire"})


def device_of(agent: str) -> tuple[Device | None, str | None]:
    """Return the kind of device and its platform (`iOS`, `Windows`, …); programs other than browsers are servers.

    Requires `faregate[tracking]`; without it nothing is known. Only the first 512 characters of a user agent are read.
    """
    return _device_of(agent[:_LONGEST_AGENT])


@lru_cache(maxsize=4096)
def _device_of(agent: str) -> tuple[Device | None, str | None]:
    if not agent or find_spec("ua_parser") is None:
        return None, None
    import ua_parser

    found = ua_parser.parse(agent)
    platform = found.os.family if found.os is not None else None
    family = found.device.family if found.device is not None else None
    return _device(agent, platform, family), platform


def _device(agent: str, platform: str | None, family: str | None) -> Device:
    if family == "Spider":
        return "bot"
    if family in _TABLETS or (platform == "Android" and "Mobile" not in agent):
        return "tablet"
    if platform in {"iOS", "Android", "Windows Phone"}:
        return "mobile"
    if platform in _DESKTOPS and agent.startswith("Mozilla/"):
        return "desktop"
    return "other" if agent.startswith("Mozilla/") else "server"


def country_reader(
    header: str | None, file: Path | None
) -> Callable[[Mapping[bytes, bytes], str | None], str | None] | None:
    """Return a function from request headers and client address to a country (two letters); None if neither is given.

    Args:
        header: a header that a trusted proxy sets, such as `cf-ipcountry`; it takes precedence.
        file: a country database in MaxMind's format, supplied by the user.

    Raises:
        MissingExtraError: a file is given, and `faregate[tracking]` is not installed.
    """
    if header is None and file is None:
        return None
    name, look_up = (header or "").lower().encode(), _file_reader(file) if file is not None else None

    def country(headers: Mapping[bytes, bytes], address: str | None) -> str | None:
        given = headers.get(name, b"").decode("latin-1").strip().upper()
        if len(given) == 2 and given.isascii() and given.isalpha() and given not in {"XX", "ZZ"}:
            return given
        return look_up(address) if look_up is not None and address is not None else None

    return country


def _file_reader(file: Path) -> Callable[[str], str | None]:
    if find_spec("maxminddb") is None:
        raise MissingExtraError("Reading countries from a file", "tracking")
    import maxminddb

    database: Any = maxminddb.open_database(file)  # pyright: ignore[reportUnknownMemberType]

    @bounded_cache(entries=4096, longest=64)
    def look_up(address: str) -> str | None:
        try:
            found: dict[str, dict[str, str]] = database.get(address) or {}
        except ValueError:
            return None  # the address of a Unix socket or a test client
        return (found.get("country") or found.get("registered_country") or {}).get("iso_code")

    return look_up

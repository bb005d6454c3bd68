"""Who asks, as far as a request tells: device and platform from the user agent, the country from a header or a file.

Addresses and user agents are looked at and not kept.
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
    """Return the kind of device and its platform (`iOS`, `Windows`, …); programs that are no browsers are servers.

    Nothing is known without `faregate[tracking]`. Of a long user agent the first 512 characters count.
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
    """Return what tells a country (two letters) by a request's headers and the client's address; None for neither.

    Args:
        header: one that a trusted proxy sets, such as `cf-ipcountry`; it wins.
        file: a database in MaxMind's format with countries, which the user brings.

    Raises:
        MissingExtraError: a file is given, and `faregate[tracking]` is not installed.
    """
    if header is None and file is None:
        return None
    name, look_up = (header or "").lower().encode(), _file_reader(file) if file is not None else None

    def country(headers: Mapping[bytes, bytes], address: str | None) -> str | None:
        said = headers.get(name, b"").decode("latin-1").strip().upper()
        if len(said) == 2 and said.isascii() and said.isalpha() and said not in {"XX", "ZZ"}:
            return said
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

"""IANA time zones of the installed `tzdata` release.

Read from the package, never from the operating system, so that all processes of a deployment use the same rules, and a machine
with old data does not shift day boundaries.
"""

from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from faregate.core.errors import InvalidError

__all__ = ["known_time_zones", "time_zone"]


@cache
def known_time_zones() -> frozenset[str]:
    """Return the names of all zones."""
    return frozenset(files("tzdata").joinpath("zones").read_text().split())


def time_zone(name: str, *, param: str = "timezone") -> ZoneInfo:
    """Return a time zone by its IANA name.

    Raises:
        InvalidError: there is no zone of that name; names `param`.
    """
    if name not in known_time_zones():
        close = get_close_matches(name[:64], known_time_zones(), n=1)
        meant = f"did you mean {close[0]}?" if close else "use a name such as Europe/Berlin or UTC"
        raise InvalidError(f"{param} is not a known IANA time zone; {meant}", param=param)
    return _loaded(name)


@cache
def _loaded(name: str) -> ZoneInfo:
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)

"""PostgreSQL URLs with one or several hosts."""

import re
from urllib.parse import SplitResult, urlsplit

__all__ = ["split_postgres_url"]

_AFTER_HOSTS = re.compile("[/?#]")


def split_postgres_url(url: str) -> SplitResult:
    """Split a URL as `urlsplit` does, also one whose host is a list, such as `a:5432,[::1]:5433`.

    `urlsplit` alone refuses such a list where it checks what stands before and after brackets, as in Debian 12's Python 3.11.2.

    Raises:
        ValueError: the URL cannot be read.
    """
    before, slashes, rest = url.partition("//")
    authority = _AFTER_HOSTS.split(rest, maxsplit=1)[0]
    login, at, hosts = authority.rpartition("@")
    if "," not in hosts:
        return urlsplit(url)
    after = rest[len(authority) :]
    return urlsplit(f"{before}{slashes}{login}{at}{after}")._replace(netloc=authority)

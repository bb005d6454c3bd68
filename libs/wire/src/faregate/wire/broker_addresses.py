"""Addresses of a broker's nodes."""

import re

__all__ = ["broker_addresses"]

_BETWEEN = re.compile(r"\s*,\s*(?=amqps?://)")


def broker_addresses(urls: str) -> tuple[str, ...]:
    """Return the URLs in a list that is separated by commas; a comma within a URL, such as in its password, is a part of it."""
    return tuple(_BETWEEN.split(urls.strip()))

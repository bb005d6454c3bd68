"""Checks of addresses in settings."""

from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from faregate.core.values.postgres_url import split_postgres_url
from faregate.wire.broker_addresses import broker_addresses

__all__ = ["address_problem", "broker_problem", "clickhouse_problem", "one_url_per_server"]

_PORTS = range(1, 65_536)
_POSTGRES = ("postgres:", "postgresql:", "postgresql+asyncpg:")
_WITHOUT_HOST = (*_POSTGRES, "unix:")
"""URLs that may name a socket instead of a host."""
_TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_UNESCAPED = "user and password cannot be told from the host; write / as %2F, ? as %3F, # as %23 and @ as %40 in them"
_UNREADABLE = (
    "its host or port cannot be read; a port is a number from 1 to 65535, and in a password / is written %2F, ? %3F, # %23 and "
    "@ %40"
)
_WHOLE_URLS = "several brokers are several whole URLs, separated by commas: amqp://…@a:5672/,amqp://…@b:5672/"


def address_problem(url: str) -> str | None:
    """Return why `url` names no host and port, without repeating the URL: it may hold a password."""
    if not url.startswith(_POSTGRES):
        return _host_problem(url)
    try:
        problem = _postgres_problem(split_postgres_url(url))
    except ValueError:
        return _UNREADABLE
    servers = one_url_per_server(url) if problem is None else ()
    return problem or next(filter(None, map(_host_problem, servers)), None)


def broker_problem(urls: str) -> str | None:
    """Return what is wrong with the addresses of one or several brokers, without repeating them."""
    for url in broker_addresses(urls):
        problem = _host_problem(url)
        if problem is not None:
            return _WHOLE_URLS if "," in url.rpartition("@")[2] else problem
    return None


def clickhouse_problem(url: str) -> str | None:
    """Return what is wrong with the URL of ClickHouse's HTTP interface, without repeating it."""
    if not url.startswith(("http://", "https://")):
        return "it must begin with http:// or https://; the HTTP interface has port 8123, or 8443 with TLS"
    problem = _host_problem(url)
    if problem is not None:
        return problem
    parts = urlsplit(url)
    if parts.netloc.count("@") > 1 or parts.query or parts.fragment:
        return f"after the database nothing may follow; {_UNESCAPED}"
    return "it must end with one database: http://host:8123/database" if "/" in parts.path.strip("/") else None


def one_url_per_server(url: str) -> tuple[str, ...]:
    """Return a URL for each server that a URL of PostgreSQL names, as `a:5432,b:5432` or as `?host=a,b&port=5432,5432`.

    Of several servers, the one is meant that accepts writes, unless the URL names another `target_session_attrs`.
    """
    parts = split_postgres_url(url)
    login, at, hosts = parts.netloc.rpartition("@")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    named = hosts.split(",") if hosts else options.get("host", "").split(",")
    if len(named) == 1:
        return (url,)
    options.setdefault("target_session_attrs", "read-write")
    if hosts:
        return tuple(_url_with(parts._replace(netloc=f"{login}{at}{host}"), options) for host in named)
    ports = options.get("port", "").split(",")
    ports = ports * len(named) if len(ports) == 1 else ports
    pairs = zip(named, ports, strict=False)
    return tuple(_url_with(parts, options | {"host": host} | ({"port": port} if port else {})) for host, port in pairs)


def _url_with(parts: SplitResult, options: dict[str, str]) -> str:
    return urlunsplit(parts._replace(query=urlencode(options, safe="/", quote_via=quote)))


def _host_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return _UNREADABLE
    if port is not None and port not in _PORTS:
        return "a port is a number from 1 to 65535"
    if not parts.hostname and not url.startswith(_WITHOUT_HOST):
        return "the host is missing"
    return None


def _postgres_problem(parts: SplitResult) -> str | None:
    """Return what the driver would misread: it takes what follows an unescaped character for host, database or options."""
    login_lost = "@" in parts.path + parts.query and "@" not in parts.netloc
    if parts.netloc.count("@") > 1 or parts.fragment or login_lost:
        return _UNESCAPED
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "sslmode" and value not in _TLS_MODES:
            return f"sslmode is {value!r}; it must be one of {', '.join(_TLS_MODES)}"
    return None

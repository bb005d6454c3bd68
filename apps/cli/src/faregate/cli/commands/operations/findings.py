"""Checks of `faregate doctor` on security, Redis, ClickHouse and reports."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from faregate.core.errors import EngineUnavailableError, FaregateError, MissingExtraError
from faregate.core.webhooks.special_addresses import SNAPSHOT

if TYPE_CHECKING:
    from faregate.core.db.database import Database
    from faregate.core.settings import Settings

__all__ = [
    "Finding",
    "look_at_clickhouse",
    "look_at_key_set",
    "look_at_names",
    "look_at_redis",
    "look_at_reports",
    "look_at_security",
]

_REPORTS_READ = 1000
_REPORT_MODULES = ("mrml", "css_inline", "resvg_py")


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check; `fix` says what to do if it is not ok."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def look_at_security(settings: Settings) -> list[Finding]:
    """Return the findings on users' tokens and on webhooks; an incomplete setting is a problem."""
    return [_tokens(settings), _webhooks(settings)]


def look_at_names() -> Finding:
    """Return the finding on the settings, which could be read; it lists variables with the prefix that are none."""
    from faregate.core.settings.reading import ignored_names

    ignored = ", ".join(ignored_names())
    return Finding(
        "settings", ok=True, detail="all readable" + (f"; ignored, as no setting: {ignored}" if ignored else "")
    )


async def look_at_key_set(settings: Settings) -> list[Finding]:
    """Return whether the public keys of users' tokens can be fetched, if the settings name a key set."""
    if settings.jwks_url is None:
        return []
    try:
        from faregate.gateway.security.jwks import KeySet
    except ImportError:
        return [
            Finding("key set", ok=False, detail="the gateway is not installed", fix='pip install "faregate[gateway]"')
        ]
    try:
        keys = await KeySet(settings.jwks_url).check()
    except EngineUnavailableError as error:
        problem, _, fix = error.detail.rpartition("; ")
        return [Finding("key set", ok=False, detail=problem, fix=fix)]
    return [Finding("key set", ok=True, detail=f"{keys} public keys for users' tokens")]


async def look_at_redis(settings: Settings) -> list[Finding]:
    """Return whether Redis answers, if the settings name one."""
    if settings.redis_url is None:
        return []
    try:
        from redis.asyncio import Redis
        from redis.exceptions import RedisError
    except ImportError:
        return [Finding("redis", ok=False, detail="redis is not installed", fix='pip install "faregate[redis]"')]
    client: Any = cast("Any", Redis).from_url(settings.redis_url, socket_connect_timeout=3, socket_timeout=3)
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        fix = "start it, or check FAREGATE_REDIS_URL; until then reads are not limited"
        return [Finding("redis", ok=False, detail=f"does not answer ({type(error).__name__})", fix=fix)]
    finally:
        await client.aclose()
    return [Finding("redis", ok=True, detail="answers")]


async def look_at_clickhouse(settings: Settings) -> list[Finding]:
    """Return whether ClickHouse answers, if the settings name one."""
    from faregate.analytics.columnar.clickhouse.address import ClickHouseAddress
    from faregate.analytics.columnar.clickhouse.client import ClickHouseClient
    from faregate.analytics.columnar.container import make_place

    if settings.clickhouse_url is None:
        return []
    try:
        make_place(settings)
        address = ClickHouseAddress.of(settings.clickhouse_url.get_secret_value())
        ((version,),) = await ClickHouseClient(address, timeout_seconds=5).rows("select version()")
    except MissingExtraError as error:
        return [Finding("clickhouse", ok=False, detail="httpx2 is not installed", fix=error.detail.partition(": ")[2])]
    except FaregateError as error:
        problem, _, fix = error.detail.rpartition("; ")
        return [Finding("clickhouse", ok=False, detail=problem, fix=fix)]
    return [Finding("clickhouse", ok=True, detail=f"ClickHouse {version}: {address}")]


async def look_at_reports(settings: Settings, database: Database) -> list[Finding]:
    """Return whether reports can be mailed, if there are active ones."""
    from faregate.analytics.reports.repository import ReportRepository

    async with database.transaction(read_only=True) as session:
        found = await ReportRepository(database).subscriptions(session, limit=_REPORTS_READ)
    active = sum(each.next_at is not None for each in found)
    if not active:
        return []
    missing = [name for name in _REPORT_MODULES if find_spec(name) is None]
    if missing:
        detail = f"{active} active reports, and {missing[0]} is not installed"
        return [Finding("reports", ok=False, detail=detail, fix='pip install "faregate[reports]"')]
    if settings.smtp_url is None:
        detail = f"{active} active reports, and no mail server"
        return [Finding("reports", ok=False, detail=detail, fix="set FAREGATE_SMTP_URL for the workers")]
    links = "one-click unsubscribing" if settings.public_url else "no link to unsubscribe without FAREGATE_PUBLIC_URL"
    return [Finding("reports", ok=True, detail=f"{active} active reports; {links}")]


def _tokens(settings: Settings) -> Finding:
    from faregate.core.settings.unchecked_claims import unchecked_claims

    if settings.jwks_url is None and settings.jwt_secret is None:
        return Finding("tokens", ok=True, detail="no users' tokens: neither FAREGATE_JWKS_URL nor FAREGATE_JWT_SECRET")
    unchecked = unchecked_claims(settings)
    if unchecked:
        return Finding(
            "tokens",
            ok=False,
            detail="; ".join(f"`{each.claim}` is not checked: {each.risk}" for each in unchecked),
            fix=f"set {' and '.join(each.setting for each in unchecked)} to what your identity provider issues",
        )
    return Finding("tokens", ok=True, detail="users' tokens are verified")


def _webhooks(settings: Settings) -> Finding:
    if settings.webhook_allow_private:
        detail = (
            "http, any port and private networks are allowed (FAREGATE_WEBHOOK_ALLOW_PRIVATE); "
            "only metadata services of clouds are blocked"
        )
    else:
        detail = (
            "public https targets on port 443 or 8443 only; private and special addresses as of "
            f"{SNAPSHOT} are blocked (FAREGATE_WEBHOOK_ALLOW_PRIVATE is not set)"
        )
    return Finding("webhooks", ok=True, detail=detail)

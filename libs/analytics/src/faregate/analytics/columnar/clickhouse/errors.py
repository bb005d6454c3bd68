"""Errors of ClickHouse, each with its fix."""

import re

from faregate.analytics.columnar.clickhouse.address import ClickHouseAddress
from faregate.core.errors import EngineUnavailableError

__all__ = ["ClickHouseError", "ClickHouseRefusedError", "refused", "unreachable"]

_URL = "FAREGATE_CLICKHOUSE_URL"
_LOGIN = (f"refuses the user {{address.user!r}}; correct user and password in {_URL}", frozenset({192, 193, 194, 516}))
_RIGHTS = (
    "lacks a right of the user {address.user!r} ({reason}); the worker needs CREATE TABLE, INSERT, SELECT and ALTER DELETE on the "
    "database, gateways SELECT, and both CREATE TEMPORARY TABLE"
)
_READONLY = "does not let the user {address.user!r} set limits ({reason}); give its profile readonly = 2 instead of 1"
_FIXES = (
    _LOGIN,
    (f"has no database {{address.database!r}}; create it, or name another one in {_URL}", frozenset({81})),
    (_RIGHTS, frozenset({497})),
    (_READONLY, frozenset({164})),
)
_LOGIN_STATUS = 401
_SHOWN = 300


class ClickHouseError(EngineUnavailableError):
    """ClickHouse did not answer; the text names its address and the fix, and no password."""


class ClickHouseRefusedError(ClickHouseError):
    """ClickHouse answered with an error of its own; `number` is ClickHouse's code, 0 if it gave none."""

    def __init__(self, detail: str, number: int) -> None:
        super().__init__(detail)
        self.number = number


def unreachable(address: ClickHouseAddress, error: Exception) -> ClickHouseError:
    """Return the error for a server that does not answer, or not in time."""
    reason = str(error) or type(error).__name__
    return ClickHouseError(
        f"ClickHouse at {address} does not answer ({reason}); start it, or correct host and port in {_URL}"
    )


def refused(address: ClickHouseAddress, status: int, code: str | None, text: str) -> ClickHouseError:
    """Return the error for an answer that is no result."""
    found = re.search(r"Code: (\d+)", text)
    number = int(code or (found[1] if found else 0))
    if not number and status != _LOGIN_STATUS:
        return ClickHouseError(
            f"what answers at {address} is not ClickHouse's HTTP interface (status {status}); correct host and port in {_URL}"
        )
    reason = text.strip().partition("\n")[0][:_SHOWN]
    form = _LOGIN[0] if status == _LOGIN_STATUS else next((form for form, codes in _FIXES if number in codes), None)
    said = form.format(address=address, reason=reason) if form else f"refuses: {reason}; see its log"
    return ClickHouseRefusedError(f"ClickHouse at {address} {said}", number)

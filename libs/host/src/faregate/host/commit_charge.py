"""Charge that follows the commit of a host's transaction, on any driver."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from sqlalchemy import Connection, CursorResult, text
from sqlalchemy.orm import Session

from faregate.client.request_bodies import settlement_body
from faregate.core.db.statements import Sql
from faregate.core.errors import InvalidError
from faregate.host.arguments import storable
from faregate.host.sql import MESSAGE_ADD
from faregate.usage.credits_process.bodies import EndMultimodelBody, validated
from faregate.usage.values import ModelUsage
from faregate.wire import exact_json
from faregate.wire.ids import new_uuid7
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE

__all__ = ["ICursor", "add_charge"]


class ICursor(Protocol):
    """A cursor of the DB-API whose parameters are `%(name)s`, such as psycopg's or Django's."""

    @property
    def execute(self) -> Callable[..., Any]: ...


def add_charge(
    transaction: Session | Connection | ICursor,
    schema: str,
    place: str,
    feature: str,
    user: str,
    *,
    key: str | None = None,
    usages: Sequence[ModelUsage] = (),
    metadata: Mapping[str, Any] | None = None,
    organization: str | None = None,
) -> str:
    """Write a settlement into the outbox by the host's own connection; return its usage key.

    Raises:
        InvalidError: an argument is not valid; or `transaction` is neither a session, a connection nor a cursor, is in autocommit,
            or is in another database than `place` (`SessionCheck.own_place`).
    """
    usage_key = str(new_uuid7()) if key is None else key
    body = settlement_body(
        feature, user, usage_key, usages=usages, organization_id=organization, metadata=storable(metadata)
    )
    validated(EndMultimodelBody, body)  # an error belongs to the caller, not to the worker's dead letters
    parameters = {
        "message_id": str(new_uuid7()),
        "queue": SETTLE_MULTIMODEL_QUEUE,
        "body": exact_json.dumps(body).decode(),
        "headers": "{}",
        "place": place,
    }
    if _execute(transaction, Sql(schema).text(MESSAGE_ADD), parameters) != 1:
        raise InvalidError(
            "transaction: it is in another database than Faregate; give both the same URL", param="transaction"
        )
    return usage_key


def _execute(transaction: Any, sql: str, parameters: Mapping[str, Any]) -> int:
    """Run a statement in the host's transaction; return the number of its rows."""
    if isinstance(transaction, Session | Connection):
        connection = transaction.connection() if isinstance(transaction, Session) else transaction
        _check_transaction(connection.connection.dbapi_connection)
        return cast("CursorResult[Any]", transaction.execute(text(sql), parameters)).rowcount
    if not (hasattr(transaction, "execute") and hasattr(transaction, "fetchone")):
        raise InvalidError(
            f"transaction: a {type(transaction).__name__} is neither SQLAlchemy's Session or Connection nor a cursor; in "
            "Django give `connection.cursor()`",
            param="transaction",
        )
    _check_transaction(transaction.connection)
    transaction.execute(_pyformat(sql, parameters), parameters)
    return int(transaction.rowcount)


def _check_transaction(connection: Any) -> None:
    """Raise if each statement of a DB-API connection commits at once, whatever the host does afterwards."""
    if getattr(connection, "autocommit", False):
        raise InvalidError(
            "transaction: the connection is in autocommit, so there is nothing to follow; open a transaction (in Django "
            "`transaction.atomic()`), or use `charge`",
            param="transaction",
        )


def _pyformat(sql: str, names: Mapping[str, Any]) -> str:
    for name in names:
        sql = sql.replace(f":{name}", f"%({name})s")
    return sql

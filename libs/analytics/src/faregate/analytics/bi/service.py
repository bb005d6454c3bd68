"""Service of the views for business intelligence tools."""

from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.bi import sql
from faregate.analytics.bi.passwords import scram_verifier
from faregate.analytics.bi.values import BiView, DroppedRoles
from faregate.analytics.bi.views_sql import BI_VIEWS
from faregate.core.db.database import Database
from faregate.core.db.error_states import sqlstate
from faregate.core.errors import ConfigurationError, InvalidError, NotFoundError

__all__ = ["ROLE_TIMEOUT_SECONDS", "BiService", "bi_schema"]

ROLE_TIMEOUT_SECONDS = 60
"""How long a statement of a role may run, unless another time is given."""

_CHANGED_SHAPE = "42P16"
_IN_USE = "2BP01"
_NO_RIGHT = "42501"
_IDENTIFIER_BYTES = 63


def bi_schema(schema: str) -> str:
    """Return the schema of the views beside the schema of the tables."""
    return f"{schema}_bi"


class BiService:
    """Makes the schema of the views and the roles that read it; needs the rights of the owner of the tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def schema(self) -> str:
        """The schema of the views, such as `faregate_bi`."""
        return bi_schema(self._database.sql.schema)

    async def create(self) -> Sequence[BiView]:
        """Make the schema and its views, or bring them up to date, in one transaction. Safe to repeat; roles keep their rights.

        Raises:
            ConfigurationError: the role of this process lacks a right, or something of others depends on a view that must change.
        """
        try:
            async with self._database.transaction() as session:
                if not await self._exists(session):
                    await self._do(session, sql.create_schema(self.schema))
                for view in BI_VIEWS:
                    await self._make(session, view)
        except DBAPIError as error:
            raise self._told(error) from error
        return BI_VIEWS

    async def refresh(self) -> bool:
        """Bring the views up to date if there are any; return whether there are."""
        async with self._database.transaction(read_only=True) as session:
            exists = await self._exists(session)
        if exists:
            await self.create()
        return exists

    async def drop(self) -> None:
        """Drop the views and their schema. Safe to repeat.

        Raises:
            ConfigurationError: something of others is in the schema, or depends on a view; nothing is dropped.
        """
        try:
            async with self._database.transaction() as session:
                for view in BI_VIEWS:
                    await self._do(session, f"drop view if exists {sql.identifier(self.schema)}.{view.name}")
                await self._do(session, sql.drop_schema(self.schema))
        except DBAPIError as error:
            raise self._told(error) from error

    async def drop_with_roles(self) -> DroppedRoles:
        """Drop the views and the roles that `grant_role` has made for them alone. Safe to repeat.

        A role stays if it reads other views or owns something, in any database of the server, if it is a member of another role,
        or if the role of this process may not drop it.

        Raises:
            ConfigurationError: as `drop`.
        """
        async with self._database.transaction(read_only=True) as session:
            found = await self._database.rows(session, sql.ROLES_OF, schema=self.schema)
        await self.drop()
        dropped = {row.role: not row.is_member and await self._drop_role(row.role, row.database) for row in found}
        return DroppedRoles(
            [role for role, gone in dropped.items() if gone], [role for role, gone in dropped.items() if not gone]
        )

    async def _drop_role(self, role: str, database: str) -> bool:
        """Drop a role and return True, or leave it as it is."""
        try:
            async with self._database.transaction() as session:
                for statement in sql.drop_role_statements(role, database):
                    await self._do(session, statement)
        except DBAPIError as error:
            if sqlstate(error) not in {_IN_USE, _NO_RIGHT}:
                raise
            return False
        return True

    async def role_sql(
        self, role: str, *, password: str | None, timeout_seconds: int = ROLE_TIMEOUT_SECONDS
    ) -> Sequence[str]:
        """Return the statements of `grant_role`, for an administrator to run.

        Raises:
            InvalidError: the name, the password or the time is not valid, or the role is a superuser.
            NotFoundError: there are no views yet.
        """
        _check(role, password, timeout_seconds)
        async with self._database.transaction(read_only=True) as session:
            if not await self._exists(session):
                raise NotFoundError(f"there is no schema {self.schema}; run `faregate bi create` first")
            (found,) = await self._database.rows(session, sql.ROLE_FIND, role=role)
        if found.is_super:
            raise InvalidError(
                f"{role} is a superuser, whose rights cannot be narrowed; choose another name", param="role"
            )
        return sql.role_statements(
            role,
            self.schema,
            found.database,
            password=scram_verifier(password) if password is not None else None,
            exists=found.is_there,
            timeout_seconds=timeout_seconds,
        )

    async def grant_role(self, role: str, *, password: str | None, timeout_seconds: int = ROLE_TIMEOUT_SECONDS) -> None:
        """Make a role that reads the views and nothing else, or bring it up to date. Safe to repeat.

        Raises:
            ConfigurationError: the role of this process may not create roles.
        """
        statements = await self.role_sql(role, password=password, timeout_seconds=timeout_seconds)
        try:
            async with self._database.transaction() as session:
                for statement in statements:
                    await self._do(session, statement)
        except DBAPIError as error:
            raise self._told(error) from error

    async def _make(self, session: AsyncSession, view: BiView) -> None:
        statement = self._database.sql.text(sql.create_view(self.schema, view))
        try:
            async with session.begin_nested():
                await self._do(session, statement)
        except DBAPIError as error:
            if sqlstate(error) != _CHANGED_SHAPE:
                raise
            await self._do(session, f"drop view {sql.identifier(self.schema)}.{view.name}")
            await self._do(session, statement)
        for comment in sql.comment_statements(self.schema, view):
            await self._do(session, comment)

    async def _exists(self, session: AsyncSession) -> bool:
        return bool(await self._database.rows(session, sql.BI_FIND, schema=self.schema))

    async def _do(self, session: AsyncSession, statement: str) -> None:
        await session.execute(text(statement.replace(":", r"\:")))

    def _told(self, error: DBAPIError) -> Exception:
        cause: Any = error.orig.__cause__ if error.orig is not None else None
        said = cause.message if isinstance(cause, asyncpg.PostgresError) else str(error.orig)
        if sqlstate(error) == _NO_RIGHT:
            return ConfigurationError(
                f"{said}; run the command as the owner of the tables, who may create schemas and roles, or let an "
                "administrator run what `faregate bi role … --sql` prints"
            )
        if sqlstate(error) == _IN_USE:
            return ConfigurationError(f"{said}; drop what depends on it in {self.schema} first: {cause.detail}")
        return error


def _check(role: str, password: str | None, timeout_seconds: int) -> None:
    if not role or len(role.encode()) > _IDENTIFIER_BYTES or "\0" in role or role.startswith("pg_"):
        raise InvalidError(f"{role!r} is no name of a role; use 1 to 63 letters, such as analyst", param="role")
    if password is not None and not (password.isascii() and password.isprintable() and len(password) >= 12):
        raise InvalidError(
            "use at least 12 printable ASCII characters, or leave it out for a new one", param="password"
        )
    if timeout_seconds < 1:
        raise InvalidError("timeout_seconds must be at least 1", param="timeout_seconds")

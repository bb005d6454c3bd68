"""SQL of our schema, for SQLAlchemy and for the driver."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import asyncpg
from sqlalchemy import TextClause, text

from faregate.core.db.schema import SCHEMA

__all__ = ["Row", "Sql", "SqlStatement"]

_PARAMETER = re.compile(r"(?<![:\w]):([a-z]\w*)")
_QUALIFIER = re.compile(rf"\b{SCHEMA}\.(?=[a-z_])")


class Row(asyncpg.Record):
    """A row whose columns are attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True, slots=True)
class SqlStatement:
    """SQL for the configured schema, in two parameter styles: `:name` for SQLAlchemy, `$1` for the driver."""

    clause: TextClause
    driver_sql: str
    names: tuple[str, ...]


class Sql:
    """Turns SQL that names the schema `faregate` into statements for the configured schema."""

    def __init__(self, schema: str = SCHEMA) -> None:
        self.schema = schema
        self.statement: Callable[[str], SqlStatement] = lru_cache(maxsize=None)(self._statement)

    def text(self, sql: str) -> str:
        """Return `sql` with the configured schema in place of `faregate`."""
        return sql if self.schema == SCHEMA else _QUALIFIER.sub(f"{self.schema}.", sql)

    def _statement(self, sql: str) -> SqlStatement:
        qualified = self.text(sql)
        names = tuple(dict.fromkeys(_PARAMETER.findall(qualified)))
        driver_sql = _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", qualified)
        return SqlStatement(text(qualified), driver_sql, names)

"""SQL of the views' schema, its comments and its roles."""

import re
from collections.abc import Iterator

from faregate.analytics.bi.values import BiView

__all__ = [
    "BI_FIND",
    "BI_OBJECTS",
    "ROLES_OF",
    "ROLE_FIND",
    "comment_statements",
    "create_schema",
    "create_view",
    "drop_role_statements",
    "drop_schema",
    "identifier",
    "literal",
    "role_statements",
]

BI_FIND = "select 1 from pg_namespace where nspname = :schema"
"""The parameter is the schema of the views."""

BI_OBJECTS = """
select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = :schema and c.relkind in ('r', 'v', 'm', 'p', 'f', 'S') order by c.relname
"""
"""Everything in the schema of the views, ours and others'."""

ROLE_FIND = """
select current_database() as database, r.rolname is not null as is_there, coalesce(r.rolsuper, false) as is_super
from (values (cast(:role as text))) as wanted (name) left join pg_roles r on r.rolname = wanted.name
"""
"""Always one row."""

ROLES_OF = """
select r.rolname as role, current_database() as database,
  exists (select 1 from pg_auth_members m where m.member = r.oid) as is_member
from pg_roles r
where not (r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication)
  and exists (select 1 from pg_db_role_setting s where s.setrole = r.oid and s.setdatabase = 0
    and s.setconfig @> array['search_path=' || quote_ident(cast(:schema as text))])
order by r.rolname
"""
"""The roles whose search path is the schema of the views, as `role_statements` sets it."""

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def identifier(name: str) -> str:
    """Return a name as SQL."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def create_schema(schema: str) -> str:
    """Return the statement that makes the schema of the views."""
    return f"create schema {identifier(schema)}"


def drop_schema(schema: str) -> str:
    """Return the statement that drops the schema; it fails if something else is in it."""
    return f"drop schema if exists {identifier(schema)}"


def create_view(schema: str, view: BiView) -> str:
    """Return the statement that makes one view, or replaces it."""
    columns = ",\n  ".join(f"({c.expression})::{c.type} as {identifier(c.name)}" for c in view.columns)
    return f"create or replace view {identifier(schema)}.{view.name} as select\n  {columns}\nfrom {view.source}"


def comment_statements(schema: str, view: BiView) -> Iterator[str]:
    """Yield the statements that describe one view and its columns."""
    yield f"comment on view {identifier(schema)}.{view.name} is {literal(view.comment)}"
    for column in view.columns:
        place = f"{identifier(schema)}.{view.name}.{identifier(column.name)}"
        yield f"comment on column {place} is {literal(column.comment)}"


def role_statements(
    role: str, schema: str, database: str, *, password: str | None, exists: bool, timeout_seconds: int
) -> list[str]:
    """Return the statements that make a role, or bring it up to date: it reads the views and nothing else.

    `password` is what `create role … password` takes: a SCRAM verifier or a plain password; None keeps the present one.
    """
    name, views = identifier(role), identifier(schema)
    login = f"login password {literal(password)}" if password is not None else "login"
    return [
        f"{'alter' if exists else 'create'} role {name} {login}",
        f"alter role {name} set default_transaction_read_only = on",
        f"alter role {name} set statement_timeout = '{timeout_seconds}s'",
        f"alter role {name} set idle_in_transaction_session_timeout = '{timeout_seconds}s'",
        f"alter role {name} set search_path = {views}",
        f"alter role {name} set timezone = 'UTC'",
        f"grant connect on database {identifier(database)} to {name}",
        f"grant usage on schema {views} to {name}",
        f"grant select on all tables in schema {views} to {name}",
        f"alter default privileges in schema {views} grant select on tables to {name}",
    ]


def drop_role_statements(role: str, database: str) -> list[str]:
    """Return the statements that drop a role; they fail if anything is its own or may be read by it."""
    name = identifier(role)
    return [f"revoke connect on database {identifier(database)} from {name}", f"drop role {name}"]

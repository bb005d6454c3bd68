"""`faregate backup` and `faregate restore`: a database as one file."""

from __future__ import annotations

import asyncio
import os
import re
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote, urlunsplit

from cyclopts import Parameter

from faregate.cli.commands.credits.verify import run_verify
from faregate.cli.shared.auditing import audited, in_audit
from faregate.cli.shared.deployment import database_name, existing_deployment, of_tenant
from faregate.cli.shared.options import Output
from faregate.cli.shared.output import print_done
from faregate.core.db.subjects import Subjects
from faregate.core.errors import ConfigurationError, FaregateError
from faregate.core.runtime import event_loop
from faregate.core.runtime.private_files import private_file
from faregate.core.values.postgres_url import split_postgres_url

if TYPE_CHECKING:
    from faregate.core.db.database import Database
    from faregate.core.settings import Settings

__all__ = ["backup", "check_new", "dump_schema", "restore"]

_SCHEMA = re.compile(r"^\d+; \d+ \d+ SCHEMA - (\S+) ", re.MULTILINE)
"""A schema in the list of contents that pg_restore prints."""


@audited("database.backup", target=("file",), apart=True)
def backup(
    file: Annotated[Path, Parameter(help="File to write; must not exist.")], *, output: Output = "table"
) -> None:
    """Write all tables to one compressed file, as of one moment, while the servers keep running."""
    from faregate.core.container import make_database

    check_new(file)
    settings = existing_deployment()

    async def dump() -> None:
        database = make_database(settings)
        await database.open()
        try:
            await dump_schema(database, settings.db_schema, file)
            await _note(database)
        finally:
            await database.close()

    event_loop.run(dump())
    size = file.stat().st_size
    print_done(f"{file}: {size / 1024**2:.1f} MiB", {"file": file, "bytes": size}, output)


def check_new(file: Path) -> None:
    """Raise `ConfigurationError` if the file exists."""
    if file.exists():
        raise ConfigurationError(f"{file} exists; choose another name")


async def dump_schema(database: Database, schema: str, file: Path) -> None:
    """Write one schema to a file that only its owner may read; the file appears when it is complete and can be read back."""
    unfinished = file.with_name(file.name + ".unfinished")
    private_file(unfinished).close()  # pg_dump keeps the mode of an existing file
    options = ["--format=custom", f"--schema={schema}", f"--file={unfinished}"]
    await _run("pg_dump", *options, url=database.direct_url)
    await _run("pg_restore", "--list", str(unfinished))
    unfinished.rename(file)


@audited("database.restore", target=("file", "replace"), apart=True)
def restore(
    file: Annotated[Path, Parameter(help="File that `faregate backup` wrote.")],
    *,
    replace: Annotated[bool, Parameter(help="Drop the data that the database holds now.", negative="")] = False,
    output: Output = "table",
) -> int:
    """Restore a backup in one transaction, and verify its balances."""
    from faregate.core.settings import load_settings

    if not file.exists():
        raise ConfigurationError(f"{file} does not exist; give a file that `faregate backup` wrote")
    settings = of_tenant(load_settings())
    event_loop.run(_restore(settings, file, replace=replace))
    found = event_loop.run(run_verify(settings))
    event_loop.run(_note_restored(settings))
    facts = {"wallets": found.wallets, "transfers": found.transfers, "drifts": len(found.drifts)}
    sentence = f"restored {found.wallets:,} wallets, {found.transfers:,} transfers; {len(found.drifts)} drifts"
    print_done(f"{sentence}\nin {database_name(settings)}", {**facts, "database": database_name(settings)}, output)
    return 1 if found.drifts else 0


async def _restore(settings: Settings, file: Path, *, replace: bool) -> None:
    from faregate.core.container import make_database

    database, schema = make_database(settings), settings.db_schema
    await _check_schema(file, schema)
    await database.open()
    try:
        if not await _holds_something(database, schema):
            await _read(file, database.direct_url)
            return
        if not replace:
            raise ConfigurationError(f"the database already holds the schema {schema!r}; replace it with --replace")
        await _replace(file, database, schema)
    finally:
        await database.close()


async def _check_schema(file: Path, schema: str) -> None:
    """Check that a backup holds this schema and no other: it would be restored under its own name, beside what it replaces."""
    found = _SCHEMA.findall(await _run("pg_restore", "--list", str(file)))
    if found != [schema]:
        raise ConfigurationError(
            f"{file} holds {' and '.join(found) or 'no schema'}, not {schema!r}; restore it with --tenant of the tenant it was "
            "made of, or with FAREGATE_DB_SCHEMA. Nothing was changed"
        )


async def _note_restored(settings: Settings) -> None:
    from faregate.core.container import make_database

    database = make_database(settings)
    await database.open()
    try:
        await _note(database)
    finally:
        await database.close()


async def _note(database: Database) -> None:
    """Write the audit entry of the running command, whose work was done by programs of PostgreSQL."""
    from faregate.core.access.audit import AuditLog

    async def done() -> None: ...

    await in_audit(database, AuditLog(database, Subjects(database)), done)


async def _replace(file: Path, database: Database, schema: str) -> None:
    """Rename the present schema until the backup is restored; a backup that cannot be read changes nothing."""
    aside = f"{schema}_aside"
    if await _holds_something(database, aside):
        raise ConfigurationError(
            f"an interrupted restore left its data in the schema {aside!r}; check it, and rename or drop it"
        )
    await _execute(database, f'alter schema "{schema}" rename to "{aside}"')
    try:
        await _read(file, database.direct_url)
    except BaseException:
        await _execute(database, f'alter schema "{aside}" rename to "{schema}"')
        raise
    await _execute(database, f'drop schema "{aside}" cascade')


async def _read(file: Path, url: str) -> None:
    await _run("pg_restore", "--single-transaction", "--no-owner", "--exit-on-error", str(file), url=url)


async def _execute(database: Database, sql: str) -> None:
    async with database.connection() as connection:
        await connection.execute("set statement_timeout = 0")
        await connection.execute(sql)


async def _holds_something(database: Database, schema: str) -> bool:
    async with database.connection() as connection:
        return bool(await connection.fetchval("select 1 from pg_namespace where nspname = $1", schema))


async def _run(program: str, *arguments: str, url: str | None = None) -> str:
    """Run a program of PostgreSQL and return what it prints; a password is passed in the environment, which a list of processes
    does not show.
    """
    from faregate.core.db.embedded import postgres_program

    environment = dict(os.environ)
    if url is not None:
        parts = split_postgres_url(url)
        if parts.password is not None:
            environment["PGPASSWORD"] = unquote(parts.password)
            parts = parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", "@", 1))
        arguments = (f"--dbname={urlunsplit(parts)}", *arguments)
    done = await asyncio.create_subprocess_exec(
        str(postgres_program(program)), *arguments, stdout=PIPE, stderr=PIPE, env=environment
    )
    printed, said = await done.communicate()
    if done.returncode:
        raise FaregateError(f"{program} failed: {said.decode(errors='replace').strip()[-500:]}")
    return printed.decode(errors="replace")

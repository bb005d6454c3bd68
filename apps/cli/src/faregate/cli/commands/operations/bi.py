"""`faregate bi`: views for business intelligence tools, and roles that read them."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlunsplit

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited
from faregate.cli.shared.options import Output
from faregate.cli.shared.output import console, print_done, print_json, print_table
from faregate.cli.shared.session import with_library
from faregate.core.errors import InvalidError
from faregate.core.values.postgres_url import split_postgres_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faregate.analytics.bi.values import BiView
    from faregate.worker.container import WorkerContainer

__all__ = ["bi"]

bi = App(name="bi", help="Make views for business intelligence tools, and roles that read them.")


@bi.command
@audited("bi.create", apart=True)
def create(*, output: Output = "table") -> None:
    """Make the views, or bring them up to date. Safe to repeat; roles keep their rights."""
    schema, views = with_library(_created)
    names = [view.name for view in views]
    print_done(f"{len(names)} views in {schema}: {', '.join(names)}", {"schema": schema, "views": names}, output)


@bi.command
@audited("bi.drop", apart=True)
def drop(*, output: Output = "table") -> None:
    """Drop the views and their schema; roles stay."""
    schema = with_library(_dropped)
    print_done(f"dropped {schema}", {"schema": schema}, output)


@bi.command
def columns(
    view: Annotated[str | None, Parameter(help="One view; all by default.")] = None, *, output: Output = "table"
) -> None:
    """Describe the views: every column with its type and meaning."""
    from faregate.analytics.bi.views_sql import BI_VIEWS

    found = [known for known in BI_VIEWS if view is None or known.name == view]
    if not found:
        raise InvalidError(
            f"there is no view {view!r}; known: {', '.join(known.name for known in BI_VIEWS)}", param="view"
        )
    if output == "json":
        print_json({v.name: {c.name: {"type": c.type, "comment": c.comment} for c in v.columns} for v in found})
        return
    for each in found:
        print_table(
            f"{each.name}: {each.comment}",
            ["column", "type", "meaning"],
            [(c.name, c.type, c.comment) for c in each.columns],
        )


@bi.command
@audited("bi.role", target=("name",), apart=True)
def role(
    name: Annotated[str, Parameter(help="Name of the role, such as analyst.")],
    *,
    password_stdin: Annotated[bool, Parameter(help="Read the password from standard input.", negative="")] = False,
    keep_password: Annotated[
        bool, Parameter(help="Leave the password of an existing role as it is.", negative="")
    ] = False,
    timeout_seconds: Annotated[int, Parameter(help="How long one of its statements may run.")] = 60,
    sql: Annotated[
        bool, Parameter(help="Print the statements for an administrator instead of running them.", negative="")
    ] = False,
    output: Output = "table",
) -> None:
    """Make a role that reads the views and nothing else, and print its address. Safe to repeat.

    Without --password-stdin a new password is made and printed once.
    """
    if password_stdin and keep_password:
        raise InvalidError("give either --password-stdin or --keep-password", param="password_stdin")
    given = sys.stdin.readline().rstrip("\n") if password_stdin else None
    password = None if keep_password else (given if given is not None else secrets.token_urlsafe(24))
    statements, url = with_library(lambda lib: _granted(lib, name, password, timeout_seconds, run=not sql))
    address = _address(url, name, None if password_stdin else password)
    if sql:
        console.print(
            "\n".join(f"{statement};" for statement in statements), highlight=False, markup=False, soft_wrap=True
        )
    if sql and password is not None and given is None:
        console.print(
            f"-- the password of {name}, shown once: {password}", highlight=False, markup=False, soft_wrap=True
        )
    if not sql:
        print_done(f"{name} reads the views and nothing else: {address}", {"role": name, "url": address}, output)


async def _created(lib: WorkerContainer) -> tuple[str, Sequence[BiView]]:
    return lib.bi().schema, await lib.bi().create()


async def _dropped(lib: WorkerContainer) -> str:
    await lib.bi().drop()
    return lib.bi().schema


async def _granted(
    lib: WorkerContainer, name: str, password: str | None, timeout_seconds: int, *, run: bool
) -> tuple[Sequence[str], str]:
    service = lib.bi()
    statements = await service.role_sql(name, password=password, timeout_seconds=timeout_seconds)
    if run:
        await service.grant_role(name, password=password, timeout_seconds=timeout_seconds)
    return statements, lib.database().direct_url


def _address(url: str, name: str, password: str | None) -> str:
    parts = split_postgres_url(url)
    login = quote(name, safe="") + (f":{quote(password, safe='')}" if password is not None else "")
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))

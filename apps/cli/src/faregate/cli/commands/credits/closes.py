"""`faregate close`: closed months, their statements and their journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast
from uuid import UUID

from cyclopts import App, Parameter

from faregate.cli.commands.credits.verify import show_drifts
from faregate.cli.shared.analytics_options import Shape, tell
from faregate.cli.shared.auditing import audited
from faregate.cli.shared.options import Limit, Output, decimal_of, moment_of
from faregate.cli.shared.output import console, number, print_done, print_json, print_table
from faregate.cli.shared.session import with_library
from faregate.core.errors import ConfigurationError, InvalidError, MalformedError
from faregate.credit.closing.tables import (
    CLOSE_COLUMNS,
    JOURNAL_COLUMNS,
    LATE_COLUMNS,
    STATEMENT_COLUMNS,
    close_rows,
    journal_rows,
    late_rows,
    statement_rows,
)
from faregate.wire import exact_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faregate.credit.closing.values import Close, WalletClose
    from faregate.worker.container import WorkerContainer

__all__ = ["close"]

close = App(name="close", help="Close months, and print their statements and journals.")

_Period = Annotated[str, Parameter(help="The closed month, such as 2026-10, or `opening`.")]
_PAGE = 1000
_SHOWN_COLUMNS = ("owner_id", "opening", "granted", "used", "expired", "closing", "revenue_usd", "deferred_closing_usd")
"""The columns that fit a terminal; JSON and CSV have all of them."""


@close.command
@audited("ledger.close_month", target=("period",))
def run(
    period: Annotated[str, Parameter(help="The month, such as 2026-10.")],
    *,
    timezone: Annotated[
        str | None, Parameter(help="Time zone whose midnight ends the month; that of the last close, or UTC.")
    ] = None,
    catch_up: Annotated[bool, Parameter(help="Close the open months before it, too.", negative="")] = False,
    output: Output = "table",
) -> None:
    """Close a month. It never changes afterwards; closing it again prints the first result."""
    found = with_library(lambda lib: lib.closes().run(period, timezone=timezone, catch_up=catch_up))
    _show(found, output)


@close.command(name="list")
def list_closes(*, output: Shape = "table") -> None:
    """List the closed months, oldest first."""
    found = with_library(lambda lib: lib.closes().list())
    tell(output, "Closed months", CLOSE_COLUMNS, close_rows(found))


@close.command
def show(period: _Period, *, output: Output = "table") -> None:
    """Print the totals of a closed month: credits, and the paid value in USD."""
    _show(with_library(lambda lib: lib.closes().get(period)), output)


@close.command
@audited("ledger.list_close_wallets", owner="owner", apart=True)
def statement(
    period: _Period,
    owner: Annotated[str | None, Parameter(help="The wallet's owner; all wallets by default.")] = None,
    *,
    output: Shape = "table",
) -> None:
    """Print the statement of one wallet, or one line for each wallet."""

    async def work(lib: WorkerContainer) -> Sequence[WalletClose]:
        if owner is not None:
            return [await lib.closes().statement(period, owner)]
        return await _all(lambda after: lib.closes().statements(period, limit=_PAGE, **after))

    found = with_library(work)
    if owner is not None and output == "table":
        _show_statement(f"Statement of {owner}, {period}", found[0])
        return
    columns = STATEMENT_COLUMNS if output != "table" else _SHOWN_COLUMNS
    tell(output, f"Statements of {period}", columns, statement_rows(found, columns))


@close.command
@audited("ledger.list_late_facts", apart=True)
def late(period: _Period, *, limit: Limit = 1000, output: Shape = "table") -> None:
    """List facts of earlier months that arrived after their close and belong to this month."""
    found, _ = with_library(lambda lib: lib.closes().late(period, limit=limit))
    tell(output, f"Late facts in {period}", LATE_COLUMNS, late_rows(found))


@close.command
def journal(
    period: _Period,
    *,
    unit: Annotated[
        Literal["usd", "credits"],
        Parameter(help="usd: the paid value; credits: what moved between the ledger's accounts."),
    ] = "usd",
    accounts: Annotated[
        Path | None, Parameter(help="JSON file with the codes of accounts by name, instead of the setting.")
    ] = None,
    output: Shape = "table",
) -> None:
    """Print the journal lines of a closed month for the general ledger."""
    codes = _codes_in(accounts) if accounts is not None else None
    found = with_library(lambda lib: lib.closes().journal(period, unit=unit, accounts=codes))
    tell(output, f"Journal of {period}", JOURNAL_COLUMNS, journal_rows(found))


@close.command
def verify(*, output: Output = "table") -> int:
    """Derive all closed months again from the transfers; if any figure differs, print it and exit 1."""
    drifts = with_library(lambda lib: lib.verifier().verify_closes())
    if output == "json":
        print_json({"drifts": [asdict(drift) for drift in drifts], "clean": not drifts})
    elif drifts:
        show_drifts(drifts)
    else:
        console.print("[green]verified[/]: every figure of every closed month follows from the transfers")
    return 1 if drifts else 0


@close.command
@audited("wallets.record_payment", owner="owner", target=("grant_id",))
def payment(
    owner: str,
    grant_id: str,
    usd: Annotated[
        str, Parameter(help="What was paid, or with a minus sign returned, in USD.", allow_leading_hyphen=True)
    ],
    *,
    key: Annotated[
        str,
        Parameter(help="Idempotency key: the same key of one grant is recorded once. A returned payment has its own."),
    ] = "payment",
    paid_at: Annotated[str | None, Parameter(help="When it was paid; now by default.")] = None,
    output: Output = "table",
) -> None:
    """Record what was paid for a grant: its paid value in the statements and the journal."""
    amount = decimal_of(usd, param="usd")
    moment = moment_of(paid_at, param="paid_at") if paid_at is not None else None
    wanted = _grant_id(grant_id)
    done = with_library(lambda lib: lib.closes().record_payment(owner, wanted, amount, key=key, paid_at=moment))
    word = "recorded before" if done.replayed else "recorded"
    print_done(f"{word}: {number(done.paid_usd)} USD paid for this grant in all", asdict(done), output)


async def _all(page: Callable[[dict[str, Any]], Any]) -> list[Any]:
    """Return the rows of all pages."""
    rows, position = await page({})
    found = list(rows)
    while position is not None:
        rows, position = await page({"after": position})
        found += rows
    return found


def _show(found: Close, output: str) -> None:
    if output == "json":
        facts = asdict(found)
        facts["flows"] = [
            {"debit": debit, "credit": credit, "credits": amount} for (debit, credit), amount in found.flows.items()
        ]
        print_json(facts)
        return
    span = f"{found.since or 'the beginning'} to {found.until}"
    console.print(
        f"{found.period} ({found.timezone}): {span}, closed at {found.closed_at:%Y-%m-%d %H:%M:%S} UTC", soft_wrap=True
    )
    console.print(
        f"{found.wallets:,} wallets moved, {found.transfers:,} transfers, {found.late:,} late facts, "
        f"{number(found.unvalued)} credits purchased without a recorded payment",
        soft_wrap=True,
    )
    _show_statement("All wallets", found.statement)


def _show_statement(title: str, found: WalletClose) -> None:
    rows = [
        ("opening", found.opening),
        *((f"+ granted ({source})", amount) for source, amount in found.granted.items()),
        ("- used", found.used),
        ("- expired", found.expired),
        ("- voided", found.voided),
        ("+ refunded", found.refunded),
        ("+ adjusted", found.adjusted),
        ("- charged back", found.charged_back),
        ("= closing", found.closing),
        ("used on the credit limit", found.used_on_limit),
        ("shortfall (our loss)", found.shortfall),
    ]
    print_table(title, ["", "credits"], rows)
    value = found.value
    money = [
        ("deferred revenue, opening", value.deferred_opening),
        ("+ payments received", value.received),
        ("- payments returned", value.repaid),
        ("- revenue from use", value.revenue),
        ("- breakage (expired)", value.breakage),
        ("- forfeited (taken back)", value.forfeited),
        ("= deferred revenue, closing", value.deferred_closing),
    ]
    print_table("Paid value", ["", "USD"], money)


def _codes_in(file: Path) -> Mapping[str, str]:
    try:
        content = exact_json.loads(file.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None
    except MalformedError:
        raise InvalidError(f"{file} is not JSON", param="accounts") from None
    if not isinstance(content, dict) or not all(
        isinstance(code, str) for code in cast("dict[str, Any]", content).values()
    ):
        raise InvalidError(f'{file} must hold a JSON object of texts, such as {{"cash": "1200"}}', param="accounts")
    return cast("Mapping[str, str]", content)


def _grant_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidError(
            f"grant_id {text!r} is not a grant id; `faregate grants list` shows the ids", param="grant_id"
        ) from None

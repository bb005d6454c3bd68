"""Corrections and statements of the ledger.

`faregate transactions`, `debit`, `refund`, `adjust`, `chargeback`, `statement`, `import` and `digest`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from faregate.cli.shared.auditing import audited
from faregate.cli.shared.options import Actor, Limit, Output, Reason, micros_of, moment_of
from faregate.cli.shared.output import Format, console, number, print_json, print_table
from faregate.cli.shared.session import actor as actor_of
from faregate.cli.shared.session import with_library
from faregate.core.errors import InvalidError
from faregate.credit.ledger.states import TransferNote
from faregate.credit.values import CreditTransaction
from faregate.usage.values import FeatureUsage
from faregate.wire.credits import to_credits

if TYPE_CHECKING:
    from faregate.credit.services.accounting import AccountStatement
    from faregate.worker.container import WorkerContainer

__all__ = ["adjust", "charge_back", "debit", "digest", "import_openings", "refund", "statement", "transactions"]

Key = Annotated[
    str | None, Parameter(help="Idempotency key: a repeated command with the same key has no further effect.")
]


@audited("wallets.list_transactions", owner="owner", apart=True)
def transactions(
    owner: str,
    *,
    before: Annotated[
        int | None, Parameter(help="Only transactions below this number (the part of the id after -).")
    ] = None,
    limit: Limit = 50,
    output: Output = "table",
) -> None:
    """List the transactions of a wallet, newest first."""
    found = with_library(lambda lib: lib.wallets().transactions(owner, before=before, limit=limit))
    if output == "json":
        print_json([asdict(transaction) for transaction in found])
    else:
        _show(f"Transactions of {owner}", found)


@audited("transactions.refund", target=("transaction",))
def refund(
    transaction: Annotated[str, Parameter(help="The transaction's id, as `faregate transactions` shows it.")],
    *,
    reason: Reason,
    credits: Annotated[
        str | None, Parameter(help="Amount to refund; all that is left of the charge by default.")
    ] = None,
    key: Key = None,
    actor: Actor = None,
    output: Output = "table",
) -> None:
    """Refund a charge, in whole or in part, to the grants that paid for it."""
    amount, note = micros_of(credits) if credits is not None else None, _note(actor, reason, key)
    done = with_library(lambda lib: lib.bookkeeping().refund(transaction, amount=amount, note=note))
    _tell("Refunded", done, output)


@audited("wallets.adjust", owner="owner")
def adjust(
    owner: str,
    credits: Annotated[
        str, Parameter(help="Amount to add, or to remove with a minus sign.", allow_leading_hyphen=True)
    ],
    *,
    reason: Reason,
    key: Key = None,
    actor: Actor = None,
    output: Output = "table",
) -> None:
    """Correct a balance by hand."""
    amount, note = micros_of(credits), _note(actor, reason, key)
    done = with_library(lambda lib: lib.bookkeeping().adjust(owner, amount=amount, note=note))
    _tell("Adjusted", done, output)


@audited("wallets.debit", owner="owner")
def debit(
    owner: str,
    credits: Annotated[str, Parameter(help="Amount to charge.")],
    *,
    service: Annotated[str, Parameter(help="Name of the service; it need not be a feature.")],
    reason: Annotated[str | None, Parameter(help="Reason, as the ledger shows it; the service by default.")] = None,
    key: Annotated[str | None, Parameter(help="Usage key; the same key is debited once.")] = None,
    organization: Annotated[str | None, Parameter(help="The organisation that the use is for.")] = None,
    actor: Actor = None,
    output: Output = "table",
) -> None:
    """Charge an amount for a service, and record it as a use."""
    amount, who = to_credits(micros_of(credits)), actor_of(actor)

    async def work(lib: WorkerContainer) -> FeatureUsage:
        return await lib.usage_service().debit(
            owner, service, amount, usage_key=key, organization_id=organization, actor=who, reason=reason
        )

    done = with_library(work)
    if output == "json":
        print_json(asdict(done))
        return
    charged = f"{number(done.credits_charged)} of {number(done.credits_consumed)} credits charged"
    console.print(f"{charged} to {owner} for {service}; usage key {done.usage_key}", highlight=False, soft_wrap=True)


@audited("transactions.charge_back", target=("transaction",))
def charge_back(
    transaction: Annotated[str, Parameter(help="The purchase's id, as `faregate transactions` shows it.")],
    *,
    reason: Reason,
    key: Key = None,
    actor: Actor = None,
    output: Output = "table",
) -> None:
    """Reverse a purchase whose payment was reversed; the part that is already used is recorded as our loss."""
    note = _note(actor, reason, key)
    done = with_library(lambda lib: lib.bookkeeping().charge_back(transaction, note=note))
    if output == "json":
        print_json([asdict(transaction) for transaction in done])
    else:
        _show("Charged back", done)


@audited("wallets.statement", owner="owner", apart=True)
def statement(
    owner: Annotated[str | None, Parameter(help="The wallet's owner; without it, all wallets together.")] = None,
    *,
    since: Annotated[str, Parameter(name="--from", help="Date or time, included.")],
    until: Annotated[str, Parameter(name="--to", help="Date or time, not included.")],
    output: Output = "table",
) -> None:
    """Print the statement of a period: opening, granted, used, expired, refunded, closing."""
    first, last = moment_of(since, param="from"), moment_of(until, param="to")

    async def work(lib: WorkerContainer) -> AccountStatement:
        return await lib.bookkeeping().statement(owner, since=first, until=last)

    found = with_library(work)
    if output == "json":
        print_json({"owner_id": owner, **asdict(found)})
    else:
        _show_statement(owner, found)


@audited("openings.import", target=("file", "run"), apart=True)
def import_openings(
    file: Annotated[Path, Parameter(help="CSV with the columns owner_id, credits and, optionally, expires_at.")],
    *,
    run: Annotated[
        str | None, Parameter(help="Name of the import, the file's name by default; an import grants once per owner.")
    ] = None,
    actor: Actor = None,
    output: Output = "table",
) -> None:
    """Import balances from another system: one grant of source `opening` for each line. Safe to repeat."""
    from faregate.credit.services.opening_balances import read_openings

    if not file.is_file():
        raise InvalidError(f"{file} is not a file; give a CSV with the columns owner_id and credits")
    with file.open(newline="", encoding="utf-8-sig") as lines:
        openings = read_openings(lines, run=run or file.stem)
    who = actor_of(actor)
    granted = with_library(lambda lib: lib.openings().run(openings, actor=who))
    if output == "json":
        print_json({"lines": len(openings), "granted": granted})
        return
    console.print(f"{granted:,} of {len(openings):,} opening balances granted; the others had been granted before")


def digest(*, output: Output = "table") -> None:
    """Print one hash over the chains of all wallets; stored elsewhere, it reveals later changes to the ledger up to now."""
    found = with_library(lambda lib: lib.bookkeeping().digest())
    if output == "json":
        print_json(asdict(found))
    else:
        console.print(f"{found.digest}  {found.wallets:,} wallets, {found.transfers:,} transfers", soft_wrap=True)


def _note(actor: str | None, reason: str, key: str | None) -> TransferNote:
    return TransferNote(operation_key=key, actor=actor_of(actor), reason=reason)


def _tell(title: str, done: CreditTransaction, output: Format) -> None:
    if output == "json":
        print_json(asdict(done))
    else:
        _show(title, [done])


def _show(title: str, found: Sequence[CreditTransaction]) -> None:
    columns = ["id", "time", "kind", "credits", "balance", "feature", "usage key", "reason", "actor"]
    rows = [
        (
            t.id,
            t.executed_at.isoformat(" ", "seconds"),
            t.kind,
            t.amount,
            t.balance,
            t.feature_key,
            t.usage_key,
            t.reason,
            t.actor,
        )
        for t in found
    ]
    print_table(title, columns, rows)


def _show_statement(owner: str | None, found: AccountStatement) -> None:
    signed = [
        ("opening", found.opening),
        *((f"+ granted ({name})", amount) for name, amount in found.granted.items()),
        ("- used", found.used),
        ("- expired", found.expired),
        ("- voided", found.voided),
        ("+ refunded", found.refunded),
        ("+ adjusted", found.adjusted),
        ("- charged back", found.charged_back),
        ("= closing", found.closing),
    ]
    print_table(f"Statement of {owner or 'all wallets'}, {found.since} to {found.until}", ["", "credits"], signed)
    beside = [
        ("used on the credit limit", found.used_on_limit),
        ("shortfall (our loss)", found.shortfall),
        ("paid for and not yet used, opening", found.deferred_opening),
        ("paid for and not yet used, closing", found.deferred_closing),
        ("paid for and expired (breakage)", found.breakage_paid),
    ]
    print_table("Beside it", ["", "credits"], [(name, number(amount)) for name, amount in beside])

"""`faregate wallets`: wallets, their balances and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited
from faregate.cli.shared.options import Limit, Output, micros_of, moment_of
from faregate.cli.shared.output import console, print_json, print_table
from faregate.cli.shared.session import with_library
from faregate.core.errors import InvalidError
from faregate.credit.ledger.limits import LimitPeriod
from faregate.credit.values import Wallet
from faregate.wire.credits import to_credits

if TYPE_CHECKING:
    from faregate.worker.container import WorkerContainer

__all__ = ["wallets"]

wallets = App(name="wallets", help="Show wallets and change them.")

_NONE = "none"


async def _wallet(lib: WorkerContainer, asked: Mapping[str, Any]) -> object:
    return await lib.wallets().get(asked["owner"])


async def _limits(lib: WorkerContainer, asked: Mapping[str, Any]) -> object:
    return await lib.bookkeeping().user_limits(asked["owner"])


@wallets.command(name="list")
@audited("wallets.list_wallets", apart=True)
def list_wallets(
    *,
    prefix: Annotated[
        str | None, Parameter(help="Only owners whose id begins with this; org: for organisations.")
    ] = None,
    after: Annotated[str | None, Parameter(help="Only owners that follow this one in order.")] = None,
    limit: Limit = 50,
    output: Output = "table",
) -> None:
    """List wallets in order of their owners."""
    found = with_library(lambda lib: lib.wallets().list(prefix=prefix, after=after, limit=limit))
    if output == "json":
        print_json([asdict(wallet) for wallet in found])
        return
    columns = ["owner", "free", "balance", "held", "limit", "debt", "status", "plan"]
    rows = [(w.owner_id, w.free, w.balance, w.held, w.credit_limit, w.debt, w.status, w.plan) for w in found]
    print_table(f"{len(found)} wallets", columns, rows)


@wallets.command
@audited("wallets.get_wallet", owner="owner", apart=True)
def show(
    owner: str,
    *,
    at: Annotated[str | None, Parameter(help="Show the balance at this moment instead.")] = None,
    output: Output = "table",
) -> None:
    """Show one wallet with its live grants."""
    if at is not None:
        moment = moment_of(at, param="at")
        balance = with_library(lambda lib: lib.bookkeeping().balance_at(owner, moment))
        answer = {"owner_id": owner, "at": moment, "balance": balance}
        print_json(answer) if output == "json" else print_table("", list(answer), [list(answer.values())])
        return
    wallet, organization = with_library(lambda lib: lib.wallets().get(owner))
    _print(wallet, organization, output)


@wallets.command(name="set")
@audited("wallets.put_wallet", owner="owner", look=_wallet)
def change(
    owner: str,
    *,
    plan: Annotated[str | None, Parameter(help="'none' removes it.")] = None,
    organization: Annotated[str | None, Parameter(help="'none' removes it.")] = None,
    email: str | None = None,
    credit_limit: Annotated[str | None, Parameter(help="How far below zero the balance may go, in credits.")] = None,
    low_balance: Annotated[
        str | None, Parameter(help="Balance below which a warning is sent; 'none' removes it.")
    ] = None,
    top_up: Annotated[str | None, Parameter(help="Automatic top-up as BELOW:CREDITS, or 'none'.")] = None,
    status: Literal["active", "frozen", "closed"] | None = None,
    output: Output = "table",
) -> None:
    """Create a wallet, or change the given fields of one."""
    from faregate.usage.accounts.wallets import WalletChange

    given: dict[str, Any] = {"plan": plan, "organization_id": organization, "email": email, "status": status}
    fields = {name: None if value == _NONE else value for name, value in given.items() if value is not None}
    for name, text in (("credit_limit", credit_limit), ("low_balance", low_balance)):
        if text is not None:
            fields[name] = None if text == _NONE else to_credits(micros_of(text, param=name))
    if top_up is not None:
        fields["top_up"] = None if top_up == _NONE else _top_up(top_up)
    if not fields:
        raise InvalidError("give at least one option to change; `faregate wallets set --help` lists them")
    wallet, joined = with_library(lambda lib: lib.wallets().change(owner, WalletChange(fields)))
    _print(wallet, joined, output)


@wallets.command
@audited("wallets.put_limits", owner="owner", when="period", look=_limits)
def limit(
    owner: str,
    period: Annotated[LimitPeriod | None, Parameter(help="Without it the limits are shown.")] = None,
    *,
    soft: Annotated[str | None, Parameter(help="Beyond this amount a start reports it.")] = None,
    hard: Annotated[str | None, Parameter(help="Beyond this amount a start is refused.")] = None,
    output: Output = "table",
) -> None:
    """Show or set what a user may spend in a period, from any wallet; without --soft and --hard the limit is removed."""
    if period is not None:
        bounds = [(period, micros_of(soft) if soft else None, micros_of(hard) if hard else None)]
        found = with_library(lambda lib: lib.bookkeeping().set_user_limits(owner, bounds))
    else:
        found = with_library(lambda lib: lib.bookkeeping().user_limits(owner))
    if output == "json":
        print_json([asdict(limit) for limit in found])
        return
    rows = [(one.period, one.soft, one.hard, one.spent, one.held, one.since) for one in found]
    print_table(f"Spending limits of {owner}", ["period", "soft", "hard", "spent", "held", "since"], rows)


def _print(wallet: Wallet, organization: str | None, output: str) -> None:
    if output == "json":
        print_json({**asdict(wallet), "organization_id": organization})
    else:
        _show(wallet, organization)


def _show(wallet: Wallet, organization: str | None) -> None:
    facts = {
        "free": wallet.free,
        "balance": wallet.balance,
        "held": wallet.held,
        "earmarked": wallet.earmarked,
        "credit limit": wallet.credit_limit,
        "debt": wallet.debt,
        "status": wallet.status,
        "plan": wallet.plan,
        "organisation": organization,
        "e-mail": wallet.email,
        "low balance": wallet.low_balance,
        "top-up": _rule(wallet),
    }
    shown = [(name, value) for name, value in facts.items() if value is not None]
    print_table(f"Wallet of {wallet.owner_id}", ["", "value"], shown)
    if wallet.grants:
        columns = ["grant", "source", "credits", "remaining", "status", "expires", "features"]
        rows = [
            (g.id, g.source, g.credits, g.remaining, g.status, g.expires_at, ", ".join(g.features or ()) or None)
            for g in wallet.grants
        ]
        print_table("Live grants, oldest first", columns, rows)
    else:
        console.print("no live grants")


def _rule(wallet: Wallet) -> str | None:
    if wallet.top_up_below is None or wallet.top_up_credits is None:
        return None
    return f"{wallet.top_up_credits.normalize():f} below {wallet.top_up_below.normalize():f}"


def _top_up(text: str) -> tuple[Decimal, Decimal]:
    below, colon, credits = text.partition(":")
    if not colon:
        raise InvalidError("--top-up takes BELOW:CREDITS, for example 50:100", param="top_up")
    return to_credits(micros_of(below, param="top_up")), to_credits(micros_of(credits, param="top_up"))

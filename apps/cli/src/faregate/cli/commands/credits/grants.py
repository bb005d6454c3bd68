"""`faregate grants`: grants of credits to wallets."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited
from faregate.cli.shared.options import Actor, Output, Reason, micros_of, moment_of
from faregate.cli.shared.output import Format, console, number, print_json, print_table
from faregate.cli.shared.session import actor as actor_of
from faregate.cli.shared.session import with_library
from faregate.core.errors import InvalidError
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GRANT_PRIORITY, GrantSpec
from faregate.credit.ledger.states import TransferNote
from faregate.credit.values import Grant, Wallet

__all__ = ["grants"]

grants = App(name="grants", help="Grant credits to wallets; list and void grants.")


@grants.command
@audited("wallets.add_grant", owner="owner")
def add(
    owner: str,
    credits: str,
    *,
    source: GrantSource = GrantSource.PURCHASE,
    key: Annotated[str | None, Parameter(help="Idempotency key: the same key on one wallet makes one grant.")] = None,
    priority: Annotated[int, Parameter(help="Grants of a lower number are used first.")] = GRANT_PRIORITY,
    effective_at: str | None = None,
    expires_at: str | None = None,
    features: Annotated[
        list[str] | None, Parameter(help="Features that the grant may pay for; all by default.")
    ] = None,
    every: Annotated[str | None, Parameter(help="Interval of a recurring grant: day, week, month, '3 days' …")] = None,
    rollover_min: Annotated[str, Parameter(help="Lowest number of credits carried over at a renewal.")] = "0",
    rollover_max: Annotated[str, Parameter(help="Highest number of unused credits carried over at a renewal.")] = "0",
    reason: str | None = None,
    actor: Actor = None,
    output: Output = "table",
) -> None:
    """Grant credits to a wallet."""
    spec = GrantSpec(
        amount=micros_of(credits),
        source=source,
        key=key,
        priority=priority,
        effective_at=moment_of(effective_at, param="effective_at") if effective_at else None,
        expires_at=moment_of(expires_at, param="expires_at") if expires_at else None,
        features=features,
        every=every,
        rollover_min=micros_of(rollover_min, param="rollover_min"),
        rollover_max=micros_of(rollover_max, param="rollover_max"),
        reason=reason,
        actor=actor_of(actor),
    )
    grant, wallet, replayed = with_library(lambda lib: lib.wallets().grant(owner, spec))
    _say(grant, wallet, "granted before" if replayed else "granted", output)


@grants.command(name="list")
@audited("wallets.get_wallet", owner="owner", apart=True)
def list_grants(owner: str, *, output: Output = "table") -> None:
    """List all grants of a wallet, used and expired ones included, oldest first."""
    found = with_library(lambda lib: lib.wallets().grants(owner))
    if output == "json":
        print_json([asdict(grant) for grant in found])
        return
    columns = ["grant", "source", "credits", "remaining", "status", "effective", "expires", "key", "reason"]
    rows = [
        (g.id, g.source, g.credits, g.remaining, g.status, g.effective_at, g.expires_at, g.key, g.reason) for g in found
    ]
    print_table(f"Grants of {owner}", columns, rows)


@grants.command
@audited("wallets.void_grant", owner="owner", target=("grant_id",))
def void(owner: str, grant_id: str, *, reason: Reason, actor: Actor = None, output: Output = "table") -> None:
    """Void a grant: at once the part that no open hold protects, the rest when the holds close."""
    try:
        wanted = UUID(grant_id)
    except ValueError:
        raise InvalidError(f"{grant_id!r} is not a grant id; `faregate grants list` shows the ids") from None
    note = TransferNote(actor=actor_of(actor), reason=reason)
    grant, wallet = with_library(lambda lib: lib.bookkeeping().void_grant(owner, wanted, note=note))
    _say(grant, wallet, "voided", output)


def _say(grant: Grant, wallet: Wallet, done: str, output: Format) -> None:
    if output == "json":
        print_json({"done": done, "grant": asdict(grant), "free": wallet.free, "balance": wallet.balance})
        return
    console.print(
        f"{done}: {number(grant.credits)} credits ({grant.source}, {grant.id}); "
        f"{wallet.owner_id} has {number(wallet.free)} free, balance {number(wallet.balance)}"
    )

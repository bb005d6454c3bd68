"""`faregate payments`: purchases through Stripe."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited
from faregate.cli.shared.options import Limit, Output, decimal_of
from faregate.cli.shared.output import console, number, print_done, print_facts, print_json, print_table
from faregate.cli.shared.session import with_library
from faregate.core.clock import SystemClock
from faregate.credit.errors import UnknownPurchaseError
from faregate.credit.payments.values import Package, Purchase, PurchaseAddresses, Receipt, RecordedEvent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faregate.worker.container import WorkerContainer

__all__ = ["payments"]

payments = App(name="payments", help="Show purchases through Stripe, open checkouts, refund, and fetch missed events.")

Status = Literal["open", "paid", "failed", "expired", "partly_refunded", "refunded", "disputed"]
PurchaseId = Annotated[str, Parameter(help="The purchase's id, as `faregate payments list` shows it.")]


@payments.command(name="list")
@audited("payments.list_purchases", owner="owner", apart=True)
def list_(
    owner: Annotated[str | None, Parameter(help="Only purchases of this owner.")] = None,
    *,
    status: Annotated[Status | None, Parameter(help="Only purchases with this status.")] = None,
    limit: Limit = 50,
    output: Output = "table",
) -> None:
    """List purchases, the newest first."""
    found = with_library(lambda lib: lib.payments().purchases(owner_id=owner, status=status, limit=limit))
    if output == "json":
        print_json([asdict(purchase) for purchase in found])
        return
    columns = ["purchase", "owner", "package", "credits", "USD", "status", "granted", "taken", "lost", "at"]
    print_table("Purchases", columns, [_row(purchase) for purchase in found])


@payments.command
@audited("payments.get_purchase", target=("purchase",), apart=True)
def show(purchase: PurchaseId, *, output: Output = "table") -> None:
    """Show a purchase, and the events of its payment."""
    number_of = _purchase_id(purchase)
    found, events = with_library(lambda lib: lib.payments().purchase(number_of))
    if output == "json":
        print_json({**asdict(found), "events": [asdict(event) for event in events]})
        return
    print_facts(
        f"Purchase {found.id}", {name: value for name, value in asdict(found).items() if value is not None}, output
    )
    _show_events("Events", events)


@payments.command
def events(*, limit: Limit = 50, output: Output = "table") -> None:
    """List the events whose purchase is not known, the latest first."""
    found = with_library(lambda lib: lib.payments().waiting_events(limit=limit))
    if output == "json":
        print_json([asdict(event) for event in found])
    else:
        _show_events("Events of unknown purchases", found)


@payments.command
def packages(*, output: Output = "table") -> None:
    """List the packages for sale (FAREGATE_PACKAGES)."""

    async def work(lib: "WorkerContainer") -> "Sequence[Package]":
        return lib.checkouts().packages

    found = with_library(work)
    if output == "json":
        print_json([asdict(package) for package in found])
    else:
        print_table(
            "Packages", ["package", "name", "credits", "USD"], [(p.key, p.name, p.credits, p.price_usd) for p in found]
        )


@payments.command
@audited("payments.open_checkout", owner="owner", target=("package",), apart=True)
def checkout(
    owner: str,
    package: Annotated[str, Parameter(help="The package, as `faregate payments packages` shows it.")],
    *,
    success_url: Annotated[str, Parameter(help="Where the browser goes after the payment.")],
    cancel_url: Annotated[str | None, Parameter(help="Where it goes without one; the same by default.")] = None,
    save: Annotated[bool, Parameter(help="Keep the payment method for automatic top-ups.")] = False,
    key: Annotated[str | None, Parameter(help="Idempotency key: the same key returns the same purchase.")] = None,
    output: Output = "table",
) -> None:
    """Open a checkout at Stripe, and print where the customer pays."""
    addresses = PurchaseAddresses(success_url, cancel_url or success_url)
    made = with_library(lambda lib: lib.checkouts().open(owner, package, addresses, save=save, key=key))
    print_done(f"{number(made.credits)} credits for {number(made.amount_usd)} USD: {made.url}", asdict(made), output)


@payments.command
@audited("payments.refund", target=("purchase", "amount"), apart=True)
def refund(
    purchase: PurchaseId,
    *,
    amount: Annotated[str | None, Parameter(help="Amount in US dollars; all that is left by default.")] = None,
    key: Annotated[str | None, Parameter(help="Idempotency key: the same key refunds once.")] = None,
    output: Output = "table",
) -> None:
    """Refund the payment of a purchase at Stripe; its credits are taken back when Stripe reports the refund."""
    number_of = _purchase_id(purchase)
    usd = decimal_of(amount, param="amount") if amount is not None else None
    with_library(lambda lib: lib.checkouts().refund(number_of, amount_usd=usd, key=key))
    print_done(
        "Refunded at Stripe; the credits follow with its event", {"purchase_id": purchase, "amount_usd": usd}, output
    )


@payments.command
@audited("payments.sync", target=("days",), apart=True)
def sync(
    *,
    days: Annotated[int, Parameter(help="How many days back; Stripe keeps events for 30 days.")] = 3,
    output: Output = "table",
) -> None:
    """Fetch Stripe's events of the last days, and apply those that were missed. Safe to repeat."""
    since = _now() - timedelta(days=days)
    found: Mapping[Receipt, int] = with_library(lambda lib: lib.stripe_inbox().catch_up(since=since))
    counts = {receipt.value: found.get(receipt, 0) for receipt in Receipt}
    if output == "json":
        print_json(counts)
    else:
        console.print(
            ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no events", highlight=False
        )


def _now() -> datetime:
    return SystemClock().now()


def _purchase_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UnknownPurchaseError(text) from None


def _row(purchase: Purchase) -> tuple[Any, ...]:
    return (
        str(purchase.id),
        purchase.owner_id,
        purchase.package,
        purchase.credits,
        purchase.amount_usd,
        purchase.status,
        purchase.granted,
        purchase.taken,
        purchase.lost,
        purchase.created_at,
    )


def _show_events(title: str, found: "Sequence[RecordedEvent]") -> None:
    columns = ["event", "type", "payment", "facts", "at"]
    rows = [(each.event_id, each.type, each.payment_intent, _facts(each), each.occurred_at) for each in found]
    print_table(title, columns, rows)


def _facts(event: RecordedEvent) -> str:
    return ", ".join(f"{name} {value}" for name, value in event.facts.items())

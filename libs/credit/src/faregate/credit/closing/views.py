"""Rows of closes as values. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from faregate.credit.closing.payments import usd_of
from faregate.credit.closing.repository import json_of
from faregate.credit.closing.values import Close, LateFact, PaidValues, WalletClose
from faregate.credit.ledger.accounts import Account
from faregate.credit.values import transaction_id
from faregate.wire.credits import to_credits

__all__ = ["close_view", "late_view", "statement_view"]


def close_view(row: Any) -> Close:
    """Return a row of the table `close`."""
    return Close(
        period=row.period,
        timezone=row.timezone,
        since=row.since,
        until=row.until,
        closed_at=row.closed_at,
        wallets=row.wallets,
        transfers=row.transfers,
        late=row.late,
        unvalued=to_credits(row.unvalued),
        flows=_flows(json_of(row.flows)),
        statement=_statement(None, row, row.opening, json_of(row.granted)),
    )


def statement_view(row: Any) -> WalletClose:
    """Return the statement of one wallet; one that did not move has equal opening and closing balances."""
    if row.moved:
        return _statement(row.owner_id, row, row.opening, json_of(row.granted))
    balance = to_credits(row.closing or 0)
    return WalletClose.unmoved(row.owner_id, balance, _value(row))


def late_view(row: Any) -> LateFact:
    """Return a late transfer or payment."""
    if row.kind == "payment":
        grant_id = UUID(bytes=row.grant_id.bytes)
        return LateFact(
            "payment", row.owner_id, row.happened_at, row.recorded_at, grant_id=grant_id, usd=usd_of(row.amount)
        )
    return LateFact(
        "transfer",
        row.owner_id,
        row.happened_at,
        row.recorded_at,
        transaction_id=transaction_id(row.wallet_id, row.seq),
        credits=to_credits(row.amount),
    )


def _statement(owner_id: str | None, row: Any, opening: int, granted: Mapping[str, int]) -> WalletClose:
    return WalletClose(
        owner_id=owner_id,
        opening=to_credits(opening),
        granted={source: to_credits(amount) for source, amount in sorted(granted.items())},
        used=to_credits(row.used),
        used_on_limit=to_credits(row.used_on_limit),
        expired=to_credits(row.expired),
        voided=to_credits(row.voided),
        refunded=to_credits(row.refunded),
        adjusted=to_credits(row.adjusted),
        charged_back=to_credits(row.charged_back),
        shortfall=to_credits(row.shortfall),
        closing=to_credits(row.closing),
        value=_value(row),
    )


def _value(row: Any) -> PaidValues:
    return PaidValues(
        deferred_opening=usd_of(row.deferred_opening_cents),
        received=usd_of(row.received_cents),
        repaid=usd_of(row.repaid_cents),
        revenue=usd_of(row.revenue_cents),
        breakage=usd_of(row.breakage_cents),
        forfeited=usd_of(row.forfeited_cents),
        deferred_closing=usd_of(row.deferred_closing_cents),
    )


def _flows(found: Mapping[str, int]) -> Mapping[tuple[str, str], Decimal]:
    flows: dict[tuple[str, str], Decimal] = {}
    for flow, amount in found.items():
        debit, _, credit = flow.partition(">")
        flows[Account(int(debit)).name.lower(), Account(int(credit)).name.lower()] = to_credits(amount)
    return flows

"""From the libraries' values to answers."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from faregate.core import exact_json
from faregate.core.errors import InvalidError, MalformedError
from faregate.credit.values import CreditTransaction, Grant, Wallet
from faregate.gateway.schemas import (
    EndAnswer,
    FeatureAnswer,
    FeatureUsageAnswer,
    GrantAnswer,
    LineAnswer,
    StartAnswer,
    StoryAnswer,
    TransactionAnswer,
    WalletAnswer,
)
from faregate.usage.service import UsageStory
from faregate.usage.values import Accessible, Feature, FeatureUsage, Settled, UsageLine

__all__ = [
    "cursor_of",
    "end_answer",
    "feature_answer",
    "grant_answer",
    "position_of",
    "start_answer",
    "story_answer",
    "transaction_answer",
    "usage_answer",
    "wallet_answer",
]


def start_answer(accessible: Accessible) -> StartAnswer:
    """Return the answer to a start that was accepted."""
    return StartAnswer(
        user_id=accessible.user_id,
        usage_key=accessible.usage_key,
        feature_key=accessible.feature_key,
        credits=accessible.free,
        balance=accessible.balance,
        held=accessible.held,
        hold=accessible.hold,
        expires_at=accessible.expires_at,
        charging=accessible.charging,
        unpriced=list(accessible.unpriced_models),
        message="Go ahead; settle with this usage_key",
    )


def end_answer(settled: Settled) -> EndAnswer:
    """Return the answer to a settlement."""
    message = "Settled" if not settled.replayed else "Settled before; this is the first result again"
    return EndAnswer(
        user_id=settled.user_id,
        usage_key=settled.usage_key,
        feature_key=settled.feature_key,
        credits=settled.free,
        balance=settled.balance,
        consumed=settled.consumed,
        charged=settled.charged,
        shortfall=settled.shortfall,
        flags=settled.flags.words,
        details=[line_answer(line) for line in settled.lines],
        message=message,
    )


def line_answer(line: UsageLine) -> LineAnswer:
    """Return one line."""
    tokens = line.usage.tokens
    return LineAnswer(
        ai_model=line.usage.model,
        provider=line.provider,
        input_tokens=tokens.get("input_tokens", 0),
        output_tokens=tokens.get("output_tokens", 0),
        tokens=tokens,
        provider_cost_usd=line.provider_cost_usd,
        margin_percent=line.margin_percent,
        credit_price_usd=line.credit_price_usd,
        credits=line.credits,
        price_version=line.price_version,
        unpriced=line.unpriced,
    )


def story_answer(story: UsageStory) -> StoryAnswer:
    """Return the whole story of one use."""
    charge = story.charge
    return StoryAnswer(
        usage_key=charge.usage_key,
        user_id=story.user_id,
        organization_id=story.organization_id,
        feature_key=charge.feature_key,
        charging=charge.rule,
        status=charge.status,
        hold=charge.hold,
        expires_at=charge.expires_at,
        credits_consumed=charge.credits_consumed,
        credits_charged=charge.credits_charged,
        shortfall=charge.shortfall,
        flags=list(charge.flags),
        reason=charge.reason,
        duration_ms=charge.duration_ms,
        metadata=charge.metadata,
        details=[line_answer(line) for line in story.lines],
        transactions=[transaction_answer(transaction) for transaction in story.transactions],
        created_at=charge.created_at,
        closed_at=charge.closed_at,
        settled_at=charge.settled_at,
    )


def transaction_answer(transaction: CreditTransaction) -> TransactionAnswer:
    """Return one transaction."""
    return TransactionAnswer(
        id=transaction.id,
        kind=transaction.kind,
        amount=transaction.amount,
        balance=transaction.balance,
        usage_key=transaction.usage_key,
        corrects=transaction.corrects,
        reason=transaction.reason,
        actor=transaction.actor,
        executed_at=transaction.executed_at,
    )


def usage_answer(usage: FeatureUsage) -> FeatureUsageAnswer:
    """Return one finished use."""
    return FeatureUsageAnswer(
        id=usage.id,
        usage_key=usage.usage_key,
        user_id=usage.user_id,
        organization_id=usage.organization_id,
        feature_key=usage.feature_key,
        credits_consumed=usage.credits_consumed,
        credits_charged=usage.credits_charged,
        metadata=usage.metadata,
        executed_at=usage.executed_at,
    )


def grant_answer(grant: Grant) -> GrantAnswer:
    """Return one grant."""
    return GrantAnswer(
        id=grant.id,
        credits=grant.credits,
        remaining=grant.remaining,
        source=grant.source,
        priority=grant.priority,
        status=grant.status,
        effective_at=grant.effective_at,
        expires_at=grant.expires_at,
        features=list(grant.features) if grant.features is not None else None,
        every=grant.every,
        renews_at=grant.renews_at,
        key=grant.key,
        reason=grant.reason,
        actor=grant.actor,
        created_at=grant.created_at,
    )


def wallet_answer(wallet: Wallet, *, organization_id: str | None) -> WalletAnswer:
    """Return a wallet with its grants."""
    return WalletAnswer(
        owner_id=wallet.owner_id,
        email=wallet.email,
        organization_id=organization_id,
        credits=wallet.free,
        balance=wallet.balance,
        held=wallet.held,
        earmarked=wallet.earmarked,
        credit_limit=wallet.credit_limit,
        debt=wallet.debt,
        status=wallet.status,
        plan=wallet.plan,
        low_balance=wallet.low_balance,
        grants=[grant_answer(grant) for grant in wallet.grants],
    )


def feature_answer(feature: Feature) -> FeatureAnswer:
    """Return one feature."""
    access = feature.access
    return FeatureAnswer(
        key=feature.key,
        id=feature.feature_id,
        name=feature.name,
        min_credits=feature.min_credits,
        strategy=feature.strategy,
        parameters=feature.parameters,
        access={
            "plans": sorted(access.plans),
            "organizations": sorted(access.organizations),
            "users": sorted(access.users),
        },
        active=feature.active,
        hold_ttl_seconds=feature.hold_ttl_seconds,
        hold_limit_credits=feature.hold_limit_credits,
        margin_percent=feature.margin_percent,
        refuse_unpriced=feature.refuse_unpriced,
    )


def cursor_of(*position: Any) -> str:
    """Return an opaque cursor for this place in a list."""
    return base64.urlsafe_b64encode(exact_json.dumps(list(position))).decode().rstrip("=")


def position_of(cursor: str | None, *kinds: type[Any]) -> Sequence[Any] | None:
    """Return the place that `cursor` stands for, as values of these kinds; None for no cursor.

    Raises:
        InvalidError: it is not a cursor of this list.
    """
    if cursor is None:
        return None
    try:
        values = exact_json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        return [
            datetime.fromisoformat(value) if kind is datetime else kind(value)
            for kind, value in zip(kinds, values, strict=True)
        ]
    except (binascii.Error, MalformedError, ValueError, TypeError):
        raise InvalidError("cursor is not one that this list gave out", param="cursor") from None

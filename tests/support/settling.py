"""Settled uses of models, at times that the test sets."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from faregate.core.db.database import Database
from faregate.core.db.partitions import Month, Partitions
from faregate.usage.features.documents import PriceDocument
from faregate.usage.values import FeatureRef, ModelUsage, Settled, SettleRequest
from support.library import Library

__all__ = ["move", "set_price", "settle"]

_MOVED = {"usage_line": ("settled_at",), "charge": ("created_at", "settled_at", "closed_at"), "usage_event": ("time",)}


async def settle(
    library: Library,
    keys: Mapping[str, ModelUsage],
    *,
    user_id: str = "ada",
    feature: str = "chat",
    duration_ms: int | None = None,
) -> list[Settled]:
    """Settle one use for each key, in batches."""
    requests = [
        SettleRequest(key, user_id, FeatureRef(value=feature), (usage,), duration_ms=duration_ms)
        for key, usage in keys.items()
    ]
    done: list[Settled] = []
    for at in range(0, len(requests), 500):
        for outcome in await library.service.settle_batch(requests[at : at + 500]):
            assert isinstance(outcome, Settled), outcome
            done.append(outcome)
    return done


async def move(database: Database, prefix: str, to: datetime, *, apart: timedelta = timedelta()) -> None:
    """Move the settled uses whose keys begin with `prefix` to `to`, each `apart` from the one before, by their keys."""
    await Partitions(database, "usage_event").ensure([Month.of(to)])
    async with database.transaction() as session:
        for table, columns in _MOVED.items():
            changed = ", ".join(
                f"{name} = cast(:to as timestamptz) + n.place * cast(:apart as interval)" for name in columns
            )
            await database.rows(
                session,
                f"""
                update faregate.{table} t set {changed} from (
                  select usage_key, row_number() over (order by usage_key) - 1 as place
                  from (select distinct usage_key from faregate.{table} where starts_with(usage_key, :prefix)) k) n
                where t.usage_key = n.usage_key returning 1
                """,
                to=to,
                apart=apart,
                prefix=prefix,
            )


async def set_price(library: Library, model: str, **prices: str) -> None:
    """Set prices of a model in USD, valid for all time; `service_tier` names a tier."""
    tier = prices.pop("service_tier", None)
    await library.usage.price_service().set(
        model,
        PriceDocument(
            provider="openai",
            service_tier=tier,
            effective_from=datetime.fromisoformat("2020-01-01T00:00:00+00:00"),
            prices={name: Decimal(price) for name, price in prices.items()},
        ),
    )

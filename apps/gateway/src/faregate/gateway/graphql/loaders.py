"""Data loaders: what the objects of a list need, read at once."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from strawberry.dataloader import DataLoader

from faregate.analytics.answers.story import StoryEvent
from faregate.credit.values import CreditTransaction, Grant, Wallet
from faregate.feature_log.values import FeatureLog
from faregate.gateway.graphql.services import GraphServices
from faregate.usage.service import UsageStory

__all__ = ["Loaders", "TransactionsAsked"]


@dataclass(frozen=True, slots=True)
class TransactionsAsked:
    """A page of the transactions of one wallet, below the sequence number `before`."""

    owner_id: str
    before: int | None
    limit: int


class Loaders:
    """The loaders of one request. Each reads what is asked of it in the same step of the execution in one batch."""

    def __init__(self, services: GraphServices, slots: AbstractAsyncContextManager[Any]) -> None:
        self._services = services
        self._slots = slots
        self.wallets: DataLoader[str, tuple[Wallet, str | None] | None] = DataLoader(self._held(self._wallets))
        self.grants: DataLoader[str, Sequence[Grant]] = DataLoader(self._held(self._grants))
        self.transactions: DataLoader[TransactionsAsked, Sequence[CreditTransaction]] = DataLoader(
            self._held(self._transactions)
        )
        self.uses: DataLoader[str, UsageStory | None] = DataLoader(self._held(self._uses))
        self.events: DataLoader[UsageStory, Sequence[StoryEvent]] = DataLoader(
            self._held(self._events), cache_key_fn=_usage_key
        )
        self.logs: DataLoader[UsageStory, Sequence[FeatureLog]] = DataLoader(
            self._held(self._logs), cache_key_fn=_usage_key
        )

    def _held(self, load: Callable[[list[Any]], Awaitable[Any]]) -> Callable[[list[Any]], Awaitable[Any]]:
        async def held(keys: list[Any]) -> Any:
            async with self._slots:
                return await load(keys)

        return held

    async def _wallets(self, owner_ids: list[str]) -> list[tuple[Wallet, str | None] | None]:
        found = await self._services.many_wallets.wallets(owner_ids)
        return [found.get(owner_id) for owner_id in owner_ids]

    async def _grants(self, owner_ids: list[str]) -> list[Sequence[Grant]]:
        found = await self._services.many_wallets.live_grants(owner_ids)
        return [found.get(owner_id, ()) for owner_id in owner_ids]

    async def _transactions(self, asked: list[TransactionsAsked]) -> list[Sequence[CreditTransaction]]:
        found: dict[TransactionsAsked, Sequence[CreditTransaction]] = {}
        for before, limit in {(each.before, each.limit) for each in asked}:
            owners = [each.owner_id for each in asked if (each.before, each.limit) == (before, limit)]
            pages = await self._services.many_wallets.transactions(owners, before=before, limit=limit)
            found |= {TransactionsAsked(owner_id, before, limit): page for owner_id, page in pages.items()}
        return [found.get(each, ()) for each in asked]

    async def _uses(self, usage_keys: list[str]) -> list[UsageStory | None]:
        found = await self._services.many_uses.stories(usage_keys)
        return [found.get(usage_key) for usage_key in usage_keys]

    async def _events(self, uses: list[UsageStory]) -> list[Sequence[StoryEvent]]:
        found = await self._services.stories.events_of(uses)
        return [found.get(_usage_key(use), ()) for use in uses]

    async def _logs(self, uses: list[UsageStory]) -> list[Sequence[FeatureLog]]:
        found = await self._services.stories.logs_of(uses)
        return [found.get(_usage_key(use), ()) for use in uses]


def _usage_key(use: UsageStory) -> str:
    return use.charge.usage_key

"""GraphQL types of wallets, grants and transactions."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import strawberry

from faregate.credit.values import CreditTransaction, Wallet
from faregate.gateway.controllers.wallets import WalletsController
from faregate.gateway.graphql.context import GraphInfo
from faregate.gateway.graphql.cost import DEFAULT_PAGE, PAGE, priced
from faregate.gateway.graphql.loaders import TransactionsAsked
from faregate.gateway.graphql.types.arguments import page_of
from faregate.gateway.graphql.types.shown import Shown, answered
from faregate.gateway.schemas.base import cursor_of, position_of

if TYPE_CHECKING:
    from faregate.gateway.graphql.types.uses import StoryNode

__all__ = [
    "GrantNode",
    "TopUpNode",
    "TransactionNode",
    "TransactionPageNode",
    "WalletNode",
    "WalletPageNode",
    "transaction",
    "wallet",
]

_Story = Annotated["StoryNode", strawberry.lazy("faregate.gateway.graphql.types.uses")]


@strawberry.type(name="Grant", description="One grant: credits put into a wallet.")
class GrantNode(Shown):
    """One grant."""

    id: strawberry.ID
    credits: Decimal
    remaining: Decimal
    source: str
    priority: int
    status: str
    effective_at: datetime
    expires_at: datetime | None
    features: list[str] | None
    every: str | None
    renews_at: datetime | None
    key: str | None
    reason: str | None
    created_at: datetime


@strawberry.type(
    name="Transaction", description="One transaction: `amount` is signed, `balance` is the balance after it."
)
class TransactionNode(Shown):
    """One transaction."""

    id: strawberry.ID
    kind: str
    amount: Decimal
    balance: Decimal
    usage_key: strawberry.ID | None
    feature_key: strawberry.ID | None
    corrects: strawberry.ID | None
    reason: str | None
    actor: str | None
    executed_at: datetime

    @answered("The use that the transaction belongs to.", 2)
    async def story(self, info: GraphInfo) -> _Story | None:
        from faregate.gateway.graphql.types.uses import story_of  # the two types show each other

        return await story_of(info, self.usage_key) if self.usage_key is not None else None


@strawberry.type(name="TransactionPage", description="A page of transactions, newest first.")
class TransactionPageNode:
    """A page of transactions."""

    items: list[TransactionNode] = strawberry.field(metadata=priced(items=PAGE))
    next_cursor: str | None = strawberry.field(description="send it as `cursor` for the next page; null on the last")


@strawberry.type(name="TopUp", description="When the balance falls below `below`, `credits` are ordered.")
class TopUpNode:
    """The rule of automatic top-ups."""

    below: Decimal
    credits: Decimal


@strawberry.type(
    name="Wallet", description="A wallet. `credits` are the free credits: balance + creditLimit - held - earmarked."
)
class WalletNode(Shown):
    """A wallet."""

    owner_id: strawberry.ID
    email: str | None
    credits: Decimal
    balance: Decimal
    held: Decimal
    earmarked: Decimal
    credit_limit: Decimal
    debt: Decimal
    status: str
    plan: strawberry.ID | None
    low_balance: Decimal | None
    top_up: TopUpNode | None

    @answered("The organisation that the owner belongs to.", 1)
    async def organization_id(self, info: GraphInfo) -> strawberry.ID | None:
        found = await info.context.loaders.wallets.load(self.owner_id)
        return strawberry.ID(found[1]) if found is not None and found[1] is not None else None

    @answered("The live grants, oldest first.", 2, items=10)
    async def grants(self, info: GraphInfo) -> list[GrantNode]:
        info.context.enter(WalletsController.get_wallet, owner_id=self.owner_id)
        found = await info.context.loaders.grants.load(self.owner_id)
        return [
            GrantNode.of(each, features=list(each.features) if each.features is not None else None) for each in found
        ]

    @answered("The transactions, newest first.", 2, sized_by="limit")
    async def transactions(
        self, info: GraphInfo, limit: int = DEFAULT_PAGE, cursor: str | None = None
    ) -> TransactionPageNode:
        info.context.enter(WalletsController.list_transactions, owner_id=self.owner_id)
        page = page_of(limit, cursor)
        position = position_of(page.cursor, int)
        asked = TransactionsAsked(self.owner_id, position[0] if position else None, page.limit)
        found = await info.context.loaders.transactions.load(asked)
        more = len(found) == page.limit
        return TransactionPageNode(
            items=[transaction(each) for each in found],
            next_cursor=cursor_of(int(found[-1].id.rpartition("-")[2])) if more else None,
        )


@strawberry.type(name="WalletPage", description="A page of wallets, by owner id.")
class WalletPageNode:
    """A page of wallets."""

    items: list[WalletNode] = strawberry.field(metadata=priced(items=PAGE))
    next_cursor: str | None = strawberry.field(description="send it as `cursor` for the next page; null on the last")


def transaction(value: CreditTransaction) -> TransactionNode:
    """Return one transaction."""
    return TransactionNode.of(value)


def wallet(value: Wallet) -> WalletNode:
    """Return one wallet."""
    below, credits = value.top_up_below, value.top_up_credits
    top_up = TopUpNode(below=below, credits=credits) if below is not None and credits is not None else None
    return WalletNode.of(value, credits=value.free, top_up=top_up)

"""Controller of `/api/wallets`: balances, grants and transactions."""

from collections.abc import Mapping
from typing import Any

from faregate.core.errors import KeyConflictError
from faregate.credit.errors import UnknownWalletError, WalletClosedError
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GrantSpec
from faregate.gateway.http.operation import Call, Controller, Page, Reply, link, operation
from faregate.gateway.schemas.base import PageQuery, cursor_of, position_of
from faregate.gateway.schemas.wallets import (
    GrantBody,
    GrantedAnswer,
    TransactionAnswer,
    WalletAnswer,
    WalletBody,
    grant_answer,
    transaction_answer,
    wallet_answer,
)
from faregate.gateway.security.auth import Scope
from faregate.usage.accounts.wallets import WalletChange, WalletService
from faregate.wire.credits import to_micros

__all__ = ["WalletsController"]

_OWNER = {"owner_id": "owner_id"}
_SAME_OWNER = {"owner_id": "$request.path.owner_id"}


class WalletsController(Controller):
    """Wallets over HTTP."""

    def __init__(self, wallets: WalletService) -> None:
        self._wallets = wallets

    async def version(self, arguments: Mapping[str, Any], user_id: str | None) -> str | None:
        """Return the version of the wallet."""
        return await self._wallets.version(str(arguments.get("owner_id") or user_id))

    @operation(
        "GET",
        "/api/wallets/{owner_id}",
        scope=Scope.WALLETS_READ,
        own="owner_id",
        answer=WalletAnswer,
        errors=(UnknownWalletError,),
        kept="wallets",
    )
    async def get_wallet(self, owner_id: str) -> WalletAnswer:
        """Return a wallet with its live grants."""
        wallet, organization_id = await self._wallets.get(owner_id)
        return wallet_answer(wallet, organization_id=organization_id)

    @operation(
        "GET",
        "/api/wallets/me",
        scope=None,
        own="me",
        answer=WalletAnswer,
        errors=(UnknownWalletError,),
        kept="wallets",
    )
    async def get_own_wallet(self, call: Call) -> WalletAnswer:
        """Return the caller's own wallet."""
        return await self.get_wallet(str(call.principal.user_id))

    @operation(
        "PUT",
        "/api/wallets/{owner_id}",
        scope=Scope.WALLETS_WRITE,
        answer=WalletAnswer,
        errors=(WalletClosedError,),
        links={
            "read": link("wallets.get_wallet", path=_OWNER),
            "grant": link("wallets.add_grant", path=_OWNER),
            "adjust": link("wallets.adjust", path=_OWNER),
            "debit": link("wallets.debit", path=_OWNER),
            "transactions": link("wallets.list_transactions", path=_OWNER),
            "statement": link("wallets.statement", path=_OWNER),
            "balanceThen": link("wallets.balance_at", path=_OWNER),
            "limits": link("wallets.put_limits", path=_OWNER),
        },
        rehearsable=True,
    )
    async def put_wallet(self, owner_id: str, body: WalletBody) -> WalletAnswer:
        """Create a wallet, or change the given fields of it."""
        wallet, organization_id = await self._wallets.change(owner_id, WalletChange(body.fields()))
        return wallet_answer(wallet, organization_id=organization_id)

    @operation(
        "POST",
        "/api/wallets/{owner_id}/grants",
        scope=Scope.WALLETS_WRITE,
        answer=GrantedAnswer,
        status=201,
        errors=(KeyConflictError, WalletClosedError),
        links={
            "read": link("wallets.get_wallet", path=_SAME_OWNER),
            "void": link("wallets.void_grant", path={**_SAME_OWNER, "grant_id": "grant/id"}),
            "payment": link("wallets.record_payment", path={**_SAME_OWNER, "grant_id": "grant/id"}),
            "transactions": link("wallets.list_transactions", path=_SAME_OWNER),
        },
        rehearsable=True,
    )
    async def add_grant(self, call: Call, owner_id: str, body: GrantBody) -> Reply:
        """Grant credits to a wallet."""
        spec = GrantSpec(
            amount=to_micros(body.credits),
            source=GrantSource(body.source),
            priority=body.priority,
            effective_at=body.effective_at,
            expires_at=body.expires_at,
            features=body.features,
            every=body.every,
            rollover_min=to_micros(body.rollover_min, param="rollover_min"),
            rollover_max=to_micros(body.rollover_max, param="rollover_max"),
            key=body.key,
            actor=call.principal.id,
            reason=body.reason,
        )
        grant, wallet, replayed = await self._wallets.grant(owner_id, spec)
        answer = GrantedAnswer(grant=grant_answer(grant), credits=wallet.free, balance=wallet.balance)
        return Reply(answer, headers={"idempotency-replayed": "true"} if replayed else {})

    @operation(
        "GET",
        "/api/wallets/{owner_id}/transactions",
        scope=Scope.WALLETS_READ,
        own="owner_id",
        answer=list[TransactionAnswer],
        errors=(UnknownWalletError,),
        links={
            "read": link("transactions.get_transaction", path={"transaction_id": "0/id"}),
            "refund": link("transactions.refund", path={"transaction_id": "0/id"}),
            "chargeBack": link("transactions.charge_back", path={"transaction_id": "0/id"}),
        },
    )
    async def list_transactions(self, owner_id: str, query: PageQuery) -> Page:
        """List the transactions of a wallet, newest first."""
        position = position_of(query.cursor, int)
        found = await self._wallets.transactions(owner_id, before=position[0] if position else None, limit=query.limit)
        more = len(found) == query.limit
        cursor = cursor_of(int(found[-1].id.rpartition("-")[2])) if more else None
        return Page([transaction_answer(item) for item in found], cursor)

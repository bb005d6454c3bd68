"""Controller of the operators' lookups: wallets, holds, transactions, the deployment."""

from datetime import datetime

from faregate.core.errors import EngineUnavailableError
from faregate.core.monitoring.scaling import QueueScaling
from faregate.core.monitoring.system import SystemStatus
from faregate.credit.errors import UnknownTransferError, UnknownWalletError
from faregate.credit.services.lookups import LedgerLookups
from faregate.gateway.http.operation import Audit, Controller, Page, Reply, link, operation
from faregate.gateway.schemas.base import cursor_of, position_of
from faregate.gateway.schemas.lookups import (
    AllWalletsAnswer,
    GrantPartAnswer,
    HoldAnswer,
    HoldsQuery,
    ScalingAnswer,
    SystemAnswer,
    TransactionGrantsAnswer,
    WalletListAnswer,
    WalletsQuery,
    system_answer,
    wallet_list_answer,
)
from faregate.gateway.schemas.wallets import GrantAnswer, grant_answer
from faregate.gateway.security.auth import Scope
from faregate.usage.accounts.wallets import WalletService

__all__ = ["LookupsController"]

_READ = Scope.WALLETS_READ


class LookupsController(Controller):
    """Lists and details for people who look after wallets, over HTTP."""

    def __init__(
        self, wallets: WalletService, lookups: LedgerLookups, system: SystemStatus, scaling: QueueScaling
    ) -> None:
        self._wallets = wallets
        self._lookups = lookups
        self._system = system
        self._scaling = scaling

    @operation(
        "GET",
        "/api/wallets",
        scope=_READ,
        answer=list[WalletListAnswer],
        links={
            "read": link("wallets.get_wallet", path={"owner_id": "0/owner_id"}),
            "grants": link("wallets.list_grants", path={"owner_id": "0/owner_id"}),
        },
        audit=Audit.PERSONAL,
    )
    async def list_wallets(self, query: WalletsQuery) -> Page:
        """List wallets without their grants, by owner id."""
        position = position_of(query.cursor, str)
        found = await self._wallets.list(
            prefix=query.prefix, after=position[0] if position else None, limit=query.limit
        )
        cursor = cursor_of(found[-1].owner_id) if len(found) == query.limit else None
        return Page([wallet_list_answer(wallet) for wallet in found], cursor)

    @operation(
        "GET",
        "/api/wallets/{owner_id}/grants",
        scope=_READ,
        own="owner_id",
        answer=list[GrantAnswer],
        errors=(UnknownWalletError,),
    )
    async def list_grants(self, owner_id: str) -> Reply:
        """List all grants of a wallet, used and expired ones included, oldest first; at most 1,000."""
        return Reply([grant_answer(grant) for grant in await self._wallets.grants(owner_id)])

    @operation("GET", "/api/ledger/balance", scope=_READ, answer=AllWalletsAnswer)
    async def all_wallets(self) -> AllWalletsAnswer:
        """Return balance and held credits of all wallets together, now."""
        return AllWalletsAnswer.of(await self._lookups.all_wallets())

    @operation("GET", "/api/holds", scope=_READ, answer=list[HoldAnswer], audit=Audit.PERSONAL)
    async def list_holds(self, query: HoldsQuery) -> Page:
        """List the uses that have started and not ended, the first to expire first."""
        position = position_of(query.cursor, datetime, str)
        found = await self._lookups.open_holds(
            user_id=query.user_id,
            feature_key=query.feature_key,
            after=(position[0], position[1]) if position else None,
            limit=query.limit,
        )
        cursor = cursor_of(found[-1].expires_at, found[-1].usage_key) if len(found) == query.limit else None
        return Page([HoldAnswer.of(hold) for hold in found], cursor)

    @operation(
        "GET",
        "/api/transactions/{transaction_id}",
        scope=_READ,
        answer=TransactionGrantsAnswer,
        errors=(UnknownTransferError,),
        audit=Audit.PERSONAL,
    )
    async def get_transaction(self, transaction_id: str) -> TransactionGrantsAnswer:
        """Return one transaction, with the grants that it took from or gave to."""
        found, parts = await self._lookups.transaction(transaction_id)
        return TransactionGrantsAnswer.of(found, grants=[GrantPartAnswer.of(part) for part in parts])

    @operation("GET", "/api/system", scope=Scope.OPS_READ, answer=SystemAnswer)
    async def get_system(self) -> SystemAnswer:
        """Return the processes that report, the scheduled jobs, and the state of the queues."""
        return system_answer(await self._system.state())

    @operation(
        "GET", "/api/system/scaling", scope=Scope.OPS_READ, answer=ScalingAnswer, errors=(EngineUnavailableError,)
    )
    async def get_scaling(self) -> ScalingAnswer:
        """Return what waits for workers, for autoscalers.

        A scaler reads one number of it, such as `data.waiting`. Without the queue or the database the answer is 503, so that a
        scaler falls back instead of removing workers.
        """
        return ScalingAnswer.of(await self._scaling.signal())

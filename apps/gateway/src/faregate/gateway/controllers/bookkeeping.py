"""Controller of corrections, statements and spending limits.

The corrections are refunds, adjustments, charge-backs and voided grants.
"""

from collections.abc import Sequence
from uuid import UUID

from faregate.core.errors import KeyConflictError
from faregate.credit.errors import (
    InsufficientCreditsError,
    NotRefundableError,
    UnknownGrantError,
    UnknownTransferError,
    UnknownWalletError,
    WalletClosedError,
)
from faregate.credit.ledger.states import TransferNote
from faregate.credit.services.bookkeeping import Bookkeeping, MemberLimit
from faregate.gateway.http.operation import Audit, Call, Controller, Reply, link, operation
from faregate.gateway.schemas.bookkeeping import (
    AdjustmentBody,
    BalanceAnswer,
    BalanceQuery,
    ChargebackBody,
    DigestAnswer,
    LimitAnswer,
    LimitsBody,
    MemberLimitAnswer,
    MemberLimitsBody,
    RefundBody,
    StatementAnswer,
    StatementQuery,
    VoidGrantBody,
    limit_answer,
    member_limit_answer,
    statement_answer,
)
from faregate.gateway.schemas.wallets import (
    GrantedAnswer,
    TransactionAnswer,
    grant_answer,
    transaction_answer,
)
from faregate.gateway.security.auth import Scope
from faregate.wire.credits import to_micros

__all__ = ["BookkeepingController"]


class BookkeepingController(Controller):
    """Calls of finance and support over HTTP."""

    def __init__(self, books: Bookkeeping) -> None:
        self._books = books

    @operation(
        "POST",
        "/api/wallets/{owner_id}/adjustments",
        scope=Scope.WALLETS_WRITE,
        answer=TransactionAnswer,
        status=201,
        errors=(UnknownWalletError, InsufficientCreditsError, WalletClosedError, KeyConflictError),
        rehearsable=True,
    )
    async def adjust(self, call: Call, owner_id: str, body: AdjustmentBody) -> TransactionAnswer:
        """Adjust a balance manually, up or down."""
        note = _note(call, body.reason, body.key)
        return transaction_answer(await self._books.adjust(owner_id, amount=to_micros(body.credits), note=note))

    @operation(
        "POST",
        "/api/transactions/{transaction_id}/refund",
        scope=Scope.WALLETS_WRITE,
        answer=TransactionAnswer,
        status=201,
        errors=(UnknownTransferError, NotRefundableError, KeyConflictError),
        rehearsable=True,
    )
    async def refund(self, call: Call, transaction_id: str, body: RefundBody) -> TransactionAnswer:
        """Refund a charge, wholly or in part."""
        amount = to_micros(body.credits) if body.credits is not None else None
        note = _note(call, body.reason, body.key)
        return transaction_answer(await self._books.refund(transaction_id, amount=amount, note=note))

    @operation(
        "POST",
        "/api/transactions/{transaction_id}/chargeback",
        scope=Scope.WALLETS_WRITE,
        answer=list[TransactionAnswer],
        status=201,
        errors=(UnknownTransferError, KeyConflictError),
        rehearsable=True,
    )
    async def charge_back(self, call: Call, transaction_id: str, body: ChargebackBody) -> Reply:
        """Reverse a purchase whose payment was charged back."""
        posted = await self._books.charge_back(transaction_id, note=_note(call, body.reason, body.key))
        return Reply([transaction_answer(transaction) for transaction in posted])

    @operation(
        "POST",
        "/api/wallets/{owner_id}/grants/{grant_id}/void",
        scope=Scope.WALLETS_WRITE,
        answer=GrantedAnswer,
        errors=(UnknownWalletError, UnknownGrantError),
        rehearsable=True,
    )
    async def void_grant(self, call: Call, owner_id: str, grant_id: str, body: VoidGrantBody) -> GrantedAnswer:
        """Void a grant: credits that no open hold protects at once, the rest when the holds close."""
        note = _note(call, body.reason, None)
        grant, wallet = await self._books.void_grant(owner_id, _grant_id(grant_id), note=note)
        return GrantedAnswer(grant=grant_answer(grant), credits=wallet.free, balance=wallet.balance)

    @operation(
        "GET",
        "/api/wallets/{owner_id}/statement",
        scope=Scope.WALLETS_READ,
        answer=StatementAnswer,
        errors=(UnknownWalletError,),
    )
    async def statement(self, owner_id: str, query: StatementQuery) -> StatementAnswer:
        """Return the statement of a wallet for a period."""
        return statement_answer(owner_id, await self._books.statement(owner_id, since=query.since, until=query.until))

    @operation(
        "GET",
        "/api/wallets/{owner_id}/balance",
        scope=Scope.WALLETS_READ,
        answer=BalanceAnswer,
        errors=(UnknownWalletError,),
    )
    async def balance_at(self, owner_id: str, query: BalanceQuery) -> BalanceAnswer:
        """Return the balance at a moment."""
        return BalanceAnswer(owner_id=owner_id, at=query.at, balance=await self._books.balance_at(owner_id, query.at))

    @operation(
        "GET",
        "/api/wallets/{owner_id}/limits",
        scope=Scope.WALLETS_READ,
        answer=list[LimitAnswer],
        errors=(UnknownWalletError,),
    )
    async def get_limits(self, owner_id: str) -> Reply:
        """Return the spending limits of a user and the amount spent, by period."""
        return Reply([limit_answer(limit) for limit in await self._books.user_limits(owner_id)])

    @operation(
        "PUT",
        "/api/wallets/{owner_id}/limits",
        scope=Scope.WALLETS_WRITE,
        answer=list[LimitAnswer],
        links={"read": link("wallets.get_limits", path={"owner_id": "$request.path.owner_id"})},
        rehearsable=True,
    )
    async def put_limits(self, owner_id: str, body: LimitsBody) -> Reply:
        """Set the spending limits of a user, regardless of the wallet that pays."""
        limits = await self._books.set_user_limits(owner_id, [limit.bounds() for limit in body.limits])
        return Reply([limit_answer(limit) for limit in limits])

    @operation(
        "GET",
        "/api/organizations/{organization_id}/limits",
        scope=Scope.WALLETS_READ,
        answer=list[MemberLimitAnswer],
        audit=Audit.PERSONAL,
    )
    async def get_member_limits(self, organization_id: str) -> Reply:
        """Return the spending limits of the members of a pool and the amounts spent, by period."""
        return _limits(await self._books.member_limits(organization_id))

    @operation(
        "PUT",
        "/api/organizations/{organization_id}/limits",
        scope=Scope.WALLETS_WRITE,
        answer=list[MemberLimitAnswer],
        links={
            "read": link("organizations.get_member_limits", path={"organization_id": "$request.path.organization_id"})
        },
        rehearsable=True,
    )
    async def put_member_limits(self, organization_id: str, body: MemberLimitsBody) -> Reply:
        """Set the spending limits of one member of a pool, or of every member without own limits."""
        bounds = [limit.bounds() for limit in body.limits]
        return _limits(await self._books.set_member_limits(organization_id, body.member, bounds))

    @operation("GET", "/api/ledger/statement", scope=Scope.WALLETS_READ, answer=StatementAnswer)
    async def statement_of_all(self, query: StatementQuery) -> StatementAnswer:
        """Return the statement of all wallets together: revenue, deferred revenue and breakage."""
        return statement_answer(None, await self._books.statement(None, since=query.since, until=query.until))

    @operation("GET", "/api/ledger/digest", scope=Scope.OPS_READ, answer=DigestAnswer)
    async def digest(self) -> DigestAnswer:
        """Return one hash over the last hashes of all wallets' chains."""
        found = await self._books.digest()
        return DigestAnswer(wallets=found.wallets, transfers=found.transfers, digest=found.digest)


def _limits(found: Sequence[MemberLimit]) -> Reply:
    return Reply([member_limit_answer(member, limit) for member, limit in found])


def _note(call: Call, reason: str, key: str | None) -> TransferNote:
    """Return the actor, the reason and the key of a correction; the key is the body's, else derived from the Idempotency-Key."""
    return TransferNote(operation_key=key or call.derived_key, actor=call.principal.id, reason=reason)


def _grant_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UnknownGrantError(text) from None

"""Facade of the libraries for host applications, async."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from faregate.client.charge_handle import ChargeHandle
from faregate.client.charge_request import Estimate
from faregate.client.values import Balance, Quote
from faregate.client.wrapping.wrap import Unmetered, user_of, wrap_sdk
from faregate.core.db.migrate import database_problem, upgrade
from faregate.core.errors import ConfigurationError
from faregate.core.settings import load_settings
from faregate.credit.errors import UnknownWalletError
from faregate.credit.ledger.grants import GRANT_PRIORITY
from faregate.credit.values import Grant
from faregate.host.arguments import storable
from faregate.host.container import FaregateContainer
from faregate.host.features import Features
from faregate.host.grants import grant_spec
from faregate.host.organizations import Organizations
from faregate.host.refunds import Refund, Refunds
from faregate.host.session_check import SessionCheck
from faregate.host.strategies import strategy_of
from faregate.host.usage import UsageRecords
from faregate.host.uses import Uses, quoted, use_request
from faregate.usage.interfaces import IAccountDirectory
from faregate.usage.service import UsageService
from faregate.usage.values import FeatureUsage, ModelUsage
from faregate.wire.ids import check_external_id

__all__ = ["Faregate"]

C = TypeVar("C")
S = TypeVar("S")

_PARTS = {"container", "features", "organizations", "usage", "_usage", "_uses", "_refunds", "_session_check"}
"""What is made at the first use after an opening."""


class Faregate:
    """Credits in a host's own process: `fare = Faregate(url)`, then `async with fare:` or `FastAPI(lifespan=fare.lifespan)`.

    Amounts are credits as `Decimal`. All calls may be repeated: a `key` names one use, grant or refund, which counts once.

    Args:
        url: PostgreSQL, such as `postgresql://faregate:secret@db.internal/faregate`; None for FAREGATE_DATABASE_URL, and
            without that for the embedded server (extra `embedded`).
        strategies: the host's own pricing strategies, by name: objects, classes without arguments, or functions of the use
            that return credits. `strategy` registers further ones.
        features: features by key, each with the arguments of `features.define`, such as `{"image": {"strategy": "per_image"}}`.
            They are defined when opened, unless the database has a feature of this key: that stays, and a difference is logged.
        directory: who belongs to which organisation, if the host knows; by default the database does (`organizations`).
        migrate: bring the schema up to date when opened. With False, a schema that is too old is refused.
        spool_dir: where settlements of `use` blocks wait while the database is unavailable; None keeps them in memory.
        container: a container with seams that have no argument here; `url`, `directory` and settings are then its own.
        settings: further settings by name, such as `initial_credits=10`; they take precedence over the environment.

    Raises:
        ConfigurationError: a setting or a strategy cannot be used; the text says which, and the fix.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        strategies: Mapping[str, object] | None = None,
        features: Mapping[str, Mapping[str, Any]] | None = None,
        directory: IAccountDirectory | None = None,
        migrate: bool = True,
        spool_dir: Path | None = None,
        container: FaregateContainer | None = None,
        **settings: Any,
    ) -> None:
        if container is not None and (url is not None or directory is not None or settings):
            raise ConfigurationError(
                "give either a container, or url, directory and settings: the container has its own"
            )
        if url is not None and "database_url" in settings:
            raise ConfigurationError("give the address once: as the first argument, or as database_url")
        self._strategies = {name: strategy_of(name, made) for name, made in (strategies or {}).items()}
        self._features = dict(features or {})
        self._given = container
        self._directory = directory
        self._settings = {**({"database_url": url} if url is not None else {}), **settings}
        if container is None:
            load_settings(**self._settings)  # a wrong setting is reported here, not at the first request
        self._migrate = migrate
        self._spool_dir = spool_dir
        self._opened: AsyncExitStack | None = None
        self._blocks = 0

    @cached_property
    def container(self) -> FaregateContainer:
        """The container of all libraries, for what this class does not offer."""
        made = self._given if self._given is not None else self._made_container()
        if self._given is not None and self._strategies:
            strategies: Any = made.extra_strategies
            strategies.override(self._strategies)
        return made

    def strategy(self, name: str) -> Callable[[S], S]:
        """Register a strategy: `@fare.strategy("per_image")` above a class, or above a function of the use.

        Raises:
            ConfigurationError: another one has this name, or Faregate is open already.
        """

        def register(made: S) -> S:
            if "container" in self.__dict__:
                raise ConfigurationError(f"register the strategy {name!r} before Faregate is opened or used")
            if name in self._strategies:
                raise ConfigurationError(f"there are two strategies {name!r}; rename one")
            self._strategies[name] = strategy_of(name, made)
            return made

        return register

    async def open(self) -> Self:
        """Open the database and bring its schema up to date. Safe to repeat.

        Raises:
            EngineUnavailableError, ConfigurationError: the database cannot be used; the text names the reason and the fix.
        """
        if self._opened is not None:
            return self
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._engines())
            await stack.enter_async_context(self._uses)
            self._opened = stack.pop_all()
        return self

    async def aclose(self) -> None:
        """Send the settlements that wait, for at most 5 seconds, then close all connections. Safe to repeat."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.aclose()
            self._forget_parts()

    async def __aenter__(self) -> Self:
        await self.open()
        self._blocks += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._blocks -= 1
        if self._blocks == 0:
            await self.aclose()

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncGenerator[None]:
        """Keep Faregate open while an ASGI application runs: `FastAPI(lifespan=fare.lifespan)`."""
        async with self:
            yield

    async def charge(
        self,
        feature: str,
        user: str,
        *,
        key: str | None = None,
        usages: Sequence[ModelUsage] = (),
        metadata: Mapping[str, Any] | None = None,
        organization: str | None = None,
        session: object = None,
    ) -> FeatureUsage:
        """Charge a use whose price is known when it is done, in one call and one transaction.

        Args:
            key: the usage key; the same key again returns the first use and charges nothing. Without one, each call is a use.
            session: a SQLAlchemy `AsyncSession` of the host (asyncpg, READ COMMITTED, same database): the charge commits and
                rolls back with it. The host repeats its transaction after a deadlock or a `RetryTransactionError`.

        Raises:
            InsufficientCreditsError, AccessRefusedError, UnknownFeatureError, QuotaExceededError: refused, nothing is written.
            KeyConflictError: the key was used for another use.
            InvalidError: an argument is not valid; `param` names it.
        """
        return await self._usage.record_usage(
            feature,
            user,
            usage_key=key,
            organization_id=organization,
            usages=usages,
            metadata=storable(metadata),
            session=await self._session_check.checked(session) if session is not None else None,
        )

    def use(
        self,
        feature: str,
        user: str,
        *,
        key: str | None = None,
        estimate: Estimate = None,
        organization: str | None = None,
        email: str | None = None,
        ttl_seconds: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> ChargeHandle:
        """Hold credits, run a block, and settle what it used: `async with fare.use("ai_chat_v1", "ada") as use:`.

        In the block, `use.observe(reply)` reads the usage that a provider's reply reports. If the block raises before
        anything was observed, the hold is voided. The hold is extended while the block runs.

        Args:
            key: the usage key; a new one by default. A block that starts again with the key of one that was killed continues its
                hold. Two blocks that run at the same time with one key share it: both run, and one settlement counts. A key
                whose use is settled, voided or expired is refused.
            estimate: the expected cost in credits, or the expected usage of models; the hold covers it.
            ttl_seconds: the lifetime of the hold should this process end (1 to 86,400).

        Raises (on entry):
            InsufficientCreditsError, AccessRefusedError, UnknownFeatureError, QuotaExceededError: do not run the feature.
        """
        request = use_request(
            feature,
            user,
            key=key,
            estimate=estimate,
            organization=organization,
            email=email,
            ttl_seconds=ttl_seconds,
            metadata=metadata,
        )
        return ChargeHandle(self._uses.api, request)

    async def quote(
        self,
        feature: str,
        user: str,
        *,
        usages: Sequence[ModelUsage] = (),
        estimate: Estimate = None,
        organization: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Quote:
        """Return what a use would hold and cost now, without holding or charging anything.

        Args:
            usages: the usage to be priced, and the estimate if there is none.
            estimate: as in `use`; if it is the usage of models, it is priced unless there are `usages`.

        Raises:
            AccessRefusedError, UnknownFeatureError, QuotaExceededError: a start would be refused. Too few credits are no error:
                the quote is not `covered`.
        """
        request = use_request(feature, user, estimate=estimate, organization=organization, metadata=metadata)
        return await quoted(self._usage, request, usages)

    def wrap(
        self,
        client: C,
        feature: str,
        *,
        user: str | Callable[[Mapping[str, Any]], str] = user_of,
        unmetered: Unmetered = "warn",
        estimate: Estimate = None,
        organization: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> C:
        """Return a copy of an async OpenAI or Anthropic client whose model calls are charged; see `CreditsClient.wrap`."""

        def charger(body: Mapping[str, Any]) -> ChargeHandle:
            payer = user if isinstance(user, str) else user(body)
            return self.use(feature, payer, estimate=estimate, organization=organization, metadata=metadata)

        return wrap_sdk(client, charger, unmetered=unmetered, asynchronous=True)

    async def balance(self, owner: str) -> Balance:
        """Return the credits of a user, or of an organisation (`org:<id>`).

        An owner who has no wallet yet gets one at the first use or grant; until then the answer is what that would find.
        """
        try:
            wallet, _ = await self.container.wallets().get(check_external_id(owner, param="owner"))
        except UnknownWalletError:
            initial = self.container.settings().initial_credits
            return Balance(owner, initial, Decimal(0), initial, Decimal(0), plan=None, status="new")
        return Balance(
            owner, wallet.free, wallet.held, wallet.balance, wallet.credit_limit, plan=wallet.plan, status=wallet.status
        )

    async def grant(
        self,
        owner: str,
        credits: Decimal | int,
        *,
        key: str,
        source: str = "purchase",
        reason: str | None = None,
        actor: str | None = None,
        effective_at: datetime | None = None,
        expires_at: datetime | None = None,
        features: Sequence[str] | None = None,
        priority: int = GRANT_PRIORITY,
        every: str | None = None,
        session: object = None,
    ) -> Grant:
        """Put credits into the wallet of a user, or of an organisation (`org:<id>`); the wallet is made if needed.

        Args:
            key: names the grant, such as the id of its payment: on one wallet each key grants once, however often it is sent.
            source: `purchase`, `bonus`, `initial`, `refund`, `plan` or `adjustment`.
            features: the only features that may use it; None for all.
            priority: smaller numbers are used first.
            every: renews the grant, e.g. `month` or `3 days`.
            session: as in `charge`.

        Raises:
            InvalidError: an argument is not valid. KeyConflictError: the key was used for a different grant.
        """
        spec = grant_spec(
            credits,
            key=key,
            source=source,
            reason=reason,
            actor=actor,
            effective_at=effective_at,
            expires_at=expires_at,
            features=features,
            priority=priority,
            every=every,
        )
        if session is None:
            return (await self.container.wallets().grant(owner, spec))[0]
        return (await self.container.credits().grant(await self._session_check.checked(session), owner, spec))[0]

    async def refund(
        self,
        key: str,
        credits: Decimal | int | None = None,
        *,
        reason: str,
        actor: str = "host",
        refund_key: str | None = None,
        session: object = None,
    ) -> Refund:
        """Refund a use to the grants that paid it: in full, or `credits` of it.

        Args:
            key: the usage key of the use.
            refund_key: names the refund: repeated calls with it refund once. By default one refund of this amount (or of all)
                is made for a use, and a repetition returns the first; a second one of the same amount needs a key of its own.
            session: as in `charge`.

        Raises:
            UnknownUsageKeyError: there is no such use. NotRefundableError: it was not charged that much, or is refunded already.
        """
        checked = await self._session_check.checked(session) if session is not None else None
        return await self._refunds.refund(
            key, credits, reason=reason, actor=actor, refund_key=refund_key, session=checked
        )

    async def place(self) -> str:
        """Return what identifies the server and the database that Faregate uses."""
        return await self._session_check.own_place()

    @cached_property
    def features(self) -> Features:
        """The features that are sold: define, list, delete."""
        return Features(self.container.catalog())

    @cached_property
    def organizations(self) -> Organizations:
        """Organisations, who pays for their members, and who the members are."""
        return Organizations(self.container.organizations())

    @cached_property
    def usage(self) -> UsageRecords:
        """What was used: uses, the story of one use, usage events."""
        return UsageRecords(self._usage, self.container.recorder())

    @cached_property
    def _usage(self) -> UsageService:
        return self.container.usage_service()

    @cached_property
    def _uses(self) -> Uses:
        return Uses(self._usage, self.container.transport(), self._spool_dir)

    @cached_property
    def _refunds(self) -> Refunds:
        container = self.container
        return Refunds(container.database(), container.corrections())

    @cached_property
    def _session_check(self) -> SessionCheck:
        return SessionCheck(self.container.database())

    def _forget_parts(self) -> None:
        """Make everything anew at the next opening, which may be on another event loop."""
        for name in _PARTS if self._given is None else _PARTS - {"container"}:
            self.__dict__.pop(name, None)

    def _made_container(self) -> FaregateContainer:
        seams = {"directory": self._directory} if self._directory is not None else {}
        return FaregateContainer(
            settings=load_settings(**self._settings), extra_strategies=dict(self._strategies), **seams
        )

    @asynccontextmanager
    async def _engines(self) -> AsyncGenerator[None]:
        async with self.container.engines() as database:
            if self._migrate:
                await upgrade(database)
            elif (problem := await database_problem(database)) is not None:
                raise ConfigurationError(f"{problem.detail}; {problem.fix}")
            await self.features.introduce(self._features)
            yield

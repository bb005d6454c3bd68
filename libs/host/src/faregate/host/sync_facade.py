"""Facade of the libraries for host applications without an event loop."""

import atexit
import os
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from faregate.client.background_loop import BackgroundLoop
from faregate.client.charge_request import Estimate
from faregate.client.sync_charge_handle import SyncChargeHandle
from faregate.client.values import Balance, Quote
from faregate.client.wrapping.wrap import Unmetered, user_of, wrap_sdk
from faregate.core.settings import load_settings
from faregate.credit.ledger.grants import GRANT_PRIORITY
from faregate.credit.values import Grant
from faregate.host.commit_charge import ICursor, add_charge
from faregate.host.facade import Faregate
from faregate.host.refunds import Refund
from faregate.host.strategies import strategy_of
from faregate.host.sync_parts import SyncFeatures, SyncOrganizations, SyncUsageRecords
from faregate.usage.interfaces import IAccountDirectory
from faregate.usage.values import FeatureUsage, ModelUsage

__all__ = ["SyncFaregate"]

C = TypeVar("C")
S = TypeVar("S")
T = TypeVar("T")

_INHERITED: list[Faregate | None] = []
"""Facades of the parent of a fork. Kept, since collecting them would close the connections that the parent still uses."""


class SyncFaregate:
    """`Faregate` for Django, Flask, Celery and scripts, with the same arguments and words.

    It runs on an event loop in a background thread, so that holds are extended while the host is busy. It opens at the first
    call, once in each process, and may be used from several threads. `close` it, or use `with`, to send what waits.

    A charge cannot join a transaction of a synchronous driver: Faregate's statements run on asyncpg, and PostgreSQL does not
    share a transaction between two connections. `charge_on_commit` settles exactly if the host's transaction commits.
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
        **settings: Any,
    ) -> None:
        self._schema = load_settings(**({"database_url": url} if url is not None else {}), **settings).db_schema
        self._begin(
            strategies,
            lambda known: Faregate(
                url,
                strategies=known,
                features=features,
                directory=directory,
                migrate=migrate,
                spool_dir=spool_dir,
                **settings,
            ),
        )

    def _begin(self, strategies: Mapping[str, object] | None, make: Callable[[Mapping[str, object]], Faregate]) -> None:
        self._strategies: dict[str, object] = dict(strategies or {})
        self._make = make
        self._lock = threading.Lock()
        self._background = BackgroundLoop()
        self._opened: Faregate | None = None
        self._process = 0
        self.features = SyncFeatures(self._call)
        self.organizations = SyncOrganizations(self._call)
        self.usage = SyncUsageRecords(self._call)

    def strategy(self, name: str) -> Callable[[S], S]:
        """Register a strategy, before the first call; see `Faregate.strategy`."""

        def register(made: S) -> S:
            self._strategies[name] = strategy_of(name, made)
            return made

        return register

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Send the settlements that wait, for at most 5 seconds, then close all connections. Safe to repeat."""
        atexit.unregister(self.close)
        opened, self._opened = self._opened, None
        if opened is not None and self._process == os.getpid():
            self._background.call(opened.aclose)
        else:
            _INHERITED.append(opened)
        self._background.close()

    def charge(
        self,
        feature: str,
        user: str,
        *,
        key: str | None = None,
        usages: Sequence[ModelUsage] = (),
        metadata: Mapping[str, Any] | None = None,
        organization: str | None = None,
    ) -> FeatureUsage:
        """Charge a use whose price is known when it is done; see `Faregate.charge`."""
        return self._call(
            lambda fare: fare.charge(
                feature, user, key=key, usages=usages, metadata=metadata, organization=organization
            )
        )

    def charge_on_commit(
        self,
        transaction: Session | Connection | ICursor,
        feature: str,
        user: str,
        *,
        key: str | None = None,
        usages: Sequence[ModelUsage] = (),
        metadata: Mapping[str, Any] | None = None,
        organization: str | None = None,
    ) -> str:
        """Charge if, and only if, the host's own transaction commits; return the usage key.

        The settlement is written to Faregate's outbox by the host's connection, and settled by the worker (`faregate worker`)
        within moments of the commit, once. Nothing is held: what the wallet cannot cover is a shortfall. To be refused
        beforehand, look at `balance`, or run the work in a `use` block.

        Args:
            transaction: SQLAlchemy's `Session` or `Connection`, or a cursor of psycopg or Django, in the same database.

        Raises:
            UnknownFeatureError: no feature has this name.
            InvalidError: an argument is not valid; `transaction` is in autocommit, or in another database.
        """
        self.features.get(feature)  # the worker could only dead-letter it
        return add_charge(
            transaction,
            self._schema,
            self._call(lambda fare: fare.place()),
            feature,
            user,
            key=key,
            usages=usages,
            metadata=metadata,
            organization=organization,
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
    ) -> SyncChargeHandle:
        """Hold credits, run a block, and settle what it used: `with fare.use("ai_chat_v1", "ada") as use:`; see `Faregate.use`."""
        charge = self._fare.use(
            feature,
            user,
            key=key,
            estimate=estimate,
            organization=organization,
            email=email,
            ttl_seconds=ttl_seconds,
            metadata=metadata,
        )
        return SyncChargeHandle(self._background, charge)

    def quote(
        self,
        feature: str,
        user: str,
        *,
        usages: Sequence[ModelUsage] = (),
        estimate: Estimate = None,
        organization: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Quote:
        """Return what a use would hold and cost now; see `Faregate.quote`."""
        return self._call(
            lambda fare: fare.quote(
                feature, user, usages=usages, estimate=estimate, organization=organization, metadata=metadata
            )
        )

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
        """Return a copy of an OpenAI or Anthropic client whose model calls are charged; see `SyncCreditsClient.wrap`."""

        def charger(body: Mapping[str, Any]) -> SyncChargeHandle:
            payer = user if isinstance(user, str) else user(body)
            return self.use(feature, payer, estimate=estimate, organization=organization, metadata=metadata)

        return wrap_sdk(client, charger, unmetered=unmetered, asynchronous=False)

    def balance(self, owner: str) -> Balance:
        """Return the credits of a user, or of an organisation (`org:<id>`); see `Faregate.balance`."""
        return self._call(lambda fare: fare.balance(owner))

    def grant(
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
    ) -> Grant:
        """Put credits into a wallet, once per key; see `Faregate.grant`."""
        return self._call(
            lambda fare: fare.grant(
                owner,
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
        )

    def refund(
        self,
        key: str,
        credits: Decimal | int | None = None,
        *,
        reason: str,
        actor: str = "host",
        refund_key: str | None = None,
    ) -> Refund:
        """Refund a use, in full or in part; see `Faregate.refund`."""
        return self._call(lambda fare: fare.refund(key, credits, reason=reason, actor=actor, refund_key=refund_key))

    def _call(self, work: Callable[[Faregate], Coroutine[Any, Any, T]]) -> T:
        fare = self._fare
        return self._background.call(lambda: work(fare))

    @property
    def _fare(self) -> Faregate:
        with self._lock:
            if self._opened is None or self._process != os.getpid():
                _INHERITED.append(self._opened)
                self._process = os.getpid()
                self._opened = self._background.call(self._make(self._strategies).open)
                atexit.register(self.close)
            return self._opened

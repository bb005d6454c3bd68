"""Call charging: for whom and as which feature an adapter charges."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from faregate.client.charge_handle import ChargeHandle
from faregate.client.charge_request import Estimate
from faregate.client.charge_session import ChargeSession, current_charge_session
from faregate.client.values import ModelUsage, Quote
from faregate.integrations.interfaces import ICharges
from faregate.integrations.open_use import OpenUse
from faregate.wire.errors import InvalidError

__all__ = ["CallCharging", "Payer", "ambient_session"]

Payer = str | Callable[[Any], str | None]
"""The user who pays, or a function that finds the user in what the framework knows of the call."""


@dataclass(frozen=True, slots=True)
class CallCharging:
    """For whom and as what calls are charged.

    Attributes:
        credits: a `CreditsClient`, `Faregate`, `SyncCreditsClient`, `SyncFaregate` or one of their fakes.
        feature: the feature that is used.
        user: the user who pays, or a function of the call that returns one.
        estimate: the expected cost in credits, or the expected usage of models; the hold covers it.
    """

    credits: ICharges
    feature: str
    user: Payer
    estimate: Estimate = None
    organization: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def payer(self, call: Any) -> str:
        """Return the user who pays for a call.

        Raises:
            InvalidError: the call names no user.
        """
        user = self.user if isinstance(self.user, str) else self.user(call)
        if not user:
            raise InvalidError(
                f"who pays for {self.feature}? give `user`: an id, or a function that finds the id in the call",
                param="user",
            )
        return user

    async def open(self, call: Any, *, key: str | None = None, metadata: Mapping[str, Any] | None = None) -> OpenUse:
        """Hold the credits of a call.

        Raises:
            InsufficientCreditsError, AccessRefusedError, UnknownFeatureError, QuotaExceededError: do not run the call.
        """
        handle = self._handle(call, key, metadata)
        if isinstance(handle, ChargeHandle):
            return OpenUse(handle, await handle.open())
        return OpenUse(handle, await asyncio.to_thread(handle.open))

    def open_now(self, call: Any, *, key: str | None = None, metadata: Mapping[str, Any] | None = None) -> OpenUse:
        """Hold the credits of a call that runs without an event loop; see `open`.

        Raises:
            InvalidError: `credits` is an async class.
        """
        handle = self._handle(call, key, metadata)
        if isinstance(handle, ChargeHandle):
            raise InvalidError(
                "this call is sync and `credits` is async; give a SyncCreditsClient or SyncFaregate, or make the call async",
                param="credits",
            )
        return OpenUse(handle, handle.open())

    async def quote(self, user: str, usages: Sequence[ModelUsage] = ()) -> Quote:
        """Return what a call would hold and cost this user now; nothing is held or charged."""
        if inspect.iscoroutinefunction(self.credits.quote):
            return await cast("Coroutine[Any, Any, Quote]", self._quoted(user, usages))
        return cast("Quote", await asyncio.to_thread(self._quoted, user, usages))

    def quote_now(self, user: str, usages: Sequence[ModelUsage] = ()) -> Quote:
        """Return what a call would hold and cost this user now, without an event loop.

        Raises:
            InvalidError: `credits` is an async class.
        """
        if inspect.iscoroutinefunction(self.credits.quote):
            raise InvalidError("`credits` is async: use `await quote(…)`, or give a sync class", param="credits")
        return cast("Quote", self._quoted(user, usages))

    def _quoted(self, user: str, usages: Sequence[ModelUsage]) -> Quote | Coroutine[Any, Any, Quote]:
        return self.credits.quote(
            self.feature, user, usages=usages, estimate=self.estimate, organization=self.organization
        )

    def _handle(self, call: Any, key: str | None, metadata: Mapping[str, Any] | None) -> Any:
        return self.credits.use(
            self.feature,
            self.payer(call),
            key=key,
            estimate=self.estimate,
            organization=self.organization,
            metadata={**self.metadata, **(metadata or {})},
        )


def ambient_session() -> ChargeSession | None:
    """Return the session of the `use` block that the call runs in, if there is one that still charges."""
    session = current_charge_session.get()
    return session if session is not None and session.running else None

"""Starts, settlements and direct uses, gathered into batches; one transaction each."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.isolation import ITransact, isolate_failures
from faregate.core.db.subjects import Subjects
from faregate.core.errors import FaregateError
from faregate.core.runtime.batcher import Batcher
from faregate.core.runtime.failpoints import failpoint
from faregate.usage.credits_process.repository import UsageRepository
from faregate.usage.credits_process.rulebook import IRulebooks, Rulebook
from faregate.usage.credits_process.settle import Settler
from faregate.usage.credits_process.settled_events import SettledEvents
from faregate.usage.credits_process.start import Starter
from faregate.usage.values import Accessible, FeatureUsage, Settled, SettleRequest, StartRequest

__all__ = ["CreditsProcess", "DirectUse"]

_WARM_CONNECTIONS = 3
"""How many connections a worker uses at the same time while it settles: for two queues, and for its heartbeat or a job."""


@dataclass(frozen=True, slots=True)
class DirectUse:
    """A use in one call; `who` is the person or key in whose name an amount is debited."""

    request: SettleRequest
    who: str | None = None


class CreditsProcess:
    """Runs the three kinds of work; owns their transactions.

    Concurrent single calls for one user are gathered, so that many of them share one lock and one commit.
    """

    def __init__(
        self,
        database: Database,
        rules: IRulebooks,
        starter: Starter,
        settler: Settler,
        events: SettledEvents,
        subjects: Subjects,
        repository: UsageRepository,
        clock: IClock,
    ) -> None:
        self._database = database
        self._rules = rules
        self._starter = starter
        self._settler = settler
        self._events = events
        self._subjects = subjects
        self._repository = repository
        self._clock = clock
        self._starts: Batcher[tuple[StartRequest, str], Accessible] = Batcher(self._start_batch)
        self._settlements: Batcher[SettleRequest, Settled] = Batcher(self.settle_batch)
        self._direct_uses: Batcher[DirectUse, FeatureUsage] = Batcher(self._use_batch)

    async def start(self, request: StartRequest, usage_key: str) -> Accessible:
        """Open a hold, or raise why not."""
        return await self._starts.submit((request, usage_key), lane_key=request.user_id)

    async def settle(self, request: SettleRequest) -> Settled:
        """Settle one use, or raise why not."""
        return await self._settlements.submit(request, lane_key=request.user_id)

    async def settle_batch(self, requests: Sequence[SettleRequest]) -> list[Settled | Exception]:
        """Settle many uses in one transaction; see `UsageService.settle_batch`."""
        return await isolate_failures(self._database, requests, self._settle_together)

    async def warm_up(self) -> None:
        """Load the rules and the prices, and prepare the statements of settlements on some connections; changes nothing."""
        rules = await self._rules_to_settle([])
        await asyncio.to_thread(rules.prices.warm_up, self._clock.now())
        await asyncio.gather(*(self._database.run(self._settler.warm_up) for _ in range(_WARM_CONNECTIONS)))

    async def use(self, use: DirectUse, session: AsyncSession | None) -> FeatureUsage:
        """Use and charge at once, in the caller's `session` if there is one, or raise why not."""
        if session is None and not self._database.is_joined:
            return await self._direct_uses.submit(use, lane_key=use.request.user_id)
        rules = await self._rules_to_settle([])  # to look again would need a second connection

        async def alone(given: AsyncSession) -> FeatureUsage:
            (outcome,) = await self._charge(given, rules, [use])
            if isinstance(outcome, FaregateError):
                raise outcome
            return outcome

        return await (alone(session) if session is not None else self._database.run(alone))

    async def _start_batch(self, requests: Sequence[tuple[StartRequest, str]]) -> list[Accessible | Exception]:
        rules = await self._rules.current(request.feature for request, _ in requests)

        async def together(
            items: Sequence[tuple[StartRequest, str]], transact: ITransact
        ) -> Sequence[Accessible | Exception]:
            return await transact(lambda session: self._starter.run(session, rules, items))

        return await isolate_failures(self._database, requests, together)

    async def _settle_together(
        self, requests: Sequence[SettleRequest], transact: ITransact
    ) -> Sequence[Settled | Exception]:
        rules = await self._rules_to_settle(requests)

        async def work(session: AsyncSession) -> Sequence[Settled | FaregateError]:
            outcomes = await self._settler.run(session, rules, requests)
            failpoint("written")
            return outcomes

        settled = await transact(work)
        failpoint("committed")
        return settled

    async def _use_batch(self, uses: Sequence[DirectUse]) -> list[FeatureUsage | Exception]:
        rules = await self._rules_to_settle([use.request for use in uses])

        async def together(items: Sequence[DirectUse], transact: ITransact) -> Sequence[FeatureUsage | Exception]:
            return await transact(lambda session: self._charge(session, rules, items))

        return await isolate_failures(self._database, uses, together)

    async def _rules_to_settle(self, requests: Sequence[SettleRequest]) -> Rulebook:
        """Return the rules, once the usage events of a settlement have a partition. A plain debit names no feature."""
        await self._events.ready()
        return await self._rules.current(request.feature for request in requests if request.amount is None)

    async def _charge(
        self, session: AsyncSession, rules: Rulebook, uses: Sequence[DirectUse]
    ) -> list[FeatureUsage | FaregateError]:
        """Answer each use by itself, in order: charged in full, or refused."""
        names = {use.who for use in uses if use.who is not None}
        actors = {name: await self._subjects.append_only_actor(session, name) for name in sorted(names)}
        requests = [replace(u.request, actor=actors[u.who]) if u.who is not None else u.request for u in uses]
        outcomes = await self._settler.run(session, rules, requests, in_full=True)
        settled = [outcome.usage_key for outcome in outcomes if isinstance(outcome, Settled)]
        finished = await self._repository.usages_of(session, settled) if settled else []
        found = {usage.usage_key: usage for usage in finished}
        return [found[outcome.usage_key] if isinstance(outcome, Settled) else outcome for outcome in outcomes]

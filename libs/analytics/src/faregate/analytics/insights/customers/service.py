"""Customer service: cohorts, adoption, churn, segments, upsell."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from faregate.analytics.insights.asking import ask_of
from faregate.analytics.insights.customers.answers import (
    adoption_answer,
    cohort_answer,
    risk_facts,
    segment_facts,
    segment_sizes,
    upsell_facts,
)
from faregate.analytics.insights.customers.churn import (
    LEAST_REPEATERS,
    ChurnCheck,
    churn_check,
    churn_risks,
    repeaters,
)
from faregate.analytics.insights.customers.cohorts import LEAST_COHORT, cohorts_of
from faregate.analytics.insights.customers.repository import CustomerRepository
from faregate.analytics.insights.customers.segment_rules import SegmentRule, matches
from faregate.analytics.insights.customers.segments import LEAST_SEGMENTED, rfm_scores
from faregate.analytics.insights.customers.upsell import UpsellHint, upsell_hint
from faregate.analytics.insights.customers.values import RECENT_DAYS, Subscription, UserActivity
from faregate.analytics.insights.errors import UnknownSegmentError
from faregate.analytics.insights.keeping import InsightKeeper
from faregate.analytics.insights.series import complete_range
from faregate.analytics.insights.values import Evidence, Insight, InsightKind, InsightResult, PersonFinding
from faregate.analytics.question.calendar import period_at, periods_of
from faregate.analytics.question.filters import Question
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.errors import InvalidError
from faregate.core.redaction.scrubbing import CREDENTIAL, is_credential
from faregate.core.values.time_zones import time_zone
from faregate.usage.features.catalog import FeatureCatalog
from faregate.usage.features.plans import Plan
from faregate.wire.ids import check_external_id

__all__ = ["CohortUnit", "CustomerService"]

CohortUnit = Literal["week", "month"]

_DAYS = 365
_LEAST_ADOPTERS = 10
_PEOPLE = 1000
"""How many people a result keeps."""


@dataclass(frozen=True, slots=True)
class _Base:
    """The users that a result rests on, and the question that found them."""

    asked: Question
    users: Sequence[UserActivity]
    today: int

    def evidence(self, method: str, uncertainty: str, limits: Sequence[str], *, sample: int | None = None) -> Evidence:
        note = self.asked.omissions.note
        return Evidence(
            method=method,
            sample=len(self.users) if sample is None else sample,
            sampled="users",
            start=self.asked.range.start,
            end=self.asked.range.end,
            uncertainty=uncertainty,
            limits=(*limits, *([note] if note else [])),
        )


class CustomerService:
    """Insights about users, from the last 365 complete days; each result is kept, and current for the rest of the day."""

    def __init__(
        self,
        database: Database,
        repository: CustomerRepository,
        keeper: InsightKeeper,
        catalog: FeatureCatalog,
        clock: IClock,
        *,
        credit_price_usd: Decimal,
        margin_percent: Decimal,
    ) -> None:
        self._database = database
        self._repository = repository
        self._keeper = keeper
        self._catalog = catalog
        self._clock = clock
        self._credit_price_usd = credit_price_usd
        self._margin_percent = margin_percent

    async def cohorts(self, question: Question, unit: CohortUnit = "week") -> Insight:
        """Return the users by the period of their first use, and how many came back in each period after."""
        ask = ask_of(InsightKind.COHORTS, question, unit=unit)
        return await self._keeper.current(ask, lambda: self._cohorts(question, unit), made_since=self._today(question))

    async def adoption(self, question: Question) -> Insight:
        """Return which fraction of the recent users used each feature, and how that changed."""
        ask = ask_of(InsightKind.ADOPTION, question)
        return await self._keeper.current(ask, lambda: self._adoption(question), made_since=self._today(question))

    async def churn(self, question: Question, *, limit: int = 100, user_id: str | None = None) -> Insight:
        """Return the users by their risk to be gone, the highest first, and why; or only `user_id`."""
        ask = ask_of(InsightKind.CHURN, question)
        return await self._keeper.current(
            ask, lambda: self._churn(question), made_since=self._today(question), people=limit, user_id=user_id
        )

    async def segments(self, question: Question, *, limit: int = 100, user_id: str | None = None) -> Insight:
        """Return the segments with their sizes, and the users with theirs, the most credits first."""
        ask = ask_of(InsightKind.SEGMENTS, question)
        return await self._keeper.current(
            ask, lambda: self._segments(question), made_since=self._today(question), people=limit, user_id=user_id
        )

    async def upsell(self, question: Question, *, limit: int = 100, user_id: str | None = None) -> Insight:
        """Return the users that may want another plan, with the cost on each, the most credits first."""
        ask = ask_of(InsightKind.UPSELL, question)
        return await self._keeper.current(
            ask, lambda: self._upsell(question), made_since=self._today(question), people=limit, user_id=user_id
        )

    async def put_rule(self, rule: SegmentRule) -> None:
        """Declare a segment; a rule of the same name is replaced. Results that are made from now on contain it.

        Raises:
            InvalidError: the name is not a valid id, or looks like a credential.
        """
        if is_credential(check_external_id(rule.name, param="name")):
            raise InvalidError(f"name {CREDENTIAL}", param="name")
        async with self._database.transaction() as session:
            await self._repository.put_rule(session, rule, now=self._clock.now())

    async def rules(self) -> Sequence[SegmentRule]:
        """Return the declared segments by name."""
        async with self._database.transaction(read_only=True) as session:
            return await self._repository.rules(session)

    async def remove_rule(self, name: str) -> None:
        """Delete a declared segment, or raise `UnknownSegmentError`."""
        async with self._database.transaction() as session:
            if not await self._repository.remove_rule(session, name):
                raise UnknownSegmentError(name)

    def _today(self, question: Question) -> datetime:
        return period_at(self._clock.now(), "day", time_zone(question.range.timezone))

    async def _base(self, question: Question) -> _Base:
        asked = complete_range(question, "day", now=self._clock.now(), count=_DAYS)
        async with self._database.reading(isolation="REPEATABLE READ") as session:
            users = await self._repository.activity(session, asked)
        return _Base(asked, users, len(periods_of(asked.range, "day")))

    async def _subscriptions(self, base: _Base) -> dict[int, Subscription]:
        async with self._database.transaction(read_only=True) as session:
            numbers = [user.subject_id for user in base.users]
            return dict(await self._repository.subscriptions(session, numbers))

    async def _cohorts(self, question: Question, unit: CohortUnit) -> InsightResult:
        base = await self._base(question)
        span = base.asked.range
        days = [*periods_of(span, "day"), span.end]
        last = period_at(span.end, unit, time_zone(span.timezone))
        periods = [period for period in periods_of(span, unit) if period < last]
        found, small = cohorts_of(base.users, days, [*periods, last])
        evidence = base.evidence(
            f"users by the {unit} of their first use; active in a later {unit} is used at least once in it",
            f"counts are exact; fractions of cohorts near {LEAST_COHORT} users move by 10 points with one user",
            [
                f"cohorts of fewer than {LEAST_COHORT} users are left out: {small}",
                (
                    f"first use is the first in these {base.today} days; who came before is no newcomer in the first {unit}, "
                    "which has no cohort"
                ),
            ],
        )
        return InsightResult(bool(found), evidence, {"unit": unit, "cohorts": [cohort_answer(each) for each in found]})

    async def _adoption(self, question: Question) -> InsightResult:
        asked = complete_range(question, "day", now=self._clock.now(), count=2 * RECENT_DAYS)
        async with self._database.reading(isolation="REPEATABLE READ") as session:
            features = await self._repository.adoption(session, asked)
            users = await self._repository.activity(session, asked)
        base = _Base(asked, users, 2 * RECENT_DAYS)
        active = sum(1 for user in users if user.last_day >= RECENT_DAYS)
        before = sum(1 for user in users if user.first_day < RECENT_DAYS)
        evidence = base.evidence(
            f"users of a feature in the last {RECENT_DAYS} days, of all users with any use in them",
            "counts are exact",
            [f"needs {_LEAST_ADOPTERS} active users", f"the {RECENT_DAYS} days before are the comparison"],
            sample=active,
        )
        if active < _LEAST_ADOPTERS:
            return InsightResult(False, evidence, {})
        found = [adoption_answer(each, active, before) for each in features]
        return InsightResult(True, evidence, {"users": active, "users_before": before, "features": found})

    async def _churn(self, question: Question) -> InsightResult:
        base = await self._base(question)
        count = len(repeaters(base.users))
        if count < LEAST_REPEATERS:
            evidence = base.evidence(
                "none: not enough users",
                "no risk is shown from less",
                [f"{count} users with at least two active days; the model needs {LEAST_REPEATERS}"],
            )
            return InsightResult(False, evidence, {})
        balances = {number: each.balance for number, each in (await self._subscriptions(base)).items()}
        risks = await asyncio.to_thread(churn_risks, base.users, base.today, balances)
        check = await asyncio.to_thread(churn_check, base.users, base.today)
        people = [
            PersonFinding(each.user.subject_id, rank, risk_facts(each))
            for rank, each in enumerate(risks[:_PEOPLE], start=1)
        ]
        expected = sum((each.risk for each in risks), Decimal(0))
        answer = {"users": len(risks), "expected_gone": expected, "check": asdict(check) if check else None}
        return InsightResult(True, _churn_evidence(base, count, check), answer, people)

    async def _segments(self, question: Question) -> InsightResult:
        base = await self._base(question)
        if len(base.users) < LEAST_SEGMENTED:
            evidence = base.evidence(
                "none: not enough users", "no segments are shown from less", [f"needs {LEAST_SEGMENTED} users"]
            )
            return InsightResult(False, evidence, {})
        rules = await self.rules()
        scores = sorted(rfm_scores(base.users), key=lambda score: (-score.user.whole.credits, score.user.subject_id))
        declared = {
            rule.name: {score.user.subject_id for score in scores if matches(rule, score.user, base.today)}
            for rule in rules
        }
        people = [
            PersonFinding(score.user.subject_id, rank, segment_facts(score, declared))
            for rank, score in enumerate(scores[:_PEOPLE], start=1)
        ]
        evidence = base.evidence(
            "fifths by last use, active days and credits (RFM); declared segments by their conditions",
            "exact for these users; fifths are relative: a fifth of the users is always the first",
            [] if len(scores) <= _PEOPLE else [f"lists the {_PEOPLE} users with the most credits"],
        )
        return InsightResult(True, evidence, segment_sizes(scores, declared), people)

    async def _upsell(self, question: Question) -> InsightResult:
        base = await self._base(question)
        subscribed = await self._subscriptions(base)
        plans = dict((await self._catalog.current()).plans)
        hints = [
            hint
            for user in base.users
            if (hint := self._hint(user, subscribed.get(user.subject_id), plans)) is not None
        ]
        hints.sort(key=lambda hint: (-hint.user.recent.credits, hint.user.subject_id))
        people = [
            PersonFinding(hint.user.subject_id, rank, upsell_facts(hint)) for rank, hint in enumerate(hints, start=1)
        ]
        evidence = base.evidence(
            f"the credits of the last {RECENT_DAYS} days, for a month of 30.4 days, against the grants of each plan",
            "exact for the past; that the next month is like it is an assumption",
            [
                "the price of a plan is not known here: compare it with the price of the credits beyond the plan",
                "another margin scales all credits; margins and prices of single features and models are not told apart",
            ],
        )
        return InsightResult(
            bool(base.users), evidence, {"users": len(hints), "plans": sorted(plans)}, people[:_PEOPLE]
        )

    def _hint(self, user: UserActivity, wallet: Subscription | None, plans: Mapping[str, Plan]) -> UpsellHint | None:
        return upsell_hint(
            user,
            wallet.plan if wallet is not None else None,
            plans,
            margin_percent=self._margin_percent,
            credit_price_usd=self._credit_price_usd,
        )


def _churn_evidence(base: _Base, repeaters_count: int, check: ChurnCheck | None) -> Evidence:
    tested = "too few users for a test on the last 28 days"
    if check is not None:
        tested = (
            f"tested on the last {RECENT_DAYS} days: {check.came} active days came, {check.expected} were expected; "
            f"of two users the one that stayed away had the higher risk in {check.ranked:.0%} of cases"
        )
    return base.evidence(
        "BG/NBD on active days; the reasons are changes of the same user, not causes",
        tested,
        [
            "users with one active day have no risk: nothing is known of their rhythm",
            "assumes steady rhythms: seasons and contracts are not known",
            f"lists at most {_PEOPLE} users",
        ],
        sample=repeaters_count,
    )

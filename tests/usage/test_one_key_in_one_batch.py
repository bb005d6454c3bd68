"""Two requests with one usage key in one batch: the second is a repetition or a conflict."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.errors import FaregateError
from faregate.core.settings import Settings, load_settings
from faregate.credit.errors import UsageKeyConflictError
from faregate.credit.proof.verify import Verifier
from faregate.usage.interfaces import QuotaUse
from faregate.usage.values import (
    Accessible,
    ChargingPolicy,
    Feature,
    FeatureKey,
    FeatureRef,
    ModelUsage,
    Settled,
    SettleRequest,
    StartRequest,
)
from support.library import Library

PAPER = FeatureRef(value=FeatureKey.GENERATE_QUESTION_PAPER)
CHAT = FeatureRef(value="chat")
LINES = (
    ModelUsage("gpt-4o", tokens={"input_tokens": 1000, "output_tokens": 100}),
    ModelUsage("gpt-4o-mini", tokens={"input_tokens": 500, "output_tokens": 50}, raw={"prompt_tokens": 500}),
)


class RefusesBob:
    """A quota that only bob has used up."""

    async def check(self, session: AsyncSession, uses: Sequence[QuotaUse]) -> Sequence[FaregateError | None]:
        return [FaregateError("used up") if use.user_id == "bob" else None for use in uses]


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Callers vouch for memberships, so that one user may be named with two organisations."""
    return load_settings(database_url=database_url, organization_claim="trusted")


@pytest.fixture
async def funded(library: Library) -> Library:
    for owner in ("ada", "bob", "org:acme", "org:beta"):
        await library.grant(owner, 100)
    return library


async def _pool(library: Library, *organizations: str) -> None:
    async def work(session: AsyncSession) -> None:
        for organization in organizations:
            await library.usage.members().set_policy(session, organization, ChargingPolicy.POOLED)

    await library.database.run(work)


async def _balances(library: Library, *owners: str) -> list[Decimal]:
    return [await library.balance(owner) for owner in owners]


async def _ledger_verifies(library: Library) -> None:
    assert (await Verifier(library.database).verify()).drifts == ()


async def test_the_first_of_two_users_pays_and_the_second_is_a_conflict(funded: Library) -> None:
    first, second = await funded.service.settle_batch(
        [SettleRequest("k", "ada", PAPER), SettleRequest("k", "bob", PAPER)]
    )

    assert isinstance(first, Settled)
    assert (first.user_id, first.charged) == ("ada", 5)
    assert isinstance(second, UsageKeyConflictError)
    assert await _balances(funded, "ada", "bob") == [95, 100]
    assert (await funded.service.story("k")).user_id == "ada"
    await _ledger_verifies(funded)


async def test_every_item_of_a_batch_has_its_own_result_in_its_own_place(funded: Library) -> None:
    """Repetitions, conflicts and requests with other keys: one result per request, each at its position."""
    requests = [
        SettleRequest(key, user, PAPER)
        for key, user in [
            ("a", "ada"),
            ("k", "bob"),
            ("k", "ada"),
            ("k", "bob"),
            ("b", "bob"),
            ("a", "bob"),
            ("a", "ada"),
        ]
    ]
    results = await funded.service.settle_batch(requests)
    again = await funded.service.settle_batch(requests)

    kinds = ["Settled", "Settled", "UsageKeyConflictError", "Settled", "Settled", "UsageKeyConflictError", "Settled"]
    assert [type(result).__name__ for result in results] == kinds
    assert [result.replayed for result in results if isinstance(result, Settled)] == [False, False, True, False, True]
    assert [isinstance(result, Settled) for result in again] == [kind == "Settled" for kind in kinds]
    assert await _balances(funded, "ada", "bob") == [95, 90]
    await _ledger_verifies(funded)


async def test_two_organisations_of_one_user_are_two_payers(funded: Library) -> None:
    """The pool that the first request names pays; naming another one is a conflict, now and later."""
    await _pool(funded, "acme", "beta")
    requests = [SettleRequest("k", "ada", PAPER, organization_id=name) for name in ("acme", "beta")]
    for _ in range(2):
        first, second = await funded.service.settle_batch(requests)
        assert isinstance(first, Settled)
        assert first.charged == 5
        assert isinstance(second, UsageKeyConflictError)

    assert await _balances(funded, "ada", "org:acme", "org:beta") == [100, 95, 100]
    await _ledger_verifies(funded)


async def test_started_use_is_paid_as_started_for_any_organisation_of_its_settlement(funded: Library) -> None:
    await _pool(funded, "acme", "beta")
    await funded.service.authorize(StartRequest("ada", PAPER, "k", organization_id="acme"))
    for _ in range(2):
        settled = await funded.service.settle(SettleRequest("k", "ada", PAPER, organization_id="beta"))
        assert settled.charged == 5

    assert await _balances(funded, "org:acme", "org:beta") == [95, 100]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (StartRequest("ada", PAPER, "k"), StartRequest("bob", PAPER, "k")),
        (
            StartRequest("ada", PAPER, "k", organization_id="acme"),
            StartRequest("ada", PAPER, "k", organization_id="beta"),
        ),
    ],
    ids=["users", "organisations"],
)
async def test_two_starts_with_one_key(funded: Library, one: StartRequest, other: StartRequest) -> None:
    await _pool(funded, "acme", "beta")
    first, second, third = await asyncio.gather(
        *map(funded.service.authorize, (one, other, one)), return_exceptions=True
    )

    assert isinstance(first, Accessible)
    assert isinstance(second, UsageKeyConflictError)
    assert isinstance(third, Accessible)
    assert replace(third, limits_passed=()) == replace(first, limits_passed=())
    owners = ["ada", "bob", "org:acme", "org:beta"]
    held = sum([await funded.balance(owner) - await funded.free(owner) for owner in owners])
    assert held == 5
    await _ledger_verifies(funded)


async def test_quota_refuses_only_its_own_user(funded: Library) -> None:
    """The refusal of one of two requests with one key does not affect the other."""
    settler = funded.usage.settler()
    settler._quotas = RefusesBob()
    requests = [SettleRequest("k", "bob", PAPER), SettleRequest("k", "ada", PAPER)]
    rules = await funded.usage.rulebooks().current([PAPER])
    second, first = await funded.database.run(lambda s: settler.run(s, rules, requests, in_full=True))

    assert isinstance(first, Settled)
    assert isinstance(second, FaregateError)
    assert second.detail == "used up"
    assert await _balances(funded, "ada", "bob") == [95, 100]


async def test_answers_to_one_key_are_the_same_in_any_batch(funded: Library) -> None:
    await funded.feature(Feature("chat", "token_priced", min_credits=Decimal(1)))
    request = SettleRequest("k", "ada", CHAT, LINES)
    crowd = await asyncio.gather(*[funded.service.settle(request) for _ in range(20)])
    batch = await funded.service.settle_batch([request] * 20)
    answers = [replace(each, replayed=False) for each in (*crowd, *batch) if isinstance(each, Settled)]

    assert len(answers) == 40
    assert [len(answer.lines) for answer in answers] == [2] * 40
    assert answers == [answers[0]] * 40
    assert [each.replayed for each in crowd].count(False) == 1

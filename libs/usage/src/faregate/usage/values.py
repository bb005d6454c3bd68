"""Values of the credits process. Frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Any, Protocol

from faregate.core.db.subjects import Subject
from faregate.core.errors import FaregateError
from faregate.credit.ledger.states import Flag
from faregate.wire.model_usage import ModelUsage
from faregate.wire.money import PricingPolicy

__all__ = [
    "REPORTED",
    "UNPRICED",
    "Accessible",
    "AccountFacts",
    "ChargingPolicy",
    "Feature",
    "FeatureAccess",
    "FeatureKey",
    "FeatureRef",
    "FeatureUsage",
    "HoldSizing",
    "IPrices",
    "ModelUsage",
    "OutagePolicy",
    "Price",
    "PricingPolicy",
    "Rule",
    "SettleRequest",
    "Settled",
    "StartRequest",
    "UsageLine",
    "Use",
    "UseQuote",
    "chargeable",
]


UNPRICED = "unpriced"
"""The price version of a line that no price is known for; it is parked until one is."""


REPORTED = "reported"
"""The price version of a line that costs what the provider reported, where a deployment allows that."""


class FeatureKey(StrEnum):
    """The features that come with the library; hosts may name theirs as they like."""

    GENERATE_QUESTION_PAPER = "GENERATE_QUESTION_PAPER"


class Rule(StrEnum):
    """How a use is charged."""

    INDIVIDUAL = "individual"
    """The user's wallet pays."""
    RECORDED = "recorded"
    """Nobody pays; the price is recorded."""
    POOLED = "pooled"
    """The organisation's wallet pays."""

    @property
    def charges(self) -> bool:
        """Whether anybody pays."""
        return self is not Rule.RECORDED


class ChargingPolicy(StrEnum):
    """What an organisation wants for its members."""

    RECORDED = "recorded"
    """Their usage is recorded, nobody is charged."""
    POOLED = "pooled"
    """The organisation's wallet pays."""


class HoldSizing(StrEnum):
    """How much a start sets aside; never less than the feature's minimum, never more than its hold limit."""

    ESTIMATE = "estimate"
    """What the caller expects, priced."""
    FIXED = "fixed"
    """Always `hold_credits`."""
    PERCENTILE = "percentile"
    """The `hold_percentile` of what its uses have cost, as soon as there is history; until then the estimate."""


class OutagePolicy(StrEnum):
    """What a client does while Faregate cannot be reached."""

    CLOSED = "closed"
    """Refuse."""
    OPEN = "open"
    """Let uses pass up to `outage_limit_credits`, and settle them afterwards."""


@dataclass(frozen=True, slots=True)
class FeatureAccess:
    """Who may use a feature: everyone, or whoever is named in at least one of the lists."""

    plans: frozenset[str] = frozenset()
    organizations: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        """Whether everyone may."""
        return not (self.plans or self.organizations or self.users)


@dataclass(frozen=True, slots=True)
class Feature:
    """Something sold.

    Attributes:
        key: its name (a slug).
        feature_id: another id that callers may use for it.
        min_credits: what a wallet must have free to start it.
        strategy: the name of its pricing strategy, whose `parameters` these are.
        hold_limit_credits: most that one use sets aside.
        default_margin_percent: what the user's plan puts in the place of the deployment's margin.
    """

    key: str
    strategy: str
    name: str = ""
    feature_id: str | None = None
    min_credits: Decimal = Decimal(0)
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    access: FeatureAccess = field(default_factory=FeatureAccess)
    active: bool = True
    hold_ttl_seconds: int | None = None
    hold_limit_credits: Decimal | None = None
    margin_percent: Decimal | None = None
    refuse_unpriced: bool = False
    outage_policy: OutagePolicy = OutagePolicy.CLOSED
    outage_limit_credits: Decimal | None = None
    hold_sizing: HoldSizing = HoldSizing.ESTIMATE
    hold_credits: Decimal | None = None
    hold_percentile: Decimal | None = None
    default_margin_percent: Decimal | None = None

    @property
    def outage_debt_credits(self) -> Decimal | None:
        """Return what uses of it may owe while nobody answers; None where they must wait."""
        return self.outage_limit_credits if self.outage_policy is OutagePolicy.OPEN else None


@dataclass(frozen=True, slots=True)
class FeatureRef:
    """How a caller names a feature: by id (looked up as id, then as key), by key (`value`), or both."""

    id: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class UsageLine:
    """One priced part of a settlement. An unpriced one has neither cost nor credits, only what was used."""

    usage: ModelUsage
    provider: str | None
    provider_cost_usd: Decimal | None
    input_cost_usd: Decimal | None
    output_cost_usd: Decimal | None
    margin_percent: Decimal
    credit_price_usd: Decimal
    credits: Decimal
    price_version: str

    @property
    def unpriced(self) -> bool:
        """Whether no price is known."""
        return self.price_version == UNPRICED


class IPrices(Protocol):
    """Prices in force, as a strategy uses them."""

    @property
    def policy(self) -> PricingPolicy:
        """The deployment's credit price, margin and quantum."""
        ...

    def line(
        self,
        usage: ModelUsage,
        *,
        at: datetime,
        feature_margin: Decimal | None = None,
        default_margin: Decimal | None = None,
        by_parts: bool = False,
    ) -> UsageLine:
        """Return `usage` priced as of `at`: provider cost, margin, credits."""
        ...

    def cost_line(self, usage: ModelUsage, *, at: datetime) -> UsageLine:
        """Return `usage` with its provider cost, and 0 credits: for features whose price is not made of their lines."""
        ...


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a feature, as a strategy sees it. `at` is when it began: prices are dated."""

    feature: Feature
    at: datetime
    usages: Sequence[ModelUsage] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    prices: IPrices = field(kw_only=True)


_MICRO = Decimal("0.000001")


def chargeable(credits: object) -> Decimal:
    """Return an amount that a wallet can pay: rounded up to 6 decimal places.

    Raises:
        TypeError: it is no `Decimal` and no whole number.
        ValueError: it is negative, or not finite.
    """
    if not isinstance(credits, Decimal | int) or isinstance(credits, bool):
        raise TypeError(f"a price is a Decimal or a whole number of credits, not {credits!r}")
    amount = Decimal(credits)
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"a price is at least 0 credits, not {amount}")
    return amount if amount == round(amount, 6) else amount.quantize(_MICRO, ROUND_CEILING)


@dataclass(frozen=True, slots=True)
class Price:
    """What one use costs, in credits, and the lines that make it up (none where the price is not made of lines).

    More than 6 decimal places are rounded up, so that every price can be charged.

    Raises:
        TypeError: the credits are no `Decimal` and no whole number.
        ValueError: they are negative, or not finite.
    """

    credits: Decimal
    lines: tuple[UsageLine, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "credits", chargeable(self.credits))

    @property
    def unpriced_models(self) -> list[str]:
        """The models (or units) without a price."""
        return [line.usage.model or line.usage.unit or "?" for line in self.lines if line.unpriced]


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What is known of a user when a use begins; `organization_id` None means an individual.

    Attributes:
        owners: the user and the organisation, as far as it was seen on the way that they have wallets; those that are
            not here are looked up, or made.
        refusal: why the organisation that the caller named does not count; a use is then neither begun nor charged. A
            use that was started before keeps its organisation.
    """

    user_id: str
    organization_id: str | None = None
    policy: ChargingPolicy = ChargingPolicy.RECORDED
    plan: str | None = None
    owners: tuple[Subject, ...] = ()
    refusal: FaregateError | None = None


@dataclass(frozen=True, slots=True)
class UseQuote:
    """What a use would hold and cost now. Nothing is stored for it.

    Attributes:
        credits: the price of the usage; of a use that is only recorded, what is recorded.
        hold: what a start would hold.
        free: the payer's credits that this feature may use.
        covered: whether `free` covers the hold and the price; always true where nobody pays.
    """

    user_id: str
    feature_key: str
    charging: Rule
    credits: Decimal
    hold: Decimal
    free: Decimal
    covered: bool
    lines: tuple[UsageLine, ...] = ()
    unpriced_models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A wish to begin a use. The same `usage_key` again gives the same hold."""

    user_id: str
    feature: FeatureRef
    usage_key: str | None = None
    organization_id: str | None = None
    user_email: str | None = None
    estimated_usages: tuple[ModelUsage, ...] = ()
    estimated_credits: Decimal | None = None
    ttl_seconds: int | None = None
    metadata: Mapping[str, Any] | None = None
    spender: str | None = None


@dataclass(frozen=True, slots=True)
class Accessible:
    """The answer to a start: go ahead. `held` and `balance` are the payer's, `hold` is this use's.

    `limits_passed` names the kinds of soft spending limits (`member`, `user`, `key`) that this use goes beyond.

    `outage_limit_credits` is what may pass on debt while nobody answers, which the client keeps in mind; None is nothing.
    """

    user_id: str
    usage_key: str
    feature_key: str
    free: Decimal
    balance: Decimal
    held: Decimal
    hold: Decimal
    expires_at: datetime
    charging: Rule
    unpriced_models: tuple[str, ...] = ()
    limits_passed: tuple[str, ...] = ()
    outage_limit_credits: Decimal | None = None


@dataclass(frozen=True, slots=True)
class SettleRequest:
    """What one use took; `amount` is for a plain debit, which no strategy prices.

    `keyless` when the key was minted for a caller that gave none.

    `actor` and `reason` say on whose word a plain debit is made, and why.

    `spender` is the id of the API key that asks, here and on a start: its spending limits count. Where another key has
    made that one, the ids of those that it descends from follow, behind a space each, and theirs count, too.
    """

    usage_key: str
    user_id: str
    feature: FeatureRef
    usages: tuple[ModelUsage, ...] = ()
    organization_id: str | None = None
    duration_ms: int | None = None
    metadata: Mapping[str, Any] | None = None
    keyless: bool = False
    amount: Decimal | None = None
    actor: str | None = None
    reason: str | None = None
    spender: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """The result of a settlement; the same for every repetition of it (then `replayed`)."""

    usage_key: str
    user_id: str
    feature_key: str
    consumed: Decimal
    charged: Decimal
    shortfall: Decimal
    flags: Flag
    balance: Decimal
    free: Decimal
    lines: tuple[UsageLine, ...]
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class FeatureUsage:
    """A finished use: `credits_consumed` is its price, `credits_charged` what the payer paid (0 when only recorded)."""

    id: str
    usage_key: str
    user_id: str
    organization_id: str | None
    feature_key: str
    credits_consumed: Decimal
    credits_charged: Decimal
    metadata: Mapping[str, Any]
    started_at: datetime
    executed_at: datetime

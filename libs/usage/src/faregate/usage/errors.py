"""Errors of features, plans, meters, events and pricing."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from difflib import get_close_matches

from faregate.core.errors import ConfigurationError, FaregateError, InvalidError, NotFoundError
from faregate.wire.errors import AccessRefusedError, QuotaExceededError, UnknownFeatureError

__all__ = [
    "AlreadyCorrectedError",
    "FeatureInactiveError",
    "FeatureNotAllowedError",
    "NotAMemberError",
    "QuotaExceededError",
    "StrategyRegistryError",
    "UnknownEventError",
    "UnknownFeatureError",
    "UnknownIngestRuleError",
    "UnknownMeterError",
    "UnknownOrganizationError",
    "UnknownPlanError",
    "UnknownPriceError",
    "UnknownStrategyError",
    "UnpricedError",
    "UsageError",
    "quota_exceeded",
    "unknown_feature",
]


class UsageError(FaregateError):
    """Base class of the errors of this library."""


def unknown_feature(name: str, known: Iterable[str], *, param: str = "feature_key") -> UnknownFeatureError:
    """Return the error for a key or id that no feature has; the text lists similar and known ones."""
    return UnknownFeatureError(f"No feature {name!r}.{did_you_mean(name, known)}", param=param)


class UnknownPlanError(UsageError, NotFoundError):
    """No plan has this key."""

    code = "unknown_plan"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"No plan {name!r}.{did_you_mean(name, known)}", param="key")


class UnknownIngestRuleError(UsageError, NotFoundError):
    """No ingest rule has this name."""

    code = "unknown_ingest_rule"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"No ingest rule {name!r}.{did_you_mean(name, known)}", param="name")


class UnknownPriceError(UsageError, NotFoundError):
    """No price is known for this model, or the override does not exist."""

    code = "unknown_price"


class FeatureInactiveError(UsageError, AccessRefusedError):
    """The feature is not active."""

    code = "feature_inactive"

    def __init__(self, key: str) -> None:
        super().__init__(f"The feature {key!r} is not active; an operator can activate it", feature_key=key)


class FeatureNotAllowedError(UsageError, AccessRefusedError):
    """The feature's access rule excludes this user."""

    code = "feature_not_allowed"

    def __init__(
        self, key: str, *, open_to: Sequence[str], plan: str | None = None, organization_id: str | None = None
    ) -> None:
        """Describe in `open_to` the groups that have access; it must not name other users or organisations."""
        on_plan = f"on the plan {plan!r}" if plan else "on no plan"
        member = f"a member of {organization_id!r}" if organization_id else "a member of no organisation"
        super().__init__(
            f"The feature {key!r} is only for {' and '.join(open_to)}; this user is {on_plan} and {member}. Put the user on "
            f"such a plan (PUT /api/wallets/{{user_id}}), or change `access` of the feature (PUT /api/features/{key})",
            feature_key=key,
        )


class UnknownOrganizationError(UsageError, NotFoundError):
    """No organisation has this id."""

    code = "unknown_organization"

    def __init__(self, organization_id: str) -> None:
        super().__init__(
            f"No organisation {organization_id!r}; correct organization_id, or create it with "
            f"PUT /api/organizations/{organization_id}",
            param="organization_id",
        )


class NotAMemberError(UsageError, AccessRefusedError):
    """The user is not a member of the organisation that the call names; nothing is held or charged."""

    code = "not_a_member"

    def __init__(self, user_id: str, organization_id: str) -> None:
        super().__init__(
            f"The user {user_id!r} is not a member of the organisation {organization_id!r}; leave organization_id out, or "
            f'let the user join with PUT /api/organizations/{organization_id} {{"join": ["{user_id}"]}}',
            param="organization_id",
            user_id=user_id,
            organization_id=organization_id,
        )


def quota_exceeded(quota: str, *, used: Decimal, limit: Decimal, resets_at: str | None = None) -> QuotaExceededError:
    """Return the error for a hard quota that is used up.

    Args:
        used, limit: in the quota's unit.
        resets_at: when its period ends, in ISO 8601; None for never.
    """
    until = f"; it resets at {resets_at}" if resets_at else ""
    return QuotaExceededError(
        f"The quota {quota!r} is used up: {used:f} of {limit:f}{until}",
        quota=quota,
        used=used,
        limit=limit,
        resets_at=resets_at,
    )


class UnknownMeterError(UsageError, NotFoundError):
    """No meter of this name is built in, declared or named by an event; `suggestions` are similar names."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        super().__init__(
            f"No meter {name!r}.{did_you_mean(name, names)}; declare a new one with `faregate usage meters declare`",
            param="meter",
            suggestions=get_close_matches(name, names, n=3, cutoff=0.5),
        )


class UnknownStrategyError(UsageError, InvalidError):
    """A feature names a strategy that is not registered."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"No strategy {name!r}.{did_you_mean(name, known)}", param="strategy")


class StrategyRegistryError(UsageError, ConfigurationError):
    """The object registered under a name is not a strategy."""

    def __init__(self, name: str, found: object) -> None:
        super().__init__(
            f"The strategy {name!r} is a {type(found).__name__}, which lacks `check`, `estimate` or `price`; "
            "register an object that implements IFeatureStrategy"
        )


class UnpricedError(UsageError):
    """A model has no price, and the feature is set to refuse such uses."""

    code = "unpriced"

    def __init__(self, models: Iterable[str]) -> None:
        names = sorted(set(models))
        super().__init__(f"No price is known for {', '.join(names)}; set one with `faregate prices set`", models=names)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint that lists similar and known names, to append to 'No such …'."""
    names = sorted(known)
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(item) for item in close)}?" if close else ""
    return f"{hint} Known: {', '.join(names[:20]) or 'none'}{', …' if len(names) > 20 else ''}"


class UnknownEventError(UsageError, NotFoundError):
    """No event with this source and id was received within the deduplication window."""

    code = "unknown_event"

    def __init__(self, source: str | None, external_id: str) -> None:
        super().__init__(
            f"No event {external_id!r} of source {source or ''!r} was received; check both, they must match exactly",
            param="id",
        )


class AlreadyCorrectedError(UsageError):
    """The event was voided, or is being corrected by another call."""

    code = "already_corrected"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The event {name!r} is already corrected (GET /api/usage-events/fate); send a new event if needed"
        )

"""Which spending limits a use counts against."""

from collections.abc import Mapping

from faregate.core.db.subjects import Subject
from faregate.credit.ledger.limits import key_scope, member_scope, user_scope
from faregate.usage.credits_process.charging import Charging
from faregate.usage.values import Rule
from faregate.wire.ids import organization_owner_id

__all__ = ["limits_passed", "scopes_of"]


def scopes_of(
    user_id: str, charging: Charging, owners: Mapping[str, Subject], *, spender: str | None
) -> tuple[str, ...]:
    """Return the scopes of a use: its user, the member of a pool that pays, and the API keys that asked.

    `spender`: the key that asked and, behind a space each, those that it descends from: each one's limits count.

    A use that is only recorded spends nothing and counts against no limit.
    """
    if not charging.rule.charges:
        return ()
    user = owners[user_id].subject_id
    scopes = [user_scope(user)]
    if charging.rule is Rule.POOLED and charging.organization_id:
        scopes.append(member_scope(owners[organization_owner_id(charging.organization_id)].subject_id, user))
    scopes += [key_scope(key) for key in dict.fromkeys((spender or "").split())]
    return tuple(scopes)


def limits_passed(warned: tuple[str, ...]) -> tuple[str, ...]:
    """Return the kinds of the soft limits that a hold has passed: `member`, `user`, `key`."""
    return tuple(sorted({scope.partition(":")[0] for scope in warned}))

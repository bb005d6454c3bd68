"""Checks of derived values, as SQL for `verify`."""

from dataclasses import dataclass

from faregate.credit.ledger.accounts import TransferKind

__all__ = ["Check", "codes", "wrong"]


@dataclass(frozen=True, slots=True)
class Check:
    """A condition in SQL that is true for a divergence, and the two values to report (`wrong` casts them to text)."""

    name: str
    condition: str
    stored: str
    derived: str


def wrong(*checks: Check) -> str:
    """Return the end of a statement: one row `c` (check_name, stored, derived) for each failed check.

    Rows that pass all checks are excluded before any text is built.
    """
    rows = ",\n  ".join(
        f"('{check.name}', {check.condition}, ({check.stored})::text, ({check.derived})::text)" for check in checks
    )
    some = "\n  or ".join(dict.fromkeys(f"({check.condition})" for check in checks))
    return f"""cross join lateral (values
  {rows}
) as c (check_name, wrong, stored, derived)
where ({some}) and c.wrong"""


def codes(*kinds: TransferKind) -> str:
    """Return kinds of transfers as a list for SQL."""
    return ", ".join(str(int(kind)) for kind in kinds)

"""`faregate organizations`: charging policies and members of organisations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited
from faregate.cli.shared.options import Limit, Output, micros_of
from faregate.cli.shared.output import print_json, print_table
from faregate.cli.shared.session import with_library
from faregate.credit.ledger.limits import LimitPeriod
from faregate.usage.values import ChargingPolicy

if TYPE_CHECKING:
    from faregate.usage.accounts.organizations import Organization
    from faregate.worker.container import WorkerContainer

__all__ = ["organizations"]

organizations = App(name="organizations", help="Set how organisations pay, and their members.")


async def _organization(lib: WorkerContainer, asked: Mapping[str, Any]) -> object:
    return await lib.organizations().get(asked["organization_id"])


async def _limits(lib: WorkerContainer, asked: Mapping[str, Any]) -> object:
    return await lib.bookkeeping().member_limits(asked["organization_id"])


@organizations.command(name="list")
def list_organizations(*, limit: Limit = 100, output: Output = "table") -> None:
    """List organisations; `show` lists the members of one."""
    found = with_library(lambda lib: lib.organizations().list(limit=limit))
    if output == "json":
        print_json([{"organization_id": o.organization_id, "policy": o.policy.value} for o in found])
        return
    print_table("Organisations", ["id", "policy"], [(o.organization_id, o.policy.value) for o in found])


@organizations.command
@audited("organizations.get_organization", owner="organization_id", apart=True)
def show(organization_id: str, *, output: Output = "table") -> None:
    """Show an organisation with its members."""
    _print([with_library(lambda lib: lib.organizations().get(organization_id))], output)


@organizations.command(name="set")
@audited("organizations.put_organization", owner="organization_id", look=_organization)
def set_organization(
    organization_id: str,
    *,
    policy: Annotated[
        ChargingPolicy | None, Parameter(help="recorded: nobody pays; pooled: the organisation's wallet pays.")
    ] = None,
    join: Annotated[
        list[str] | None, Parameter(help="Users to add; a user is a member of one organisation at most.")
    ] = None,
    leave: Annotated[list[str] | None, Parameter(help="Members to remove.")] = None,
    output: Output = "table",
) -> None:
    """Create an organisation, or change its policy and members; this applies to uses that start afterwards."""
    changed = with_library(
        lambda lib: lib.organizations().change(organization_id, policy=policy, join=join or (), leave=leave or ())
    )
    _print([changed], output)


@organizations.command
@audited("organizations.put_member_limits", owner="organization_id", when="period", look=_limits)
def limit(
    organization_id: str,
    period: Annotated[LimitPeriod | None, Parameter(help="Without it the limits are shown.")] = None,
    *,
    member: Annotated[
        str | None, Parameter(help="The member to limit; without it, every member without a limit of their own.")
    ] = None,
    soft: Annotated[str | None, Parameter(help="Beyond this amount a start reports it.")] = None,
    hard: Annotated[str | None, Parameter(help="Beyond this amount a start is refused.")] = None,
    output: Output = "table",
) -> None:
    """Show or set what members may spend of the pool in a period; without --soft and --hard the limit is removed."""
    if period is not None:
        bounds = [(period, micros_of(soft) if soft else None, micros_of(hard) if hard else None)]
        found = with_library(lambda lib: lib.bookkeeping().set_member_limits(organization_id, member, bounds))
    else:
        found = with_library(lambda lib: lib.bookkeeping().member_limits(organization_id))
    if output == "json":
        print_json([{"member": who, **asdict(limit)} for who, limit in found])
        return
    rows = [(who or "every member", one.period, one.soft, one.hard, one.spent, one.held) for who, one in found]
    print_table(f"Limits of {organization_id}", ["member", "period", "soft", "hard", "spent", "held"], rows)


def _print(found: list[Organization], output: str) -> None:
    if output == "json":
        print_json(
            [
                {"organization_id": o.organization_id, "policy": o.policy.value, "members": list(o.members)}
                for o in found
            ]
        )
        return
    rows = [(o.organization_id, o.policy.value, ", ".join(o.members)) for o in found]
    print_table("Organisations", ["id", "policy", "members"], rows)

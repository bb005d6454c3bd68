"""`faregate organizations`: how organisations pay, and who belongs to them."""

from typing import Annotated

from cyclopts import App, Parameter

from faregate.cli.library import with_library
from faregate.cli.options import Limit, Output
from faregate.cli.output import print_json, print_table
from faregate.usage.organizations import Organization
from faregate.usage.values import ChargingPolicy

__all__ = ["organizations"]

organizations = App(name="organizations", help="Decide how organisations pay, and who belongs to them.")


@organizations.command(name="list")
def list_organizations(*, limit: Limit = 100, output: Output = "table") -> None:
    """List organisations."""
    found = with_library(lambda lib: lib.usage.container.organizations().list(limit=limit))
    _print(list(found), output)


@organizations.command
def show(organization_id: str, *, output: Output = "table") -> None:
    """Show an organisation with its members."""
    _print([with_library(lambda lib: lib.usage.container.organizations().get(organization_id))], output)


@organizations.command(name="set")
def set_organization(
    organization_id: str,
    *,
    policy: Annotated[ChargingPolicy | None, Parameter(help="recorded: nobody pays; pooled: its wallet pays.")] = None,
    join: Annotated[list[str] | None, Parameter(help="Users who become members of it, and of no other.")] = None,
    leave: Annotated[list[str] | None, Parameter(help="Members who leave.")] = None,
    output: Output = "table",
) -> None:
    """Make an organisation, or change its policy and members; it counts from the next start on."""
    changed = with_library(
        lambda lib: lib.usage.container.organizations().change(
            organization_id, policy=policy, join=join or (), leave=leave or ()
        )
    )
    _print([changed], output)


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

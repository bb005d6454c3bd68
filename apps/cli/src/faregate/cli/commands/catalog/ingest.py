"""`faregate ingest`: rules for events from OpenMeter, Lago and OpenTelemetry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited
from faregate.cli.shared.options import Actor, Output
from faregate.cli.shared.output import print_done, print_json, print_table
from faregate.cli.shared.session import actor as actor_of
from faregate.cli.shared.session import with_library
from faregate.core.errors import ConfigurationError, InvalidError
from faregate.usage.foreign.values import Form
from faregate.wire import exact_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faregate.usage.foreign.rules import IngestRuleDocument
    from faregate.usage.foreign.service import Rehearsal
    from faregate.worker.container import WorkerContainer

__all__ = ["ingest"]

ingest = App(name="ingest", help="Declare what becomes of events from OpenMeter, Lago and OpenTelemetry.")

_Name = Annotated[str, Parameter(help="Name of the rule.")]


@ingest.command(name="list")
def list_rules(*, output: Output = "table") -> None:
    """List the declared rules in the order in which they are tried; the built-in ones follow them."""

    async def work(lib: WorkerContainer) -> list[tuple[str, IngestRuleDocument]]:
        rules = lib.ingest_rules()
        declared = await rules.all()
        return [(rule.name, declared[rule.name]) for rule in await rules.in_order()]

    found = with_library(work)
    if output == "json":
        print_json([{"name": name, **document.model_dump(exclude_unset=True)} for name, document in found])
        return
    rows = [(n, d.position, ", ".join(d.forms), d.action, d.feature_key, ", ".join(d.fields)) for n, d in found]
    print_table("Ingest rules", ["name", "position", "forms", "action", "feature", "fields"], rows)


@ingest.command(name="set")
@audited("ingest-rules.put_rule", target=("name",))
def set_rule(name: _Name, file: Path, *, output: Output = "table", actor: Actor = None) -> None:
    """Declare a rule from a JSON file, or replace it."""
    from faregate.usage.foreign.rules import IngestRuleDocument

    document = IngestRuleDocument.of(_object_in(file))

    async def work(lib: WorkerContainer) -> dict[str, Any]:
        await lib.ingest_rules().save(name, document, actor=actor_of(actor))
        return document.model_dump(exclude_unset=True)

    content = with_library(work)
    print_done(f"{name}: {document.action} {', '.join(document.forms)}", {"name": name, **content}, output)


@ingest.command
@audited("ingest-rules.delete_rule", target=("name",))
def remove(name: _Name, *, output: Output = "table", actor: Actor = None) -> None:
    """Remove a rule; what was recorded or charged by it stays."""
    with_library(lambda lib: lib.ingest_rules().delete(name, actor=actor_of(actor)))
    print_done(f"{name} is removed", {"name": name}, output)


@ingest.command(name="try")
def try_rule(
    form: Annotated[Form, Parameter(help="The format of the event.")],
    event: Annotated[Path, Parameter(help="A JSON file with one event.")],
    *,
    rule: Annotated[Path | None, Parameter(help="A JSON file with a rule that is tried before those in force.")] = None,
    output: Output = "table",
) -> None:
    """Show what would become of an event; nothing is stored."""
    from faregate.usage.foreign.rules import IngestRuleDocument
    from faregate.usage.foreign.samples import sample_event

    sample = sample_event(form, _object_in(event))
    document = IngestRuleDocument.of(_object_in(rule)) if rule is not None else None

    async def work(lib: WorkerContainer) -> Rehearsal:
        if document is not None:
            await lib.ingest_rules().check("this-rule", document)
        instead = document.rule("this-rule") if document is not None else None
        return await lib.foreign_ingest().rehearse(sample, instead=instead)

    outcome, made = _told(with_library(work))
    print_done(f"{outcome} by the rule {made['rule']}: {exact_json.dumps(made).decode()}", made, output)


def _told(rehearsal: Rehearsal) -> tuple[str, dict[str, Any]]:
    made = rehearsal.made
    if made is None:
        return "passed", {"outcome": "passed", "rule": rehearsal.rule}
    if made.charge is None:
        event = {name: str(value) if name == "time" else value for name, value in (made.event or {}).items()}
        return "recorded", {"outcome": "recorded", "rule": rehearsal.rule, "event": event}
    lines = [{"model": u.model, "tokens": dict(u.tokens), "quantity": u.quantity} for u in made.charge.usages]
    charge = {"user_id": made.charge.user_id, "feature_key": made.charge.feature.value, "usages": lines}
    return "charged", {"outcome": "charged", "rule": rehearsal.rule, "charge": charge}


def _object_in(file: Path) -> Mapping[str, Any]:
    try:
        content = exact_json.loads(file.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None
    if not isinstance(content, dict):
        raise InvalidError(f"{file} must hold a JSON object")
    return cast("Mapping[str, Any]", content)

"""Controller of `/api/ingest-rules`: what becomes of events from other systems."""

from faregate.core.errors import InvalidError
from faregate.gateway.http.operation import Audit, Call, Controller, Page, link, operation
from faregate.gateway.schemas.features import DeletedAnswer
from faregate.gateway.schemas.ingest_rules import (
    IngestRuleAnswer,
    RehearsalAnswer,
    RehearsalBody,
    ingest_rule_answer,
    rehearsal_answer,
)
from faregate.gateway.security.auth import Scope
from faregate.usage.errors import UnknownFeatureError, UnknownIngestRuleError
from faregate.usage.foreign.catalog import IngestRules
from faregate.usage.foreign.rules import IngestRuleDocument
from faregate.usage.foreign.samples import sample_event
from faregate.usage.foreign.service import ForeignIngest

__all__ = ["IngestRulesController"]


class IngestRulesController(Controller):
    """Ingest rules over HTTP."""

    def __init__(self, rules: IngestRules, ingest: ForeignIngest) -> None:
        self._rules = rules
        self._ingest = ingest

    @operation("GET", "/api/ingest-rules", scope=Scope.FEATURES_WRITE, answer=list[IngestRuleAnswer])
    async def list_rules(self) -> Page:
        """List the declared rules in the order in which they are tried; the built-in ones follow them."""
        declared = await self._rules.all()
        return Page([ingest_rule_answer(rule.name, declared[rule.name]) for rule in await self._rules.in_order()])

    @operation(
        "GET",
        "/api/ingest-rules/{name}",
        scope=Scope.FEATURES_WRITE,
        answer=IngestRuleAnswer,
        errors=(UnknownIngestRuleError,),
    )
    async def get_rule(self, name: str) -> IngestRuleAnswer:
        """Return one declared rule."""
        return ingest_rule_answer(name, await self._rules.get(name))

    @operation(
        "PUT",
        "/api/ingest-rules/{name}",
        scope=Scope.FEATURES_WRITE,
        answer=IngestRuleAnswer,
        errors=(InvalidError, UnknownFeatureError),
        links={
            "read": link("ingest-rules.get_rule", path={"name": "name"}),
            "delete": link("ingest-rules.delete_rule", path={"name": "name"}),
        },
        rehearsable=True,
    )
    async def put_rule(self, call: Call, name: str, body: IngestRuleDocument) -> IngestRuleAnswer:
        """Declare a rule, or replace one; it decides about events that arrive from now on."""
        await self._rules.save(name, body, actor=call.principal.id)
        return ingest_rule_answer(name, await self._rules.get(name))

    @operation(
        "DELETE",
        "/api/ingest-rules/{name}",
        scope=Scope.FEATURES_WRITE,
        answer=DeletedAnswer,
        errors=(UnknownIngestRuleError,),
        rehearsable=True,
    )
    async def delete_rule(self, call: Call, name: str) -> DeletedAnswer:
        """Remove a rule; what was recorded or charged by it stays."""
        await self._rules.delete(name, actor=call.principal.id)
        return DeletedAnswer(key=name)

    @operation(
        "POST",
        "/api/ingest-rules/try",
        scope=Scope.FEATURES_WRITE,
        answer=RehearsalAnswer,
        errors=(InvalidError, UnknownFeatureError),
        audit=Audit.NEVER,
    )
    async def try_rule(self, body: RehearsalBody) -> RehearsalAnswer:
        """Return what a rule, or the rules in force, would make of a sample event; nothing is stored.

        A CloudEvent and an event of Lago are written as they are sent; a span, log record or data point as the object that the
        paths of rules look into: `name`, `attributes`, `resource`, `scope`.
        """
        if body.rule is not None:
            await self._rules.check(body.name, body.rule)
        instead = body.rule.rule(body.name) if body.rule is not None else None
        return rehearsal_answer(await self._ingest.rehearse(sample_event(body.form, body.event), instead=instead))

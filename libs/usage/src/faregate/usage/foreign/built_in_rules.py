"""Rules that apply where operators have declared none. Pure.

They read what LiteLLM's callbacks, OpenTelemetry's `gen_ai` conventions (old and new), OpenLLMetry, OpenInference, Claude Code,
Codex and Copilot CLI send as it is.
"""

from collections.abc import Mapping, Sequence

from faregate.usage.foreign.field_paths import FieldPath
from faregate.usage.foreign.rules import Action, Constant, ForeignEvent, IngestRule, Pattern, Source
from faregate.usage.foreign.span_trees import AGENT_OPERATIONS, OPENINFERENCE_GROUPS, OPENLLMETRY_GROUPS
from faregate.usage.foreign.values import Form

__all__ = ["BUILT_IN_RULES", "usual_rule"]


def _rule(
    name: str,
    form: Form,
    fields: Mapping[str, Sequence[str | Constant]],
    *,
    where: Mapping[str, str | Sequence[str]] | None = None,
    action: Action = "record",
) -> IngestRule:
    patterns = {path: (wanted,) if isinstance(wanted, str) else tuple(wanted) for path, wanted in (where or {}).items()}
    return IngestRule(
        name=name,
        forms=(form,),
        where=tuple(Pattern(FieldPath(path), wanted) for path, wanted in patterns.items()),
        action=action,
        fields={field: tuple(map(_source, sources)) for field, sources in fields.items()},
    )


def _source(source: str | Constant) -> Source:
    return FieldPath(source) if isinstance(source, str) else source


_USERS = (
    "faregate.user_id",
    "enduser.id",
    "user.id",
    "langfuse.user.id",
    "traceloop.association.properties.user_id",
    "user.account_uuid",
    "user.account_id",
)
_ORGANIZATIONS = ("attributes.faregate.organization_id", "resource.faregate.organization_id")

_TELEMETRY: Mapping[str, Sequence[str | Constant]] = {
    "user_id": (*(f"attributes.{name}" for name in _USERS), *(f"resource.{name}" for name in _USERS)),
    "organization_id": _ORGANIZATIONS,
    "service": ("attributes.faregate.service", "resource.service.name", Constant(value="opentelemetry")),
    "feature_key": ("attributes.faregate.feature_key",),
    "model": (
        "attributes.gen_ai.response.model",
        "attributes.gen_ai.request.model",
        "attributes.llm.response.model",
        "attributes.llm.request.model",
        "attributes.llm.model_name",
        "attributes.embedding.model_name",
        "attributes.reranker.model_name",
        "attributes.model",
    ),
    "provider": (
        "attributes.gen_ai.provider.name",
        "attributes.gen_ai.system",
        "attributes.llm.provider",
        "attributes.llm.system",
        "attributes.llm.vendor",
    ),
    "usage": ("attributes",),
    "reported_cost_usd": ("attributes.gen_ai.usage.cost.amount", "attributes.gen_ai.usage.cost", "attributes.cost_usd"),
    "latency_ms": ("duration_ms", "attributes.duration_ms"),
    "status": ("status",),
    "time": ("time",),
}

_CLOUD_EVENT = _rule(
    "cloud_event",
    "cloud_event",
    {
        "user_id": ("subject",),
        "organization_id": ("data.organization_id",),
        "service": ("type",),
        "feature_key": ("data.feature_key",),
        "model": ("data.model", "data.ai_model"),
        "provider": ("data.provider", "data.custom_llm_provider"),
        "usage": ("data.usage", "data"),
        "meter": ("type",),
        "quantity": ("data.quantity", "data.value"),
        "reported_cost_usd": ("data.cost", "data.response_cost"),
        "time": ("time",),
    },
)

_LAGO = _rule(
    "lago",
    "lago",
    {
        "user_id": ("external_subscription_id", "external_customer_id"),
        "organization_id": ("properties.organization_id",),
        "service": ("code",),
        "feature_key": ("properties.feature_key",),
        "model": ("properties.model", "properties.ai_model"),
        "provider": ("properties.provider", "properties.custom_llm_provider"),
        "usage": ("properties.usage", "properties"),
        "meter": ("code",),
        "quantity": ("properties.quantity", "properties.value"),
        "reported_cost_usd": ("properties.response_cost", "properties.cost"),
        "time": ("timestamp",),
    },
)

_SPAN = _rule("span", "span", _TELEMETRY)
_LOG = _rule("log", "log", _TELEMETRY)
_METER: Mapping[str, Sequence[str | Constant]] = {
    **{name: _TELEMETRY[name] for name in ("user_id", "organization_id", "service", "feature_key", "time")},
    "meter": ("name",),
    "quantity": ("value",),
}
_METRIC = _rule("metric", "metric", _METER)
_USUAL: Mapping[Form, IngestRule] = {
    "cloud_event": _CLOUD_EVENT,
    "lago": _LAGO,
    "span": _SPAN,
    "log": _LOG,
    "metric": _METRIC,
}

_ANY = "*"

BUILT_IN_RULES: Sequence[IngestRule] = (
    _CLOUD_EVENT,
    _LAGO,
    _rule("span_of_a_use", "span", {}, where={"attributes.faregate.usage_key": _ANY}, action="ignore"),
    _rule(
        "span_of_an_agent", "span", {}, where={"attributes.gen_ai.operation.name": AGENT_OPERATIONS}, action="ignore"
    ),
    _rule(
        "openllmetry_workflow",
        "span",
        {},
        where={"attributes.traceloop.span.kind": OPENLLMETRY_GROUPS},
        action="ignore",
    ),
    _rule(
        "openinference_chain",
        "span",
        {},
        where={"attributes.openinference.span.kind": OPENINFERENCE_GROUPS},
        action="ignore",
    ),
    *(
        _rule("span_of_a_model", "span", _TELEMETRY, where={f"attributes.{counts}": _ANY})
        for counts in (
            *(f"gen_ai.usage.{kind}_tokens" for kind in ("input", "output", "prompt", "completion", "total")),
            *(f"llm.usage.{kind}_tokens" for kind in ("prompt", "completion", "total")),
            *(f"llm.token_count.{kind}" for kind in ("prompt", "completion", "total")),
        )
    ),
    _rule(
        "claude_code",
        "log",
        _TELEMETRY,
        where={"name": ("claude_code.api_request", "api_request"), "attributes.input_tokens": _ANY},
    ),
    _rule(
        "codex",
        "log",
        _TELEMETRY,
        where={"name": ("codex.sse_event", "codex.api_request"), "attributes.input_token_count": _ANY},
    ),
    _rule(
        "claude_code_meters",
        "metric",
        _METER,
        where={"name": ("claude_code.token.usage", "claude_code.cost.usage")},
    ),
)
"""In the order in which they are tried. A span, log record or metric that none of them matches reports no usage."""


def usual_rule(event: ForeignEvent) -> IngestRule:
    """Return where the fields of an event come from if its rule does not say."""
    return _USUAL[event.form]

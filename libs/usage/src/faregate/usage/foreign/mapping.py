"""Usage events and charges made from foreign events by a rule. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from faregate.core.errors import InvalidError
from faregate.core.redaction.scrubbing import clean_metadata
from faregate.usage.credits_process.provider_lines import native_usage
from faregate.usage.events.keys import event_hash
from faregate.usage.foreign import plain_values
from faregate.usage.foreign.built_in_rules import BUILT_IN_RULES, usual_rule
from faregate.usage.foreign.rules import Constant, ForeignEvent, IngestRule
from faregate.usage.values import FeatureRef, ModelUsage, SettleRequest
from faregate.wire.count_names import COUNT_NAMES
from faregate.wire.ids import check_external_id, check_user_id
from faregate.wire.provider_usage import UnreadableUsageError, read_usage

__all__ = ["Made", "made_from", "rule_for", "use_of"]

_HOW = "declare a rule that says where it is: PUT /api/ingest-rules/{name}"
_CUMULATIVE = (
    "a cumulative metric repeats what was counted before; set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta "
    "where it is exported"
)
_PROVIDERS = {
    "aws.bedrock": "aws",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "x_ai": "x-ai",
}
"""Names of providers in OpenTelemetry's conventions, and those in the price list."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a foreign event becomes: a usage event, or a charge, which makes usage events itself.

    Attributes:
        use: the usage key under which it counts, whichever of the two it becomes.
    """

    rule: str
    use: str
    event: Mapping[str, Any] | None = None
    charge: SettleRequest | None = None


def rule_for(event: ForeignEvent, declared: Sequence[IngestRule]) -> IngestRule | None:
    """Return the rule that decides about an event: the first declared one, else a built-in one, that matches.

    None where there is none: the event reports no usage.
    """
    for rule in declared:
        if rule.applies_to(event):
            return rule.over(usual_rule(event))
    return next((rule for rule in BUILT_IN_RULES if rule.applies_to(event)), None)


def use_of(event: ForeignEvent) -> str:
    """Return the usage key of an event whose rule names none: the same for each delivery."""
    return f"ingest:{event_hash(event.source, event.id).hex()}"


def made_from(event: ForeignEvent, rule: IngestRule, *, spender: str | None = None) -> Made:
    """Return what `rule` makes of an event.

    Raises:
        InvalidError: a field is missing or cannot be read; the text names it and what looks for it.
    """
    if event.fields.get("temporality") == "cumulative" and event.form == "metric":
        raise InvalidError(_CUMULATIVE, param="temporality")
    found = _Fields(event, rule)
    use = found.text("usage_key") or use_of(event)
    check_external_id(use, param="usage_key")
    if rule.action == "charge":
        return Made(rule.name, use, charge=_charge(event, found, use, spender))
    return Made(rule.name, use, event=_event(event, found, use))


class _Fields:
    """The values that a rule finds in one event."""

    def __init__(self, event: ForeignEvent, rule: IngestRule) -> None:
        self._tree = event.fields
        self._rule = rule
        self.model = self.text("model")

    def value(self, name: str) -> Any:
        for source in self._rule.fields.get(name, ()):
            value = source.value if isinstance(source, Constant) else source.value_in(self._tree)
            if value is not None and value != "":
                return value
        return None

    def text(self, name: str) -> str | None:
        return plain_values.text(self.value(name), name)

    def required(self, name: str) -> str:
        found = self.text(name)
        if found is None:
            sources = self._rule.fields.get(name, ())
            looked = ", ".join(s.text for s in sources if not isinstance(s, Constant)) or "nothing"
            raise InvalidError(f"{name} is missing: the rule {self._rule.name!r} looks at {looked}; {_HOW}", param=name)
        return found

    def user_id(self) -> str:
        return check_user_id(self.required("user_id"))

    def organization_id(self) -> str | None:
        found = self.text("organization_id")
        return check_external_id(found, param="organization_id") if found is not None else None

    def provider(self) -> str | None:
        found = self.text("provider")
        return _PROVIDERS.get(found, found) if found is not None else None

    def meter(self) -> str | None:
        found = self.text("meter") if self.model is None else None
        return plain_values.name_of_service(found) if found is not None else None

    def quantity(self) -> Decimal:
        found = self.value("quantity")
        return plain_values.quantity(found) if found is not None else Decimal(1)

    def reported_cost(self) -> Decimal | None:
        found = self.value("reported_cost_usd")
        return plain_values.amount(found, "reported_cost_usd") if found is not None else None

    def latency(self) -> int | None:
        found = self.value("latency_ms")
        return int(plain_values.quantity(found, "latency_ms")) if found is not None else None

    def time(self) -> datetime | None:
        found = self.value("time")
        return plain_values.moment(found) if found is not None else None

    def named_counts(self) -> dict[str, int]:
        names = [name for name in COUNT_NAMES if name in self._rule.fields]
        values = ((name, self.value(name)) for name in names)
        return {name: plain_values.whole(value, name) for name, value in values if value is not None}

    def usage_objects(self) -> Sequence[Mapping[str, Any]]:
        sources = [source for source in self._rule.fields.get("usage", ()) if not isinstance(source, Constant)]
        objects = (plain_values.token_counts(source.value_in(self._tree)) for source in sources)
        return [found for found in objects if found]

    def counts(self) -> Mapping[str, int]:
        """Return the token counts by canonical name; empty where nothing says what was used."""
        try:
            readings = (read_usage(found) for found in self.usage_objects())
            reading = next((reading for reading in readings if reading is not None), None)
        except UnreadableUsageError as error:
            raise InvalidError(f"usage: {error}", param="usage") from None
        return {**(reading.counts if reading is not None else {}), **self.named_counts()}

    def line(self, model: str) -> ModelUsage:
        """Return the line of a model; without counts it is unpriced, never free."""
        named, provider = self.named_counts(), self.provider()
        found = next((item for item in self.usage_objects() if read_usage(item) is not None), None)
        line = native_usage(found, model=model, provider=provider) if found is not None else None
        if line is None:
            line = ModelUsage(model, provider=provider, tokens={})
        cost = self.reported_cost()
        return replace(
            line,
            tokens={**line.tokens, **named},
            reported_cost_usd=cost if cost is not None else line.reported_cost_usd,
        )


def _event(event: ForeignEvent, found: _Fields, use: str) -> Mapping[str, Any]:
    meter = found.meter()
    fields: dict[str, Any] = {
        "source": event.source,
        "id": event.id,
        "user_id": found.user_id(),
        "organization_id": found.organization_id(),
        "service": plain_values.name_of_service(found.text("service") or meter or event.form),
        "feature_key": found.text("feature_key"),
        "time": found.time(),
        "country": found.text("country"),
        "device": found.text("device"),
    }
    if meter is not None:
        fields |= {"meter": meter, "quantity": found.quantity(), "unit": found.text("unit")}
    else:
        fields |= _request(found, use)
    return {name: value for name, value in fields.items() if value is not None}


def _request(found: _Fields, use: str) -> dict[str, Any]:
    """Return the fields of an event that is one request; its cost is what the price list says, unknown where it does not."""
    counts: Mapping[str, int] = found.counts() if found.model is not None else {}
    return {
        "usage_key": use,
        "model": found.model,
        "provider": found.provider() if found.model is not None else None,
        "input_tokens": counts.get("input_tokens", 0),
        "output_tokens": counts.get("output_tokens", 0),
        "cost_usd": found.reported_cost() if not counts else None,
        "latency_ms": found.latency(),
        "status": found.value("status"),
    }


def _charge(event: ForeignEvent, found: _Fields, use: str, spender: str | None) -> SettleRequest:
    meter = found.meter()
    usages: tuple[ModelUsage, ...] = ()
    if found.model is not None:
        usages = (found.line(found.model),)
    elif meter is not None:
        usages = (ModelUsage(None, quantity=found.quantity(), unit=found.text("unit") or meter),)
    return SettleRequest(
        usage_key=use,
        user_id=found.user_id(),
        feature=FeatureRef(value=check_external_id(found.required("feature_key"), param="feature_key")),
        usages=usages,
        organization_id=found.organization_id(),
        duration_ms=found.latency(),
        metadata=clean_metadata({"ingest_source": event.source, "ingest_id": event.id}),
        spender=spender,
    )

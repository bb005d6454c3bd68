"""Request bodies of the Cycles protocol."""

from enum import Enum
from typing import Annotated, Any

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from faregate.core.values.fields import AtMost, Body, JsonObject
from faregate.gateway.cycles.amounts import Unit

__all__ = [
    "LEVELS",
    "ActionBody",
    "AmountBody",
    "CyclesCommitBody",
    "CyclesCreateBody",
    "CyclesDecideBody",
    "CyclesEventBody",
    "CyclesExtendBody",
    "CyclesReleaseBody",
    "OveragePolicy",
    "SubjectBody",
]

_INT64_MAX = 2**63 - 1
_Name = Annotated[StrictStr, Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_.-]+$")]
_Key = Annotated[StrictStr, Field(min_length=1, max_length=256)]
_Milliseconds = Annotated[StrictInt, Field(ge=1, le=86_400_000)]
_Count = Annotated[StrictInt, Field(ge=0, le=_INT64_MAX)]

LEVELS = ("tenant", "workspace", "app", "workflow", "agent", "toolset")
"""The standard fields of a subject, in canonical order."""


class OveragePolicy(Enum):
    """What a commit or an event does that costs more than is reserved or left."""

    REJECT = "REJECT"
    ALLOW_IF_AVAILABLE = "ALLOW_IF_AVAILABLE"
    ALLOW_WITH_OVERDRAFT = "ALLOW_WITH_OVERDRAFT"


class SubjectBody(Body):
    """Who acts: at least one of the standard fields."""

    tenant: _Name | None = None
    workspace: _Name | None = None
    app: _Name | None = None
    workflow: _Name | None = None
    agent: _Name | None = None
    toolset: _Name | None = None
    dimensions: Annotated[dict[str, Annotated[StrictStr, Field(max_length=256)]], AtMost(16)] | None = None

    @model_validator(mode="after")
    def _check_levels(self) -> "SubjectBody":
        if not self.scopes:
            raise ValueError("at least one of tenant, workspace, app, workflow, agent and toolset is required")
        return self

    @property
    def scopes(self) -> list[str]:
        """The canonical scopes, from the outermost to the full path."""
        named = [f"{level}:{getattr(self, level)}" for level in LEVELS if getattr(self, level) is not None]
        return ["/".join(named[: number + 1]) for number in range(len(named))]


class ActionBody(Body):
    """What is done; `kind` names the feature."""

    kind: Annotated[StrictStr, Field(min_length=1, max_length=64)]
    name: Annotated[StrictStr, Field(min_length=1, max_length=256)]
    tags: Annotated[list[Annotated[StrictStr, Field(max_length=64)]], AtMost(10)] | None = None


class AmountBody(Body):
    """A whole amount of one unit."""

    unit: Unit
    amount: _Count


class _KeyedBody(Body):
    idempotency_key: _Key


class CyclesDecideBody(_KeyedBody):
    """`POST /v1/decide`."""

    subject: SubjectBody
    action: ActionBody
    estimate: AmountBody
    metadata: JsonObject | None = None


class CyclesCreateBody(CyclesDecideBody):
    """`POST /v1/reservations`."""

    ttl_ms: Annotated[StrictInt, Field(ge=1000, le=86_400_000)] = 60_000
    grace_period_ms: Annotated[StrictInt, Field(ge=0, le=60_000)] = 5_000
    overage_policy: OveragePolicy = OveragePolicy.ALLOW_IF_AVAILABLE
    dry_run: StrictBool = False


class _MetricsBody(Body):
    tokens_input: _Count | None = None
    tokens_output: _Count | None = None
    latency_ms: _Count | None = None
    model_version: Annotated[StrictStr, Field(max_length=128)] | None = None
    custom: dict[str, Any] | None = None


class CyclesCommitBody(_KeyedBody):
    """`POST /v1/reservations/{reservation_id}/commit`."""

    actual: AmountBody
    metrics: _MetricsBody | None = None
    metadata: JsonObject | None = None


class CyclesReleaseBody(_KeyedBody):
    """`POST /v1/reservations/{reservation_id}/release`."""

    reason: Annotated[StrictStr, Field(max_length=256)] | None = None


class CyclesExtendBody(_KeyedBody):
    """`POST /v1/reservations/{reservation_id}/extend`."""

    extend_by_ms: _Milliseconds
    metadata: JsonObject | None = None


class CyclesEventBody(_KeyedBody):
    """`POST /v1/events`."""

    subject: SubjectBody
    action: ActionBody
    actual: AmountBody
    overage_policy: OveragePolicy = OveragePolicy.ALLOW_IF_AVAILABLE
    metrics: _MetricsBody | None = None
    client_time_ms: _Count | None = None
    metadata: JsonObject | None = None

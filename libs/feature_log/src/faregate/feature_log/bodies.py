"""Body of a feature log, sent by HTTP or by queue."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, StrictInt, StrictStr, ValidationError

from faregate.core.errors import InvalidError
from faregate.core.redaction.records import IRedactor, holds_credential, looks_like_credential
from faregate.core.values.fields import Count, JsonObject, LooseBody, Moment
from faregate.feature_log.values import BODY_COLUMNS, FeatureNames, LogEntry
from faregate.wire.ids import EXTERNAL_ID_PATTERN, ORGANIZATION_PREFIX, check_user_id

__all__ = ["ITEMS_LIMIT", "FeatureLogBody", "entry_of", "redacted_item"]

ITEMS_LIMIT = 1000


_NAMES = ("user_id", "user_email", "usage_key", "feature_endpoint_id", "feature_endpoint_value", "id")
"""Names that are kept unredacted, because logs are found by them."""


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


_Name = Annotated[StrictStr, Field(pattern=EXTERNAL_ID_PATTERN, examples=["ai_chat_v1"])]
"""An `ExternalId`; all names of a body are checked for credentials together."""


class FeatureLogBody(LooseBody):
    """`POST /api/feature-usage-logs` and `feature_usage_queue`: one finished request to a feature."""

    feature_endpoint_id: _Name | None = None
    feature_endpoint_value: _Name | None = None
    user_id: _Name
    user_email: Annotated[StrictStr, Field(max_length=320)] | None = None
    usage_key: _Name | None = None
    method: Annotated[Literal["GET", "POST", "PUT", "PATCH", "DELETE"], BeforeValidator(_upper)]
    payload: JsonObject | None = None
    response: JsonObject | None = None
    params: JsonObject | None = None
    query: JsonObject | None = None
    code: Annotated[StrictInt, Field(ge=100, le=599)]
    status: Literal["success", "failed"]
    endpoint: Annotated[StrictStr, Field(max_length=2000)] | None = None
    type: Annotated[StrictStr, Field(max_length=200)] | None = None
    duration_ms: Count | None = None
    id: Annotated[StrictStr, Field(min_length=1, max_length=255)] | None = None
    time: Moment | None = None

    def entry(self) -> LogEntry:
        """Return the log in its final form, or raise `InvalidError` for names that must not be stored."""
        if self.feature_endpoint_id is None and self.feature_endpoint_value is None:
            raise _refusal([("body", "feature_endpoint_id or feature_endpoint_value is required")])
        if self.user_id.startswith(ORGANIZATION_PREFIX):
            check_user_id(self.user_id)
        if holds_credential("\n".join([name for field in _NAMES if (name := getattr(self, field)) is not None])):
            self._refuse_credential()
        return LogEntry(
            user_id=self.user_id,
            feature=FeatureNames(self.feature_endpoint_id, self.feature_endpoint_value),
            method=self.method,
            code=self.code,
            status=self.status,
            user_email=self.user_email,
            usage_key=self.usage_key,
            payload=self.payload,
            response=self.response,
            params=self.params,
            query=self.query,
            endpoint=self.endpoint,
            type=self.type,
            duration_ms=self.duration_ms,
            id=self.id,
            time=self.time,
        )

    def _refuse_credential(self) -> None:
        for name in _NAMES:
            if looks_like_credential(getattr(self, name)):
                raise _refusal([(name, "looks like a credential; send the name, never a secret")])


def entry_of(data: Any) -> LogEntry:
    """Return one object of a body as an entry.

    Raises:
        InvalidError: with the first wrong field as `param` and all of them as `fields`; values are not repeated.
    """
    try:
        return FeatureLogBody.model_validate(data).entry()
    except ValidationError as error:
        raise _refusal(
            [
                (".".join(map(str, problem["loc"])) or "body", _reason(problem["msg"]))
                for problem in error.errors(include_input=False, include_url=False, include_context=False)
            ]
        ) from None


def redacted_item(redactor: IRedactor, item: Any, *, valid: bool) -> Any:
    """Return one object of a body in the form in which it may wait in a queue or among dead letters.

    It is redacted, and unknown fields are left out. The names of a `valid` object are unchanged; of an invalid one, names are
    redacted too.
    """
    if not isinstance(item, dict):
        return redactor.value(item)
    fields = cast("dict[str, Any]", item)
    kept = {name: value for name, value in fields.items() if name in FeatureLogBody.model_fields}
    redacted = redactor.value(kept)
    trusted = [name for name in kept if name not in {*BODY_COLUMNS, "endpoint", "type"}] if valid else []
    return {**redacted, **{name: kept[name] for name in trusted}}


def _refusal(problems: Sequence[tuple[str, str]]) -> InvalidError:
    param, detail = problems[0]
    fields = [{"param": param, "detail": detail} for param, detail in problems]
    return InvalidError(f"{param}: {detail}", param=param, fields=fields)


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")

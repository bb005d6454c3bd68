"""Error answers in the forms of other systems.

Calls that other systems' clients make unchanged answer as those systems do, instead of in the envelope.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from faregate.core.errors import FaregateError
from faregate.core.redaction.scrubbing import clean_text
from faregate.gateway.errors import DOCS_URL, STATUS
from faregate.gateway.http.envelope import standard_headers
from faregate.wire import exact_json

__all__ = [
    "GRAPHQL",
    "GRAPHQL_JSON",
    "LAGO",
    "OPENMETER",
    "OTLP",
    "PROBLEM",
    "PROTOBUF",
    "Dialect",
    "graphql_media_type",
    "lago_body",
    "openmeter_body",
    "otlp_status",
]

PROBLEM = "application/problem+json"
PROTOBUF = "application/x-protobuf"
GRAPHQL_JSON = "application/graphql-response+json"
_JSON = "application/json"

_REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_GRPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 413: 8, 415: 3, 429: 8, 500: 13, 503: 14}
"""Codes of `google.rpc.Status` by HTTP status."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the clients of another system expect answers.

    Attributes:
        answers: media types of successful answers by status; none for an answer without a body.
        failures: media types of error answers.
        write: returns the body of an error answer and its media type.
        statuses: HTTP statuses that differ from ours.
    """

    answers: Mapping[int, tuple[str, ...]]
    failures: tuple[str, ...]
    write: Callable[[int, str, str, Request], tuple[bytes, str]]
    statuses: Mapping[int, int] = field(default_factory=dict[int, int])

    def status(self, error: FaregateError) -> int:
        """Return the HTTP status of an error."""
        status = STATUS[error.code]
        return self.statuses.get(status, status)

    def failure(self, error: FaregateError, request: Request) -> Response:
        """Return the answer to a call that failed."""
        status = self.status(error)
        body, kind = self.write(status, error.code, clean_text(error.public_detail), request)
        return Response(body, status, standard_headers(error, status), media_type=kind)


def openmeter_body(status: int, detail: str, **more: object) -> bytes:
    """Return an error as OpenMeter describes it: RFC 9457."""
    return exact_json.dumps(
        {"type": "about:blank", "title": _REASONS[status], "status": status, "detail": detail, **more}
    )


def lago_body(status: int, code: str, details: Mapping[str, object]) -> bytes:
    """Return an error as Lago describes it."""
    return exact_json.dumps({"status": status, "error": _REASONS[status], "code": code, "error_details": dict(details)})


def otlp_status(status: int, detail: str, *, is_json: bool) -> bytes:
    """Return an error as OTLP/HTTP describes it: `google.rpc.Status` in the encoding of the request."""
    code = _GRPC_CODES.get(status, 2)
    if is_json:
        return exact_json.dumps({"code": code, "message": detail})
    message = detail.encode()
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(message)) + message


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*found, number))


def _openmeter(status: int, _code: str, detail: str, _request: Request) -> tuple[bytes, str]:
    return openmeter_body(status, detail), PROBLEM


def _lago(status: int, code: str, detail: str, _request: Request) -> tuple[bytes, str]:
    named = "validation_errors" if status == 422 else code
    return lago_body(status, named, {"base": [detail]}), _JSON


def _either(status: int, code: str, detail: str, request: Request) -> tuple[bytes, str]:
    """Return Lago's form for plain JSON, which Lago's clients send, and OpenMeter's for everything else."""
    is_lago = request.headers.get("content-type", "").partition(";")[0].strip().lower() == _JSON
    return (_lago if is_lago and "ce-specversion" not in request.headers else _openmeter)(status, code, detail, request)


def _otlp(status: int, _code: str, detail: str, request: Request) -> tuple[bytes, str]:
    is_json = request.headers.get("content-type", "").partition(";")[0].strip().lower() == _JSON
    return otlp_status(status, detail, is_json=is_json), _JSON if is_json else PROTOBUF


def _graphql(_status: int, code: str, detail: str, request: Request) -> tuple[bytes, str]:
    """Return an error as GraphQL describes it, of a request that did not reach GraphQL."""
    extensions = {"code": code, "type": f"{DOCS_URL}#{code}", "request_id": request.scope["state"]["request_id"]}
    return exact_json.dumps({"errors": [{"message": detail, "extensions": extensions}]}), graphql_media_type(request)


def graphql_media_type(request: Request) -> str:
    """Return the media type of an answer of GraphQL: the newer one, whose statuses tell errors, if the client accepts it."""
    return GRAPHQL_JSON if GRAPHQL_JSON in request.headers.get("accept", "") else _JSON


GRAPHQL = Dialect({200: (_JSON, GRAPHQL_JSON)}, (_JSON, GRAPHQL_JSON), _graphql)
OPENMETER = Dialect({204: (), 200: (_JSON,)}, (PROBLEM, _JSON), _either)
"""`POST /api/v1/events`, which Lago's clients call, too."""
LAGO = Dialect({200: (_JSON,)}, (_JSON,), _lago)
OTLP = Dialect({200: (PROTOBUF, _JSON)}, (PROTOBUF, _JSON), _otlp, {408: 503, 422: 400})
"""Of the statuses only 429 and 503 are repeated by exporters; a body that came too slowly is worth a repetition."""

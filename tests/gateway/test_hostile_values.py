"""Hostile values in every path, query parameter, cursor and header of every call never cause a 5xx."""

import re
from base64 import urlsafe_b64encode
from collections import Counter
from urllib.parse import quote

import pytest

from faregate.gateway.http.operation import Operation, operations_of
from faregate.wire import exact_json
from support.apps import Gateway

RAW = [
    *("a%00b", "%ED%A0%80", "%0A", "x" * 3000, "localtime", "NaN", "-1", "1e309", "9" * 30, "[]", ""),
    *("0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59.999999-23:59", "9999-12-31", "0001-01-01"),
]

PLACES: list[object] = [
    *({}, 5, [None], [True], [-1], [2**63], [[1]], ["x" * 2000], ["1"], ["x", "y"], [9, "x", "2026-01-01T00:00:00Z"]),
    *(["9999-12-31T23:59:59-14:00", "x"], ["0001-01-01T00:00:00+14:00", "x"], ["2026-01-01T00:00:00", "x"]),
]
CURSORS = [
    *(urlsafe_b64encode(exact_json.dumps(place)).decode().rstrip("=") for place in PLACES),
    *("%00", "%FF", "a", "=", "é", "WzFlOTk5XQ", "WyJcdTAwMDAiXQ", "WyJcdWQ4MDAiXQ"),
]


def operations(gateway: Gateway) -> list[Operation]:
    return [found for controller in gateway.container.controllers() for found, _ in operations_of(controller)]


def path_of(operation: Operation, value: str) -> str:
    return re.sub(r"{\w+(:\w+)?}", lambda _: value, operation.path)


async def _broken(gateway: Gateway, operation: Operation, path: str, **headers: str) -> str | None:
    body: dict[str, object] | None = {} if operation.body is not None else None
    answer = await gateway.call(operation.method, path, body, headers=headers, raw=True)
    return f"{operation.method} {path[:200]} {headers} -> {answer.status}" if answer.status >= 500 else None


async def test_no_value_in_a_path_breaks_a_call(gateway: Gateway) -> None:
    calls = [
        (operation, path_of(operation, value))
        for operation in operations(gateway)
        if operation.path_parameters
        for value in RAW
    ]
    broken = [await _broken(gateway, operation, path) for operation, path in calls]

    assert [found for found in broken if found] == []


async def test_no_value_of_a_query_parameter_breaks_a_call(gateway: Gateway) -> None:
    seen: Counter[str] = Counter()
    broken: list[str | None] = []
    for operation in operations(gateway):
        if operation.query is None or "stream" in operation.path:
            continue
        for name, field in operation.query.model_fields.items():
            known = f"{name}: {field.annotation} {field.metadata}"
            values = CURSORS if name == "cursor" else RAW
            if name != "cursor" and seen[known] > 1:  # parameters shared by all calls are not tried with every value
                values = [values[(seen[known] * 3 + n) % len(values)] for n in range(3)]
            seen[known] += 1
            path = f"{path_of(operation, 'someone')}?{field.alias or name}="
            broken += [await _broken(gateway, operation, path + value) for value in values]

    assert [found for found in broken if found] == []


@pytest.mark.parametrize(
    "name",
    ["x-forwarded-for", "x-forwarded-proto", "forwarded", "x-request-id", "idempotency-key", "prefer", "accept",
     "content-type", "content-encoding", "authorization", "x-server-api-key", "traceparent", "origin", "host",
     "user-agent", "content-length", "if-none-match", "range"],
)  # fmt: skip
async def test_no_header_breaks_a_call(gateway: Gateway, name: str) -> None:
    """Reads, an audited write and a body, with an invalid address, bytes that are not text, and numbers that are too large."""
    made = {"credits": 1, "source": "bonus"}
    for value in ("unknown", "\xff\xfe", "x" * 5000, "9" * 40, "-1", ',;="', "1e400", "bytes=-9-", "*/*;q=x"):
        if name == "content-length" and not value.lstrip("-").isdigit():
            continue
        for method, path, body in (
            ("GET", "/api/wallets/ada", None),
            ("POST", "/api/wallets/ada/grants", made),
            ("PUT", "/api/features/chat", {"strategy": "free"}),
        ):
            headers = {name: value.encode("latin-1").decode("latin-1")}
            try:
                answer = await gateway.call(method, path, body, headers=headers, raw=True)
            except UnicodeEncodeError:
                continue
            assert answer.status < 500, f"{method} {path} {name}: {value[:50]!r} -> {answer.status}"


@pytest.mark.parametrize("zone", ["localtime", "posixrules", "../UTC", "/etc/localtime", "utc\n", "Europe"])
async def test_an_unknown_time_zone_is_refused_by_name(gateway: Gateway, zone: str) -> None:
    for path in ("/api/analytics/metrics", "/api/analytics/timeseries"):
        refused = await gateway.get(f"{path}?timezone={quote(zone, safe='')}")

        assert (refused.status, refused.error["param"]) == (422, "timezone"), refused.body

"""Tables as files: the tables of an exploration and those that a page sends, in every format, to the last digit."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest

from faregate.wire import exact_json
from support.apps import KEY, Gateway

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
FORMATS = ["csv", "xlsx", "parquet", "json", "ndjson"]
COLUMNS = [{"name": "who"}, {"name": "credits", "kind": "number"}, {"name": "when", "kind": "time"}]
ROWS = [["=1+1", "1234567890123.000001", "2026-01-31T12:00:00+01:00"], ["", "-2", None], ["x", None, None]]


async def file(gateway: Gateway, path: str, body: Any = None) -> bytes:
    content = exact_json.dumps(body) if body is not None else None
    response = await gateway.http.request(
        "POST" if body is not None else "GET",
        path,
        content=content,
        headers={"x-server-api-key": KEY, "content-type": "application/json"},
    )
    assert response.status_code == 200, response.text
    assert response.headers["content-disposition"].startswith("attachment; filename=")
    return response.content


def read(data: bytes, kind: str) -> list[list[Any]]:
    """Return the heading and the rows of a file."""
    if kind == "csv":
        return list(csv.reader(io.StringIO(data.decode())))
    if kind == "xlsx":
        openpyxl: Any = import_module("openpyxl")
        return [list(row) for row in openpyxl.load_workbook(io.BytesIO(data))["rows"].iter_rows(values_only=True)]
    if kind == "parquet":
        pq: Any = import_module("pyarrow.parquet")
        table = pq.read_table(io.BytesIO(data))
        return [table.column_names, *(list(row.values()) for row in table.to_pylist())]
    rows = exact_json.loads(data)["rows"] if kind == "json" else [exact_json.loads(line) for line in data.splitlines()]
    return [list(rows[0]), *(list(row.values()) for row in rows)]


def number(value: Any) -> Decimal | None:
    return None if value in {None, ""} else Decimal(str(value))


@pytest.fixture
async def used(gateway: Gateway) -> Gateway:
    events = [
        {
            "time": (NOW - timedelta(hours=hours)).isoformat(),
            "model": model,
            "credits": Decimal(f"{hours}.00000{place}"),
        }
        for place, model in enumerate(["gpt-4o", "o3", "mistral-large"], 1)
        for hours in (1, 5)
    ]
    common = {"service": "chat", "user_id": "ada", "kind": "line", "input_tokens": 10, "country": "DE"}
    answer = await gateway.post("/api/usage-events", [{**common, **event} for event in events])
    assert answer.data["accepted"] == len(events), answer.body
    return gateway


@pytest.mark.parametrize("kind", FORMATS)
async def test_the_values_of_a_file_are_those_of_the_same_question(used: Gateway, kind: str) -> None:
    question = "by=model&top=2&then=country&groupBy=hour"
    slices = (await used.get(f"/api/analytics/explore?{question}")).data["slices"]
    head, *rows = read(await file(used, f"/api/analytics/explore/export?{question}&format={kind}"), kind)

    shown = [(each["value"] or "(others or none)", each["credits"]) for each in slices for _ in (0, *each["parts"])]
    assert head[:3] == ["model", "country", "requests"]
    assert [(row[0], number(row[head.index("credits")])) for row in rows] == shown


@pytest.mark.parametrize("cumulative", [False, True])
async def test_the_periods_of_a_file_are_the_series(used: Gateway, cumulative: bool) -> None:
    question = "by=model&top=2&groupBy=day&of=credits&compare=true"
    found = (await used.get(f"/api/analytics/explore?{question}")).data
    path = f"/api/analytics/explore/export?{question}&table=periods&cumulative={str(cumulative).lower()}"
    head, *rows = read(await file(used, path), "csv")

    assert head == [
        "period",
        *(each["value"] or "(others or none)" for each in found["slices"]),
        "(total)",
        "(period before)",
    ]
    totals = [number(row[head.index("(total)")]) for row in rows]
    assert totals[-1] == (found["totals"]["totalCredits"] if cumulative else found["series"][-1])
    assert len(rows) == len(found["periods"]) == len(found["seriesBefore"])


async def test_a_file_is_in_the_order_that_was_asked_for(used: Gateway) -> None:
    _, *rows = read(await file(used, "/api/analytics/explore/export?by=model&sort=model"), "csv")

    assert [row[0] for row in rows] == ["gpt-4o", "mistral-large", "o3"]
    refused = await used.get("/api/analytics/explore/export?sort=price")
    assert (refused.status, refused.error["param"]) == (422, "sort")


@pytest.mark.parametrize("kind", FORMATS)
async def test_a_table_that_is_sent_comes_back_as_a_file(gateway: Gateway, kind: str) -> None:
    body = {"name": "wallets", "format": kind, "columns": COLUMNS, "rows": ROWS}
    head, *rows = read(await file(gateway, "/api/tables", body), kind)

    assert head == ["who", "credits", "when"]
    assert [number(row[1]) for row in rows] == [Decimal("1234567890123.000001"), -2, None]
    assert rows[0][0] == ("'=1+1" if kind == "csv" else "=1+1")
    assert str(rows[0][2]).replace("T", " ").startswith("2026-01-31 11:00:00")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"rows": [["x"]]}, "rows/0"),
        ({"rows": [["x", "much", None]]}, "'credits'"),
        ({"rows": [["x", "1e30", None]]}, "'credits'"),
        ({"rows": [["x", "1", "soon"]]}, "'when'"),
        ({"columns": [*COLUMNS[:2], {"name": "who"}]}, "different names"),
        ({"name": "../x"}, "name"),
    ],
)
async def test_a_table_that_cannot_be_written_is_refused_with_the_cell(
    gateway: Gateway, change: dict[str, Any], word: str
) -> None:
    answer = await gateway.post("/api/tables", {"name": "t", "columns": COLUMNS, "rows": ROWS, **change})

    assert answer.status == 422
    assert word in str(answer.error)

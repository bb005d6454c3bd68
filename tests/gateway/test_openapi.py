"""The document is what is served: each route, parameter, body, answer and code; and its examples work."""

import re
from typing import Any
from uuid import UUID

import pytest
from openapi_spec_validator import validate
from starlette.routing import Route

from faregate.core import exact_json
from faregate.gateway.errors import STATUS
from faregate.gateway.openapi.operations import errors_of
from faregate.gateway.operation import Operation, operations_of
from support.apps import Gateway
from support.conformance import conforms


def operations(gateway: Gateway) -> list[Operation]:
    return [found for controller in gateway.container.controllers() for found, _ in operations_of(controller)]


async def document(gateway: Gateway) -> Any:
    response = await gateway.http.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    return response.json()


async def test_the_document_is_valid_openapi_3_1(gateway: Gateway) -> None:
    found = await document(gateway)

    validate(found)
    assert found["openapi"].startswith("3.1")
    ids = [call["operationId"] for path in found["paths"].values() for call in path.values()]
    assert len(set(ids)) == len(ids)


async def test_every_route_that_is_served_is_in_it_and_no_other(gateway: Gateway) -> None:
    served = {
        (route.path.replace(":path}", "}"), method)
        for route in gateway.app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
        if not route.path.startswith(("/docs", "/openapi", "/dashboard"))
    }
    described = {
        (path, method.upper()) for path, calls in (await document(gateway))["paths"].items() for method in calls
    }

    assert described == served


async def test_parameters_bodies_and_codes_are_those_of_the_models(gateway: Gateway) -> None:
    found = await document(gateway)
    for operation in operations(gateway):
        described = found["paths"][operation.path.replace(":path}", "}")][operation.method.lower()]
        names = {place: {p["name"] for p in described["parameters"] if p["in"] == place} for place in ("path", "query")}
        assert names["path"] == set(operation.path_parameters)
        fields = operation.query.model_fields if operation.query else {}
        assert names["query"] == {field.alias or name for name, field in fields.items()}
        assert ("requestBody" in described) == (operation.body is not None)
        codes = {
            code
            for answer in described["responses"].values()
            for schema in [answer.get("content", {}).get("application/json", {}).get("schema", {})]
            for part in schema.get("properties", {}).get("error", {}).get("allOf", [])
            for code in part.get("properties", {}).get("code", {}).get("enum", [])
        }
        assert codes == {error.code for error in errors_of(operation)}, operation.id


async def test_examples_are_accepted_and_answers_are_as_described(gateway: Gateway) -> None:
    """Every example body of the document, sent as it stands, is well-formed and valid, and answered by schema."""
    found = await document(gateway)
    for user in ("user-1", "someone"):
        await gateway.grant(user, 1000)
    await gateway.feature("ai_chat_v1", strategy="fixed", parameters={"credits": 1})
    problems: list[str] = []
    for path, calls in found["paths"].items():
        for method, described in calls.items():
            body = described.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            if described.get("requestBody") and body is None:
                continue
            ids = {
                p["name"]: str(UUID(int=7)) if p["schema"].get("format") == "uuid" else "someone"
                for p in described["parameters"]
            }
            address = re.sub(r"{(\w+)}", lambda match, ids=ids: ids[match[1]], path)
            query = "&".join(
                f"{p['name']}={p['example']}" for p in described["parameters"] if p["in"] == "query" and p["required"]
            )
            answer = await gateway.http.request(
                method.upper(), f"{address}?{query}" if query else address,
                content=exact_json.dumps(body) if body is not None else None,
                headers={"x-server-api-key": gateway.key, "content-type": "application/json"},
            )  # fmt: skip
            if described.get("x-own-data") != "me" and answer.status_code in {400, 401, 403, 415, 422, 500}:
                problems.append(f"{method} {path}: {answer.text[:300]}")
            conforms(found, described, answer)

    assert not problems, "\n".join(problems)


async def test_every_code_has_a_page(gateway: Gateway) -> None:
    page = (await gateway.http.get("/docs/errors")).text
    refused = await gateway.get("/api/nowhere")

    assert all(f'id="{code}"' in page for code in STATUS)
    assert refused.error["type"] == "/docs/errors#not_found"


async def test_the_page_asks_nobody_else_for_anything(gateway: Gateway) -> None:
    page = await gateway.http.get("/docs")
    policy = page.headers["content-security-policy"]
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert "<script>" not in page.text
    assert all(source.startswith(("/docs/", "data:")) for source in sources)
    for source in sources:
        if source.startswith("/docs/"):
            asset = await gateway.http.get(source)
            assert (asset.status_code, asset.headers["x-content-type-options"]) == (200, "nosniff")
    assert (await gateway.http.get("/docs/assets/passwd")).status_code == 404


@pytest.mark.parametrize("code", sorted(STATUS))
def test_every_code_says_what_to_do(code: str) -> None:
    from faregate.gateway.error_pages import error_pages

    (page,) = [page for page in error_pages() if page.code == code]
    assert page.meaning
    assert page.fix

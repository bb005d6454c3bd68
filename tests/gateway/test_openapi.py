"""The OpenAPI document matches the served routes, parameters, bodies, answers and codes, and its examples work."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import jsonschema_rs
import openapi_spec_validator
import pytest
from openapi_spec_validator import validate
from starlette.routing import Route

from faregate.gateway.errors import STATUS
from faregate.gateway.http.operation import Operation, operations_of
from faregate.gateway.openapi.operations import errors_of
from faregate.wire import exact_json
from support.apps import Gateway
from support.conformance import conforms, is_valid

_SCHEMAS = Path(openapi_spec_validator.__file__).parent / "resources/schemas"
SPECIFICATION = json.loads((_SCHEMAS / "v3.1/schema.json").read_text())


def operations(gateway: Gateway) -> list[Operation]:
    return [found for controller in gateway.container.controllers() for found, _ in operations_of(controller)]


async def document(gateway: Gateway) -> Any:
    response = await gateway.http.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    return response.json()


async def test_the_document_is_valid_openapi_3_1(gateway: Gateway) -> None:
    """By the specification's own schema, in Rust; the validator of the next test takes eight seconds."""
    found = await document(gateway)

    assert list(jsonschema_rs.validator_for(SPECIFICATION).iter_errors(found)) == []
    assert found["openapi"].startswith("3.1")
    ids = [call["operationId"] for path in found["paths"].values() for call in path.values()]
    assert len(set(ids)) == len(ids)


async def test_the_openapi_validator_finds_nothing(gateway: Gateway) -> None:
    """It also follows references, and compares defaults with their schemas."""
    validate(await document(gateway))


async def test_every_route_that_is_served_is_in_it_and_no_other(gateway: Gateway) -> None:
    cycles = {route.path for route in gateway.container.cycles().routes() if isinstance(route, Route)}
    """Another protocol, with a document of its own."""
    served = {
        (route.path.replace(":path}", "}"), method)
        for route in gateway.app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
        if not route.path.startswith(("/docs", "/openapi", "/dashboard", "/portal", "/reports", "/graphql/"))
        and route.path not in cycles
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
        expected = {error.code for error in errors_of(operation)} if operation.dialect is None else set()
        assert codes == expected, operation.id


async def test_examples_are_accepted_and_answers_are_as_described(gateway: Gateway) -> None:
    """Every example body of the document is valid when sent unchanged, and its answer matches the schema."""
    found = await document(gateway)
    for user in ("user-1", "someone"):
        await gateway.grant(user, 1000)
    await gateway.feature("ai_chat_v1", strategy="fixed", parameters={"credits": 1})
    problems: list[str] = []
    for path, calls in found["paths"].items():
        for method, described in calls.items():
            body = described.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            if (described.get("requestBody") and body is None) or described["security"] == [{"portalLink": []}]:
                continue
            ids = {
                p["name"]: str(UUID(int=7)) if p["schema"].get("format") == "uuid" else "someone"
                for p in described["parameters"]
            }
            address = path.format_map(ids)
            query = "&".join(
                f"{p['name']}={p['example']}" for p in described["parameters"] if p["in"] == "query" and p["required"]
            )
            if "text/event-stream" in described["responses"].get("200", {}).get("content", {}):
                query = "events=1"
            answer = await gateway.http.request(
                method.upper(), f"{address}?{query}" if query else address,
                content=exact_json.dumps(body) if body is not None else None,
                headers={"x-server-api-key": gateway.key, "content-type": "application/json"},
            )  # fmt: skip
            if described.get("x-own-data") != "me" and answer.status_code in {400, 401, 403, 415, 422, 500}:
                problems.append(f"{method} {path}: {answer.text[:300]}")
            if '"rejected":[{' in answer.text:
                problems.append(f"{method} {path}: {answer.text[:300]}")
            conforms(found, described, answer)

    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("path", ["/api/usage-events", "/api/feature-usage-logs"])
async def test_individually_validated_items_are_documented_as_any_item(gateway: Gateway, path: str) -> None:
    """An array is answered 2xx even if some items cannot be stored, so the document must allow any item."""
    found = await document(gateway)
    content = found["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    strangers: tuple[Any, ...] = (5, None, "text", [], {}, {"user_id": 5})
    for stranger in strangers:
        body = [stranger, content["example"]]
        answer = await gateway.post(path, body)

        assert answer.status in {201, 202}
        assert len(answer.data["rejected"]) == 1
        assert is_valid(found, content["schema"], body), stranger
        alone = await gateway.post(path, stranger)
        assert (alone.status not in {201, 202}) or is_valid(found, content["schema"], stranger), stranger


async def test_links_refer_to_existing_calls_and_parameters(gateway: Gateway) -> None:
    known = {operation.id: operation for operation in operations(gateway)}
    for source in known.values():
        for name, link in source.links.items():
            target = known.get(link["operationId"])
            assert target is not None, f"{source.id}: {name}"
            fields = target.query.model_fields if target.query else {}
            taken = {f"path.{p}" for p in target.path_parameters} | {f"query.{f.alias or n}" for n, f in fields.items()}
            assert set(link.get("parameters", {})) <= taken, f"{source.id}: {name}"
            assert target.body is not None or "requestBody" not in link, f"{source.id}: {name}"


async def test_every_call_on_an_object_is_linked_from_the_call_that_creates_or_lists_it(gateway: Gateway) -> None:
    """So that clients of the document, such as a fuzzer, can call each operation with an existing id."""
    all_ = operations(gateway)
    linked = {link["operationId"] for operation in all_ for link in operation.links.values()}
    named_by_caller = {operation.id for operation in all_ if operation.method == "PUT" and operation.path_parameters}
    missing = {o.id for o in all_ if o.path_parameters and o.path.startswith("/api/")} - linked - named_by_caller

    assert missing == set()


async def test_links_can_be_followed(gateway: Gateway) -> None:
    """Each reading link in the answer to each example is followed, and its target exists."""
    found = await document(gateway)
    await gateway.grant("user-1", 1000)
    await gateway.feature("ai_chat_v1", strategy="fixed", parameters={"credits": 1})
    calls = {call["operationId"]: (path, call) for path, methods in found["paths"].items() for call in methods.values()}
    reads = {o.id for o in operations(gateway) if o.method == "GET"}
    files = {o.id for o in operations(gateway) if o.produces}
    followed = 0
    for source in operations(gateway):
        path, described = calls[source.id]
        body = described.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        links = [link for link in source.links.values() if link["operationId"] in reads]
        if source.method == "GET" or not links:
            continue
        names = {p["name"]: "user-1" for p in described["parameters"] if p["in"] == "path"}
        answer = await gateway.call(source.method, path.format_map(names), body)
        for link in links:
            if answer.status != source.status:
                continue
            values = {
                name.partition(".")[2]: _resolved(expression, names, body, answer.data)
                for name, expression in link["parameters"].items()
            }
            target, of = calls[link["operationId"]]
            wanted = [p for p in of["parameters"] if p["in"] == "query"]
            query = {
                p["name"]: values.get(p["name"], p.get("example"))
                for p in wanted
                if p["required"] or p["name"] in values
            }
            followed_to = target.format_map(values) + ("?" + urlencode(query) if query else "")
            got = await gateway.call("GET", followed_to, raw=link["operationId"] in files)
            assert got.status == 200, f"{source.id} to {link['operationId']}: {got.body}"
            followed += 1

    assert followed > 20


def _resolved(expression: str, names: dict[str, str], body: Any, data: Any) -> Any:
    if expression.startswith("$request.path."):
        return names[expression.removeprefix("$request.path.")]
    place, _, pointer = expression.partition("#/")
    found: Any = body if place == "$request.body" else {"data": data}
    for step in pointer.split("/"):
        found = found[int(step) if step.isdigit() else step]
    return found


async def test_every_code_has_a_page(gateway: Gateway) -> None:
    page = (await gateway.http.get("/docs/errors")).text
    refused = await gateway.get("/api/nowhere")

    assert all(f'id="{code}"' in page for code in STATUS)
    assert refused.error["type"] == "/docs/errors#not_found"


async def test_the_page_loads_nothing_from_other_servers(gateway: Gateway) -> None:
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
def test_every_code_has_a_remedy(code: str) -> None:
    from faregate.gateway.http.error_pages import error_pages

    (page,) = [page for page in error_pages() if page.code == code]
    assert page.meaning
    assert page.fix, f"error_pages names no fix for {code}"

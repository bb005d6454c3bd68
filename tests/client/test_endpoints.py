"""Kinds of all endpoints of the installed SDKs."""

import ast
from collections.abc import Iterator
from pathlib import Path

import anthropic
import openai
import pytest

from faregate.client.wrapping.endpoints import kind_of, route_of


def _posted_paths(package: str) -> Iterator[str]:
    for file in sorted((Path(package).parent / "resources").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_post(node):
                yield from _path(node)


def _is_post(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    methods = [word.value for word in call.keywords if word.arg == "method" and isinstance(word.value, ast.Constant)]
    return name == "_post" or (name == "_get_api_list" and any(method.value == "post" for method in methods))


def _path(call: ast.Call) -> Iterator[str]:
    path = call.args[0]
    template = path.args[0] if isinstance(path, ast.Call) else path
    assert isinstance(template, ast.Constant)
    yield str(template.value)


@pytest.fixture(scope="module")
def paths() -> set[str]:
    """The paths that the installed SDKs post to; their sources take seconds to read, so not while tests are collected."""
    return {*_posted_paths(openai.__file__), *_posted_paths(anthropic.__file__)}


def test_the_search_finds_the_endpoints_of_both_sdks(paths: set[str]) -> None:
    assert {"/chat/completions", "/responses?beta=true", "/v1/messages"} <= paths
    assert len(paths) > 100


def test_every_endpoint_of_the_sdks_has_a_kind(paths: set[str]) -> None:
    """A new SDK release with a new endpoint fails here until the endpoint is classified."""
    assert [path for path in sorted(paths) if kind_of(path) is None] == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/messages?beta=true", "metered"),
        ("/responses?beta=true", "metered"),
        ("/images/generations", "metered"),
        ("/audio/speech", "metered"),
        ("/threads/thread_1/messages", "free"),
        ("/v1/messages/count_tokens", "free"),
        ("/chat/completions/chatcmpl_1", "free"),
        ("/moderations", "unmetered"),
        ("/v1/messages/batches", "unmetered"),
        ("/threads/thread_1/runs", "unmetered"),
        ("/threads/thread_1/runs/run_1", "free"),
        ("/videos/video_1/remix", "unmetered"),
        ("/brand/new", None),
    ],
)
def test_kinds(path: str, kind: str | None) -> None:
    assert kind_of(path) == kind


def test_a_route_has_no_version_and_no_query() -> None:
    assert route_of("/v1/messages?beta=true") == "messages"

"""KEDA's example is valid by the schemas of KEDA's own definitions."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.docs import ROOT
from support.node import Node

SOURCES = Path(__file__).parent / "keda"
RESOURCES: list[dict[str, Any]] = [
    each
    for each in yaml.safe_load_all((ROOT / "examples/keda/scaledobject.yaml").read_text())
    if each["apiVersion"].startswith("keda.sh/")
]


@pytest.fixture(scope="module")
def node(pytestconfig: pytest.Config) -> Node:
    cache = pytestconfig.cache
    assert cache is not None
    return Node(SOURCES, cache.mkdir("node"))


async def said(node: Node, directory: Path, *resources: Mapping[str, Any]) -> list[str]:
    shutil.copy(SOURCES / "check.ts", directory)
    file = directory / "resources.json"
    file.write_text(json.dumps(resources))
    return (await node.run(node.bundle(directory / "check.ts"), str(file))).splitlines()


async def test_its_resources_are_valid(node: Node, tmp_path: Path) -> None:
    assert await said(node, tmp_path, *RESOURCES) == ["TriggerAuthentication: valid", "ScaledObject: valid"]


async def test_what_is_missing_or_of_another_type_is_noticed(node: Node, tmp_path: Path) -> None:
    (scaled,) = [each for each in RESOURCES if each["kind"] == "ScaledObject"]
    trigger = scaled["spec"]["triggers"][0]
    number = {**trigger, "metadata": {**trigger["metadata"], "targetValue": 2000}}
    wrong = [
        {**scaled, "spec": {**scaled["spec"], "triggers": [number]}},
        {**scaled, "spec": {**scaled["spec"], "maxReplicaCount": "8"}},
        {**scaled, "spec": {"triggers": scaled["spec"]["triggers"]}},
    ]
    found = await said(node, tmp_path, *wrong)

    assert [text for text in found if text.endswith(": valid")] == []
    assert len(found) >= len(wrong)

"""compose.yaml, as far as it can be checked without an engine: it fits the code that it starts."""

import re
import tomllib
from typing import Any

import pytest
import yaml  # it comes with uvicorn

from faregate.cli.main import COMMANDS
from faregate.core.settings import Settings, load_settings, variable_name
from support.docs import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service.get("image") == "faregate"]


def test_it_starts_gateway_worker_and_their_engines() -> None:
    assert set(SERVICES) == {"postgres", "rabbitmq", "migrate", "gateway", "worker"}
    assert set(OURS) == {"migrate", "gateway", "worker"}
    assert {SERVICES[name]["command"][0] for name in OURS} <= set(COMMANDS)


def test_its_settings_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable would be ignored in silence."""
    given: dict[str, str] = SERVICES["gateway"]["environment"]
    assert set(given) <= {variable_name(field) for field in Settings.model_fields}
    for name, value in given.items():
        monkeypatch.setenv(name, "k" * 48 if value.startswith("${") else value)
    settings = load_settings()

    assert str(settings.database_url).split("@")[1] == "postgres:5432/faregate"
    assert str(settings.broker_url).split("@")[1] == "rabbitmq:5672/"
    assert SERVICES["gateway"]["ports"] == [f"{settings.port}:{settings.port}"]


def test_nothing_starts_before_what_it_needs_is_healthy() -> None:
    for name in OURS:
        for needed, how in SERVICES[name]["depends_on"].items():
            healthy = how["condition"] == "service_healthy" and "healthcheck" in SERVICES[needed]
            assert healthy or (needed, how["condition"]) == ("migrate", "service_completed_successfully")


def test_data_outlive_the_containers() -> None:
    kept = {volume.split(":")[0] for name in ("postgres", "rabbitmq") for volume in SERVICES[name]["volumes"]}

    assert kept == set(COMPOSE["volumes"])


def test_the_image_installs_parts_that_exist() -> None:
    recipe = SERVICES["gateway"]["build"]["dockerfile_inline"]
    (parts,) = re.findall(r"\[([\w,]+)\]\"", recipe)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert set(parts.split(",")) <= set(known)
    assert {"gateway", "worker", "cli", "rabbitmq"} <= set(parts.split(","))

"""Manifests of Kubernetes: valid for the versions that the page names, and consistent with what the processes serve and read."""

from pathlib import Path
from typing import Any

import kubernetes_validate  # pyright: ignore[reportMissingTypeStubs]
import pytest
import yaml  # it comes with uvicorn
from starlette.applications import Starlette

from faregate.cli.main import command_line
from faregate.core.settings import Settings, isolated_settings, variable_names
from faregate.gateway.main import server_config
from support.docs import ROOT, Page

PACK = ROOT / "examples/kubernetes"
RESOURCES: list[tuple[str, dict[str, Any]]] = [
    (path.name, resource)
    for path in sorted(PACK.glob("*.yaml"))
    for resource in yaml.safe_load_all(path.read_text())
    if resource["kind"] != "Kustomization"
]
VERSIONS = ("1.29", "1.31", "1.34")


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for _, each in RESOURCES if each["kind"] == kind}


WORKLOADS = {**of_kind("Deployment"), **of_kind("Job")}
PODS = {name: each["spec"]["template"] for name, each in WORKLOADS.items()}


@pytest.mark.parametrize(
    ("file", "resource"), RESOURCES, ids=[f"{n} {r['kind']} {r['metadata']['name']}" for n, r in RESOURCES]
)
def test_every_resource_is_valid(file: str, resource: dict[str, Any]) -> None:
    for version in VERSIONS:
        kubernetes_validate.validate(resource, version, strict=True)
    assert file.endswith(".yaml")
    if resource["kind"] != "Namespace":
        assert resource["metadata"]["namespace"] == "faregate"


def test_a_field_that_does_not_exist_is_noticed() -> None:
    """The schema is strict: a typing error is not ignored, as the cluster would."""
    wrong = {**of_kind("PodDisruptionBudget")["faregate-gateway"], "spec": {"minAvailible": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.31", strict=True)


def test_every_file_is_applied_except_the_migration_which_runs_before() -> None:
    listed = set(yaml.safe_load((PACK / "kustomization.yaml").read_text())["resources"])
    assert listed == {path.name for path in PACK.glob("*.yaml")} - {"kustomization.yaml", "migrate.yaml"}


def test_variables_are_settings_and_commands_exist() -> None:
    known = {variable for name in Settings.model_fields for variable in variable_names(name)}
    given = {name for each in of_kind("ConfigMap").values() for name in each["data"]}
    given |= {name for each in of_kind("Secret").values() for name in each["stringData"]}
    for pod in PODS.values():
        (container,) = pod["spec"]["containers"]
        given |= {each["name"] for each in container.get("env", ())}
        assert container["args"][0] in set(command_line())
    assert given - known == set()


def test_probes_ask_for_routes_that_are_served_on_the_port_of_the_container() -> None:
    for name, deployment in of_kind("Deployment").items():
        pod = deployment["spec"]["template"]
        (container,) = pod["spec"]["containers"]
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            asked = container[probe]["httpGet"]
            assert asked["path"] == path, name
            assert asked["port"] in ports
        (port,) = ports.values()
        assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(port)
        assert str(port) in [*container["args"], *(each["value"] for each in container.get("env", ()))]


def test_a_pod_has_time_to_finish_what_it_does(tmp_path: Path) -> None:
    graceful = server_config(Starlette(), isolated_settings(data_dir=tmp_path)).timeout_graceful_shutdown
    for name, deployment in of_kind("Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        pause = int(container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])[1])
        assert pod["terminationGracePeriodSeconds"] > pause + (graceful or 0) + 5, name
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_no_right_that_it_does_not_need(name: str) -> None:
    pod = PODS[name]["spec"]
    (container,) = pod["containers"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]


def test_what_selects_pods_finds_them() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in PODS.items()}
    for name, deployment in of_kind("Deployment").items():
        assert deployment["spec"]["selector"]["matchLabels"] == labels[name]
        assert of_kind("PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"] == labels[name]
        assert of_kind("PodDisruptionBudget")[name]["spec"]["minAvailable"] < deployment["spec"]["replicas"]
    for name, policy in of_kind("NetworkPolicy").items():
        assert policy["spec"]["podSelector"]["matchLabels"] == labels[name]
    (service,) = of_kind("Service").values()
    assert service["spec"]["selector"] == labels["faregate-gateway"]
    assert of_kind("NetworkPolicy").keys() == labels.keys()


def test_keda_scales_a_deployment_that_is_here_by_an_address_that_is_served() -> None:
    documents = list(yaml.safe_load_all((ROOT / "examples/keda/scaledobject.yaml").read_text()))
    scaled = next(each for each in documents if each["kind"] == "ScaledObject")
    (service,) = of_kind("Service").values()
    url = scaled["spec"]["triggers"][0]["metadata"]["url"]

    assert scaled["spec"]["scaleTargetRef"]["name"] in of_kind("Deployment")
    assert url.startswith(
        f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}/api/system/scaling"
    )


def test_the_commands_of_the_page_are_those_of_the_readme_and_its_check_runs() -> None:
    page = Page.of("docs/howto/run-on-kubernetes.md")
    readme = Page.of("examples/kubernetes/README.md")
    printed = page.block("python", title="check.py").run(cwd=PACK)

    assert page.block("console").text == readme.block("console").text
    assert len(printed.splitlines()) == len(RESOURCES)
    for line in page.block("console").text.splitlines():
        for file in [word for word in line.split() if word.endswith(".yaml")]:
            assert (PACK / file).exists()

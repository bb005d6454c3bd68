"""Alerts, dashboards and runbooks: the rules fire and are quiet as tested, and everything that they name exists."""

import asyncio
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
import yaml  # it comes with uvicorn
from pytest_mock import MockerFixture
from starlette.routing import Route

from faregate.benchmarks.ports import free_port
from faregate.core.messaging.interfaces import Backlog, ITransport
from faregate.core.monitoring.gauges import QueueGauges
from support.apps import open_gateway, running_worker, settings_for
from support.desk import Desk
from support.docs import ROOT, Page
from support.gateways import listening
from support.servers import require_program
from support.serving import serving

PACK = ROOT / "examples/observability"
RUNBOOKS = ROOT / "docs/runbooks"
GROUPS = yaml.safe_load((PACK / "alerts.yaml").read_text())["groups"]
RULES: dict[str, Any] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
TESTS = yaml.safe_load((PACK / "alerts_test.yaml").read_text())["tests"]
DASHBOARDS = {path.name: json.loads(path.read_text()) for path in sorted((PACK / "dashboards").glob("*.json"))}
PANELS = [(name, panel) for name, board in DASHBOARDS.items() for panel in board["panels"]]
EXPRESSIONS = [
    *(rule["expr"] for rule in RULES.values()),
    *(target["expr"] for _, panel in PANELS for target in panel["targets"]),
]
_METRIC = re.compile(r"\bfaregate_\w+")
_LABEL = re.compile(r'(\w+)=~?"([^"]*)"')


NOT_OURS = {"pg_stat_activity", "runbook_url", "minimum_balance", "credit_limit", "request_id"}
"""Names on the runbooks that are neither events of the log nor metrics."""


def promtool(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    require_program("promtool", package="prometheus")
    return subprocess.run(["promtool", *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_the_rules_are_valid_and_their_tests_pass() -> None:
    for arguments in (
        ("check", "rules", "alerts.yaml"),
        ("test", "rules", "alerts_test.yaml"),
        ("check", "config", "prometheus.yaml"),
    ):
        done = promtool(*arguments, cwd=PACK)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", RULES)
def test_each_alert_is_tested_to_fire_and_to_be_quiet_and_a_rule_that_does_neither_is_noticed(
    alert: str, tmp_path: Path
) -> None:
    """The tests fail if the rule never fires, and if it always does."""
    fires, quiet = ([each for each in TESTS if each["name"] == f"{alert} {what}"] for what in ("fires", "is quiet"))
    assert (len(fires), len(quiet)) == (1, 1)
    for broken in ("vector(1) > 2", "vector(1) > 0"):
        rule = {**RULES[alert], "expr": broken, "for": "0s"}
        (tmp_path / "alerts.yaml").write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]}))
        chosen = {"rule_files": ["alerts.yaml"], "evaluation_interval": "15s", "tests": fires + quiet}
        (tmp_path / "test.yaml").write_text(yaml.safe_dump(chosen))
        assert promtool("test", "rules", "test.yaml", cwd=tmp_path).returncode != 0, broken


async def test_every_metric_of_rules_and_dashboards_is_exported_by_gateway_or_worker(
    database_url: str, mocker: MockerFixture
) -> None:
    settings = settings_for(database_url)
    async with open_gateway(settings) as gateway, running_worker(settings) as worker:

        async def exported() -> str:
            of_gateway = (await gateway.http.get("/metrics")).text
            return of_gateway + (await worker.metrics().text()).decode() + await _outbox(gateway, mocker)

        async with asyncio.timeout(30):
            while not await _reported(exported):
                await asyncio.sleep(0.05)
        text = await exported()
        routes = {route.path for route in gateway.app.routes if isinstance(route, Route)}
    known = {
        name + ending
        for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
        for ending in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))
    }
    named = {metric for expression in EXPRESSIONS for metric in _METRIC.findall(expression)}

    print(f"{len(RULES)} alerts and {len(PANELS)} panels name {len(named)} metrics of {len(known)}")
    assert named - known == set()
    used = {pair for expression in EXPRESSIONS for pair in _LABEL.findall(expression)}
    assert {value for label, value in used if label == "route"} <= routes
    assert {value for label, value in used if label == "outcome"} <= {"settled", "repeated", "refused", "failed"}
    assert {value for label, value in used if label == "decision"} <= {"acknowledged", "retried", "dead"}
    assert {label for label, _ in used} <= {"route", "status", "outcome", "decision", "result"}


async def _reported(exported: Any) -> bool:
    return "\nfaregate_workers 1.0" in await exported() and "faregate_settlement_lag_seconds " in await exported()


async def _outbox(gateway: Any, mocker: MockerFixture) -> str:
    """Return the types of the gauges that exist beside a broker only."""
    core = gateway.container.core.container
    broker = mocker.create_autospec(ITransport)
    broker.backlog.return_value = Backlog(0, None)
    gauges = QueueGauges(broker, core.transport(), core.dead_letters(), core.heartbeats(), core.clock())
    return "".join(f"# TYPE {each.name} gauge\n" for each in await gauges.gauges())


def test_every_query_of_the_dashboards_is_one_of_prometheus(tmp_path: Path) -> None:
    queries = [target["expr"] for _, panel in PANELS for target in panel["targets"]]
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries)
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = promtool("check", "rules", "--lint=none", "rules.yaml", cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(queries) > 30


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_have_a_name_a_meaning_and_a_place_of_their_own(name: str) -> None:
    board = DASHBOARDS[name]
    cells: list[tuple[int, int]] = []
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells += [(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"]["uid"] == "${datasource}"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len(cells) == len(set(cells)), "two panels overlap"
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("alert", RULES)
def test_each_alert_leads_to_a_runbook_that_names_it(alert: str) -> None:
    rule = RULES[alert]
    name = rule["annotations"]["runbook_url"].removeprefix("https://faregate.example.com/docs/runbooks/").strip("/")
    page = (RUNBOOKS / f"{name}.md").read_text()
    nav = (ROOT / "mkdocs.yml").read_text()

    assert f"`{alert}` ({rule['labels']['severity']})" in page
    assert [heading for heading in ("## Look", "## Mend", "## Afterwards") if heading not in page] == []
    assert f"runbooks/{name}.md" in nav
    assert f"`{alert}` | {rule['labels']['severity']} |" in (RUNBOOKS / "index.md").read_text()
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".")


def test_no_runbook_is_left_over_and_what_they_name_exists() -> None:
    """Events of the log, metrics and settings."""
    names = {rule["annotations"]["runbook_url"].rstrip("/").rpartition("/")[2] for rule in RULES.values()}
    pages = {path.stem: path.read_text() for path in RUNBOOKS.glob("*.md")}
    source = "\n".join(path.read_text() for place in ("libs", "apps") for path in (ROOT / place).rglob("*.py"))
    text = "\n".join(pages.values())
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text)) - NOT_OURS
    metrics = {re.sub("_(total|bucket)$", "", name) for name in named if name.startswith("faregate_")}
    events = {name for name in named if not name.startswith("faregate_")}

    assert pages.keys() == names | {"index"}
    assert {event for event in events if f'"{event}"' not in source} == set()
    assert {name for name in metrics if name.replace("faregate_queue", "faregate_{place}") not in source} == set()
    assert {name.lower().removeprefix("faregate_") for name in re.findall(r"FAREGATE_[A-Z_]+", text)} <= set(
        re.findall(r"^    (\w+): ", source, re.MULTILINE)
    )


def test_the_commands_of_the_runbooks_work(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(monkeypatch, capsys)
    monkeypatch.setenv("FAREGATE_DATABASE_URL", database_url)
    lines = {
        line
        for path in sorted(RUNBOOKS.glob("*.md"))
        for block in Page.of(str(path.relative_to(ROOT))).blocks("bash")
        for line in block.text.splitlines()
    }
    for line in sorted(lines):
        done = desk.type(*shlex.split(line)[1:])
        assert done.code == 0, (line, done.out, done.err)
    assert lines == {"faregate dlq list", "faregate dlq replay --all", "faregate doctor", "faregate verify"}


def test_the_page_on_prometheus_shows_the_file_and_its_commands_work(tmp_path: Path) -> None:
    require_program("promtool", package="prometheus")
    page = Page.of("docs/howto/monitor-with-prometheus.md")
    shown = page.block("yaml", title="prometheus.yaml").text
    shutil.copytree(PACK, tmp_path, dirs_exist_ok=True)

    assert yaml.safe_load(shown) == yaml.safe_load((PACK / "prometheus.yaml").read_text())
    assert "SUCCESS: 15 rules found" in page.block("bash").run(cwd=tmp_path)
    assert "https://docs.example.com/faregate/runbooks/" in (tmp_path / "my-alerts.yaml").read_text()


async def test_a_real_prometheus_reads_a_gateway_and_evaluates_every_rule_and_query(
    database_url: str, tmp_path: Path
) -> None:
    require_program("prometheus", package="prometheus")
    shutil.copy(PACK / "alerts.yaml", tmp_path)
    async with open_gateway(settings_for(database_url)) as gateway:
        config = uvicorn.Config(gateway.app, port=0, log_config=None, lifespan="off")
        async with serving(config) as url, _prometheus(url, tmp_path) as http:
            rules: list[Any] = []
            async with asyncio.timeout(60):
                while not rules or {each["health"] for each in rules} == {"unknown"} or not await _up(http):
                    await asyncio.sleep(0.2)
                    groups = (await http.get("/api/v1/rules")).json()["data"]["groups"]
                    rules = [rule for group in groups for rule in group["rules"]]
            answers = [
                (await http.get("/api/v1/query", params={"query": each.replace("$__rate_interval", "1m")})).json()
                for each in EXPRESSIONS
            ]

    print(f"{len(rules)} rules evaluated, {len(answers)} queries answered")
    assert {each["health"] for each in rules} <= {"ok", "unknown"}
    assert [each for each in answers if each["status"] != "success"] == []
    assert len(rules) == len(RULES)


async def _up(http: httpx2.AsyncClient) -> bool:
    found = (await http.get("/api/v1/query", params={"query": "max(faregate_dead_letters) + 0 * max(up)"})).json()
    return bool(found["data"]["result"])


@asynccontextmanager
async def _prometheus(url: str, directory: Path) -> AsyncGenerator[httpx2.AsyncClient]:
    """Run a Prometheus that reads the gateway at `url` every second."""
    chosen = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["alerts.yaml"],
        "scrape_configs": [{"job_name": "faregate", "static_configs": [{"targets": [url.removeprefix("http://")]}]}],
    }
    (directory / "prometheus.yaml").write_text(yaml.safe_dump(chosen))
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={directory / 'prometheus.yaml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    )
    try:
        await listening(port)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            yield http
    finally:
        process.terminate()
        await process.wait()

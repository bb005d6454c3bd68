"""The pages about OpenMeter, Lago and OpenTelemetry do what they say."""

import asyncio
import json
import shlex
from pathlib import Path

import pytest
import uvicorn

from support.apps import KEY, open_gateway, settings_for
from support.desk import Desk
from support.docs import Page
from support.serving import serving

OPENMETER = Page.of("docs/howto/send-openmeter-events.md")
OTEL = Page.of("docs/howto/send-opentelemetry.md")


async def test_the_programs_of_both_pages_send_what_counts_once(database_url: str) -> None:
    async with open_gateway(settings_for(database_url)) as gateway:
        config = uvicorn.Config(gateway.app, port=0, log_config=None, lifespan="off")
        async with serving(config) as url:
            sent = await asyncio.to_thread(OPENMETER.block("python", title="send.py").run, URL=url, KEY=KEY)
            await asyncio.to_thread(OTEL.block("python", title="spans.py").run, URL=url, KEY=KEY)
        await gateway.container.roller().run()
        found = (await gateway.get("/api/analytics/metrics")).data
        meters = (await gateway.get("/api/analytics/meters")).data

    assert sent.splitlines() == ["204", "204", "storage", "400 1"]
    assert (found["totalRequests"], found["totalTokens"], found["uniqueUsers"]) == (2, 2100, 1)
    assert [(meter["meter"], float(meter["value"])) for meter in meters] == [("storage", 12.5)]


@pytest.mark.parametrize(("page", "user"), [(OPENMETER, "ada"), (OTEL, "s-1")])
def test_the_commands_try_and_declare_the_rule(
    page: Page,
    user: str,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    desk, said = Desk(monkeypatch, capsys), list[str]()
    monkeypatch.setenv("FAREGATE_DATABASE_URL", database_url)
    monkeypatch.chdir(tmp_path)
    for block in page.blocks("json"):
        block.save(tmp_path)
    features = {"features": [{"key": "ai_chat_v1", "strategy": "token_priced"}]}
    (tmp_path / "features.json").write_text(json.dumps(features))
    assert desk.type("features", "apply", "features.json", "--yes").code == 0
    for line in page.block("bash").text.splitlines():
        done = desk.type(*shlex.split(line)[1:])
        assert done.code == 0, done.err
        said.append(done.out)

    assert said[0].startswith("charged by the rule this-rule")
    assert f'"user_id":"{user}"' in said[0].replace("\n", "")
    assert "charge" in said[1]

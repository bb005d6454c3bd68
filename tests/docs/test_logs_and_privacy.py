"""The blocks of the pages on feature logs and on privacy do what the pages say."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from faregate.cli.demo.stack import Stack, private_stack
from faregate.wire import exact_json
from support.docs import Page
from support.processes import command_path
from support.servers import require_program

LOGS, PRIVACY = Page.of("docs/howto/log-a-feature.md"), Page.of("docs/explanation/privacy.md")


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    require_program("curl", package="curl")
    async with private_stack(tmp_path / "data") as stack:
        yield stack


async def said(stack: Stack, page: Page, title: str | None, **environment: str) -> str:
    """Run a bash block of a page beside the stack, with archives and files in its directory."""
    here = {
        "URL": stack.url,
        "KEY": stack.key,
        "FAREGATE_DATA_DIR": str(stack.data_dir),
        "FAREGATE_LOG_ARCHIVE_DIR": str(stack.data_dir / "archive"),
        "PATH": command_path(),
        "COLUMNS": "200",
    }
    blocks = [block for block in page.blocks("bash") if block.title == title]
    return await asyncio.to_thread(blocks[0].run, cwd=stack.data_dir, timeout=120, **here, **environment)


async def test_a_log_is_sent_found_kept_and_brought_back(stack: Stack) -> None:
    sent = [exact_json.loads(await said(stack, LOGS, None)) for _ in range(2)]
    found = exact_json.loads(await said(stack, LOGS, "find.sh"))["data"]
    searched = await said(stack, LOGS, "search.sh")
    kept = await said(stack, LOGS, "keep.sh")

    assert [answer["data"]["duplicate"] for answer in sent] == [False, True]
    assert [log["usage_key"] for log in found] == ["ride-1"]
    assert '"api_key":"[redacted]"' in searched.replace(" ", "")
    assert "never stored" not in searched
    assert "ai_chat_v1: 30 days" in kept
    assert ("archived: 1 logs" in kept, "restored: 1 logs" in kept) == (True, True)


async def test_logs_are_sealed_and_sealed_again_under_a_new_key(stack: Stack) -> None:
    await said(stack, LOGS, None)
    sealed = await said(stack, PRIVACY, "keys.sh")

    assert sealed.count("1 logs sealed again") == 2
    assert "ai_chat_v1" in sealed


async def test_a_person_is_shown_and_erased(stack: Stack) -> None:
    await said(stack, LOGS, None)
    told = (await said(stack, PRIVACY, "person.sh")).replace('}{"', '}\n{"')
    answers = [line[: line.rindex("}") + 1] for line in told.splitlines() if line.startswith('{"')]
    shown, erased = [exact_json.loads(answer)["data"] for answer in answers]
    kinds = {exact_json.loads(line)["kind"] for line in (stack.data_dir / "bela.ndjson").read_bytes().splitlines()}

    assert {"subject", "feature_log"} <= kinds
    assert shown["records"].keys() == kinds | {"audit_entry"}  # that the first export was looked at
    assert erased["erased"]["feature_log"] == 1


def test_what_is_redacted_is_what_the_page_says() -> None:
    printed = PRIVACY.block("python", title="redacted.py").run()

    assert printed == PRIVACY.block("text").text


def test_no_block_of_the_pages_is_left_out() -> None:
    assert [block.title for block in LOGS.blocks()] == [None, "find.sh", "search.sh", "keep.sh"]
    assert [block.title for block in PRIVACY.blocks()] == ["redacted.py", None, "keys.sh", "person.sh"]

"""docs/howto/meter-anything.md does what it says."""

import shlex
from pathlib import Path

import pytest

from support.desk import Desk
from support.docs import Page


def test_the_page_runs_from_the_first_event_to_the_export(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page, said = Page.of("docs/howto/meter-anything.md"), list[str]()
    desk = Desk(monkeypatch, capsys)
    monkeypatch.setenv("FAREGATE_DATABASE_URL", database_url)
    monkeypatch.chdir(tmp_path)
    for block in page.blocks():
        if block.language == "python":
            said.append(block.run(cwd=tmp_path, FAREGATE_DATABASE_URL=database_url))
        elif block.language == "bash":
            for line in block.text.splitlines():
                done = desk.type(*shlex.split(line)[1:])
                assert done.code == 0, done.err
                said.append(done.out + done.err)

    assert "1 recorded, 0 known before" in said[0]
    assert "0 recorded, 1 known before" in said[1]
    assert said[2].startswith("1 recorded")
    assert "WARNING: ada has used 13 of 15 storage" in "".join(said)
    assert len((tmp_path / "usage.csv").read_text().splitlines()) == 3

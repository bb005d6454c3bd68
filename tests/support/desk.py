"""The command line, run in the test process."""

import sys
from dataclasses import dataclass

import pytest

from faregate.cli.main import main

__all__ = ["Desk", "Finished"]


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Desk:
    """Runs commands in this process: the same as in a separate process, and faster."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def type(self, *arguments: str, **environment: str) -> Finished:
        for name, value in environment.items():
            self.monkeypatch.setenv(name, value)
        self.monkeypatch.setattr(sys, "argv", ["faregate", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self.capsys.readouterr()
        return Finished(int(ended.value.code or 0), said.out, said.err)

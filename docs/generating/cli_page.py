"""Reference page of the commands, from the command line itself."""

import re

from faregate.cli.main import command_line

__all__ = ["cli_page"]

_HEAD = """\
# Commands

Every command of `faregate`, with its options, as `faregate COMMAND --help` prints them.

* Every command takes `--data-dir DIRECTORY`: where the embedded PostgreSQL is, as `faregate up` printed it. With
  `FAREGATE_DATABASE_URL` set, commands use that database instead; naming both is an error.
* `--output json` (or `-o json`) is for programs; amounts are JSON numbers with their exact digits.
* Exit codes: 0 success, 1 failure (also: `verify` found a divergence), 2 wrong use or wrong configuration, 130 interrupted,
  143 terminated: as after Ctrl-C, a database that the command has started for itself is stopped.
* `faregate bench` and `faregate chaos` need a checkout; they are not in the installed package.

"""
_PLACEHOLDER = re.compile(r"<([^<>\s]+)>")


def cli_page() -> str:
    """Return the page of all commands."""
    text = command_line().generate_docs(max_heading_level=4)
    commands = text[text.index("\n## faregate ") :].strip("\n")
    return _HEAD + "\n".join(_readable(line.rstrip()) for line in commands.splitlines()) + "\n"


def _readable(line: str) -> str:
    """Return a line of the generated text without what Markdown would take for HTML."""
    return _PLACEHOLDER.sub(r"`<\1>`", line).removesuffix(":")

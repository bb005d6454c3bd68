"""Commands by name, each imported when it is called.

`faregate --help` needs none of the extras but `cli`, and the help of a command loads neither a database driver nor a server.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from faregate.cli.older_names import command_meant
from faregate.cli.option_names import in_options, options_of
from faregate.core.errors import (
    ConfigurationError,
    EngineUnavailableError,
    FaregateError,
    InvalidError,
    MissingExtraError,
)

if TYPE_CHECKING:
    from cyclopts import App, CycloptsError

__all__ = ["command_line", "main"]

BENCHMARKS = "faregate.benchmarks"
"""Part of a checkout, not of the wheel."""

COMMANDS = {
    "up": ("operations.up:up", "Start gateway, worker and database in one process."),
    "gateway": ("operations.servers:gateway", "Serve HTTP."),
    "worker": ("operations.servers:worker", "Settle what is published, run what is scheduled."),
    "demo": ("trials.demo:demo", "Start everything, drive real-looking traffic through it, and show what came of it."),
    "replay": ("trials.replay:replay", "Run recorded LLM traffic through start, run and settle."),
    "migrate": ("operations.migrate:migrate", "Bring the database to this version."),
    "verify": ("credits.verify:verify", "Prove that every balance follows from the transfers."),
    "bench": (f"{BENCHMARKS}.commands.main:app", "Measure what must hold under load."),
    "chaos": ("trials.chaos:chaos", "Settle while everything dies, and have the result judged (from a checkout)."),
    "wallets": ("credits.wallets:wallets", "Look at wallets and change them."),
    "grants": ("credits.grants:grants", "Put credits into wallets, list and void what was put in."),
    "transactions": ("credits.bookkeeping:transactions", "List what moved in a wallet."),
    "debit": ("credits.bookkeeping:debit", "Charge an amount for a service."),
    "refund": ("credits.bookkeeping:refund", "Give back a charge, wholly or in part."),
    "adjust": ("credits.bookkeeping:adjust", "Correct a balance by hand."),
    "chargeback": ("credits.bookkeeping:charge_back", "Undo a purchase whose payment was reversed."),
    "statement": ("credits.bookkeeping:statement", "Print what happened to one wallet, or to all, in a period."),
    "import": ("credits.bookkeeping:import_openings", "Bring opening balances from a CSV file."),
    "digest": ("credits.bookkeeping:digest", "Print one hash that anchors the whole ledger."),
    "usage": ("records.usage:usage", "Record what was used, ask about it, export and archive it."),
    "quotas": ("records.quotas:quotas", "Set limits on use, and see how they stand."),
    "alerts": ("records.quotas:alerts", "Check quotas now, and read what was told."),
    "dlq": ("records.dlq:dlq", "Read, replay and drop messages that could not be handled."),
    "logs": ("records.logs:logs", "Find feature logs, delete, archive and restore them, rotate their keys."),
    "privacy": ("records.privacy:privacy", "Show everything that is held on a user; erase what names them."),
    "tour": ("trials.tour:tour", "Show what Faregate does, by doing it on a private database."),
    "keys": ("operations.keys:keys", "Make, list, rotate and revoke server API keys."),
    "audit": ("records.audit:audit", "Search who did what."),
    "backup": ("operations.backup:backup", "Write the whole database into one file."),
    "restore": ("operations.backup:restore", "Put a backup back, and prove its balances."),
    "features": ("catalog.features:features", "Look at what is sold, and define it from a file."),
    "plans": ("catalog.plans:plans", "Look at plans, and define them from a file."),
    "prices": ("catalog.prices:prices", "Look at prices, set them, quote, and price what was parked."),
    "organizations": ("catalog.organizations:organizations", "Decide how organisations pay, and who belongs to them."),
    "doctor": ("operations.doctor:doctor", "Look at everything that is needed, and say how to mend what is broken."),
}

EXTRAS = {
    "cyclopts": "cli",
    "rich": "cli",
    "httpx2": "cli",
    "starlette": "gateway",
    "uvicorn": "gateway",
    "jwt": "gateway",
    "limits": "gateway",
    "prometheus_client": "gateway",
    "aiormq": "worker",
    "pamqp": "worker",
    "aiosmtplib": "worker",
}
"""The optional part of the distribution that brings each module."""

FAILED, WRONG_USE = 1, 2
VERSION_FLAG, HELP_FLAGS = "--version", frozenset({"--help", "-h"})
DATA_DIR_OPTION, DATA_DIR_VARIABLE = "--data-dir", "FAREGATE_DATA_DIR"
OWN_DATA_DIR = {"up", "replay"}
"""Commands to which the data directory is one of their own options."""
FILE_ERRORS = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
UNMIGRATED = {"42P01", "42703", "3F000"}
"""No such table, column or schema."""


def main() -> None:
    """Run one command; exit 0 when all is well, 1 when it is not, 2 when it was called or configured wrongly."""
    if sys.argv[1:] == [VERSION_FLAG]:  # needs no other module of ours, nor cyclopts
        sys.stdout.write(f"{_version()}\n")
        sys.exit(0)
    try:
        sys.exit(_run())
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        told = _told(error)
        if told is None:
            raise
        _complain(told)
        sys.exit(WRONG_USE if isinstance(told, ConfigurationError) else FAILED)


def _told(error: Exception) -> FaregateError | None:
    """Return what the operator is told in one line; None for a defect of ours."""
    from faregate.core.db.database import sqlstate

    if isinstance(error, EngineUnavailableError):
        return FaregateError(f"{error.detail} ({_database()})")
    if isinstance(error, FaregateError):
        return error
    if isinstance(error, ModuleNotFoundError) and error.name == BENCHMARKS:
        return ConfigurationError("benchmarks are no part of the package; run `faregate bench` in a checkout of it")
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        return MissingExtraError(f"This command (it uses {error.name})", EXTRAS[error.name])
    if isinstance(error, FILE_ERRORS) and error.filename is not None:
        return FaregateError(f"{error.filename}: {error.strerror}")
    if sqlstate(error) in UNMIGRATED:
        return FaregateError(f"{_database()} is not at this version of Faregate; run `faregate migrate`")
    return None


def _run() -> int:
    from cyclopts import CycloptsError

    arguments = _placed(sys.argv[1:])
    if not _asks_for_help(arguments):
        start_logging()
    app = command_line()
    try:
        return app(arguments, result_action="return_value", print_error=False, exit_on_error=False) or 0
    except CycloptsError as error:
        _wrong_use(error)
        return WRONG_USE
    except InvalidError as error:
        error.detail = in_options(error, options_of(app, arguments))
        raise


def start_logging() -> None:
    """Log warnings and errors to standard error; standard output is for the answer. Servers log more."""
    from faregate.core.logging import configure_logging

    configure_logging(level="warning")


def _asks_for_help(arguments: Sequence[str]) -> bool:
    """Return whether help is all that is printed: it logs nothing, and structlog takes as long to load as the rest."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return not HELP_FLAGS.isdisjoint(options)


def _version() -> str:
    from importlib.metadata import version

    return version("faregate")


def _placed(arguments: Sequence[str]) -> list[str]:
    """Take --data-dir out of the arguments of any command, and let the settings say it: to child processes, too."""
    if not arguments or arguments[0] in OWN_DATA_DIR:
        return list(arguments)
    kept = list(arguments)
    end = kept.index("--") if "--" in kept else len(kept)
    for place, argument in enumerate(kept[:end]):
        name, equals, value = argument.partition("=")
        if name != DATA_DIR_OPTION:
            continue
        width = 1 if equals else 2
        if not equals:
            value = kept[place + 1] if place + 1 < end else ""
        _use_data_dir(value)
        return kept[:place] + kept[place + width :]
    return kept


def _use_data_dir(directory: str) -> None:
    if not directory:
        raise ConfigurationError("--data-dir needs a directory: the one that `faregate up` printed")
    if os.environ.get("FAREGATE_DATABASE_URL"):
        raise ConfigurationError(
            "--data-dir names an embedded database, but FAREGATE_DATABASE_URL names another; leave one of them out"
        )
    os.environ[DATA_DIR_VARIABLE] = str(Path(directory).expanduser().absolute())


def _database() -> str:
    from faregate.cli.shared.deployment import database_name
    from faregate.core.settings import load_settings

    try:
        return database_name(load_settings())
    except ConfigurationError:
        return "the database"


def command_line() -> "App":
    """Return all commands; none is loaded yet."""
    from cyclopts import App

    app = App(
        name="faregate",
        help="A fare gate for AI features: authorise and hold, run, settle what it really cost.",
        help_epilogue="Every command takes --data-dir: where the embedded PostgreSQL is, as `faregate up` printed it.",
        help_format="plaintext",
        version=_version,
    )
    for name, (path, help_text) in COMMANDS.items():
        app.command(module_of(path), name=name, help=help_text)
    return app


def module_of(place: str) -> str:
    """Return the full name of a command's place: within `faregate.cli.commands` unless it says otherwise."""
    return place if place.startswith("faregate.") else f"faregate.cli.commands.{place}"


def _wrong_use(error: "CycloptsError") -> None:
    """Print what is wrong with the command line: for names of the older documents, the command of today."""
    from cyclopts import CycloptsPanel, UnknownCommandError

    words = error.root_input_tokens or []
    meant = command_meant(words) if isinstance(error, UnknownCommandError) else None
    if meant is not None:
        typed = " ".join(words[:2] if words[0] == "usage" else words[:1])
        _complain(FaregateError(f"there is no command {typed!r}; did you mean `{meant}`?"))
    elif error.console is not None:
        error.console.print(CycloptsPanel(error))


def _complain(error: FaregateError) -> None:
    sys.stderr.write(f"faregate: {error.detail}\n")

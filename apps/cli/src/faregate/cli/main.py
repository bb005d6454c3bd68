"""Commands by name, each imported when it is called.

`faregate --help` needs none of the extras but `cli`, and the help of a command loads neither a database driver nor a server.
"""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from faregate.cli.older_names import command_meant
from faregate.cli.option_names import in_options, options_of
from faregate.core.errors import (
    ConfigurationError,
    FaregateError,
    InvalidError,
    MissingExtraError,
)

if TYPE_CHECKING:
    from cyclopts import App, CycloptsError

__all__ = ["command_line", "main", "terminate"]

BENCHMARKS = "faregate.benchmarks"
"""In a checkout only: benchmarks are not part of the wheel."""

COMMANDS = {
    "up": ("operations.up:up", "Start gateway, worker and database in one process."),
    "gateway": ("operations.servers:gateway", "Serve HTTP."),
    "worker": ("operations.servers:worker", "Settle published uses and run scheduled jobs."),
    "demo": (
        "trials.demo:demo",
        "Start everything, send realistic traffic through it, show the results and verify them.",
    ),
    "replay": ("trials.replay:replay", "Run recorded LLM traffic through start, run and settle."),
    "migrate": ("operations.migrate:migrate", "Migrate the database to this version."),
    "verify": ("credits.verify:verify", "Prove every balance from the transfers."),
    "bench": (f"{BENCHMARKS}.commands.main:app", "Run the benchmarks."),
    "chaos": ("trials.chaos:chaos", "Kill processes while uses are settled, and check the result (from a checkout)."),
    "wallets": ("credits.wallets:wallets", "Show wallets and change them."),
    "grants": ("credits.grants:grants", "Grant credits to wallets; list and void grants."),
    "transactions": ("credits.bookkeeping:transactions", "List the transactions of a wallet."),
    "debit": ("credits.bookkeeping:debit", "Charge an amount for a service."),
    "refund": ("credits.bookkeeping:refund", "Refund a charge, in whole or in part."),
    "adjust": ("credits.bookkeeping:adjust", "Correct a balance by hand."),
    "chargeback": ("credits.bookkeeping:charge_back", "Reverse a purchase whose payment was reversed."),
    "payments": (
        "credits.payments:payments",
        "Show purchases through Stripe, open checkouts, refund, and fetch missed events.",
    ),
    "statement": ("credits.bookkeeping:statement", "Print the statement of one wallet, or of all, for a period."),
    "close": ("credits.closes:close", "Close months, and print their statements and journals."),
    "import": ("credits.bookkeeping:import_openings", "Import opening balances from a CSV file."),
    "digest": ("credits.bookkeeping:digest", "Print one hash of the whole ledger."),
    "usage": ("records.usage:usage", "Record usage events, query, export and archive them."),
    "columnar": ("records.columnar:columnar", "Keep the columnar copy of usage events, and show how far it reaches."),
    "insights": (
        "records.insights:insights",
        "Forecasts, run-out dates, anomalies, budgets, and insights about users and money, each with its evidence.",
    ),
    "reports": ("records.reports:reports", "Mail daily, weekly and monthly reports; preview and test them."),
    "quotas": ("records.quotas:quotas", "Set quotas, and show how much of them is used."),
    "alerts": ("records.quotas:alerts", "Check quotas now, and list the alerts that were sent."),
    "bills": ("records.bills:bills", "Import bills of providers, and compare them with the ledger."),
    "export": ("records.export:export", "Write files for FinOps tools and data lakes."),
    "dlq": ("records.dlq:dlq", "List, replay and drop messages that could not be handled."),
    "logs": ("records.logs:logs", "Search, delete, archive and restore feature logs, and rotate their keys."),
    "privacy": ("records.privacy:privacy", "Export everything that is stored about a user, and erase personal data."),
    "tour": ("trials.tour:tour", "Demonstrate Faregate on a private database."),
    "keys": ("operations.keys:keys", "Create, list, rotate and revoke server API keys."),
    "tenants": (
        "operations.tenants:tenants",
        "Create, configure, suspend, export and delete the tenants of a deployment.",
    ),
    "audit": ("records.audit:audit", "Search the audit log."),
    "backup": ("operations.backup:backup", "Write the whole database to one file."),
    "restore": ("operations.backup:restore", "Restore a backup, and verify its balances."),
    "features": ("catalog.features:features", "Show features, and define them from a file."),
    "plans": ("catalog.plans:plans", "Show plans, and define them from a file."),
    "prices": ("catalog.prices:prices", "Show, set and quote prices, and price parked lines."),
    "ingest": ("catalog.ingest:ingest", "Declare what becomes of events from OpenMeter, Lago and OpenTelemetry."),
    "organizations": ("catalog.organizations:organizations", "Set how organisations pay, and their members."),
    "bi": ("operations.bi:bi", "Make views for business intelligence tools, and roles that read them."),
    "completion": ("operations.completion:completion", "Print or install completion for bash, zsh or fish."),
    "doctor": (
        "operations.doctor:doctor",
        "Check everything that a deployment needs, and say how to fix what is broken.",
    ),
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
"""The extra of the distribution that installs each module."""

SERVERS = {"gateway": "gateway", "worker": "worker", "up": "server"}
"""Commands that run servers, and the extra that holds all that each needs."""

FAILED, WRONG_USE = 1, 2
INTERRUPTED, PIPE_CLOSED, TERMINATED = 128 + 2, 128 + 13, 128 + 15
"""As shells report a process that SIGINT, SIGPIPE or SIGTERM ended."""
VERSION_FLAG, HELP_FLAGS = "--version", frozenset({"--help", "-h"})
DATA_DIR_OPTION, DATA_DIR_VARIABLE = "--data-dir", "FAREGATE_DATA_DIR"
TENANT_OPTION, TENANT_VARIABLE = "--tenant", "FAREGATE_TENANT"
OWN_DATA_DIR = {"up", "replay"}
"""Commands with an option --data-dir of their own."""
FILE_ERRORS = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
UNMIGRATED = {"42P01", "42703", "3F000"}
"""No such table, column or schema."""


def main() -> None:
    """Run one command; exit with 0 on success, 1 on failure, 2 if it was called or configured wrongly.

    After Ctrl-C the code is 130, after SIGTERM 143, and 141 if the reader of the output has gone; nothing is printed then.
    """
    try:
        code = _run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(TERMINATED if _terminated.is_set() else INTERRUPTED)
    except BrokenPipeError:
        _discard_output()
        sys.exit(PIPE_CLOSED)
    except Exception as error:
        reported = _reported(error)
        if reported is None:
            raise
        _complain(reported)
        sys.exit(WRONG_USE if isinstance(reported, ConfigurationError) else FAILED)
    sys.exit(code)


_terminated = Event()


def terminate(*_: object) -> None:
    """End the command as Ctrl-C does: what it has started, such as a database of its own, ends with it."""
    _terminated.set()
    signal.raise_signal(signal.SIGINT)


def _discard_output() -> None:
    """Send what is still buffered nowhere: its reader, such as `head`, has ended, and Python would complain at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            os.dup2(nowhere, stream.fileno())


def _reported(error: Exception) -> FaregateError | None:
    """Return the error that is printed on one line; None for a defect of Faregate, which keeps its traceback."""
    if isinstance(error, FaregateError):
        return error
    if isinstance(error, ImportError):
        return _missing(error if isinstance(error, ModuleNotFoundError) else error.__cause__)
    if isinstance(error, FILE_ERRORS) and error.filename is not None:
        return FaregateError(f"{error.filename}: {error.strerror}")
    from faregate.core.db.error_states import sqlstate

    if sqlstate(error) in UNMIGRATED:
        return FaregateError(f"{_database()} is not at this version of Faregate; run `faregate migrate`")
    return None


def _missing(error: BaseException | None) -> FaregateError | None:
    """Return the error that says what to install; None if a module is missing that no extra holds."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return None
    if error.name == BENCHMARKS or error.name.startswith(f"{BENCHMARKS}."):
        return ConfigurationError(
            "benchmarks are not part of the package; run `faregate bench` in a checkout of its repository"
        )
    extra = EXTRAS.get(error.name.partition(".")[0])
    if extra is None:
        return None
    if extra != "cli":
        extra = SERVERS.get(next(iter(sys.argv[1:]), ""), extra)
    return MissingExtraError(f"This command (it uses {error.name})", extra)


def _run() -> int:
    if sys.argv[1:] == [VERSION_FLAG]:  # needs no other module of ours, nor cyclopts
        sys.stdout.write(f"{_version()}\n")
        return 0
    from cyclopts import CycloptsError

    arguments = _without_tenant(_without_data_dir(sys.argv[1:]))
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


def _without_data_dir(arguments: Sequence[str]) -> list[str]:
    """Remove --data-dir from the arguments, and set it in the environment, where child processes see it, too."""
    if not arguments or arguments[0] in OWN_DATA_DIR:
        return list(arguments)
    directory, kept = _taken(arguments, DATA_DIR_OPTION)
    if directory is not None:
        _use_data_dir(directory)
    return kept


def _without_tenant(arguments: Sequence[str]) -> list[str]:
    """Remove --tenant from the arguments, and set it in the environment."""
    tenant, kept = _taken(arguments, TENANT_OPTION)
    if tenant is not None:
        if not tenant:
            raise ConfigurationError("--tenant needs a value: a key that `faregate tenants list` prints")
        os.environ[TENANT_VARIABLE] = tenant
    return kept


def _taken(arguments: Sequence[str], option: str) -> tuple[str | None, list[str]]:
    """Return the value of an option and the other arguments; the value is None if the option is not given, empty without one."""
    kept = list(arguments)
    end = kept.index("--") if "--" in kept else len(kept)
    for place, argument in enumerate(kept[:end]):
        name, equals, value = argument.partition("=")
        if name != option:
            continue
        width = 1 if equals else 2
        if not equals:
            value = kept[place + 1] if place + 1 < end else ""
        return value, kept[:place] + kept[place + width :]
    return None, kept


def _use_data_dir(directory: str) -> None:
    if not directory:
        raise ConfigurationError("--data-dir needs a value: the directory that `faregate up` printed")
    if os.environ.get("FAREGATE_DATABASE_URL"):
        raise ConfigurationError(
            "--data-dir names an embedded database, but FAREGATE_DATABASE_URL names another one; use only one of them"
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
    """Return the application with all commands, none of which is imported yet."""
    from cyclopts import App

    from faregate.cli.shared.piped_console import PipedConsole

    app = App(
        console=PipedConsole(),
        name="faregate",
        help="A fare gate for AI features: authorise and hold, run, settle what it really cost.",
        help_epilogue="Every command takes --data-dir: the directory of the embedded PostgreSQL, as `faregate up` printed it; and "
        "--tenant: the tenant to work on, in a deployment of several.",
        help_format="plaintext",
        version=_version,
        suppress_keyboard_interrupt=False,  # `main` tells Ctrl-C from SIGTERM
    )
    for name, (path, help_text) in COMMANDS.items():
        app.command(module_of(path), name=name, help=help_text)
    return app


def module_of(place: str) -> str:
    """Return the full name of a command's module: within `faregate.cli.commands` unless it begins with `faregate.`."""
    return place if place.startswith("faregate.") else f"faregate.cli.commands.{place}"


def _wrong_use(error: "CycloptsError") -> None:
    """Print what is wrong with the command line; for a name of the older documents, name the present command."""
    from cyclopts import CycloptsPanel, UnknownCommandError

    words = error.root_input_tokens or []
    meant = command_meant(words) if isinstance(error, UnknownCommandError) else None
    if meant is not None:
        typed = " ".join(words[:2] if words[0] == "usage" else words[:1])
        _complain(FaregateError(f"there is no command {typed!r}; did you mean `{meant}`?"))
    elif error.console is not None:
        error.console.print(CycloptsPanel(error))


def _complain(error: FaregateError) -> None:
    from faregate.cli.advice import in_commands

    sys.stderr.write(f"faregate: {in_commands(error.detail)}\n")

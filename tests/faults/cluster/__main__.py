"""`python -m faults.cluster`: trials on a RabbitMQ cluster and on a PostgreSQL with failover, with their controls."""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from faregate.core.db.embedded import EmbeddedServer
from faults.cluster.faults import Fault, PostgresFaults, RabbitFaults
from faults.cluster.network import Network, namespaces_problem
from faults.cluster.patroni import PROGRAMS, PatroniCluster
from faults.cluster.rabbit import RabbitCluster
from faults.cluster.report import as_markdown
from faults.cluster.trial import CONTROL, Result, Trial
from support.rabbitmq import SERVER, RabbitServer
from support.servers import execute

_NAME = "trial"


async def _rabbit(seed: int, directory: Path, only: str | None) -> list[Result]:
    network = Network(["r1", "r2", "r3"])
    postgres = EmbeddedServer(directory / "pg", options={"max_connections": "300"})
    await asyncio.to_thread(postgres.start_now)
    network.open()
    try:
        cluster = RabbitCluster(network, network.machines, directory)
        await cluster.open()
        settings = {"HTTP": {"database_url": postgres.url, "broker_url": cluster.urls}}
        trial = Trial("rabbitmq", directory, settings, postgres.url, cluster.is_whole, seed=seed, say=_say)
        return [await trial.run(_chosen(RabbitFaults(network, cluster).all(), only))]
    finally:
        await asyncio.to_thread(network.close)
        await asyncio.to_thread(postgres.stop_now)


async def _postgres(seed: int, directory: Path, only: str | None, *, controls: bool) -> list[Result]:
    results: list[Result] = []
    broker = RabbitServer()
    await asyncio.to_thread(broker.start)
    try:
        if controls:
            results.append(await _on_patroni(CONTROL, seed, directory / CONTROL, broker.url, _CUT_OFF))
        results.append(await _on_patroni("postgresql", seed, directory / "synchronous", broker.url, only))
    finally:
        await asyncio.to_thread(broker.remove)
    return results


_CUT_OFF = "the other servers only"
"""Part of the name of the fault that a PostgreSQL with asynchronous standbys does not survive without a loss."""


async def _on_patroni(name: str, seed: int, directory: Path, broker_url: str, only: str | None) -> Result:
    directory.mkdir()
    network = Network(["p1", "p2", "p3", "gate"])
    network.open()
    try:
        cluster = PatroniCluster(network, network.machines[:3], "gate", directory, synchronous=name != CONTROL)
        await cluster.open()
        await execute(cluster.url("postgres"), f"create database {_NAME}")
        direct = {"database_url": cluster.url(_NAME), "broker_url": broker_url}
        pooled = {**direct, "database_url": cluster.pooler_url(_NAME), "direct_database_url": cluster.url(_NAME)}
        settings: Mapping[str, Mapping[str, Any]] = {"HTTP": direct, "HTTP, pooler": pooled}
        trial = Trial(name, directory, settings, cluster.url(_NAME), cluster.is_whole, seed=seed, say=_say)
        return await trial.run(_chosen(PostgresFaults(network, cluster).all(), only))
    finally:
        await asyncio.to_thread(network.close)


def _chosen(faults: Sequence[Fault], only: str | None) -> Sequence[Fault]:
    return [fault for fault in faults if only is None or only in fault.name]


async def _run(arguments: argparse.Namespace) -> bool:
    current = asyncio.current_task()
    assert current is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="fg-cluster-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)
        try:
            if arguments.cluster in {"rabbitmq", "all"}:
                results += await _rabbit(arguments.seed, directory, arguments.only)
            if arguments.cluster in {"postgresql", "all"}:
                results += await _postgres(
                    arguments.seed, directory, arguments.only, controls=not arguments.no_controls
                )
        finally:
            if arguments.keep_logs:
                shutil.copytree(directory, arguments.keep_logs, dirs_exist_ok=True, ignore=_ignored)
    text = as_markdown(results, seed=arguments.seed)
    print(text)
    if arguments.report:
        Path(arguments.report).with_suffix(".md").write_text(text)
    return all(result.passed for result in results)


def missing(cluster: str) -> str | None:
    """Return what this machine lacks for a trial, or None."""
    programs = {str(SERVER): "rabbitmq-server", **(PROGRAMS if cluster != "rabbitmq" else {})}
    packages = [package for program, package in programs.items() if not Path(program).exists()]
    return f"`apt-get install {' '.join(packages)}`" if packages else namespaces_problem()


_ignored: Callable[[str, list[str]], set[str]] = shutil.ignore_patterns(
    "data", "pg", "etcd", "mnesia", "*.pid*", ".s.*"
)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="faregate chaos --cluster", description=__doc__)
    parser.add_argument("cluster", choices=["rabbitmq", "postgresql", "all"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", help="write <report>.md")
    parser.add_argument("--only", help="only the faults whose name contains this")
    parser.add_argument("--no-controls", action="store_true", help="leave out the control that must lose something")
    parser.add_argument("--keep-logs", help="copy the logs of all processes to this directory")
    arguments = parser.parse_args()
    problem = missing(arguments.cluster)
    if problem is not None:
        _say(f"a trial on a cluster needs more: {problem}")
        return 2
    return 0 if asyncio.run(_run(arguments)) else 1


if __name__ == "__main__":
    sys.exit(main())

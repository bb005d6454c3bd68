"""`python -m faults.cluster`: trials on a RabbitMQ cluster, a PostgreSQL with failover and many processes, with controls."""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from faregate.core.db.embedded import EmbeddedServer
from faults.cluster.controls import without_confirms
from faults.cluster.faults import Act, Fault, PostgresFaults, RabbitFaults
from faults.cluster.network import Network, namespaces_problem
from faults.cluster.patroni import PROGRAMS, PatroniCluster
from faults.cluster.rabbit import RabbitCluster
from faults.cluster.report import as_page
from faults.cluster.results import UNCONFIRMED, UNREPLICATED, Result
from faults.cluster.trial import Trial
from faults.fleet import FleetPlan, FleetVerdict, run_alone
from faults.fleet_processes import last_before_migration, revision_name
from support.rabbitmq import SERVER, RabbitServer
from support.servers import address, execute

_NAME, _CONTROL_NAME = "trial", "control"


async def _rabbit(results: list[Result], seed: int, directory: Path, only: str | None, *, controls: bool) -> None:
    network = Network(["r1", "r2", "r3"])
    postgres = EmbeddedServer(directory / "pg", options={"max_connections": "300"})
    await asyncio.to_thread(postgres.start_now)
    network.open()
    try:
        cluster = RabbitCluster(network, network.machines, directory)
        await cluster.open()
        faults = RabbitFaults(network, cluster)
        chosen = _chosen(faults.all(), only)
        results.append(await _on_rabbit("rabbitmq", seed, directory, cluster, postgres.url, chosen, faults.restart))
        if controls:
            await execute(postgres.url, f"create database {_CONTROL_NAME}")
            url = address(postgres.url, _CONTROL_NAME)
            cut_off = [faults.unplugged(cluster.nodes[-1])]
            results.append(await _on_rabbit(UNCONFIRMED, seed, directory, cluster, url, cut_off, faults.restart))
    finally:
        await asyncio.to_thread(network.close)
        await asyncio.to_thread(postgres.stop_now)


async def _on_rabbit(
    name: str,
    seed: int,
    directory: Path,
    cluster: RabbitCluster,
    database_url: str,
    faults: Sequence[Fault],
    restart: Act,
) -> Result:
    settings = {"HTTP": {"database_url": database_url, "broker_url": cluster.urls}}
    hasty = without_confirms(cluster.url(cluster.nodes[-1])) if name == UNCONFIRMED else None
    trial = Trial(
        name, directory, settings, database_url, cluster.is_whole, seed=seed, say=_say, publish_with=hasty, restart=restart
    )  # fmt: skip
    return await trial.run(faults)


async def _postgres(results: list[Result], seed: int, directory: Path, only: str | None, *, controls: bool) -> None:
    broker = RabbitServer()
    await asyncio.to_thread(broker.start)
    try:
        if controls:
            results.append(await _on_patroni(UNREPLICATED, seed, directory / "asynchronous", broker.url, _CUT_OFF))
        results.append(await _on_patroni("postgresql", seed, directory / "synchronous", broker.url, only))
    finally:
        await asyncio.to_thread(broker.remove)


_CUT_OFF = "the other servers only"
"""Part of the name of the fault that a PostgreSQL with asynchronous standbys does not survive without a loss."""


async def _on_patroni(name: str, seed: int, directory: Path, broker_url: str, only: str | None) -> Result:
    directory.mkdir()
    network = Network(["p1", "p2", "p3", "gate"])
    network.open()
    try:
        cluster = PatroniCluster(network, network.machines[:3], "gate", directory, synchronous=name != UNREPLICATED)
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
    with tempfile.TemporaryDirectory(prefix="fg-cluster-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)
        try:
            results, fleet, failed = await _parts(arguments, directory)
        finally:
            if arguments.keep_logs:
                shutil.copytree(directory, arguments.keep_logs, dirs_exist_ok=True, ignore=_ignored)
    text = as_page(results, fleet, seed=arguments.seed, code=revision_name("HEAD"), failed=failed)
    print(text)
    if arguments.report:
        Path(arguments.report).with_suffix(".md").write_text(text)
    return not failed and all(result.passed for result in results) and not (fleet is not None and fleet.faults)


async def _parts(
    arguments: argparse.Namespace, directory: Path
) -> tuple[list[Result], FleetVerdict | None, Sequence[str]]:
    """Run the chosen parts; one that could not be run does not take the results of the others with it."""
    chosen, given, controls = arguments.cluster, (arguments.seed, directory, arguments.only), not arguments.no_controls
    results: list[Result] = []
    failed: list[str] = []
    fleet: FleetVerdict | None = None
    for part in ("rabbitmq", "postgresql", "fleet"):
        try:
            if part == "rabbitmq" and chosen in {part, "all"}:
                await _rabbit(results, *given, controls=controls)
            if part == "postgresql" and chosen in {part, "all"}:
                await _postgres(results, *given, controls=controls)
            if part == "fleet" and chosen in {part, "all"}:
                fleet = await run_alone(FleetPlan(previous=last_before_migration()))
        except Exception:  # noqa: BLE001  whatever it was, it is printed
            failed.append(part)
            traceback.print_exc()
    return results, fleet, failed


def missing(cluster: str) -> str | None:
    """Return what this machine lacks for a trial, or None."""
    rabbit, redis = {str(SERVER): "rabbitmq-server"}, {"/usr/bin/redis-server": "redis-server"}
    programs = {
        "rabbitmq": rabbit,
        "postgresql": rabbit | PROGRAMS,
        "fleet": redis,
        "all": rabbit | PROGRAMS | redis,
    }[cluster]
    packages = [package for program, package in programs.items() if not Path(program).exists()]
    if packages:
        return f"`apt-get install {' '.join(packages)}`"
    return None if cluster == "fleet" else namespaces_problem()


_ignored: Callable[[str, list[str]], set[str]] = shutil.ignore_patterns(
    "data", "pg", "etcd", "mnesia", "*.pid*", ".s.*"
)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="faregate chaos --cluster", description=__doc__)
    parser.add_argument("cluster", choices=["rabbitmq", "postgresql", "fleet", "all"])
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

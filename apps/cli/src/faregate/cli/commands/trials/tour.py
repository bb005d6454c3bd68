"""`faregate tour`: demonstrations on a private database."""

import tempfile
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from faregate.cli.shared.options import Output
from faregate.cli.shared.output import console, print_json
from faregate.core.clock import SystemClock
from faregate.core.runtime import event_loop
from faregate.wire import exact_json

__all__ = ["tour"]

tour = App(name="tour", help="Demonstrate Faregate on a private database.")


@tour.command
def metering(
    *,
    directory: Annotated[
        Path | None, Parameter(help="Directory for exports and archives; by default they are deleted.")
    ] = None,
    output: Output = "table",
) -> None:
    """Run ten scenarios of metering: record, aggregate, report, alert, export, analyse, bill, archive."""
    with tempfile.TemporaryDirectory(prefix="faregate-tour-", ignore_cleanup_errors=True) as temporary:
        Path(temporary).chmod(0o755)
        place = directory or Path(temporary) / "files"
        place.mkdir(parents=True, exist_ok=True)
        results = event_loop.run(_metering(Path(temporary) / "data", place, quiet=output == "json"))
    if output == "json":
        print_json(results)


async def _metering(data_dir: Path, place: Path, *, quiet: bool) -> list[dict[str, Any]]:
    from faregate.cli.demo.tours.metering import SCENARIOS, TourContext
    from faregate.core.db.migrate import upgrade
    from faregate.core.settings import isolated_settings
    from faregate.worker.container import WorkerContainer

    settings = isolated_settings(data_dir=data_dir, db_statement_timeout_seconds=60)
    container = WorkerContainer(settings=settings)
    await upgrade(container.database())
    results: list[dict[str, Any]] = []
    async with container.engines():
        context = TourContext(container, place, SystemClock().now())
        for number, scenario in enumerate(SCENARIOS, start=1):
            facts = await scenario.run(context)
            results.append({"scenario": scenario.title, **facts})
            if not quiet:
                console.print(f"\n[bold]{number}. {scenario.title}[/]\n{getdoc(scenario.run)}")
                for name, value in facts.items():
                    console.print(f"   {name.replace('_', ' ')}: {exact_json.dumps(value).decode()}", highlight=False)
    await container.database().close()
    return results

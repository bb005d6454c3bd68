"""`python -m faults`: a campaign and its negative controls, on private engines."""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from faults.campaign import Campaign
from faults.controls import CONTROLS
from faults.engines import Engines
from faults.plans import Plan
from faults.report import as_json, as_markdown

FORMS: dict[str, dict[str, Any]] = {
    "smallest": {
        "messages": 1200,
        "crashes": 13,
        "postgres_crashes": 1,
        "broker_kills": 1,
        "mishaps": 2,
        "hurry": True,
        "fault_seconds": 180,
    },
    "short": {
        "messages": 8000,
        "crashes": 80,
        "postgres_crashes": 2,
        "broker_kills": 1,
        "mishaps": 6,
        "hurry": True,
        "fault_seconds": 300,
    },
    "full": {
        "messages": 200_000,
        "crashes": 1000,
        "each": 50,
        "postgres_crashes": 30,
        "broker_kills": 6,
        "mishaps": 36,
        "workers": 4,
        "calm_workers": 1,
        "chunk_size": 2500,
        "batch_size": 25,
        "fault_seconds": 5400,
    },
}


async def _run(arguments: argparse.Namespace) -> bool:
    current = asyncio.current_task()
    assert current is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
    with tempfile.TemporaryDirectory(prefix="fg-chaos-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        engines = Engines(Path(directory))
        try:
            await engines.open()
            return await _campaigns(arguments, engines)
        finally:
            await engines.close()


async def _campaigns(arguments: argparse.Namespace, engines: Engines) -> bool:
    form = {**FORMS[arguments.form], **{k: v for k, v in vars(arguments).items() if k in NUMBERS and v is not None}}
    outcomes = []
    unguarded = arguments.no_controls or arguments.form == "smallest"
    for number, control in enumerate([] if unguarded else sorted(CONTROLS)):
        plan = Plan(
            seed=arguments.seed,
            messages=1600,
            crashes=10,
            fault_seconds=60,
            control=control,
            name=f"control{number}",
            hurry=True,
            heal_seconds=90,
        )
        outcomes.append(await Campaign(plan, engines, say=_say).run())
        _say(f"negative control, {control}: {'NOT CAUGHT' if outcomes[-1].clean else outcomes[-1].faults}")
    outcome = await Campaign(Plan(seed=arguments.seed, **form), engines, say=_say).run()
    text = as_markdown(outcome, outcomes)
    print(text)
    if arguments.report:
        shutil.copy(engines.directory / "chaos.log", Path(arguments.report).with_suffix(".log"))
        Path(arguments.report).with_suffix(".md").write_text(text)
        Path(arguments.report).with_suffix(".json").write_text(as_json(outcome, outcomes))
    return outcome.clean and not any(control.clean for control in outcomes)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


NUMBERS = (
    "messages",
    "crashes",
    "each",
    "workers",
    "postgres_crashes",
    "broker_kills",
    "mishaps",
    "chunk_size",
    "fault_seconds",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="faregate chaos", description=__doc__)
    parser.add_argument("--form", choices=sorted(FORMS), default="short")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", help="write <report>.md and <report>.json")
    parser.add_argument("--no-controls", action="store_true", help="leave out the negative controls")
    for name in NUMBERS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float if name == "fault_seconds" else int)
    return 0 if asyncio.run(_run(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Reports of a campaign as Markdown and JSON."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version

from faults.plans import Outcome

__all__ = ["as_json", "as_markdown"]


def as_json(outcome: Outcome, controls: Sequence[Outcome]) -> str:
    return json.dumps({"run": asdict(outcome), "controls": [asdict(each) for each in controls]}, indent=1) + "\n"


def as_markdown(outcome: Outcome, controls: Sequence[Outcome]) -> str:
    plan = outcome.plan
    lines = [
        "# Settlement while everything dies",
        "",
        f"Seed {plan.seed}. {_versions(outcome)}.",
        f"{_times(outcome)}.",
        "",
        f"**{'Clean' if outcome.clean else 'NOT CLEAN'}**: {_summary(outcome)}.",
        "",
        *_targets(outcome),
        *_table("What was published", outcome.counts),
        *_table("What was found in the end", outcome.found),
        *_table("Strikes by process and failpoint", outcome.strikes),
        *_table("What befell servers, network and peers", outcome.disasters),
        *_table("What was wrong", _wrong(outcome) or {"nothing": 0}),
        *_examples(outcome),
        "## Negative controls",
        "",
        *([f"- {each.plan.control}: {_caught(each)}" for each in controls] or ["None was run."]),
        "",
    ]
    return "\n".join(lines)


def _times(outcome: Outcome) -> str:
    faults, healing, limit = outcome.seconds["faults"], outcome.seconds["healing"], outcome.plan.heal_seconds
    return f"Fault phase {faults:.0f} s, heal phase {healing:.0f} s (deadline {limit:.0f} s)"


def _summary(outcome: Outcome) -> str:
    counts = outcome.counts
    return (
        f"{outcome.crashes:,} processes killed at failpoints, {counts['messages']:,} messages, {counts['keys']:,} keys"
    )


def _wrong(outcome: Outcome) -> dict[str, int]:
    missed = {"targets not reached": len(outcome.missed)} if outcome.missed else {}
    return outcome.faults | missed


def _targets(outcome: Outcome) -> list[str]:
    rows = [f"| {what} | {each.wanted:,} | {each.reached:,} |" for what, each in outcome.targets.items() if each.wanted]
    return ["## Targets", "", "| what | target | reached |", "| --- | ---: | ---: |", *rows, ""]


def _table(title: str, counts: dict[str, int]) -> list[str]:
    return [
        f"## {title}",
        "",
        "| what | count |",
        "| --- | ---: |",
        *(f"| {k} | {v:,} |" for k, v in counts.items()),
        "",
    ]


def _examples(outcome: Outcome) -> list[str]:
    return [f"- {kind}: `{text}`" for kind, texts in outcome.examples.items() for text in texts] + [""]


def _caught(control: Outcome) -> str:
    if control.clean:
        return "**not caught**"
    found = ", ".join(f"{count:,} {kind}" for kind, count in sorted(control.faults.items()))
    return f"caught after {control.crashes} crashes: {found}"


def _versions(outcome: Outcome) -> str:
    parts = {"Faregate": version("faregate"), "Python": platform.python_version(), "aiormq": version("aiormq")}
    return ", ".join(f"{name} {number}" for name, number in {**parts, **outcome.versions}.items())

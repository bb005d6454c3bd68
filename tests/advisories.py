"""Known advisories of the locked dependencies, as PyPI tells them: `make advisories`.

Exit status: 0 none is known, 1 some are, 2 not all could be asked for, which is not the same as none.
"""

import json
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

__all__ = ["Answer", "ask", "locked", "report"]

ROOT = Path(__file__).parent.parent
INDEX = "https://pypi.org/pypi"
_TIMEOUT_SECONDS = 20
_SHOWN = 110


@dataclass(frozen=True, slots=True)
class Answer:
    """What the index says of one release: its advisories, or why it says nothing."""

    package: str
    version: str
    advisories: Sequence[str] = ()
    problem: str | None = None


def locked(lock: Path, names: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return the packages and versions of a `uv.lock` that come from an index; with `names`, only these."""
    content = tomllib.loads(lock.read_text())
    found = [(p["name"], p["version"]) for p in content["package"] if "registry" in p.get("source", {})]
    return [pair for pair in found if not names or pair[0] in names]


def ask(package: str, version: str, *, index: str = INDEX) -> Answer:
    """Ask the index about one release."""
    try:
        with urlopen(f"{index}/{package}/{version}/json", timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310  ours, and https
            told = json.load(answer)
    except HTTPError as error:
        return Answer(package, version, problem=f"the index answers {error.code}")
    except (URLError, OSError, ValueError) as error:
        return Answer(package, version, problem=f"the index cannot be asked: {getattr(error, 'reason', error)}")
    if not isinstance(told, dict) or not isinstance(cast("dict[str, Any]", told).get("vulnerabilities"), list):
        return Answer(package, version, problem="the index tells no advisories")
    return Answer(package, version, list(_advisories(cast("dict[str, Any]", told)["vulnerabilities"])))


def report(answers: Sequence[Answer]) -> tuple[list[str], int]:
    """Return what to print, and the exit status."""
    lines = [f"{a.package} {a.version}: {text}" for a in answers for text in a.advisories]
    silent = [a for a in answers if a.problem is not None]
    lines += [f"{a.package} {a.version}: not known, {a.problem}" for a in silent]
    asked = len(answers) - len(silent)
    found = sum(len(a.advisories) for a in answers)
    lines.append(f"{found} advisories of {asked} releases; {len(silent)} could not be asked for")
    return lines, 1 if found else 2 if silent or not answers else 0


def _advisories(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        if entry.get("withdrawn"):
            continue
        fixed = ", ".join(entry.get("fixed_in") or ["no release"])
        said = entry.get("summary") or entry.get("details") or ""
        yield f"{entry.get('id', 'without an id')} (fixed in {fixed}) {said.partition(chr(10))[0][:_SHOWN]}"


def main(names: Sequence[str]) -> int:
    lines, status = report([ask(*pair) for pair in locked(ROOT / "uv.lock", names)])
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`faregate features`: the features that are sold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited, note
from faregate.cli.shared.definition_files import changes_between, entries_in, show_changes
from faregate.cli.shared.options import Actor, Output
from faregate.cli.shared.output import console, print_facts, print_json, print_table
from faregate.cli.shared.session import actor as actor_of
from faregate.cli.shared.session import with_library

if TYPE_CHECKING:
    from faregate.worker.container import WorkerContainer

__all__ = ["features"]

features = App(name="features", help="Show features, and define them from a file.")


@features.command(name="list")
def list_features(*, output: Output = "table") -> None:
    """List all features."""
    from faregate.usage.features.documents import feature_content

    catalog = with_library(lambda lib: lib.catalog().current())
    found = [catalog.features[key] for key in sorted(catalog.features)]
    if output == "json":
        print_json([feature_content(feature) for feature in found])
        return
    rows = [(f.key, f.feature_id, f.name, f.strategy, f.min_credits, f.active) for f in found]
    print_table("Features", ["key", "id", "name", "strategy", "minimum", "active"], rows)


@features.command
def show(key: str, *, versions: bool = False, output: Output = "json") -> None:
    """Print one feature, or all its versions with --versions."""
    from faregate.usage.features.documents import feature_content

    if versions:
        history = with_library(lambda lib: lib.catalog().history("feature", key))
        _print_versions(key, [asdict(version) for version in history], output)
        return

    async def read(lib: WorkerContainer) -> dict[str, Any]:
        return feature_content((await lib.catalog().current()).get(key))

    print_facts(f"Feature {key}", with_library(read), output)


@features.command
@audited("features.apply", when="yes")
def apply(
    file: Path,
    *,
    yes: Annotated[
        bool, Parameter(name=["--yes", "-y"], help="Apply the changes; without it they are only shown.")
    ] = False,
    output: Output = "table",
    actor: Actor = None,
) -> None:
    """Define the features of a TOML or JSON file; features that the file does not name stay as they are."""
    from faregate.usage.features.documents import FeatureDocument, feature_content, read_document

    entries = entries_in(file, "features")
    wanted = {key: read_document(FeatureDocument, entry, name=key).feature(key) for key, entry in entries.items()}

    async def work(lib: WorkerContainer) -> None:
        catalog = lib.catalog()
        known = (await catalog.current()).features
        checked = [catalog.check(feature) for feature in wanted.values()]
        differing = [
            changes_between(f.key, feature_content(known[f.key]) if f.key in known else None, feature_content(f))
            for f in checked
        ]
        show_changes([change for changes in differing for change in changes], output=output)
        if yes:
            note(before=[known[key] for key in sorted(entries) if key in known], after=checked, keys=sorted(entries))
            await catalog.save_all(checked, [], actor=actor_of(actor))

    with_library(work)
    if output == "table":
        console.print(f"{len(wanted)} features applied" if yes else "not applied; --yes does it")


def _print_versions(key: str, versions: Sequence[dict[str, Any]], output: str) -> None:
    if output == "json":
        print_json(versions)
    else:
        print_table(f"Versions of {key}", list(versions[0]) if versions else [], [list(v.values()) for v in versions])

"""Writer of the generated pages and pictures: `make docs`; a test keeps them up to date."""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # a script: `generating` lies beside it

from generating.bi_page import bi_page
from generating.cli_page import cli_page
from generating.pictures import architecture_picture, settlement_picture
from generating.python_page import python_page

from faregate.core.settings import Settings, isolated_settings, variable_names
from faregate.gateway.container import GatewayContainer
from faregate.gateway.graphql.schema import schema_text
from faregate.gateway.http.error_pages import markdown
from faregate.gateway.http.operation import Operation, operations_of
from faregate.gateway.http.personal import Personal
from faregate.gateway.security.auth import ALL_SCOPES, ROLE_SCOPES

REFERENCE = Path(__file__).parent / "reference"
ASSETS = Path(__file__).parent / "assets"


def pages() -> dict[Path, str]:
    """Return the generated pages by file."""
    container = GatewayContainer(settings=isolated_settings(database_url="postgresql://nowhere/none"))
    operations = [declared for controller in container.controllers() for declared, _ in operations_of(controller)]
    return {
        REFERENCE / "errors.md": markdown(),
        REFERENCE / "settings.md": settings_page(),
        REFERENCE / "http.md": http_page(operations),
        REFERENCE / "cli.md": cli_page(),
        REFERENCE / "bi.md": bi_page(),
        REFERENCE / "python.md": python_page(),
        REFERENCE / "schema.graphql": schema_text(),
        ASSETS / "architecture.svg": architecture_picture(),
        ASSETS / "settlement.svg": settlement_picture(),
    }


def settings_page() -> str:
    """Return the page of all settings."""
    lines = [
        "# Settings",
        "",
        "Environment variables; an empty one counts as not set. A wrong value stops the start and is reported with an example;",
        "so does a name that is one typing error away from one of these. A second name below the first is accepted as well.",
        "",
        "| variable | default | meaning | example |",
        "| --- | --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None or "Secret" in type(field.default).__name__ else f"`{field.default}`"
        example = f"`{field.examples[0]}`" if field.examples else ""
        names = "<br>".join(f"`{variable}`" for variable in variable_names(name))
        lines.append(f"| {names} | {default} | {field.description} | {example} |".replace("  ", " "))
    return "\n".join(lines) + "\n"


_PEOPLE = {
    Personal.IDS: "ids of users, with figures and moments",
    Personal.WORDS: "e-mail and network addresses, texts and free fields that callers wrote",
    Personal.BODIES: "what was sent to features and answered, or everything on a person",
}


def http_page(operations: Sequence[Operation]) -> str:
    """Return the page of all calls and the scopes they need; `/openapi.json` and `/docs` have bodies and answers."""
    lines = [
        (REFERENCE / "http.head.md").read_text().rstrip(),
        "",
        "## Roles",
        "",
        "| role | scopes |",
        "| --- | --- |",
    ]
    for role, scopes in ROLE_SCOPES.items():
        named = (
            "all"
            if scopes == ALL_SCOPES
            else ", ".join(f"`{scope}`" for scope in sorted(scopes)) or "none: own data only"
        )
        lines.append(f"| `{role}` | {named} |")
    lines += ["", "## Calls", "", "`key` in the last column: honours `Idempotency-Key`."]
    lines += ["*People* is what the answer may hold about them:", "", "| people | |", "| --- | --- |"]
    lines += [f"| {level.name.lower()} | {text} |" for level, text in _PEOPLE.items()]
    for tag in sorted({operation.tag for operation in operations}):
        lines += [
            "",
            f"### {tag}",
            "",
            "| call | what | scope | users | people | |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for operation in operations:
            if operation.tag == tag:
                scope = f"`{operation.scope}`" if operation.scope else "-"
                own = "own data" if operation.own else "-"
                people = operation.personal.name.lower() if operation.personal else "-"
                key = "key" if operation.idempotent else ""
                call = f"`{operation.method} {operation.path}`"
                lines.append(f"| {call} | {operation.summary} | {scope} | {own} | {people} | {key} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for file, text in pages().items():
        file.write_text(text)

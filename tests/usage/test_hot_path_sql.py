"""The PostgreSQL features that the hot paths use: exactly those listed in docs/explanation/scaling.md.

Operators of a distributed PostgreSQL can check there whether it is compatible.
"""

import re
from decimal import Decimal
from pathlib import Path

from faregate.core.monitoring.heartbeats import Heartbeats
from faregate.usage.values import Feature, FeatureRef, ModelUsage, SettleRequest, StartRequest
from support.recording import recorded_library

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "scaling.md"
CHAT = FeatureRef(value="chat")
LINE = ModelUsage("gpt-4o", tokens={"input_tokens": 1000, "output_tokens": 100})

FEATURES = {
    "arrays as parameters (`unnest`)": r"\bunnest\(",
    "`= any(array)`": r"= any\s*\(",
    "`cross join lateral`": r"\blateral\b",
    "row locks (`for no key update`)": r"\bfor no key update\b",
    "row locks (`for update`, `for share`, `for key share`)": r"\bfor (update|share|key share)\b",
    "`skip locked`, `nowait`": r"\b(skip locked|nowait)\b",
    "`insert … on conflict do nothing`": r"\bon conflict\b[^;]*?\bdo nothing\b",
    "`insert … on conflict do update`": r"\bon conflict\b[^;]*?\bdo update\b",
    "`returning`": r"\breturning\b",
    "`update … from`": r"\bupdate\b[^;]*?\bset\b[^;]*?\bfrom\b",
    "several writes in one statement (`with`)": r"\bwith\b.*\bas \(\s*(insert|update|delete)\b",
    "`clock_timestamp()`": r"\bclock_timestamp\(",
    "`jsonb`": r"\bjsonb\b",
    "partitioned tables, by range of time": r"\binto faregate\.usage_event\s*\(",
    "temporary tables": r"\btemp(orary)?\b",
    "advisory locks": r"\badvisory",
    "LISTEN and NOTIFY": r"\b(listen|notify|pg_notify)\b",
    "sequences": r"\b(nextval|currval|setval)\(",
    "savepoints": r"\bsavepoint\b",
    "cursors": r"\b(declare|fetch next)\b",
    "procedures and `do` blocks": r"\b(call faregate|do \$\$)",
    "`merge`": r"\bmerge into\b",
    "transaction numbers and snapshots": r"\b(pg_current_xact_id|pg_current_snapshot|xmin|txid_)",
    "system columns (`ctid`)": r"\bctid\b",
    "table locks": r"\block table\b",
    "window functions": r"\bover\s*\(",
    "recursive queries": r"\brecursive\b",
    "`distinct on`": r"\bdistinct on\b",
    "full-text search, regular expressions": r"(@@|to_tsvector|\bregexp_|~\*?\s)",
}
"""Patterns that recognise each feature in a statement, by its name on the page."""


async def _hot_statements(database_url: str) -> list[str]:
    """Start, settle (started or not, first and repeated), void, extend, expire: the operations of every use."""
    async with recorded_library(database_url) as (library, database):
        await library.feature(Feature("chat", "token_priced", min_credits=Decimal(1)))
        await library.grant("ada", 100)
        await Heartbeats(database).report("worker:1", "worker", settled_until=None)
        database.forget()
        service = library.service
        for key in ("settled", "voided"):
            await service.authorize(StartRequest("ada", CHAT, key))
        await service.extend("voided", user_id="ada", ttl_seconds=60)
        await service.void("voided", user_id="ada")
        for key in ("settled", "settled", "unstarted"):
            await service.settle(SettleRequest(key, "ada", CHAT, (LINE,)))
        await service.settle(SettleRequest("of-somebody-new", "bela", CHAT, (LINE,)))
        await library.database.run(library.credit.service().sweep)
        return [re.sub(r"\s+", " ", sql.lower()) for sql in database.statements]


def _promised() -> dict[str, str]:
    """Return the page's table: yes or no for each feature."""
    rows = re.findall(r"^\| (.+?) \| (yes|no) \|", PAGE.read_text(), re.MULTILINE)
    return dict(rows)


async def test_page_lists_exactly_the_features_that_the_hot_paths_use(database_url: str) -> None:
    statements = await _hot_statements(database_url)

    used = dict.fromkeys(FEATURES, "no")
    for name, pattern in FEATURES.items():
        if any(re.search(pattern, sql, re.DOTALL) for sql in statements):
            used[name] = "yes"
    assert used == _promised()


async def test_hot_paths_call_only_functions_listed_on_the_page(database_url: str) -> None:
    statements = await _hot_statements(database_url)
    not_functions = {
        "as",
        "in",
        "values",
        "any",
        "and",
        "or",
        "on",
        "conflict",
        "by",
        "with",
        "select",
        "exists",
        "from",
    }
    not_functions |= {"cast", "lateral", "using"}
    called = {name for sql in statements for name in re.findall(r"(?<![\w.:)])([a-z_]+) ?\(", sql)}
    (named,) = re.findall(r"^Functions: (.+?)\.$", PAGE.read_text(), re.MULTILINE | re.DOTALL)

    found = called - not_functions - _aliases(statements)
    assert found == set(re.findall(r"`(\w+)`", named)), found


def _aliases(statements: list[str]) -> set[str]:
    """Names given in the statements themselves, with columns in brackets after them."""
    text = " ".join(statements)
    return set(re.findall(r"\bas (?:materialized )?([a-z_]+) ?\(", text)) | set(
        re.findall(r"(?:\bwith |, )([a-z_]+) as \(", text)
    )

"""The blocks of "Query with GraphQL" print what stands below them."""

import asyncio
from itertools import pairwise
from pathlib import Path

import uvicorn

from faregate.gateway.graphql.documents import registered_queries
from faregate.gateway.graphql.limits import (
    ALIASES_LIMIT,
    DEPTH_LIMIT,
    FIELDS_LIMIT,
    FRAGMENTS_LIMIT,
    TOKENS_LIMIT,
)
from support.apps import KEY, open_gateway, settings_for
from support.docs import Page
from support.serving import serving

PAGE = Page.of("docs/howto/query-with-graphql.md")


async def test_the_programs_print_what_stands_below_them(database_url: str, tmp_path: Path) -> None:
    blocks = PAGE.blocks()
    async with open_gateway(settings_for(database_url)) as gateway:
        await gateway.feature("paper", strategy="fixed", parameters={"credits": 1})
        await gateway.grant("ada", 20)
        for key in ("use-1", "use-2"):
            await gateway.post("/api/usage", {"user_id": "ada", "feature_key": "paper", "usage_key": key})
        config = uvicorn.Config(gateway.app, port=0, log_config=None, lifespan="off")
        async with serving(config) as url:
            for block, below in pairwise(blocks):
                if block.language == "python":
                    printed = await asyncio.to_thread(block.run, URL=url, KEY=KEY)
                    assert printed.splitlines() == below.text.splitlines(), block.place

    assert len(registered_queries(PAGE.block("json").save(tmp_path))) == 2


def test_the_page_names_the_limits() -> None:
    for name, limit in {
        "words and signs": TOKENS_LIMIT,
        "levels of fields": DEPTH_LIMIT,
        "fields, with fragments where they are spread": FIELDS_LIMIT,
        "fragments": FRAGMENTS_LIMIT,
        "aliases": ALIASES_LIMIT,
    }.items():
        assert f"| {name} | {limit:,} |" in PAGE.text

"""Real servers for the tests, and the small statements that make databases on them."""

import asyncpg

__all__ = ["address", "execute"]


async def execute(url: str, statement: str) -> None:
    """Run one statement on the server at `url`."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def address(server_url: str, name: str) -> str:
    """Return the address of database `name` on the same server."""
    base, _, query = server_url.partition("?")
    return f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
